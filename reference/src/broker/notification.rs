//! What a broker wants to be sent, and what it is told of it. Complete in itself: to send it takes
//! no look-up.

use serde::{Deserialize, Serialize};

use super::id::SubscriptionId;
use super::input::Project;
use super::json_text::JsonText;
use super::queue::QueueName;
use super::subscription::Subscriber;
use super::timestamp::Timestamp;

/// Names one attempt to send something. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptId(pub(crate) u64);

/// One attempt to send something to a subscriber. Whoever takes it owes the broker its
/// [`Outcome`]; until then nothing else is sent for this subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The attempt.
    pub attempt: AttemptId,
    /// Whose subscription it is.
    pub project: Project,
    /// The queue.
    pub queue: QueueName,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// When it ends.
    pub subscription_expires_at: Timestamp,
    /// Where to send it.
    pub subscriber: Subscriber,
    /// How to send it: a JSON object.
    pub options: JsonText,
    /// What to send.
    pub content: Content,
}

/// What is sent to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A message that was posted.
    Message(PostedMessage),
    /// A notice about the subscription itself.
    Notice(Notice),
}

/// A message as it was posted, whatever has become of it since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostedMessage {
    /// Its lifetime.
    pub ttl_secs: u32,
    /// Its delay; zero if it has none.
    pub delay_secs: u32,
    /// Its content.
    pub body: JsonText,
}

/// A notice about a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The subscriber is asked to confirm.
    ConfirmationRequest,
    /// The subscriber is told that it gets nothing any more.
    UnsubscriptionNotice,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The subscriber has it.
    Delivered,
    /// The subscriber does not want it, and will not want it later.
    Refused,
    /// It may work another time.
    Failed,
}

/// What became of the messages that subscribers were owed. What is not counted here is still on
/// its way. Of notices only those are counted that were given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCounts {
    /// Deliveries that posts have given rise to: one for each message and subscription.
    pub owed: u64,
    /// Those that the subscriber has.
    pub delivered: u64,
    /// Those that were refused, or for which every retry failed.
    pub given_up: u64,
    /// Those that fell off because the subscriber was too far behind.
    pub overflowed: u64,
    /// Those under way when their subscription ended or was withdrawn. The one being attempted
    /// then is counted here, even if it arrives.
    pub abandoned: u64,
    /// Attempts beyond the first.
    pub retried: u64,
    /// Notices that were refused, or for which every retry failed. Whoever was to get one may be
    /// subscribed again, and gets another.
    pub notices_given_up: u64,
}

impl DeliveryCounts {
    /// Those that are neither delivered nor lost yet.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        let over = self.delivered + self.given_up + self.overflowed + self.abandoned;
        self.owed - over
    }
}
