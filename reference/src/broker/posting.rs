//! What is done with messages: post, list, read, delete, pop.

use super::backlog::View;
use super::clients::ClientKey;
use super::id::{ClaimId, MessageId, Uuid};
use super::input::{Caller, Fence, MessageListing, NewMessage, Project, RequestedDelay};
use super::limits::BulkDeleteRule;
use super::message::{Message, Rank, State};
use super::notification::PostedMessage;
use super::output::{MessageView, Output};
use super::queue::QueueName;
use super::slab::Slot;
use super::{Broker, BrokerError};

impl Broker {
    pub(super) fn post_messages(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        (bytes, messages): (usize, Vec<NewMessage>),
    ) -> Result<Output, BrokerError> {
        assert!(!messages.is_empty(), "a post has at least one message");
        // Everything is checked before anything is stored: all or none, and no queue left behind.
        let delays = self.check_post(&caller.project, &queue, bytes, &messages)?;
        let queue_slot = match self.touched_queue(&caller.project, &queue) {
            Some(slot) => slot,
            None => self.find_or_create_queue(&caller.project, &queue)?,
        };
        self.touched = Some(queue_slot);
        let client = self.clients.hold(&caller.client, messages.len());
        let (mut ids, mut posted) = (Vec::new(), Vec::new());
        for (message, delay_secs) in messages.into_iter().zip(delays) {
            let slot = self.append(client, queue_slot, (message, delay_secs));
            let message = &self.messages[slot];
            ids.push(message.id);
            posted.push(PostedMessage {
                ttl_secs: message.ttl_secs,
                delay_secs,
                body: message.body.clone(),
            });
        }
        // Only now, when all of them are stored: nobody hears of a message that is not there.
        self.notify(&caller.project, &queue, posted);
        Ok(Output::MessagesPosted { queue, ids })
    }

    pub(super) fn list_messages(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        mut listing: MessageListing,
    ) -> Output {
        let queue_slot = self.touched_queue(&caller.project, &queue);
        let delays = queue_slot
            .is_some_and(|slot| self.queues[slot].attributes.message_delay_secs.is_some());
        // Zaqar v2, list: a queue without a default delay shows delayed messages in any case.
        listing.include_delayed |= !delays;
        let position = listing
            .marker
            .as_deref()
            .map(|marker| self.position(queue_slot, marker));
        // A marker that this broker never wrote is the position of nothing: an empty page.
        let found = match (queue_slot, position) {
            (None, _) | (_, Some(None)) => Vec::new(),
            (Some(slot), position) => {
                let view = View {
                    delayed: listing.include_delayed,
                    claimed: listing.include_claimed,
                    excluded: (!listing.echo)
                        .then(|| self.clients.find(&caller.client))
                        .flatten(),
                };
                let backlog = &self.queues[slot].backlog;
                backlog.page(self.look(), position.flatten(), listing.limit, &view)
            }
        };
        let marker = found.last().map(|entry| self.markers.write(entry.rank));
        let messages = found
            .into_iter()
            .map(|entry| self.message_view(entry.slot))
            .collect();
        Output::MessagePage {
            queue,
            listing,
            messages,
            marker,
        }
    }

    /// Where a marker points. Clients are to follow the next link, but openstacksdk sends the id of
    /// the last message that it saw in place of the link's marker: as long as that message is there,
    /// its place is known, and an empty page would hide all that follows it.
    fn position(&self, queue_slot: Option<Slot>, marker: &str) -> Option<Rank> {
        self.markers.read(marker).or_else(|| {
            let id = MessageId(Uuid::parse_canonical(marker)?);
            let slot = self.find_message(queue_slot?, id)?;
            Some(self.messages[slot].rank)
        })
    }

    pub(super) fn read_message(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        id: Option<MessageId>,
    ) -> Result<Output, BrokerError> {
        let slot = self
            .touched_queue(&caller.project, &queue)
            .zip(id)
            .and_then(|(queue_slot, id)| self.find_message(queue_slot, id))
            .ok_or(BrokerError::MessageDoesNotExist)?;
        Ok(Output::Message {
            queue,
            message: self.message_view(slot),
        })
    }

    pub(super) fn read_messages(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        ids: Vec<MessageId>,
    ) -> Result<Output, BrokerError> {
        let queue_slot = self
            .touched_queue(&caller.project, &queue)
            .ok_or(BrokerError::MessagesDoNotExist)?;
        let mut messages: Vec<MessageView> = Vec::new();
        for id in ids {
            let repeated = messages.iter().any(|message| message.id == id);
            if let Some(slot) = self.find_message(queue_slot, id).filter(|_| !repeated) {
                messages.push(self.message_view(slot));
            }
        }
        if messages.is_empty() {
            return Err(BrokerError::MessagesDoNotExist);
        }
        Ok(Output::Messages { queue, messages })
    }

    /// Zaqar v2, Messages, "Delete message": without a claim only what is unclaimed; under a claim
    /// only what that claim holds. A worker that lost the race must learn of it, so a claim that
    /// has ended is refused even if nobody else holds the message.
    pub(super) fn delete_message(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        (id, fence): (Option<MessageId>, Fence),
    ) -> Result<Output, BrokerError> {
        let queue_slot = self.touched_queue(&caller.project, queue);
        let found = queue_slot.zip(id).and_then(|(queue_slot, id)| {
            self.find_message(queue_slot, id)
                .map(|slot| (queue_slot, slot))
        });
        let Some((queue_slot, slot)) = found else {
            return Ok(Output::MessagesDeleted);
        };
        let holder = self.messages[slot].state.holder(self.now);
        let named = match fence {
            Fence::Absent => None,
            Fence::Malformed => return Err(BrokerError::ClaimDoesNotHoldMessage),
            Fence::Claim(claim) => {
                let claim = self.find_claim(queue_slot, claim);
                Some(claim.ok_or(BrokerError::ClaimDoesNotHoldMessage)?)
            }
        };
        match (holder, named) {
            (None, Some(_)) => Err(BrokerError::ClaimDoesNotHoldMessage),
            (Some(holder), named) if named != Some(holder) => Err(BrokerError::MessageIsClaimed),
            (None, None) | (Some(_), _) => {
                self.remove_message(queue_slot, slot);
                Ok(Output::MessagesDeleted)
            }
        }
    }

    pub(super) fn delete_messages(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        (ids, claims): (Vec<MessageId>, Vec<ClaimId>),
    ) -> Result<Output, BrokerError> {
        let Some(queue_slot) = self.touched_queue(&caller.project, queue) else {
            return Ok(Output::MessagesDeleted);
        };
        let found = ids
            .iter()
            .filter_map(|&id| self.find_message(queue_slot, id));
        let found: std::collections::BTreeSet<Slot> = found.collect();
        let held = |slot: &Slot| {
            let holder = self.message_view(*slot).claim;
            holder.is_some_and(|holder| claims.contains(&holder))
        };
        match self.limits.bulk_delete_rule {
            BulkDeleteRule::NeedsClaims if !found.iter().all(held) => {
                return Err(BrokerError::ClaimDoesNotHoldMessage);
            }
            BulkDeleteRule::NeedsClaims | BulkDeleteRule::IgnoresClaims => {}
        }
        for slot in found {
            self.remove_message(queue_slot, slot);
        }
        Ok(Output::MessagesDeleted)
    }

    pub(super) fn pop_messages(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        limit: usize,
    ) -> Output {
        let Some(queue_slot) = self.touched_queue(&caller.project, queue) else {
            return Output::MessagesPopped {
                messages: Vec::new(),
            };
        };
        let popped = self.take_active(queue_slot, limit);
        let messages = popped.iter().map(|&slot| self.message_view(slot)).collect();
        for slot in popped {
            self.drop_message(slot);
        }
        Output::MessagesPopped { messages }
    }

    /// Takes a message of this queue away for good, whatever its state.
    pub(super) fn remove_message(&mut self, queue_slot: Slot, slot: Slot) {
        self.queues[queue_slot].backlog.detach(slot, &self.messages);
        // Also from a claim that is over, but not carried away yet.
        if let State::Claimed { claim, .. } = self.drop_message(slot).state {
            self.claims[claim].messages.retain(|&held| held != slot);
        }
    }

    /// Forgets a message that is in no backlog.
    pub(super) fn drop_message(&mut self, slot: Slot) -> Message {
        let message = self.messages.remove(slot);
        self.clients.release(message.client);
        message
    }

    pub(super) fn message_view(&self, slot: Slot) -> MessageView {
        let message = &self.messages[slot];
        let claim = message.state.holder(self.now);
        MessageView {
            id: message.id,
            claim: claim.map(|claim| self.claims[claim].id),
            ttl_secs: message.ttl_secs,
            age_secs: self.now.whole_secs_since(message.posted_at),
            body: message.body.clone(),
            claim_count: message.claim_count,
        }
    }

    fn find_message(&self, queue_slot: Slot, id: MessageId) -> Option<Slot> {
        let slot = self.ids.slot_of(id.0);
        let message = self.messages.get(slot)?;
        let here = message.backlog == self.queues[queue_slot].backlog.id;
        (message.id == id && here && message.expires_at > self.now).then_some(slot)
    }

    /// The delays of the messages, if all of them may be posted.
    fn check_post(
        &self,
        project: &Project,
        queue: &QueueName,
        bytes: usize,
        messages: &[NewMessage],
    ) -> Result<Vec<u32>, BrokerError> {
        let attributes = self
            .find_queue(project, queue)
            .map(|slot| &self.queues[slot].attributes);
        let bytes_max = attributes
            .and_then(|attributes| attributes.messages_post_bytes_max)
            .unwrap_or(self.limits.messages_post_bytes_max);
        if bytes > bytes_max {
            return Err(BrokerError::PostIsTooLarge { bytes_max });
        }
        // Zaqar v2, delayed queues: without a default delay the queue does not look at the delay
        // of a message at all, not even to refuse it.
        let Some(default) = attributes.and_then(|attributes| attributes.message_delay_secs) else {
            return Ok(vec![0; messages.len()]);
        };
        let secs_max = self.limits.message_delay_secs_max;
        let invalid = BrokerError::DelayIsInvalid { secs_max };
        let delays = messages.iter().map(|message| match message.delay {
            RequestedDelay::Absent => Some(default),
            RequestedDelay::Secs(secs) => u32::try_from(secs).ok().filter(|&s| s <= secs_max),
            RequestedDelay::NotAnInteger => None,
        });
        delays.collect::<Option<_>>().ok_or(invalid)
    }

    fn append(
        &mut self,
        client: ClientKey,
        queue_slot: Slot,
        (message, delay_secs): (NewMessage, u32),
    ) -> Slot {
        let rank = self.draw_rank();
        let queue = &mut self.queues[queue_slot];
        let (ids, now, backlog) = (&mut self.ids, self.now, queue.backlog.id);
        let ttl_secs = message
            .ttl_secs
            .or(queue.attributes.message_ttl_secs)
            .unwrap_or(self.limits.message_ttl_secs_default);
        let state = match delay_secs {
            0 => State::Active,
            secs => State::Delayed {
                until: now.plus_secs(secs.into()),
            },
        };
        let slot = self.messages.insert_with(|slot| Message {
            id: MessageId(ids.draw(slot)),
            body: message.body,
            client,
            backlog,
            rank,
            posted_at: now,
            expires_at: now.plus_secs(ttl_secs.into()),
            ttl_secs,
            claim_count: 0,
            state,
        });
        queue.backlog.attach(slot, &self.messages);
        slot
    }
}
