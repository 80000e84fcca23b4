//! What a broker refuses to do: one variant per failure. Statuses are the business of `wire`.

use thiserror::Error;

use super::attributes::AttributeFault;
use super::queue::QueueName;

/// Why an input was not carried out. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BrokerError {
    /// The metadata of an unknown queue cannot be patched.
    #[error("the queue does not exist")]
    QueueDoesNotExist,
    /// A reserved member of the metadata has a value it may not have.
    #[error("{0}")]
    AttributeIsInvalid(#[from] AttributeFault),
    /// A patch replaces or removes a member that is not there.
    #[error("the metadata has no member {member:?}")]
    MetadataMemberDoesNotExist {
        /// The absent member.
        member: String,
    },
    /// Patches have made the metadata larger than a request could.
    #[error("the metadata takes more than {bytes_max} bytes")]
    MetadataIsTooLarge {
        /// What would be allowed.
        bytes_max: usize,
    },
    /// The request is larger than the queue, or the service, allows.
    #[error("the messages take more than {bytes_max} bytes")]
    PostIsTooLarge {
        /// What would be allowed.
        bytes_max: usize,
    },
    /// A delay is no integer, or out of range, in a queue that delays.
    #[error("the delay is not an integer between 0 and {secs_max}")]
    DelayIsInvalid {
        /// The longest delay.
        secs_max: u32,
    },
    /// The queue has no such message.
    #[error("the message does not exist")]
    MessageDoesNotExist,
    /// The queue has none of the messages.
    #[error("none of the messages exists")]
    MessagesDoNotExist,
    /// The message is held by a live claim, and the request does not name that one.
    #[error("the message is claimed")]
    MessageIsClaimed,
    /// The claim named is not alive in this queue, or the message is not claimed.
    #[error("the claim does not exist or has expired, or does not hold the message")]
    ClaimDoesNotHoldMessage,
    /// The queue has no such subscription, or it has ended.
    #[error("the subscription does not exist or has expired")]
    SubscriptionDoesNotExist,
    /// The queue has another subscription of this subscriber.
    #[error("the subscriber has subscribed already")]
    SubscriberIsSubscribed {
        /// The queue.
        queue: QueueName,
    },
    /// The subscription would outlive the calendar.
    #[error("the subscription would end after the year 9999")]
    SubscriptionIsTooLong,
    /// The subscriber is to get a token, and the options do not say which trust gives it.
    #[error("the subscriber needs a trust, and the options have no trust_id: make the trust first")]
    TrustIsMissing,
    /// The queue has no such claim, or it has ended.
    #[error("the claim does not exist or has expired")]
    ClaimDoesNotExist,
    /// There is no such pool.
    #[error("the pool does not exist")]
    PoolDoesNotExist,
    /// There is no such flavor.
    #[error("the flavor does not exist")]
    FlavorDoesNotExist,
    /// A flavor is to consist of a pool that does not exist.
    #[error("pool_list names a pool that does not exist")]
    PoolIsUnknown,
    /// The metadata of a queue names a flavor that does not exist.
    #[error("_flavor is not the name of a flavor")]
    FlavorIsUnknown,
    /// No two pools have one URI.
    #[error("another pool has this uri")]
    UriIsTaken,
    /// There are as many pools, or flavors, as there may be.
    #[error("there are {max} already")]
    CatalogueIsFull {
        /// How many there may be.
        max: usize,
    },
    /// Queues would be lost with the pool.
    #[error("the pool has {queues} queues; with a weight of 0 it can be drained")]
    PoolHasQueues {
        /// How many.
        queues: usize,
    },
    /// The flavor would have no pool.
    #[error("the pool is the last one of its flavor")]
    PoolIsLastOfFlavor,
    /// A pool that still gets queues cannot be emptied.
    #[error("the weight of the pool is not 0")]
    PoolHasWeight,
    /// Nothing can be moved.
    #[error("no other pool takes the {queues} queues of this one")]
    NoPoolForQueuesLeft {
        /// How many are in the pool.
        queues: usize,
    },
    /// The queue does not exist, and no pool takes it.
    #[error("no pool takes new queues of this kind now; try again later")]
    NoPoolForQueue,
}
