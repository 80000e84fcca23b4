//! Subscriptions: what is kept of one, its life, and what is done with it.
//!
//! ```text
//!               ┌ subscribed again
//!               ▼ │   confirmed: true
//!  subscribed ─► Unconfirmed ────────► Confirmed         both: expired after the ttl,
//!                            ◄────────                   deleted, or purged
//!                     confirmed: false
//! ```
//!
//! A subscription belongs to the name of a queue, not to the queue: it survives the deletion of
//! the queue, and its id means nothing under another name or in another project.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{SubscriptionId, Uuid};
use super::input::{
    Caller, NewSubscription, SubscriptionInput, SubscriptionListing, SubscriptionUpdate,
};
use super::json_text::JsonText;
use super::limits::{ConfirmationRule, SUBSCRIPTION_END_SECS_MAX};
use super::notification::{DeliveryCounts, Notice};
use super::outbox::Delivery;
use super::output::{Output, SubscriptionOutput, SubscriptionView};
use super::queue::QueueName;
use super::retry::RetryPolicy;
use super::roster::RosterSerial;
use super::slab::Slot;
use super::sockets::SocketId;
use super::timestamp::Timestamp;
use super::{Broker, BrokerError};

/// Who gets the messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subscriber {
    /// A URI, as the client spelled it. Whether anything can be sent there was found out before.
    Uri(Arc<str>),
    /// The connection that subscribed. See [`Broker::close_socket`].
    Socket(SocketId),
}

/// As clients see it. No client can name a socket by this, for it is no URI that can be sent to.
impl fmt::Display for Subscriber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => out.write_str(uri),
            Self::Socket(SocketId(number)) => write!(out, "websocket:{number}"),
        }
    }
}

/// Where the options of a subscription name the trust that its deliveries need.
pub const TRUST_ID: &str = "trust_id";
/// What stands before the URI of a subscriber that needs a trust.
const TRUST_PREFIX: &str = "trust+";

impl Subscriber {
    /// Whether it is sent a token that a trust gives, and the URI without the word for that. Of a
    /// socket, no URI.
    #[must_use]
    pub fn trust_and_uri(&self) -> (bool, &str) {
        match self {
            Self::Uri(uri) => Self::split_trust(uri),
            Self::Socket(_) => (false, ""),
        }
    }

    /// The same of a URI that is no subscriber yet.
    pub(crate) fn split_trust(uri: &str) -> (bool, &str) {
        match uri.split_at_checked(TRUST_PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(TRUST_PREFIX) => (true, rest),
            Some(_) | None => (false, uri),
        }
    }

    /// Zaqar makes a trust with the token of the caller if the options name none. Callers have no
    /// token here, so there is nothing to make it with, and they have to make it themselves.
    fn check_trust(&self, options: &JsonText) -> Result<(), BrokerError> {
        let members = options.as_members().unwrap_or_default();
        if self.trust_and_uri().0 && !members.contains_key(TRUST_ID) {
            return Err(BrokerError::TrustIsMissing);
        }
        Ok(())
    }
}

/// A subscription as stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    /// Where its roster lies, and which one it is.
    pub(crate) roster: (Slot, RosterSerial),
    pub(crate) subscriber: Subscriber,
    pub(crate) options: JsonText,
    pub(crate) ttl_secs: u64,
    pub(crate) renewed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) confirmed: bool,
    pub(crate) retry_policy: Option<RetryPolicy>,
    pub(crate) delivery: Delivery,
    pub(crate) counts: DeliveryCounts,
}

impl Broker {
    pub(super) fn handle_subscriptions(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        input: SubscriptionInput,
    ) -> Result<Output, BrokerError> {
        let output = match input {
            SubscriptionInput::List(listing) => self.list_subscriptions(caller, &queue, listing),
            SubscriptionInput::Create(new) => self.subscribe(caller, &queue, new)?,
            SubscriptionInput::Read(id) => {
                let (_, slot) = self.settled_subscription(caller, &queue, id)?;
                SubscriptionOutput::One(self.subscription_view(slot))
            }
            SubscriptionInput::Update(id, update) => {
                let found = self.settled_subscription(caller, &queue, id)?;
                self.update_subscription(&queue, found, update)?
            }
            SubscriptionInput::Confirm(id, confirmed) => {
                let (_, slot) = self.settled_subscription(caller, &queue, id)?;
                self.subscriptions[slot].confirmed = confirmed;
                let farewell = self.confirmation_request().filter(|_| !confirmed);
                self.direct(slot, farewell.map(|_| Notice::UnsubscriptionNotice));
                SubscriptionOutput::Updated(self.subscriptions[slot].id)
            }
            SubscriptionInput::Delete(id) => {
                if let Ok((roster, slot)) = self.settled_subscription(caller, &queue, id) {
                    self.remove_subscription(roster, slot);
                }
                SubscriptionOutput::Deleted
            }
        };
        Ok(Output::Subscriptions { queue, output })
    }

    fn list_subscriptions(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        listing: SubscriptionListing,
    ) -> SubscriptionOutput {
        let roster = self.settled_roster(&caller.project, queue);
        let marker = listing.marker.as_deref();
        let marker = marker.map(|text| Uuid::parse_canonical(text).map(SubscriptionId));
        let subscriptions = match (roster, marker) {
            // A marker that is no id is the position of nothing.
            (None, _) | (_, Some(None)) => Vec::new(),
            (Some(slot), marker) => {
                let after = marker.flatten().map_or(Bound::Unbounded, Bound::Excluded);
                let found = self.rosters[slot].members.range((after, Bound::Unbounded));
                let found = found.take(listing.limit);
                found
                    .map(|(_, slot)| self.subscription_view(*slot))
                    .collect()
            }
        };
        SubscriptionOutput::Page(listing, subscriptions)
    }

    /// Zaqar v2, Subscriptions, "Create": a subscriber that has not confirmed yet may ask again,
    /// which changes nothing; one that has is told so.
    fn subscribe(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        new: NewSubscription,
    ) -> Result<SubscriptionOutput, BrokerError> {
        let default = self.limits.subscription_ttl_secs_default;
        let ttl_secs = new.ttl_secs.unwrap_or(default);
        let expires_at = self.end_of_subscription(ttl_secs)?;
        let retry_policy = RetryPolicy::of_options(&new.options)?;
        new.subscriber.check_trust(&new.options)?;
        let roster = self.settled_roster(&caller.project, queue);
        let known = roster.and_then(|roster| self.rosters[roster].find(&new.subscriber));
        if known.is_some_and(|slot| self.subscriptions[slot].confirmed) {
            return Err(BrokerError::SubscriberIsSubscribed {
                queue: queue.clone(),
            });
        }
        // Only now, for a request that is refused leaves no queue behind; and before all else, for
        // it is refused if no pool takes the queue.
        self.find_or_create_queue(&caller.project, queue)?;
        let slot = match known {
            Some(slot) => slot,
            None => {
                let roster_slot = self.find_or_create_roster(&caller.project, queue);
                let roster = &mut self.rosters[roster_slot];
                let (ids, now, serial) = (&mut self.ids, self.now, roster.serial);
                let slot = self.subscriptions.insert_with(|slot| Subscription {
                    id: SubscriptionId(ids.draw(slot)),
                    roster: (roster_slot, serial),
                    subscriber: new.subscriber,
                    options: new.options,
                    ttl_secs,
                    renewed_at: now,
                    expires_at,
                    confirmed: false,
                    retry_policy,
                    delivery: Delivery::default(),
                    counts: DeliveryCounts::default(),
                });
                roster.insert(slot, &self.subscriptions[slot]);
                let subscriber = &self.subscriptions[slot].subscriber;
                self.sockets.enter(subscriber, slot);
                slot
            }
        };
        self.direct(slot, self.confirmation_request());
        Ok(SubscriptionOutput::Created(self.subscriptions[slot].id))
    }

    fn update_subscription(
        &mut self,
        queue: &QueueName,
        (roster_slot, slot): (Slot, Slot),
        update: SubscriptionUpdate,
    ) -> Result<SubscriptionOutput, BrokerError> {
        // Everything is checked before anything changes.
        let policy = update.options.as_ref().map(RetryPolicy::of_options);
        let policy = policy.transpose()?;
        let renewal = update
            .ttl_secs
            .map(|ttl_secs| (ttl_secs, self.end_of_subscription(ttl_secs)));
        let renewal = match renewal {
            Some((ttl_secs, end)) => Some((ttl_secs, end?)),
            None => None,
        };
        let subscription = &self.subscriptions[slot];
        let subscriber = update.subscriber.as_ref();
        let subscriber = subscriber.unwrap_or(&subscription.subscriber);
        subscriber.check_trust(update.options.as_ref().unwrap_or(&subscription.options))?;
        let roster = &mut self.rosters[roster_slot];
        let other = update
            .subscriber
            .as_ref()
            .and_then(|subscriber| roster.find(subscriber));
        if other.is_some_and(|other| other != slot) {
            return Err(BrokerError::SubscriberIsSubscribed {
                queue: queue.clone(),
            });
        }
        let subscription = &mut self.subscriptions[slot];
        roster.remove(slot, subscription);
        let moved = update
            .subscriber
            .filter(|subscriber| *subscriber != subscription.subscriber);
        let asked = moved.is_some();
        if let Some(subscriber) = moved {
            self.sockets.leave(&subscription.subscriber, slot);
            self.sockets.enter(&subscriber, slot);
            subscription.subscriber = subscriber;
        }
        if let Some(retry_policy) = policy {
            subscription.retry_policy = retry_policy;
        }
        if let Some(options) = update.options {
            subscription.options = options;
        }
        if let Some((ttl_secs, expires_at)) = renewal {
            subscription.ttl_secs = ttl_secs;
            subscription.renewed_at = self.now;
            subscription.expires_at = expires_at;
        }
        roster.insert(slot, subscription);
        // Whoever confirmed was somebody else. Zaqar lets messages go to the new one unasked.
        if let (true, Some(request)) = (asked, self.confirmation_request()) {
            self.subscriptions[slot].confirmed = false;
            self.direct(slot, Some(request));
        }
        Ok(SubscriptionOutput::Updated(self.subscriptions[slot].id))
    }

    /// Ends a subscription of this roster, whether deleted or expired.
    pub(super) fn remove_subscription(&mut self, roster_slot: Slot, slot: Slot) {
        let end = self.rosters[roster_slot].outbox.end();
        self.count_abandoned(slot, end);
        let subscription = self.subscriptions.remove(slot);
        let roster = &mut self.rosters[roster_slot];
        roster.remove(slot, &subscription);
        roster.outbox.leave(slot, &subscription.delivery);
        self.sockets.leave(&subscription.subscriber, slot);
    }

    fn settled_subscription(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        id: Option<SubscriptionId>,
    ) -> Result<(Slot, Slot), BrokerError> {
        let roster_slot = self.settled_roster(&caller.project, queue);
        let found = roster_slot.zip(id).and_then(|(roster_slot, id)| {
            let slot = self.rosters[roster_slot].members.get(&id)?;
            Some((roster_slot, *slot))
        });
        found.ok_or(BrokerError::SubscriptionDoesNotExist)
    }

    fn subscription_view(&self, slot: Slot) -> SubscriptionView {
        let subscription = &self.subscriptions[slot];
        SubscriptionView {
            id: subscription.id,
            subscriber: subscription.subscriber.clone(),
            ttl_secs: subscription.ttl_secs,
            age_secs: self.now.whole_secs_since(subscription.renewed_at),
            options: subscription.options.clone(),
            confirmed: subscription.confirmed,
        }
    }

    /// The notice that a new subscriber gets.
    const fn confirmation_request(&self) -> Option<Notice> {
        match self.limits.confirmation_rule {
            ConfirmationRule::NotNeeded => None,
            ConfirmationRule::Required => Some(Notice::ConfirmationRequest),
        }
    }

    /// When a subscription of this lifetime ends that starts now.
    fn end_of_subscription(&self, ttl_secs: u64) -> Result<Timestamp, BrokerError> {
        let end_secs = self.now.as_secs().saturating_add(ttl_secs);
        if end_secs > SUBSCRIPTION_END_SECS_MAX {
            return Err(BrokerError::SubscriptionIsTooLong);
        }
        Ok(self.now.plus_secs(ttl_secs))
    }
}
