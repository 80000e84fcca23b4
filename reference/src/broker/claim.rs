//! Claims: what is kept of one, its life, and everything done with claims.
//!
//! ```text
//!           claimed             renewed
//!  (none) ───────────► Live ◄─────────────┐
//!                       │ └───────────────┘
//!                       ├── released: its messages are active at once, at their old rank
//!                       ├── ttl over: likewise
//!                       └── queue deleted
//! ```
//!
//! A claim whose messages are all gone lives on, empty, until one of these.

use serde::{Deserialize, Serialize};

use super::backlog::Look;
use super::id::ClaimId;
use super::input::{Caller, ClaimTerms};
use super::message::{BacklogId, State};
use super::output::{ClaimView, MessageView, Output};
use super::queue::{QueueName, QueueSerial};
use super::slab::Slot;
use super::timestamp::Timestamp;
use super::{Broker, BrokerError};

/// A claim as stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) id: ClaimId,
    pub(crate) queue: QueueSerial,
    /// The backlog its messages are in. If the queue has another one by now, they were purged, and
    /// `messages` means nothing any more.
    pub(crate) backlog: BacklogId,
    /// What it holds, oldest first; at most `Limits::messages_per_claim_or_pop_max`.
    pub(crate) messages: Vec<Slot>,
    pub(crate) ttl_secs: u32,
    pub(crate) renewed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Broker {
    pub(super) fn claim_messages(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        (limit, terms): (usize, ClaimTerms),
    ) -> Result<Output, BrokerError> {
        let Some(queue_slot) = self.touched_queue(&caller.project, &queue) else {
            return Ok(Output::NothingClaimed);
        };
        let candidates = self.take_active(queue_slot, limit);
        let claimable = self.divert_dead_letters(caller, queue_slot, candidates)?;
        if claimable.is_empty() {
            return Ok(Output::NothingClaimed);
        }
        let slot = self.insert_claim(queue_slot, claimable, terms);
        self.hold_messages(slot, terms);
        let claim = &self.claims[slot];
        let held = &mut self.queues[queue_slot];
        held.claim_ends.insert((claim.expires_at, slot));
        for &message in &claim.messages {
            held.backlog.attach(message, &self.messages);
        }
        Ok(Output::MessagesClaimed {
            queue,
            claim: claim.id,
            messages: self.held_messages(claim),
        })
    }

    pub(super) fn read_claim(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        id: Option<ClaimId>,
    ) -> Result<Output, BrokerError> {
        let (queue_slot, slot) = self
            .live_claim(caller, &queue, id)
            .ok_or(BrokerError::ClaimDoesNotExist)?;
        self.drop_purged(queue_slot, slot);
        let claim = &self.claims[slot];
        let claim = ClaimView {
            id: claim.id,
            ttl_secs: claim.ttl_secs,
            age_secs: self.now.whole_secs_since(claim.renewed_at),
            messages: self.held_messages(claim),
        };
        Ok(Output::Claim { queue, claim })
    }

    pub(super) fn renew_claim(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        (id, terms): (Option<ClaimId>, ClaimTerms),
    ) -> Result<Output, BrokerError> {
        let (queue_slot, slot) = self
            .live_claim(caller, queue, id)
            .ok_or(BrokerError::ClaimDoesNotExist)?;
        self.drop_purged(queue_slot, slot);
        let claim_ends = &mut self.queues[queue_slot].claim_ends;
        let claim = &mut self.claims[slot];
        claim_ends.remove(&(claim.expires_at, slot));
        claim.ttl_secs = terms.ttl_secs;
        claim.renewed_at = self.now;
        claim.expires_at = self.now.plus_secs(terms.ttl_secs.into());
        claim_ends.insert((claim.expires_at, slot));
        self.hold_messages(slot, terms);
        let backlog = &mut self.queues[queue_slot].backlog;
        for &message in &self.claims[slot].messages {
            backlog.refresh(message, &self.messages);
        }
        Ok(Output::ClaimRenewed)
    }

    pub(super) fn release_claim(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        id: Option<ClaimId>,
    ) -> Output {
        if let Some((queue_slot, slot)) = self.live_claim(caller, queue, id) {
            self.end_claim(queue_slot, slot);
        }
        Output::ClaimReleased
    }

    /// Ends a claim of this queue, whether released or expired. Returns how many messages it held.
    pub(super) fn end_claim(&mut self, queue_slot: Slot, slot: Slot) -> usize {
        let claim = self.claims.remove(slot);
        let queue = &mut self.queues[queue_slot];
        let removed = queue.claim_ends.remove(&(claim.expires_at, slot));
        assert!(
            removed,
            "invariant: every live claim has an end in its queue"
        );
        if claim.backlog != queue.backlog.id {
            return 0;
        }
        for &message in &claim.messages {
            queue
                .backlog
                .turn(message, State::Active, &mut self.messages);
        }
        claim.messages.len()
    }

    /// Takes the oldest active messages out of the backlog, at most `limit`.
    pub(super) fn take_active(&mut self, queue_slot: Slot, limit: usize) -> Vec<Slot> {
        let backlog = &self.queues[queue_slot].backlog;
        for slot in backlog.first_unsettled(self.look(), limit) {
            match self.messages[slot].state {
                State::Delayed { .. } => {
                    let backlog = &mut self.queues[queue_slot].backlog;
                    backlog.turn(slot, State::Active, &mut self.messages);
                }
                State::Claimed { claim, .. } => {
                    self.end_claim(queue_slot, claim);
                }
                // Its claim held one before it as well, and has been ended.
                State::Active => {}
            }
        }
        let look = Look {
            now: self.now,
            work: &self.work,
        };
        self.queues[queue_slot].backlog.take_active(look, limit)
    }

    /// The live claim of this id in this queue.
    pub(super) fn find_claim(&self, queue_slot: Slot, id: ClaimId) -> Option<Slot> {
        let slot = self.ids.slot_of(id.0);
        let claim = self.claims.get(slot)?;
        let here = claim.queue == self.queues[queue_slot].serial;
        (claim.id == id && here && claim.expires_at > self.now).then_some(slot)
    }

    fn live_claim(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        id: Option<ClaimId>,
    ) -> Option<(Slot, Slot)> {
        let queue_slot = self.touched_queue(&caller.project, queue)?;
        let slot = self.find_claim(queue_slot, id?)?;
        Some((queue_slot, slot))
    }

    fn insert_claim(&mut self, queue_slot: Slot, messages: Vec<Slot>, terms: ClaimTerms) -> Slot {
        let queue = &self.queues[queue_slot];
        let (ids, now) = (&mut self.ids, self.now);
        self.claims.insert_with(|slot| Claim {
            id: ClaimId(ids.draw(slot)),
            queue: queue.serial,
            backlog: queue.backlog.id,
            messages,
            ttl_secs: terms.ttl_secs,
            renewed_at: now,
            expires_at: now.plus_secs(terms.ttl_secs.into()),
        })
    }

    /// Lets the messages know of their claim, be it new or renewed.
    ///
    /// Zaqar v2, Claims: a message that would expire before its claim lives until the claim's end
    /// plus the grace. Strictly before: one that ends together with the claim is left alone, on
    /// creation and on renewal alike.
    fn hold_messages(&mut self, slot: Slot, terms: ClaimTerms) {
        let claim = &self.claims[slot];
        let until = claim.expires_at;
        let ttl_secs = terms.ttl_secs.saturating_add(terms.grace_secs);
        for &message in &claim.messages {
            let message = &mut self.messages[message];
            message.state = State::Claimed { claim: slot, until };
            if message.expires_at < until {
                message.expires_at = self.now.plus_secs(ttl_secs.into());
                message.ttl_secs = ttl_secs;
            }
        }
    }

    /// Counts the hand-outs, and moves what was handed out too often. Returns what may be claimed.
    /// The candidates are in no backlog, and neither is what is returned.
    fn divert_dead_letters(
        &mut self,
        caller: &Caller,
        queue_slot: Slot,
        candidates: Vec<Slot>,
    ) -> Result<Vec<Slot>, BrokerError> {
        let Some(dead_letters) = self.queues[queue_slot].attributes.dead_letters.clone() else {
            return Ok(candidates);
        };
        let is_dead = |slot: &Slot| {
            u64::from(self.messages[*slot].claim_count) >= dead_letters.claim_count_max
        };
        // Before anything is counted or moved: it may be that no pool takes the queue.
        if candidates.iter().any(is_dead)
            && let Err(error) = self.find_or_create_queue(&caller.project, &dead_letters.queue)
        {
            for slot in candidates {
                self.queues[queue_slot].backlog.attach(slot, &self.messages);
            }
            return Err(error);
        }
        let mut claimable = Vec::with_capacity(candidates.len());
        for slot in candidates {
            let message = &mut self.messages[slot];
            if u64::from(message.claim_count) < dead_letters.claim_count_max {
                message.claim_count = message.claim_count.saturating_add(1);
                claimable.push(slot);
                continue;
            }
            let target = self.find_or_create_queue(&caller.project, &dead_letters.queue)?;
            let rank = self.draw_rank();
            let backlog = &mut self.queues[target].backlog;
            let message = &mut self.messages[slot];
            message.backlog = backlog.id;
            message.rank = rank;
            if let Some(ttl_secs) = dead_letters.ttl_secs {
                message.ttl_secs = ttl_secs;
                message.expires_at = self.now.plus_secs(ttl_secs.into());
            }
            backlog.attach(slot, &self.messages);
            self.set_alarm(target);
        }
        Ok(claimable)
    }

    fn drop_purged(&mut self, queue_slot: Slot, slot: Slot) {
        let backlog = self.queues[queue_slot].backlog.id;
        let claim = &mut self.claims[slot];
        if claim.backlog != backlog {
            claim.backlog = backlog;
            claim.messages.clear();
        }
    }

    fn held_messages(&self, claim: &Claim) -> Vec<MessageView> {
        claim
            .messages
            .iter()
            .map(|&message| self.message_view(message))
            .collect()
    }
}
