//! A queue with claims in its simplest form: one operation after the other, one clock that is handed
//! in. It knows nothing of clients, concurrency or rules; a planted flaw is the only thing that makes
//! it wrong.

use nanshe_conformance::history::{Answer, Operation, Outcome, Posted, Seen};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::flaws::Flaw;

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
    expires_at: u64,
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

    /// A lease does not outlast its message: one that would have ended earlier lives until the grace
    /// after it.
    fn extend(&mut self, lease_until: u64, grace_secs: u64) {
        self.lease_until = lease_until;
        if self.expires_at < lease_until {
            self.expires_at = lease_until + grace_secs * 1000;
        }
    }
}

/// A claim, which lives on after its messages are gone.
struct Claim {
    id: String,
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
    serial: u64,
}

impl Model {
    pub(super) fn new(flaw: Option<Flaw>, random: ChaCha8Rng) -> Self {
        Self {
            flaw,
            has_struck: false,
            random,
            messages: Vec::new(),
            claims: Vec::new(),
            serial: 0,
        }
    }

    /// Does what is asked for, now and at once.
    pub(super) fn handle(&mut self, now: u64, operation: &Operation) -> Outcome {
        match operation {
            Operation::Post { queue, messages } => self.post(now, queue, messages),
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
            Operation::Get { message, .. } => self.get(now, message),
            Operation::ClaimGet { .. }
            | Operation::BulkDelete { .. }
            | Operation::GetMany { .. }
            | Operation::List { .. }
            | Operation::Stats { .. }
            | Operation::Purge { .. }
            | Operation::CreateQueue { .. }
            | Operation::SetMetadata { .. }
            | Operation::DeleteQueue { .. }
            | Operation::Subscribe { .. } => unreachable!("no client asks for {operation:?}"),
        }
    }

    fn post(&mut self, now: u64, queue: &str, messages: &[Posted]) -> Outcome {
        let is_refused = self.random.random_bool(REFUSED_SHARE);
        if is_refused && !self.strikes(Flaw::RefusedPostStored, 1.0) {
            return Outcome::Fail { status: Some(400) };
        }
        let mut ids = Vec::new();
        for posted in messages {
            let id = self.draw_id("message");
            ids.push(id.clone());
            if self.strikes(Flaw::PostDropped, 0.2) {
                continue;
            }
            self.messages.push(Message {
                queue: queue.to_owned(),
                seen: Seen::new(id, posted.token.clone()),
                expires_at: now + posted.ttl_secs * 1000,
                place: Place::Stored,
                holder: None,
                lease_until: 0,
                unrenewed_lease_until: None,
                released_lease_until: 0,
                returns_at: None,
            });
        }
        if is_refused {
            return Outcome::Fail { status: Some(400) };
        }
        Outcome::Ok(Answer::Post { ids })
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
        for place in self.take(now, queue, limit) {
            if self.strikes(Flaw::LostInClaim, 0.1) {
                self.messages[place].place = Place::Deleted;
                continue;
            }
            let message = &mut self.messages[place];
            message.place = Place::Stored;
            message.holder = Some(id.clone());
            message.unrenewed_lease_until = None;
            message.returns_at = None;
            message.extend(lease_until, grace_secs);
            messages.push(message.seen.clone());
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
        let mut claims = self.claims.iter_mut();
        let Some(claim) = claims.find(|claim| claim.id == id && now < claim.ends_at) else {
            return Outcome::Fail { status: Some(404) };
        };
        claim.ends_at = lease_until;
        for message in &mut self.messages {
            if message.is_alive(now) && message.is_held_by(id, now) {
                let unrenewed = message.lease_until;
                message.unrenewed_lease_until.get_or_insert(unrenewed);
                message.extend(lease_until, grace_secs);
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
            None if message.is_held(now) => Some(403),
            Some(claim) if !message.is_held_by(claim, now) => {
                Some(if message.is_held(now) { 403 } else { 400 })
            }
            None | Some(_) => None,
        };
        if refused.is_some() {
            return Outcome::Fail { status: refused };
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
            messages.push(message.seen.clone());
        }
        self.invent(&mut messages, limit);
        Outcome::Ok(Answer::Pop { messages })
    }

    fn get(&mut self, now: u64, id: &str) -> Outcome {
        let mut messages = self.messages.iter();
        let found = messages.find(|message| message.seen.id == id && message.is_alive(now));
        let mut message = found.map(|message| message.seen.clone());
        if message.is_some() && self.strikes(Flaw::ReadMissed, 0.5) {
            message = None;
        }
        Outcome::Ok(Answer::Get { message })
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
            if message.queue != queue || message.expires_at <= now {
                continue;
            }
            let is_free = message.place == Place::Stored && !message.is_leased(now);
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
