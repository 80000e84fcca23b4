//! What a broker can be asked. Everything in here was parsed; nothing was looked up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attributes::Metadata;
use super::flavors::FlavorInput;
use super::id::{ClaimId, MessageId, SubscriptionId};
use super::json_text::JsonText;
use super::message::ClientId;
use super::pools::PoolInput;
use super::queue::QueueName;
use super::subscription::Subscriber;

/// A tenant. Queues of two projects never meet, whatever their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Project(pub Arc<str>);

/// On whose behalf something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant.
    pub project: Project,
    /// The process within the tenant.
    pub client: ClientId,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Whether the broker answers.
    Ping,
    /// A page of the project's queues.
    ListQueues(QueueListing),
    /// Creates a queue, unless it exists.
    CreateQueue {
        /// The queue.
        queue: QueueName,
        /// Its metadata; only checked if the queue exists.
        metadata: Metadata,
    },
    /// The metadata of a queue; the defaults if it does not exist.
    ReadQueue {
        /// The queue.
        queue: QueueName,
    },
    /// Changes metadata: all of the changes, or none.
    PatchQueue {
        /// The queue.
        queue: QueueName,
        /// The changes, in order.
        changes: Vec<Change>,
    },
    /// Deletes a queue with its messages and claims.
    DeleteQueue {
        /// The queue.
        queue: QueueName,
    },
    /// Counts the messages of a queue.
    QueueStats {
        /// The queue.
        queue: QueueName,
    },
    /// Removes what the scope names, and keeps the queue.
    PurgeQueue {
        /// The queue.
        queue: QueueName,
        /// What to remove.
        scope: PurgeScope,
    },
    /// Appends messages, all or none, and creates the queue if need be.
    PostMessages {
        /// The queue.
        queue: QueueName,
        /// The size of the request that carried the messages.
        bytes: usize,
        /// The messages, at least one.
        messages: Vec<NewMessage>,
    },
    /// A page of messages.
    ListMessages {
        /// The queue.
        queue: QueueName,
        /// Which messages.
        listing: MessageListing,
    },
    /// The messages of these ids, in any state.
    ReadMessages {
        /// The queue.
        queue: QueueName,
        /// The ids; unknown ones are skipped, repeated ones count once.
        ids: Vec<MessageId>,
    },
    /// One message, in any state.
    ReadMessage {
        /// The queue.
        queue: QueueName,
        /// Its id; `None` if it is spelled like none.
        id: Option<MessageId>,
    },
    /// Deletes one message.
    DeleteMessage {
        /// The queue.
        queue: QueueName,
        /// Its id; `None` if it is spelled like none.
        id: Option<MessageId>,
        /// The claim under which it is deleted.
        fence: Fence,
    },
    /// Deletes messages, unknown ones being ignored.
    DeleteMessages {
        /// The queue.
        queue: QueueName,
        /// The ids.
        ids: Vec<MessageId>,
        /// The claims that hold them; only regarded under `BulkDeleteRule::NeedsClaims`.
        claims: Vec<ClaimId>,
    },
    /// Takes the oldest active messages out for good.
    PopMessages {
        /// The queue.
        queue: QueueName,
        /// How many, at most.
        limit: usize,
    },
    /// Claims the oldest active messages.
    ClaimMessages {
        /// The queue.
        queue: QueueName,
        /// How many, at most.
        limit: usize,
        /// For how long.
        terms: ClaimTerms,
    },
    /// A claim and its messages.
    ReadClaim {
        /// The queue.
        queue: QueueName,
        /// Its id; `None` if it is spelled like none.
        id: Option<ClaimId>,
    },
    /// Starts the lease of a claim anew.
    RenewClaim {
        /// The queue.
        queue: QueueName,
        /// Its id; `None` if it is spelled like none.
        id: Option<ClaimId>,
        /// For how long from now.
        terms: ClaimTerms,
    },
    /// Ends a claim; its messages are active again, at their old rank.
    ReleaseClaim {
        /// The queue.
        queue: QueueName,
        /// Its id; `None` if it is spelled like none.
        id: Option<ClaimId>,
    },
    /// Something about the subscriptions to a queue, be there such a queue or not.
    Subscriptions {
        /// The queue.
        queue: QueueName,
        /// What.
        input: SubscriptionInput,
    },
    /// Something about pools.
    Pools(PoolInput),
    /// Something about flavors.
    Flavors(FlavorInput),
}

/// A request about the subscriptions to one queue. An id is `None` if it is spelled like none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionInput {
    /// A page of subscriptions.
    List(SubscriptionListing),
    /// Subscribes, and creates the queue if need be.
    Create(NewSubscription),
    /// One subscription.
    Read(Option<SubscriptionId>),
    /// Changes a subscription: all that is given, or nothing.
    Update(Option<SubscriptionId>, SubscriptionUpdate),
    /// Says whether the subscriber does want what it gets.
    Confirm(Option<SubscriptionId>, bool),
    /// Ends a subscription.
    Delete(Option<SubscriptionId>),
}

/// Which queues a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueListing {
    /// Only names greater than this one.
    pub marker: Option<String>,
    /// How many, at most.
    pub limit: usize,
    /// Whether to show metadata.
    pub detailed: bool,
    /// Whether to count the queues of the project.
    pub with_count: bool,
    /// Only names that contain this.
    pub name: Option<String>,
    /// Only queues whose metadata has these members with these values.
    pub filters: Vec<(String, String)>,
}

/// One step of a metadata patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a member.
    Add {
        /// Its name.
        member: String,
        /// Its value.
        value: JsonText,
    },
    /// Sets a member that is there.
    Replace {
        /// Its name.
        member: String,
        /// Its value.
        value: JsonText,
    },
    /// Removes a member that is there.
    Remove {
        /// Its name.
        member: String,
    },
}

/// What a purge removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeScope {
    /// Nothing.
    Nothing,
    /// All messages, in any state.
    Messages,
    /// All subscriptions.
    Subscriptions,
    /// All messages and all subscriptions.
    Everything,
}

/// A message to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Its lifetime; `None`: what the queue says.
    pub ttl_secs: Option<u32>,
    /// How long it stays out of sight. Only regarded in a queue that delays.
    pub delay: RequestedDelay,
    /// Its content.
    pub body: JsonText,
}

/// The delay of a message as the client gave it. Whether it is valid matters only in a queue that
/// delays, so it is checked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedDelay {
    /// None: what the queue says.
    Absent,
    /// A number of seconds, in range or not.
    Secs(i64),
    /// Something that is no integer.
    NotAnInteger,
}

/// Which messages a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageListing {
    /// Only messages after this position.
    pub marker: Option<String>,
    /// How many, at most.
    pub limit: usize,
    /// Whether to show the caller's own messages.
    pub echo: bool,
    /// Whether to show claimed messages.
    pub include_claimed: bool,
    /// Whether to show delayed messages.
    pub include_delayed: bool,
}

/// Which subscriptions a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionListing {
    /// Only ids greater than this one.
    pub marker: Option<String>,
    /// How many, at most.
    pub limit: usize,
}

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// Who gets the messages.
    pub subscriber: Subscriber,
    /// Its lifetime; `None`: the default.
    pub ttl_secs: Option<u64>,
    /// How messages are delivered: a JSON object.
    pub options: JsonText,
}

/// What changes about a subscription. `None`: this does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionUpdate {
    /// Who gets the messages.
    pub subscriber: Option<Subscriber>,
    /// Its lifetime, from now.
    pub ttl_secs: Option<u64>,
    /// How messages are delivered: a JSON object.
    pub options: Option<JsonText>,
}

/// The claim under which a message is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// None named.
    Absent,
    /// Something that is spelled like no claim id.
    Malformed,
    /// This one.
    Claim(ClaimId),
}

/// How long a claim lives, and how much longer its messages do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimTerms {
    /// Lifetime of the claim from now.
    pub ttl_secs: u32,
    /// What a message that would die first gets beyond the claim's end.
    pub grace_secs: u32,
}
