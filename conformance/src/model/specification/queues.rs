//! Contract 4: queues, statistics, purges.

use http::Method;
use serde_json::{Map, Value, json};

use super::super::answer::{Difference, Heard, last_segment};
use super::super::certainty::Certainty;
use super::super::operation::{Change, DEAD_LETTERS, Member, Place, Purged, QUEUES};
use super::metadata::{self, Patched};
use super::selecting::View;
use super::{Meaning, Planned, Specification};
use crate::suite::Sent;

impl Specification {
    pub(super) fn plan_creation(&self, place: Place, settings: &[(Member, u64)]) -> Planned {
        let metadata = metadata::object(settings, &self.name(DEAD_LETTERS));
        let metadata = Value::Object(metadata);
        let meaning = Meaning::CreateQueue {
            place,
            metadata: metadata.clone(),
        };
        Some((Method::PUT, String::new(), Some(metadata), meaning))
    }

    pub(super) fn plan_patch(&self, place: Place, changes: &[Change]) -> Planned {
        let body = Some(metadata::patch(changes, &self.name(DEAD_LETTERS)));
        let changes = changes.to_vec();
        let meaning = Meaning::PatchQueue { place, changes };
        Some((Method::PATCH, String::new(), body, meaning))
    }

    pub(super) fn plan_queue_list(&self, project: u8, limit: u64, after: Option<u8>) -> Planned {
        // In a project that others share there is no telling what is there.
        if !self.prefix.is_empty() {
            return None;
        }
        let marker = after.map(|queue| format!("&marker={}", self.name(queue)));
        let rest = format!("?limit={limit}{}", marker.unwrap_or_default());
        let meaning = Meaning::ListQueues {
            project,
            limit,
            after,
        };
        Some((Method::GET, rest, None, meaning))
    }

    pub(super) fn plan_purge(place: Place, purged: Purged) -> Planned {
        let body = match purged {
            Purged::Messages => json!({ "resource_types": ["messages"] }),
            Purged::Everything => json!({ "resource_types": ["messages", "subscriptions"] }),
            Purged::Subscriptions => json!({ "resource_types": ["subscriptions"] }),
        };
        let removes_messages = purged != Purged::Subscriptions;
        let meaning = Meaning::Purge {
            place,
            removes_messages,
        };
        Some((Method::POST, "/purge".to_owned(), Some(body), meaning))
    }

    pub(super) fn judge_read_queue(
        &mut self,
        place: Place,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("4.4", &[200], "also for an unknown queue")?;
        metadata::check("4.4", &self.queue(place).metadata, heard)
    }

    pub(super) fn judge_deletion(
        &mut self,
        place: Place,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("4.6", &[204], "")?;
        self.delete_queue(place);
        Ok(())
    }

    pub(super) fn judge_purge(
        &mut self,
        place: Place,
        removes_messages: bool,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("4.8", &[204], "")?;
        if removes_messages {
            self.purge(place, heard.sent);
        }
        Ok(())
    }

    pub(super) fn judge_creation(
        &mut self,
        place: Place,
        metadata: &Value,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let (statuses, why): (&[u16], _) = match self.queue(place).exists {
            Certainty::Yes => (&[204], "the queue is there"),
            Certainty::Maybe => (&[201, 204], ""),
            Certainty::No => (&[201], "the queue is new"),
        };
        let status = heard.status("4.3", statuses, why)?;
        let queue = self.queue(place);
        queue.exists = Certainty::Yes;
        // Metadata for a queue that is there is ignored (contract 4.3).
        if status == 201 {
            queue.metadata = metadata.as_object().cloned().unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn judge_patch(
        &mut self,
        place: Place,
        changes: &[Change],
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        let target = self.name(DEAD_LETTERS);
        let queue = self.queue(place);
        let patched = metadata::patched(&queue.metadata, changes, &target);
        let mut statuses = match &patched {
            Patched::Malformed => vec![400],
            Patched::Refused(statuses) => statuses.clone(),
            Patched::To(_) => vec![200],
        };
        let unknown: &[u16] = match &patched {
            Patched::Malformed => &[400],
            // Looked at before or after the queue is (contract 4.5).
            Patched::Refused(statuses) if statuses.contains(&400) => &[404, 400],
            Patched::Refused(_) | Patched::To(_) => &[404],
        };
        match queue.exists {
            Certainty::Yes => {}
            Certainty::Maybe => statuses.extend(unknown),
            Certainty::No => statuses = unknown.to_vec(),
        }
        let why = format!("of metadata {}", Value::Object(queue.metadata.clone()));
        match heard.status("4.5, G15", &statuses, &why)? {
            200 => {
                queue.exists = Certainty::Yes;
                let Patched::To(after) = patched else {
                    return Ok(());
                };
                queue.metadata = after;
                metadata::check("4.5, G15", &self.queue(place).metadata, heard)
            }
            409 => {
                queue.exists = Certainty::Yes;
                Ok(())
            }
            404 => {
                queue.exists = Certainty::No;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn delete_queue(&mut self, place: Place) {
        for index in 0..self.messages.len() {
            if self.messages[index].place == place {
                self.remove(index);
            }
        }
        for claim in &mut self.claims {
            claim.is_ended |= claim.place == place;
        }
        let queue = self.queue(place);
        queue.exists = Certainty::No;
        queue.metadata = Map::new();
        queue.deletions += 1;
    }

    /// Contract 4.8: all messages go, though perhaps not those that are claimed.
    fn purge(&mut self, place: Place, sent: Sent) {
        for index in 0..self.messages.len() {
            let message = &self.messages[index];
            if message.place != place {
                continue;
            }
            if Self::held(message, sent) == Certainty::No {
                self.remove(index);
                continue;
            }
            if let Some(twin) = self.messages[index].twin.take() {
                self.messages[twin].twin = None;
            }
            let message = &mut self.messages[index];
            message.presence = message.presence.and(Certainty::Maybe);
        }
    }

    pub(super) fn judge_queue_list(
        &mut self,
        project: u8,
        (limit, after): (u64, Option<u8>),
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        heard.status("4.2", &[200], "")?;
        let document = heard.json("4.2")?;
        let names = document["queues"].as_array().and_then(|queues| {
            let names = queues.iter().map(|queue| queue["name"].as_str());
            names.collect::<Option<Vec<&str>>>()
        });
        let names = names.ok_or_else(|| heard.differs("4.2", "`queues`: objects with `name`"))?;
        if u64::try_from(names.len()).unwrap_or(u64::MAX) > limit {
            return Err(heard.differs("4.2", format!("at most {limit} queues")));
        }
        let after = after.map(|queue| QUEUES[usize::from(queue)]);
        let mut wanted: Vec<(&str, u8)> = QUEUES.into_iter().zip(0..).collect();
        wanted.sort_unstable();
        wanted.retain(|(name, _)| after.is_none_or(|after| *name > after));
        let mut rest = names.as_slice();
        for (name, queue) in wanted {
            let place = Place { project, queue };
            let is_shown = rest.first() == Some(&name);
            let exists = self.queue(place).exists;
            let is_passed = !rest.is_empty() || names.is_empty();
            match (is_shown, exists) {
                (true, Certainty::No) => break,
                (true, Certainty::Yes | Certainty::Maybe) => {
                    self.queue(place).exists = Certainty::Yes;
                    rest = &rest[1..];
                }
                (false, Certainty::Yes) if is_passed => {
                    return Err(heard.differs("4.2", format!("queue {name}, which is there")));
                }
                (false, Certainty::Maybe) if is_passed => {
                    self.queue(place).exists = Certainty::No;
                }
                (false, _) => {}
            }
        }
        match rest.first() {
            None => Ok(()),
            Some(name) => {
                let expected = format!("no queue {name} here: unknown, or out of order");
                Err(heard.differs("4.2", expected))
            }
        }
    }

    pub(super) fn judge_stats(&mut self, place: Place, heard: Heard<'_>) -> Result<(), Difference> {
        heard.status("4.7", &[200], "")?;
        let document = heard.json("4.7")?;
        let stats = &document["messages"];
        let counts = ["claimed", "free", "total"].map(|name| stats[name].as_u64());
        let [Some(claimed), Some(free), Some(total)] = counts else {
            return Err(heard.differs("4.7", "counts `claimed`, `free` and `total`"));
        };
        if claimed + free != total {
            return Err(heard.differs("4.7, G19", "a total of claimed and free"));
        }
        let sent = heard.sent;
        let all = self.candidates((place, None), View::ALL, sent);
        let held = |index: usize| Self::held(&self.messages[index], sent);
        let ranges = [
            ("claimed", claimed, range(&all, held)),
            ("free", free, range(&all, |index| held(index).not())),
            ("total", total, range(&all, |_| Certainty::Yes)),
        ];
        for (name, came, (least, most)) in ranges {
            if !(least..=most).contains(&came) {
                let expected = format!("{name} from {least} to {most}");
                return Err(heard.differs("4.7, G19", expected));
            }
        }
        self.check_ends(&all, stats, heard)
    }

    /// The oldest and the newest message that statistics name.
    fn check_ends(
        &self,
        all: &[(usize, Certainty)],
        stats: &Value,
        heard: Heard<'_>,
    ) -> Result<(), Difference> {
        // Whether a message that moved is as old as its post or its move is the server's choice.
        let has_moved = |index: usize| self.messages[index].first_entry != index;
        if all.iter().any(|(index, _)| has_moved(*index)) {
            return Ok(());
        }
        let newest: Vec<_> = all.iter().rev().copied().collect();
        for (name, ordered) in [("oldest", all), ("newest", &newest)] {
            let sure = ordered.iter().position(|(_, c)| *c == Certainty::Yes);
            let Some(sure) = sure else { continue };
            let href = stats[name]["href"].as_str().and_then(last_segment);
            let may_be = &ordered[..=sure];
            let holds = |id: &String| may_be.iter().any(|(i, _)| self.messages[*i].id == *id);
            if !href.as_ref().is_some_and(holds) {
                let id = &self.messages[ordered[sure].0].id;
                return Err(heard.differs("4.7", format!("`{name}` with the href of {id}")));
            }
        }
        Ok(())
    }
}

/// How many of `all` at least and at most are there and have what `has` tells.
fn range(all: &[(usize, Certainty)], has: impl Fn(usize) -> Certainty) -> (u64, u64) {
    let certainties = || all.iter().map(|(index, alive)| alive.and(has(*index)));
    let count = |least: Certainty| {
        let counted = certainties()
            .filter(|certainty| *certainty >= least)
            .count();
        u64::try_from(counted).unwrap_or(u64::MAX)
    };
    (count(Certainty::Yes), count(Certainty::Maybe))
}
