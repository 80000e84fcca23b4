//! A queue with claims in its simplest form: one operation after the other, one clock that is handed
//! in. It knows nothing of clients, concurrency or rules; a planted flaw is the only thing that makes
//! it wrong.

use std::collections::{BTreeMap, BTreeSet};

use nanshe_conformance::history::{Answer, Operation, Outcome, Posted, QueueSettings, Seen};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::flaws::Flaw;

mod looks;
mod queues;

/// How often a post is refused, for no reason.
const REFUSED_SHARE: f64 = 0.08;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stored,
    Deleted,
    Popped,
}

/// One message. Instants are milliseconds on the server's clock.
pub(super) struct Message {
    queue: String,
    seen: Seen,
    /// Who posted it.
    producer: u64,
    /// Where it stands among all: younger is more.
    rank: u64,
    /// When its delay ends.
    active_at: u64,
    /// How often it was handed out under a claim.
    claim_count: u64,
    expires_at: u64,
    /// Until when it would live, had a flaw not cut its life.
    owed_until: u64,
    pub(super) place: Place,
    /// The claim that was granted it last; it may have expired.
    pub(super) holder: Option<String>,
    pub(super) lease_until: u64,
    /// When the lease would have ended, had nobody renewed it.
    pub(super) unrenewed_lease_until: Option<u64>,
    /// When the lease would have ended, had nobody released it.
    pub(super) released_lease_until: u64,
    /// When a flaw brings it back.
    pub(super) returns_at: Option<u64>,
}

impl Message {
    pub(super) fn is_held(&self, now: u64) -> bool {
        self.place == Place::Stored && self.is_leased(now)
    }

    fn is_leased(&self, now: u64) -> bool {
        self.holder.is_some() && now < self.lease_until
    }

    fn is_held_by(&self, claim: &str, now: u64) -> bool {
        self.is_held(now) && self.holder.as_deref() == Some(claim)
    }

    fn is_alive(&self, now: u64) -> bool {
        self.place == Place::Stored && now < self.expires_at
    }

    /// Whether it would still be there, had a flaw not cut its life.
    fn is_owed(&self, now: u64) -> bool {
        self.place == Place::Stored && (self.expires_at..self.owed_until).contains(&now)
    }

    pub(super) fn is_delayed(&self, now: u64) -> bool {
        now < self.active_at
    }
}

/// A claim, which lives on after its messages are gone.
struct Claim {
    id: String,
    ends_at: u64,
}

/// Who is told of what is posted to a queue.
struct Subscription {
    queue: String,
    subscriber: String,
    ends_at: u64,
}

/// All queues.
pub(super) struct Model {
    flaw: Option<Flaw>,
    /// Whether the flaw made a difference.
    pub(super) has_struck: bool,
    random: ChaCha8Rng,
    messages: Vec<Message>,
    claims: Vec<Claim>,
    settings: BTreeMap<String, QueueSettings>,
    /// By walk: the rank of the last message that it showed.
    shown_ranks: BTreeMap<u64, u64>,
    /// By walk: the messages that it showed.
    shown: BTreeMap<u64, BTreeSet<String>>,
    serial: u64,
    /// Subscribers, and until when they are.
    subscriptions: Vec<Subscription>,
    /// Queue, subscriber and token of what is to be pushed now.
    pub(super) pushes: Vec<(String, String, String)>,
}

impl Model {
    pub(super) fn new(flaw: Option<Flaw>, random: ChaCha8Rng) -> Self {
        Self {
            flaw,
            has_struck: false,
            random,
            messages: Vec::new(),
            claims: Vec::new(),
            settings: BTreeMap::new(),
            shown_ranks: BTreeMap::new(),
            shown: BTreeMap::new(),
            serial: 0,
            subscriptions: Vec::new(),
            pushes: Vec::new(),
        }
    }

    /// Does what is asked for, now and at once.
    pub(super) fn handle(&mut self, now: u64, process: u64, operation: &Operation) -> Outcome {
        match operation {
            Operation::Post { queue, messages } => self.post(now, process, (queue, messages)),
            Operation::Claim {
                queue,
                limit,
                ttl_secs,
                grace_secs,
            } => {
                let lease_until = now + ttl_secs * 1000;
                self.claim(now, (queue, *limit), lease_until, *grace_secs)
            }
            Operation::Renew {
                claim,
                ttl_secs,
                grace_secs,
                ..
            } => self.renew(now, claim, now + ttl_secs * 1000, *grace_secs),
            Operation::Release { claim, .. } => self.release(now, claim),
            Operation::Delete { message, claim, .. } => self.delete(now, message, claim.as_deref()),
            Operation::Pop { queue, limit } => self.pop(now, queue, *limit),
            Operation::Get { queue, message } => self.get(now, queue, message),
            Operation::GetMany { .. }
            | Operation::ClaimGet { .. }
            | Operation::List { .. }
            | Operation::Stats { .. } => self.look(now, process, operation),
            Operation::BulkDelete { .. }
            | Operation::Purge { .. }
            | Operation::CreateQueue { .. }
            | Operation::SetMetadata { .. }
            | Operation::DeleteQueue { .. } => self.settle(operation),
            Operation::Subscribe {
                queue,
                subscriber,
                ttl_secs,
            } => self.subscribe(queue, subscriber, now + ttl_secs * 1000),
        }
    }

    fn post(&mut self, now: u64, process: u64, (queue, batch): (&str, &[Posted])) -> Outcome {
        let is_refused = self.random.random_bool(REFUSED_SHARE);
        if is_refused && !self.strikes(Flaw::RefusedPostStored, 1.0) {
            if self.flaw == Some(Flaw::PushedUnstored) {
                self.push(now, queue, batch, Flaw::PushedUnstored);
            }
            return Outcome::Fail { status: Some(400) };
        }
        let settings = self.settings.entry(queue.to_owned()).or_default();
        let default_delay_secs = settings.default_delay_secs.unwrap_or(0);
        let mut ids = Vec::new();
        for (number, posted) in batch.iter().enumerate() {
            let id = self.draw_id("message");
            ids.push(id.clone());
            let is_dropped = self.strikes(Flaw::PostDropped, 0.2);
            if is_dropped || (number > 0 && self.strikes(Flaw::BatchCut, 0.5)) {
                continue;
            }
            let delay_secs = match default_delay_secs {
                0 => 0,
                default => posted.delay_secs.unwrap_or(default),
            };
            let mut seen = Seen::new(id, posted.token.clone());
            seen.body.clone_from(&posted.body);
            let message = Message {
                queue: queue.to_owned(),
                seen,
                producer: process,
                rank: self.serial,
                active_at: now + delay_secs * 1000,
                claim_count: 0,
                expires_at: now + posted.ttl_secs * 1000,
                owed_until: 0,
                place: Place::Stored,
                holder: None,
                lease_until: 0,
                unrenewed_lease_until: None,
                released_lease_until: 0,
                returns_at: None,
            };
            self.store(message);
        }
        if is_refused {
            return Outcome::Fail { status: Some(400) };
        }
        self.push(now, queue, batch, Flaw::PushMissed);
        Outcome::Ok(Answer::Post { ids })
    }

    fn store(&mut self, message: Message) {
        if self.strikes(Flaw::StoredTwice, 0.2) {
            let id = self.draw_id("message");
            let mut seen = message.seen.clone();
            seen.id = id;
            let twin = Message {
                seen,
                queue: message.queue.clone(),
                rank: self.serial,
                holder: None,
                ..message
            };
            self.messages.push(message);
            self.messages.push(twin);
            return;
        }
        self.messages.push(message);
        let last = self.messages.len() - 1;
        if last > 0
            && self.messages[last - 1].queue == self.messages[last].queue
            && self.messages[last - 1].producer == self.messages[last].producer
            && self.strikes(Flaw::OrderSwapped, 0.3)
        {
            let (one, other) = (self.messages[last - 1].rank, self.messages[last].rank);
            self.messages[last - 1].rank = other;
            self.messages[last].rank = one;
            self.messages.swap(last - 1, last);
        }
    }

    fn claim(
        &mut self,
        now: u64,
        (queue, limit): (&str, u64),
        lease_until: u64,
        grace_secs: u64,
    ) -> Outcome {
        let id = self.draw_id("claim");
        let mut messages = Vec::new();
        let mut taken = self.take(now, queue, limit);
        self.move_dead_letters(now, queue, &mut taken);
        for place in taken {
            if self.strikes(Flaw::LostInClaim, 0.1) {
                self.messages[place].place = Place::Deleted;
                continue;
            }
            let message = &mut self.messages[place];
            message.place = Place::Stored;
            message.holder = Some(id.clone());
            message.unrenewed_lease_until = None;
            message.returns_at = None;
            message.claim_count += 1;
            self.extend(place, lease_until, grace_secs);
            messages.push(self.shown(place));
        }
        self.invent(&mut messages, limit);
        if messages.is_empty() {
            let claim = None;
            return Outcome::Ok(Answer::Claim { claim, messages });
        }
        self.claims.push(Claim {
            id: id.clone(),
            ends_at: lease_until,
        });
        let claim = Some(id);
        Outcome::Ok(Answer::Claim { claim, messages })
    }

    fn renew(&mut self, now: u64, id: &str, lease_until: u64, grace_secs: u64) -> Outcome {
        let mut claims = self.claims.iter();
        let found = claims.position(|claim| claim.id == id);
        let Some(found) = found else {
            return Outcome::Fail { status: Some(404) };
        };
        let has_ended = self.claims[found].ends_at <= now;
        if has_ended && !self.strikes(Flaw::EndedClaimRenewed, 0.7) {
            return Outcome::Fail { status: Some(404) };
        }
        if !has_ended && self.strikes(Flaw::HolderRefused, 0.3) {
            return Outcome::Fail { status: Some(404) };
        }
        self.claims[found].ends_at = lease_until;
        for place in 0..self.messages.len() {
            let message = &mut self.messages[place];
            if message.is_alive(now) && message.is_held_by(id, now) {
                let unrenewed = message.lease_until;
                message.unrenewed_lease_until.get_or_insert(unrenewed);
                self.extend(place, lease_until, grace_secs);
            }
        }
        Outcome::Ok(Answer::Renew)
    }

    /// The release of a claim that has ended is answered like any other.
    fn release(&mut self, now: u64, id: &str) -> Outcome {
        self.claims.retain(|claim| claim.id != id);
        for message in &mut self.messages {
            if message.is_held_by(id, now) {
                message.holder = None;
                message.released_lease_until = message.lease_until;
            }
        }
        Outcome::Ok(Answer::Release)
    }

    fn delete(&mut self, now: u64, id: &str, claim: Option<&str>) -> Outcome {
        let mut messages = self.messages.iter();
        let found = messages.position(|message| message.seen.id == id && message.is_alive(now));
        let Some(place) = found else {
            // What is not there is deleted already.
            return Outcome::Ok(Answer::Delete);
        };
        let message = &self.messages[place];
        let refused = match claim {
            None if message.is_held(now) => Some((403, Flaw::UnclaimedDeleted)),
            Some(claim) if !message.is_held_by(claim, now) => {
                let status = if message.is_held(now) { 403 } else { 400 };
                Some((status, Flaw::StaleDelete))
            }
            None | Some(_) => None,
        };
        let is_holder = claim.is_some() && refused.is_none();
        if let Some((status, flaw)) = refused
            && !self.strikes(flaw, 0.7)
        {
            return Outcome::Fail {
                status: Some(status),
            };
        }
        if is_holder && self.strikes(Flaw::HolderRefused, 0.2) {
            return Outcome::Fail { status: Some(400) };
        }
        self.messages[place].place = Place::Deleted;
        // Not counted as a strike before it is seen again.
        if self.flaw == Some(Flaw::Resurrected) && self.random.random_bool(0.4) {
            self.messages[place].returns_at = Some(now + self.random.random_range(0..=3_000));
        }
        let mut others = self.messages.iter();
        let neighbour = others.position(|other| other.is_alive(now) && other.holder.is_none());
        if let Some(neighbour) = neighbour
            && self.strikes(Flaw::NeighbourDeleted, 0.3)
        {
            self.messages[neighbour].place = Place::Deleted;
        }
        Outcome::Ok(Answer::Delete)
    }

    fn pop(&mut self, now: u64, queue: &str, limit: u64) -> Outcome {
        let mut messages = Vec::new();
        for place in self.take(now, queue, limit) {
            let message = &mut self.messages[place];
            message.place = Place::Popped;
            message.returns_at = None;
            messages.push(self.shown(place));
        }
        self.invent(&mut messages, limit);
        Outcome::Ok(Answer::Pop { messages })
    }

    /// The messages that a claim or pop gets, the oldest first.
    fn take(&mut self, now: u64, queue: &str, limit: u64) -> Vec<usize> {
        let limit = usize::try_from(limit).unwrap();
        let exceeds = self.flaw == Some(Flaw::LimitExceeded) && self.random.random_bool(0.3);
        let most = limit + usize::from(exceeds);
        let mut taken = Vec::new();
        for (place, message) in self.messages.iter().enumerate() {
            if taken.len() == most {
                break;
            }
            let is_over = message.expires_at <= now;
            let is_here = message.queue == queue && !message.is_leased(now);
            let is_owed = is_over && is_here && message.is_owed(now);
            self.has_struck |= is_owed;
            let is_shown = is_over
                && self.flaw == Some(Flaw::ExpiredReturned)
                && message.place == Place::Stored;
            self.has_struck |= is_shown && message.queue == queue && !message.is_leased(now);
            if message.queue != queue || (is_over && !is_shown) {
                continue;
            }
            let is_free = message.place == Place::Stored
                && !message.is_leased(now)
                && !message.is_delayed(now);
            let flaw = self.flaw;
            let is_reversed =
                flaw.is_some_and(|flaw| flaw.reverses(message, now, &mut self.random));
            self.has_struck |= is_reversed;
            if is_free != is_reversed {
                taken.push(place);
            }
        }
        self.has_struck |= taken.len() > limit;
        taken
    }

    fn invent(&mut self, messages: &mut Vec<Seen>, limit: u64) {
        let has_room = u64::try_from(messages.len()).unwrap() < limit;
        if has_room && self.strikes(Flaw::Invented, 0.1) {
            let id = self.draw_id("message");
            let token = format!("invented-{}", self.serial);
            messages.push(Seen::new(id, token));
        }
    }

    /// Whether the model has the flaw, and it strikes this time.
    fn strikes(&mut self, flaw: Flaw, share: f64) -> bool {
        let strikes = self.flaw == Some(flaw) && self.random.random_bool(share);
        self.has_struck |= strikes;
        strikes
    }

    fn draw_id(&mut self, noun: &str) -> String {
        self.serial += 1;
        format!("{noun}-{}", self.serial)
    }
}
