//! What a broker answers. Complete in itself: to render it takes no look-up.

use std::sync::Arc;

use super::attributes::Metadata;
use super::flavors::FlavorOutput;
use super::id::{ClaimId, MessageId, SubscriptionId};
use super::input::{MessageListing, QueueListing, SubscriptionListing};
use super::json_text::JsonText;
use super::pools::PoolOutput;
use super::queue::QueueName;
use super::subscription::Subscriber;
use super::timestamp::Timestamp;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The broker answers.
    Pong,
    /// A page of queues.
    QueuePage {
        /// What was asked.
        listing: QueueListing,
        /// The queues, in order of their names.
        queues: Vec<QueueView>,
        /// Queues of the project, if that was asked.
        count: Option<usize>,
    },
    /// The queue did not exist and does now.
    QueueCreated {
        /// The queue.
        queue: QueueName,
    },
    /// The queue existed and did not change.
    QueueExists {
        /// The queue.
        queue: QueueName,
    },
    /// Metadata as stored; [`shown`](super::attributes::shown) adds the defaults.
    QueueMetadata {
        /// The members.
        metadata: Arc<Metadata>,
    },
    /// The queue does not exist, whether it did or not.
    QueueDeleted,
    /// Counts.
    QueueStats {
        /// The queue.
        queue: QueueName,
        /// Whether there is such a queue. If not, it counts like an empty one.
        exists: bool,
        /// The counts.
        stats: Stats,
    },
    /// What was to be purged is gone.
    QueuePurged,
    /// The messages are stored.
    MessagesPosted {
        /// The queue.
        queue: QueueName,
        /// Their ids, in order of the request.
        ids: Vec<MessageId>,
    },
    /// A page of messages.
    MessagePage {
        /// The queue.
        queue: QueueName,
        /// What was asked, as it took effect.
        listing: MessageListing,
        /// The messages, oldest first.
        messages: Vec<MessageView>,
        /// The position of the last one.
        marker: Option<String>,
    },
    /// Messages by id.
    Messages {
        /// The queue.
        queue: QueueName,
        /// The messages, in order of the request.
        messages: Vec<MessageView>,
    },
    /// One message.
    Message {
        /// The queue.
        queue: QueueName,
        /// The message.
        message: MessageView,
    },
    /// The messages do not exist, whether they did or not.
    MessagesDeleted,
    /// Messages taken out for good.
    MessagesPopped {
        /// The messages, oldest first.
        messages: Vec<MessageView>,
    },
    /// Messages are claimed now.
    MessagesClaimed {
        /// The queue.
        queue: QueueName,
        /// The claim.
        claim: ClaimId,
        /// The messages, oldest first.
        messages: Vec<MessageView>,
    },
    /// There was nothing to claim; there is no claim.
    NothingClaimed,
    /// A live claim.
    Claim {
        /// The queue.
        queue: QueueName,
        /// The claim.
        claim: ClaimView,
    },
    /// The lease of the claim starts now.
    ClaimRenewed,
    /// The claim does not exist, whether it did or not.
    ClaimReleased,
    /// Something about the subscriptions to a queue.
    Subscriptions {
        /// The queue.
        queue: QueueName,
        /// What.
        output: SubscriptionOutput,
    },
    /// Something about pools.
    Pools(PoolOutput),
    /// Something about flavors.
    Flavors(FlavorOutput),
}

/// What came of a request about subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionOutput {
    /// Subscriptions in order of their ids, and what was asked.
    Page(SubscriptionListing, Vec<SubscriptionView>),
    /// The subscriber is subscribed, be it since now or, unconfirmed, since before.
    Created(SubscriptionId),
    /// A live subscription.
    One(SubscriptionView),
    /// The subscription is as it was asked to be.
    Updated(SubscriptionId),
    /// The subscription does not exist, whether it did or not.
    Deleted,
}

/// A queue as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Its name.
    pub name: QueueName,
    /// Its metadata as stored, if that was asked.
    pub metadata: Option<Arc<Metadata>>,
}

/// A subscription as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Its id.
    pub id: SubscriptionId,
    /// Who gets the messages.
    pub subscriber: Subscriber,
    /// Its lifetime.
    pub ttl_secs: u64,
    /// Whole seconds since it was made or renewed.
    pub age_secs: u64,
    /// How messages are delivered: a JSON object.
    pub options: JsonText,
    /// Whether the subscriber said that it wants them.
    pub confirmed: bool,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Messages under a live claim.
    pub claimed: usize,
    /// All others, the delayed ones too.
    pub free: usize,
    /// The first and the last message by rank, unless there is none.
    pub ends: Option<(StatsMessage, StatsMessage)>,
}

/// A message as statistics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsMessage {
    /// Its id.
    pub id: MessageId,
    /// When it was posted.
    pub posted_at: Timestamp,
    /// Whole seconds since then.
    pub age_secs: u64,
}

/// A message as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// The live claim that holds it.
    pub claim: Option<ClaimId>,
    /// Its lifetime as reported; after an extension not the remaining life plus the age.
    pub ttl_secs: u32,
    /// Whole seconds since it was posted.
    pub age_secs: u64,
    /// Its content.
    pub body: JsonText,
    /// How often it was handed out, where that is counted.
    pub claim_count: u32,
}

/// A claim as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimView {
    /// Its id.
    pub id: ClaimId,
    /// Its lifetime.
    pub ttl_secs: u32,
    /// Whole seconds since it was made or renewed.
    pub age_secs: u64,
    /// What it still holds, oldest first.
    pub messages: Vec<MessageView>,
}
