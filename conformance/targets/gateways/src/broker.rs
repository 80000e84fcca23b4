//! What the front asks of a broker, in the words of the contract. Knows no HTTP.

use std::future::Future;

use serde_json::Value;

/// A queue of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The project.
    pub project: String,
    /// The queue's name: 1 to 64 letters, digits, `_`, `-` and `.`.
    pub queue: String,
}

/// A message that is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    /// Its lifetime.
    pub ttl_secs: i64,
    /// Its body.
    pub body: Value,
}

/// A message as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its identifier.
    pub id: String,
    /// Its lifetime, as it is in force.
    pub ttl_secs: i64,
    /// Whole seconds since it was posted.
    pub age_secs: i64,
    /// Its body.
    pub body: Value,
    /// The live claim that holds it.
    pub claim: Option<String>,
}

/// The terms of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long it holds its messages.
    pub ttl_secs: i64,
    /// How much longer they live at least.
    pub grace_secs: i64,
}

/// A live claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Whole seconds since it was made or renewed.
    pub age_secs: i64,
    /// Its lease.
    pub ttl_secs: i64,
    /// What it holds.
    pub messages: Vec<Message>,
}

/// Which messages a page is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Who asks.
    pub client: String,
    /// Whether its own messages are shown.
    pub echo: bool,
    /// Whether claimed messages are shown.
    pub include_claimed: bool,
    /// The position behind which the page begins.
    pub marker: Option<String>,
    /// Most messages of the page.
    pub limit: i64,
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The message is not there any more.
    Done,
    /// Somebody else holds it.
    Claimed,
    /// The claim that was named does not hold it.
    NotHeld,
}

/// What is in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many messages are under a live claim.
    pub claimed: i64,
    /// How many are not.
    pub free: i64,
    /// The oldest and the newest message, if there is any.
    pub ends: Option<[End; 2]>,
}

/// The oldest or the newest message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its identifier.
    pub id: String,
    /// Whole seconds since it was posted.
    pub age_secs: i64,
    /// When that was, as `2026-11-24T12:00:00Z`.
    pub created: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The broker has nothing that this could be made of.
    #[error("this broker cannot {0}")]
    Unsupported(&'static str),
    /// It did not answer, or not as it should: nobody knows what happened.
    #[error("the broker failed: {0}")]
    Broken(String),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// An answer that comes later.
pub type Outcome<T> = Result<T, Failed>;

/// A broker, behind the few operations that the contract's core has. Identifiers come from outside and
/// may be anything of letters, digits and dashes.
pub trait Broker: Send + Sync + 'static {
    /// Whether it is there.
    fn ping(&self) -> impl Future<Output = Outcome<()>> + Send;

    /// Makes a queue; `false` if it was there.
    fn create_queue(&self, place: &Place) -> impl Future<Output = Outcome<bool>> + Send;

    /// Removes a queue and what is in it.
    fn delete_queue(&self, place: &Place) -> impl Future<Output = Outcome<()>> + Send;

    /// Stores a batch; its identifiers, in its order.
    fn post(
        &self,
        place: &Place,
        client: &str,
        batch: &[Posted],
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;

    /// A page of messages, and the position of its last.
    fn list(
        &self,
        place: &Place,
        page: &Page,
    ) -> impl Future<Output = Outcome<(Vec<Message>, String)>> + Send;

    /// One message.
    fn get(&self, place: &Place, id: &str)
    -> impl Future<Output = Outcome<Option<Message>>> + Send;

    /// Removes a message for whoever may: nobody holds it, or the claim that is named.
    fn delete(
        &self,
        place: &Place,
        id: &str,
        claim: Option<&str>,
    ) -> impl Future<Output = Outcome<Deletion>> + Send;

    /// Claims the oldest free messages; `None` if there is none.
    fn claim(
        &self,
        place: &Place,
        limit: i64,
        lease: Lease,
    ) -> impl Future<Output = Outcome<Option<(String, Vec<Message>)>>> + Send;

    /// A live claim.
    fn read_claim(
        &self,
        place: &Place,
        claim: &str,
    ) -> impl Future<Output = Outcome<Option<Claim>>> + Send;

    /// Begins the lease anew; `false` if the claim is not live.
    fn renew(
        &self,
        place: &Place,
        claim: &str,
        lease: Lease,
    ) -> impl Future<Output = Outcome<bool>> + Send;

    /// Ends a claim.
    fn release(&self, place: &Place, claim: &str) -> impl Future<Output = Outcome<()>> + Send;

    /// Takes the oldest free messages out of the queue.
    fn pop(&self, place: &Place, limit: i64) -> impl Future<Output = Outcome<Vec<Message>>> + Send;

    /// Those of some messages that are there.
    fn get_many(
        &self,
        _place: &Place,
        _ids: &[String],
    ) -> impl Future<Output = Outcome<Vec<Message>>> + Send {
        async { Err(Failed::Unsupported("read several messages at once")) }
    }

    /// Removes some messages, whoever holds them.
    fn delete_many(
        &self,
        _place: &Place,
        _ids: &[String],
    ) -> impl Future<Output = Outcome<()>> + Send {
        async { Err(Failed::Unsupported("delete several messages at once")) }
    }

    /// Counts messages.
    fn stats(&self, _place: &Place) -> impl Future<Output = Outcome<Stats>> + Send {
        async { Err(Failed::Unsupported("count messages")) }
    }

    /// Removes every message.
    fn purge(&self, _place: &Place) -> impl Future<Output = Outcome<()>> + Send {
        async { Err(Failed::Unsupported("purge a queue")) }
    }
}
