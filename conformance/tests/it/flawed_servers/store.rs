//! Queues as a small server keeps them: exact, in memory, and wrong where a flaw is planted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::flaws::Flaw;

/// Seconds with fractions, as this server tells time.
pub(crate) type Secs = f64;

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) rank: u64,
    pub(crate) client: String,
    pub(crate) body: Value,
    pub(crate) ttl: u64,
    pub(crate) posted_at: Secs,
    pub(crate) expires_at: Secs,
    pub(crate) ready_at: Secs,
    /// The claim that took it last, and until when.
    pub(crate) lease: Option<(String, Secs)>,
    pub(crate) count: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) ttl: u64,
    pub(crate) since: Secs,
    pub(crate) ends_at: Secs,
}

#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) messages: Vec<Message>,
    pub(crate) claims: BTreeMap<String, Claim>,
}

pub(crate) struct Store {
    pub(crate) flaw: Option<Flaw>,
    pub(crate) queues: BTreeMap<String, Queue>,
    numbers: u64,
}

impl Message {
    pub(crate) fn is_held(&self, now: Secs) -> bool {
        self.lease.as_ref().is_some_and(|(_, until)| *until > now)
    }

    pub(crate) fn is_alive(&self, now: Secs) -> bool {
        self.expires_at > now
    }
}

impl Queue {
    pub(crate) fn setting(&self, name: &str) -> Option<u64> {
        let value = self.metadata.as_ref()?.get(name)?.as_u64()?;
        (value > 0).then_some(value)
    }

    fn limits(&self) -> Option<(u64, String)> {
        let metadata = self.metadata.as_ref()?;
        let count = metadata.get("_max_claim_count")?.as_u64()?;
        let target = metadata.get("_dead_letter_queue")?.as_str()?;
        Some((count, target.to_owned()))
    }
}

impl Store {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            queues: BTreeMap::new(),
            numbers: 0,
        }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn key(&self, project: &str, queue: &str) -> String {
        let between = if self.has(Flaw::JoinedKeys) { "." } else { "/" };
        format!("{project}{between}{queue}")
    }

    pub(crate) fn queue(&mut self, key: &str) -> &mut Queue {
        self.queues.entry(key.to_owned()).or_default()
    }

    pub(crate) fn post(&mut self, (key, client): (&str, &str), one: &Value, now: Secs) -> String {
        let (rank, flaw) = (self.number(), self.flaw);
        let queue = self.queue(key);
        queue.metadata.get_or_insert_default();
        let default = queue.setting("_default_message_ttl");
        let default = default.filter(|_| flaw != Some(Flaw::DefaultTtlIgnored));
        let ttl = one["ttl"].as_u64().or(default).unwrap_or(3600);
        let delay = match queue.setting("_default_message_delay") {
            None => 0,
            Some(default) => one["delay"].as_u64().unwrap_or(default),
        };
        let id = format!("m{rank}");
        queue.messages.push(Message {
            id: id.clone(),
            rank,
            client: client.to_owned(),
            body: one["body"].clone(),
            ttl,
            posted_at: now,
            expires_at: now + ttl as Secs,
            ready_at: now + delay as Secs,
            lease: None,
            count: 0,
        });
        id
    }

    /// Whether a claim or a pop may take the message.
    fn is_free(&self, message: &Message, pops: bool, now: Secs) -> bool {
        let ignores_lease = pops && self.has(Flaw::PopTakesClaimed);
        let ignores_delay = pops && self.has(Flaw::PopTakesDelayed);
        message.is_alive(now)
            && (ignores_lease || !message.is_held(now))
            && (ignores_delay || message.ready_at <= now)
    }

    pub(crate) fn pop(&mut self, key: &str, count: usize, now: Secs) -> Vec<Message> {
        let ids = self.free(key, (count, true), now);
        let queue = self.queue(key);
        let (taken, left) = std::mem::take(&mut queue.messages)
            .into_iter()
            .partition(|message| ids.contains(&message.id));
        queue.messages = left;
        taken
    }

    fn free(&self, key: &str, (count, pops): (usize, bool), now: Secs) -> Vec<String> {
        let Some(queue) = self.queues.get(key) else {
            return Vec::new();
        };
        let mut found: Vec<&Message> = Vec::new();
        for message in &queue.messages {
            let overlooks = self.has(Flaw::ClaimTakesHeld) && !pops && !found.is_empty();
            let overlooked = overlooks && message.is_alive(now) && message.ready_at <= now;
            if self.is_free(message, pops, now) || overlooked {
                found.push(message);
            }
        }
        if self.has(Flaw::NewestFirst) && !pops {
            found.reverse();
        }
        let taken = found.into_iter().take(count);
        taken.map(|message| message.id.clone()).collect()
    }

    /// Claims up to `count` messages: the claim and what it holds.
    pub(crate) fn claim(
        &mut self,
        key: &str,
        ((ttl, grace), count): ((u64, u64), usize),
        now: Secs,
    ) -> (String, Vec<Message>) {
        let id = format!("c{}", self.number());
        let ids = self.free(key, (count, false), now);
        let limits = self.queue(key).limits();
        let early = if self.has(Flaw::LeaseEndsEarly) {
            5.0
        } else {
            0.0
        };
        let late = u64::from(self.has(Flaw::DeadLetterLate));
        let ends_at = now + ttl as Secs - early;
        let mut spent = Vec::new();
        let extends = !self.has(Flaw::NoExtension);
        let no_grace = self.has(Flaw::NoGrace);
        let queue = self.queue(key);
        let mut taken = Vec::new();
        for wanted in &ids {
            let place = queue.messages.iter().position(|m| m.id == *wanted).unwrap();
            let message = &mut queue.messages[place];
            if let Some((max, target)) = &limits {
                if message.count >= max + late {
                    spent.push((queue.messages.remove(place), target.clone()));
                    continue;
                }
                message.count += 1;
            }
            if extends {
                extend(message, (ttl, if no_grace { 0 } else { grace }), now);
            }
            message.lease = Some((id.clone(), ends_at));
            taken.push(message.clone());
        }
        if !taken.is_empty() {
            let claim = Claim {
                ttl,
                since: now,
                ends_at,
            };
            queue.claims.insert(id.clone(), claim);
        }
        self.bury(key, spent, now);
        (id, taken)
    }

    fn bury(&mut self, key: &str, spent: Vec<(Message, String)>, now: Secs) {
        for (mut message, target) in spent {
            let ttl = self.queue(key).setting("_dead_letter_queue_messages_ttl");
            if let Some(ttl) = ttl.filter(|_| !self.has(Flaw::DeadLetterTtlIgnored)) {
                message.ttl = ttl;
                message.expires_at = now + ttl as Secs;
            }
            message.rank = self.number();
            message.ready_at = now;
            let held = self.has(Flaw::DeadLetterHeld);
            message.lease = held.then(|| ("nobody".to_owned(), now + 60.0));
            let project = key.rsplit_once('/').map_or(key, |(project, _)| project);
            let queue = self.queue(&format!("{project}/{target}"));
            queue.metadata.get_or_insert_default();
            queue.messages.push(message);
        }
    }

    pub(crate) fn renew(&mut self, key: &str, (id, terms): (&str, (u64, u64)), now: Secs) -> bool {
        let (ignored, extends) = (
            self.has(Flaw::RenewalIgnored),
            !self.has(Flaw::RenewalWithoutExtension),
        );
        let queue = self.queue(key);
        let Some(claim) = queue.claims.get_mut(id).filter(|claim| claim.ends_at > now) else {
            return false;
        };
        if ignored {
            return true;
        }
        let ends_at = now + terms.0 as Secs;
        *claim = Claim {
            ttl: terms.0,
            since: now,
            ends_at,
        };
        for message in &mut queue.messages {
            if let Some((holder, until)) = &mut message.lease
                && holder == id
                && *until > now
            {
                *until = ends_at;
                if extends {
                    extend(message, terms, now);
                }
            }
        }
        true
    }

    pub(crate) fn release(&mut self, key: &str, id: &str, now: Secs) {
        let (loses, to_tail) = (
            self.has(Flaw::ReleaseLosesCount),
            self.has(Flaw::ReleasedToTail),
        );
        let mut number = self.numbers;
        let queue = self.queue(key);
        queue.claims.remove(id);
        for message in &mut queue.messages {
            if message
                .lease
                .as_ref()
                .is_some_and(|(holder, _)| holder == id)
            {
                let was_held = message.is_held(now);
                message.lease = None;
                if loses {
                    message.count = 0;
                }
                if to_tail && was_held {
                    number += 1;
                    message.rank = number;
                }
            }
        }
        queue.messages.sort_by_key(|message| message.rank);
        self.numbers = number;
    }

    /// Changes metadata by a JSON patch: the status.
    pub(crate) fn patch(&mut self, key: &str, operations: &Value) -> u16 {
        let leaves_half = self.has(Flaw::PatchNotAtomic);
        let operations = operations.as_array().unwrap();
        let path = |operation: &Value| operation["path"].as_str().unwrap().to_owned();
        if operations
            .iter()
            .any(|one| !path(one).starts_with("/metadata/"))
        {
            return 400;
        }
        let Some(before) = self
            .queues
            .get(key)
            .and_then(|queue| queue.metadata.clone())
        else {
            return 404;
        };
        let mut after = before;
        let mut status = 200;
        for operation in operations {
            let name = path(operation)["/metadata/".len()..].to_owned();
            let is_there = name.starts_with('_') || after.contains_key(&name);
            match operation["op"].as_str().unwrap() {
                "remove" | "replace" if !is_there => {
                    status = 409;
                    break;
                }
                "remove" => drop(after.remove(&name)),
                _ => drop(after.insert(name, operation["value"].clone())),
            }
        }
        if status == 200 && after.get("_default_message_ttl") == Some(&json!(59)) {
            status = 400;
        }
        if status == 200 || (status == 409 && leaves_half) {
            self.queue(key).metadata = Some(after);
        }
        status
    }
}

/// Contract 6.2.
fn extend(message: &mut Message, (ttl, grace): (u64, u64), now: Secs) {
    if message.expires_at < now + ttl as Secs {
        message.ttl = ttl + grace;
        message.expires_at = now + (ttl + grace) as Secs;
    }
}
