//! What is known of queues, messages and claims, and what follows from it at an instant.
//!
//! ```text
//! message:  posted ──(delay)──► active ◄──► leased ──► moved (an entry in the dead letter queue)
//!              └───────────────────┴──────────┴──────► gone: deleted, popped, purged, expired
//! ```

use std::time::Duration;

use serde_json::{Map, Value};

use super::super::certainty::{Certainty, Window};
use super::super::operation::{Place, Terms};
use super::Specification;
use crate::environment::Instant;
use crate::suite::Sent;

pub(super) struct Queue {
    pub(super) exists: Certainty,
    pub(super) metadata: Map<String, Value>,
    /// How often it was deleted: a marker is for one incarnation.
    pub(super) deletions: u32,
}

pub(super) struct Message {
    pub(super) id: String,
    /// The entry that this message had first: the number of its variable.
    pub(super) first_entry: usize,
    pub(super) key: u16,
    pub(super) place: Place,
    pub(super) rank: u64,
    /// Whether its place in the order is known: not if nobody knows when it moved here.
    pub(super) is_ranked: bool,
    /// Who posted it.
    pub(super) client: u8,
    pub(super) body: Value,
    pub(super) posted: Sent,
    pub(super) ttl: u64,
    /// Whether nothing ever touched its lifetime, so that ttl and age are as posted.
    pub(super) is_as_posted: bool,
    /// Whether it is in this queue, its lifetime aside.
    pub(super) presence: Certainty,
    pub(super) expiry: Window,
    /// Until when it lives by its own ttl, whatever claims made of it.
    pub(super) own_end: Instant,
    /// When its delay ends.
    pub(super) ready: Window,
    pub(super) lease: Option<Lease>,
    /// The claim that took it last.
    pub(super) last_holder: Option<usize>,
    /// How often it was handed out, where that counts.
    pub(super) deliveries: u64,
    /// The entry of the same message in another queue, if it is in one of the two.
    pub(super) twin: Option<usize>,
}

/// A claim's hold on a message.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) claim: usize,
    pub(super) end: Window,
}

pub(super) struct Claim {
    pub(super) id: String,
    pub(super) key: u16,
    pub(super) place: Place,
    pub(super) terms: Terms,
    /// Its creation, or last renewal.
    pub(super) since: Sent,
    pub(super) end: Window,
    pub(super) is_ended: bool,
}

pub(super) struct Page {
    pub(super) key: u16,
    pub(super) place: Place,
    pub(super) deletions: u32,
    /// The rank of its last message.
    pub(super) rank: u64,
    /// As it stands in the next link.
    pub(super) marker: String,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            exists: Certainty::No,
            metadata: Map::new(),
            deletions: 0,
        }
    }
}

impl Queue {
    /// A member that is a positive integer.
    pub(super) fn positive(&self, member: &str) -> Option<u64> {
        self.metadata
            .get(member)
            .and_then(Value::as_u64)
            .filter(|&value| value > 0)
    }
}

impl Specification {
    /// When something ends that began during `sent` and lasts `secs`.
    pub(super) fn window(&self, sent: Sent, secs: u64) -> Window {
        let span = Duration::from_secs(secs);
        Window {
            earliest: sent.invoked_at.plus(span).minus(self.rules.slack),
            latest: sent.answered_at.plus(span).plus(self.rules.slack),
        }
    }

    /// The ends that are still to come after `now`: of lifetimes, leases and delays, the earliest first.
    pub(in super::super) fn ends(&self, now: Instant) -> Vec<Window> {
        let mut ends = Vec::new();
        for message in &self.messages {
            if message.presence == Certainty::No {
                continue;
            }
            ends.push(Window {
                earliest: message.expiry.earliest,
                latest: message.expiry.latest.plus(self.rules.expiry_lag),
            });
            ends.push(message.ready);
            ends.extend(message.lease.map(|lease| lease.end));
        }
        ends.retain(|end| end.latest >= now);
        ends.sort_by_key(|end| (end.earliest, end.latest));
        ends.dedup();
        ends
    }

    pub(super) fn queue(&mut self, place: Place) -> &mut Queue {
        self.queues.entry(place).or_default()
    }

    /// A member of the queue's metadata that is a positive integer.
    pub(super) fn setting(&self, place: Place, member: &str) -> Option<u64> {
        self.queues.get(&place)?.positive(member)
    }

    /// Whether the message is in its queue and not expired.
    pub(super) fn alive(&self, message: &Message, sent: Sent) -> Certainty {
        let expiry = Window {
            earliest: message.expiry.earliest,
            latest: message.expiry.latest.plus(self.rules.expiry_lag),
        };
        message.presence.and(expiry.over(sent).not())
    }

    /// The entry in `place` of the message of entry `index`: what moved has one in two places.
    pub(super) fn entry_in(&self, place: Place, index: usize) -> Option<usize> {
        let id = &self.messages[index].id;
        let is_meant = |message: &Message| message.place == place && message.id == *id;
        self.messages.iter().position(is_meant)
    }

    pub(super) fn is_gone(&self, message: &Message, sent: Sent) -> bool {
        self.alive(message, sent) == Certainty::No
    }

    /// Whether a claim holds the message.
    pub(super) fn held(message: &Message, sent: Sent) -> Certainty {
        message
            .lease
            .map_or(Certainty::No, |lease| lease.end.over(sent).not())
    }

    /// Whether the message is delayed.
    pub(super) fn delayed(message: &Message, sent: Sent) -> Certainty {
        message.ready.over(sent).not()
    }

    /// Whether the claim exists. One that lost all its messages may be forgotten (contract 6.4).
    pub(super) fn claim_lives(&self, claim: usize, sent: Sent) -> Certainty {
        let Claim { is_ended, end, .. } = self.claims[claim];
        if is_ended {
            return Certainty::No;
        }
        let surely_holds = |message: &Message| {
            message.lease.is_some_and(|lease| lease.claim == claim)
                && self.alive(message, sent) == Certainty::Yes
        };
        let is_needed = self.messages.iter().any(surely_holds);
        let most = if is_needed {
            Certainty::Yes
        } else {
            Certainty::Maybe
        };
        end.over(sent).not().and(most)
    }

    /// Contract 6.2: a message that would expire before its claim does lives until the claim's end and
    /// the grace; others are left alone.
    pub(super) fn extend(&mut self, message: usize, terms: Terms, sent: Sent) {
        let claim_end = self.window(sent, terms.ttl);
        let with_grace = self.window(sent, terms.ttl + terms.grace);
        let may_be_dead = self.alive(&self.messages[message], sent) != Certainty::Yes;
        let message = &mut self.messages[message];
        message.is_as_posted = false;
        let before = message.expiry;
        let after = if before.latest < claim_end.earliest {
            with_grace
        } else if before.earliest > claim_end.latest {
            before
        } else {
            // Whichever it was, the message outlives the claim.
            Window {
                earliest: before.earliest.max(claim_end.earliest),
                latest: before.latest.max(with_grace.latest),
            }
        };
        message.expiry = Window {
            // What may have died before was not revived.
            earliest: if may_be_dead {
                before.earliest
            } else {
                after.earliest
            },
            latest: after.latest,
        };
    }

    /// A claim ended, or will end, at `end` and not when it said before: an extension is owed until
    /// then and the grace, and no longer.
    pub(super) fn shorten(&mut self, message: usize, end: Instant, grace: u64) {
        let message = &mut self.messages[message];
        let owed = end.plus(Duration::from_secs(grace)).max(message.own_end);
        message.expiry.earliest = message.expiry.earliest.min(owed);
    }

    /// The message was removed from its queue, if it was there.
    pub(super) fn remove(&mut self, message: usize) {
        // Which of the two entries was the true one will show.
        if let Some(twin) = self.messages[message].twin.take() {
            self.messages[twin].twin = None;
        }
        self.messages[message].presence = Certainty::No;
    }

    /// The message was seen in its queue: it is nowhere else.
    pub(super) fn was_present(&mut self, message: usize) {
        if let Some(twin) = self.messages[message].twin.take() {
            self.messages[twin].twin = None;
            self.messages[twin].presence = Certainty::No;
        }
        self.messages[message].presence = Certainty::Yes;
    }

    /// The message was seen not to be alive in its queue, by `sent`.
    pub(super) fn was_absent(&mut self, message: usize, sent: Sent) {
        let entry = &mut self.messages[message];
        let may_be_expired = entry.expiry.over(sent) != Certainty::No;
        match (entry.presence, may_be_expired) {
            (Certainty::Maybe, false) => {
                entry.presence = Certainty::No;
                if let Some(twin) = entry.twin.take() {
                    self.messages[twin].twin = None;
                    self.messages[twin].presence = Certainty::Yes;
                }
            }
            (Certainty::Yes, true) => entry.expiry.was_over_by(sent.answered_at),
            // Two reasons: which one it was will show, or never matter.
            (Certainty::Maybe, true) | (Certainty::No, _) | (Certainty::Yes, false) => {}
        }
    }
}
