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

use super::id::ClaimId;
use super::input::{Caller, ClaimTerms};
use super::message::{BacklogId, State};
use super::output::{ClaimView, MessageView, Output};
use super::queue::{QueueName, QueueSerial};
use super::slab::Slot;
use super::timestamp::Timestamp;
use super::{Broker, BrokerError};

/// A claim as stored.
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
        let Some(queue_slot) = self.settled_queue(&caller.project, &queue) else {
            return Ok(Output::NothingClaimed);
        };
        let candidates = self.queues[queue_slot].backlog.first_active(limit);
        let claimable = self.divert_dead_letters(caller, queue_slot, candidates)?;
        if claimable.is_empty() {
            return Ok(Output::NothingClaimed);
        }
        let slot = self.insert_claim(queue_slot, claimable, terms);
        let claim = &self.claims[slot];
        let held = &mut self.queues[queue_slot];
        held.claim_ends.insert((claim.expires_at, slot));
        for &message in &claim.messages {
            held.backlog
                .turn(message, State::Claimed { claim: slot }, &mut self.messages);
        }
        self.extend_messages(queue_slot, slot, terms);
        let claim = &self.claims[slot];
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
            .settled_claim(caller, &queue, id)
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
            .settled_claim(caller, queue, id)
            .ok_or(BrokerError::ClaimDoesNotExist)?;
        self.drop_purged(queue_slot, slot);
        let claim_ends = &mut self.queues[queue_slot].claim_ends;
        let claim = &mut self.claims[slot];
        claim_ends.remove(&(claim.expires_at, slot));
        claim.ttl_secs = terms.ttl_secs;
        claim.renewed_at = self.now;
        claim.expires_at = self.now.plus_secs(terms.ttl_secs.into());
        claim_ends.insert((claim.expires_at, slot));
        self.extend_messages(queue_slot, slot, terms);
        Ok(Output::ClaimRenewed)
    }

    pub(super) fn release_claim(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        id: Option<ClaimId>,
    ) -> Output {
        if let Some((queue_slot, slot)) = self.settled_claim(caller, queue, id) {
            self.end_claim(queue_slot, slot);
        }
        Output::ClaimReleased
    }

    /// Ends a claim of this queue, whether released or expired.
    pub(super) fn end_claim(&mut self, queue_slot: Slot, slot: Slot) {
        let claim = self.claims.remove(slot);
        let queue = &mut self.queues[queue_slot];
        let removed = queue.claim_ends.remove(&(claim.expires_at, slot));
        assert!(
            removed,
            "invariant: every live claim has an end in its queue"
        );
        if claim.backlog == queue.backlog.id {
            for message in claim.messages {
                queue
                    .backlog
                    .turn(message, State::Active, &mut self.messages);
            }
        }
    }

    /// The live claim of this id in this queue.
    pub(super) fn find_claim(&self, queue_slot: Slot, id: ClaimId) -> Option<Slot> {
        let slot = self.ids.slot_of(id.0);
        let claim = self.claims.get(slot)?;
        (claim.id == id && claim.queue == self.queues[queue_slot].serial).then_some(slot)
    }

    fn settled_claim(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        id: Option<ClaimId>,
    ) -> Option<(Slot, Slot)> {
        let queue_slot = self.settled_queue(&caller.project, queue)?;
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

    /// Zaqar v2, Claims: a message that would expire before its claim lives until the claim's end
    /// plus the grace. Strictly before: one that ends together with the claim is left alone, on
    /// creation and on renewal alike.
    fn extend_messages(&mut self, queue_slot: Slot, slot: Slot, terms: ClaimTerms) {
        let claim = &self.claims[slot];
        let backlog = &mut self.queues[queue_slot].backlog;
        let ttl_secs = terms.ttl_secs.saturating_add(terms.grace_secs);
        for &message in &claim.messages {
            if self.messages[message].expires_at < claim.expires_at {
                let expires_at = self.now.plus_secs(ttl_secs.into());
                backlog.extend(message, expires_at, ttl_secs, &mut self.messages);
            }
        }
    }

    /// Counts the hand-outs, and moves what was handed out too often. Returns what may be claimed.
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
        if candidates.iter().any(is_dead) {
            // Before anything is counted or moved: it may be that no pool takes the queue.
            self.find_or_create_queue(&caller.project, &dead_letters.queue)?;
        }
        let mut claimable = Vec::with_capacity(candidates.len());
        for slot in candidates {
            let message = &mut self.messages[slot];
            if u64::from(message.claim_count) < dead_letters.claim_count_max {
                message.claim_count = message.claim_count.saturating_add(1);
                claimable.push(slot);
                continue;
            }
            self.queues[queue_slot].backlog.detach(slot, &self.messages);
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
            self.reset_alarm(target);
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
