//! What a process asks for.

use serde::{Deserialize, Serialize};

use super::profile::is_default;

/// A message as its producer sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// Its identity: unique in the run, and part of the body.
    pub token: String,
    /// Its lifetime.
    pub ttl_secs: u64,
    /// How long nobody may claim or pop it; `None` if the queue's default holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_secs: Option<u64>,
    /// A digest of its body, in whatever form the writer likes; `None` if it took none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Posted {
    /// A message of which nothing more is said.
    pub fn new(token: impl Into<String>, ttl_secs: u64) -> Self {
        Self {
            token: token.into(),
            ttl_secs,
            ..Self::default()
        }
    }
}

/// What holds for a queue; what is `None` is as the service does it of its own accord.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// The lifetime of messages that name none.
    #[serde(skip_serializing_if = "is_default")]
    pub default_ttl_secs: Option<u64>,
    /// The delay of messages that name none. Where it is `None` or 0, no message is delayed.
    #[serde(skip_serializing_if = "is_default")]
    pub default_delay_secs: Option<u64>,
    /// Where messages go that were handed out too often.
    #[serde(skip_serializing_if = "is_default")]
    pub dead_letter_queue: Option<String>,
    /// Their lifetime from then on.
    #[serde(skip_serializing_if = "is_default")]
    pub dead_letter_ttl_secs: Option<u64>,
    /// How often a message is handed out at most.
    #[serde(skip_serializing_if = "is_default")]
    pub max_claim_count: Option<u64>,
}

/// What a process asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "f", rename_all = "kebab-case")]
pub enum Operation {
    /// `POST …/messages`
    Post {
        /// The queue's name.
        queue: String,
        /// The batch.
        messages: Vec<Posted>,
    },
    /// `POST …/claims`
    Claim {
        /// The queue's name.
        queue: String,
        /// Most messages that it may hand out.
        limit: u64,
        /// The lease.
        ttl_secs: u64,
        /// The lifetime that a message keeps beyond its lease.
        grace_secs: u64,
    },
    /// `GET …/claims/{claim}`
    ClaimGet {
        /// The queue's name.
        queue: String,
        /// The claim's identifier.
        claim: String,
    },
    /// `PATCH …/claims/{claim}`
    Renew {
        /// The queue's name.
        queue: String,
        /// The claim's identifier.
        claim: String,
        /// The lease from now.
        ttl_secs: u64,
        /// The lifetime that a message keeps beyond its lease.
        grace_secs: u64,
    },
    /// `DELETE …/claims/{claim}`
    Release {
        /// The queue's name.
        queue: String,
        /// The claim's identifier.
        claim: String,
    },
    /// `DELETE …/messages/{message}[?claim_id=…]`
    Delete {
        /// The queue's name.
        queue: String,
        /// The message's identifier.
        message: String,
        /// The claim that it is deleted under.
        claim: Option<String>,
    },
    /// `DELETE …/messages?ids=…`
    BulkDelete {
        /// The queue's name.
        queue: String,
        /// The messages' identifiers.
        ids: Vec<String>,
    },
    /// `DELETE …/messages?pop=…`
    Pop {
        /// The queue's name.
        queue: String,
        /// Most messages that it may take.
        limit: u64,
    },
    /// `GET …/messages/{message}`
    Get {
        /// The queue's name.
        queue: String,
        /// The message's identifier.
        message: String,
    },
    /// `GET …/messages?ids=…`
    GetMany {
        /// The queue's name.
        queue: String,
        /// The messages' identifiers.
        ids: Vec<String>,
    },
    /// `GET …/messages`: one page.
    List {
        /// The queue's name.
        queue: String,
        /// Which walk the page belongs to: unique in the run. A walk follows the markers of its
        /// own pages, in one queue and with the same flags.
        chain: u64,
        /// What the page before named as its marker, word for word; `None` for the first page.
        marker: Option<String>,
        /// Most messages that the page may hold.
        limit: u64,
        /// Whether the client's own messages qualify.
        echo: bool,
        /// Whether claimed messages qualify.
        include_claimed: bool,
        /// Whether delayed messages qualify.
        include_delayed: bool,
    },
    /// `GET …/stats`
    Stats {
        /// The queue's name.
        queue: String,
    },
    /// `POST …/purge`, of messages.
    Purge {
        /// The queue's name.
        queue: String,
    },
    /// `PUT /v2/queues/{queue}`. What exists keeps its settings.
    CreateQueue {
        /// The queue's name.
        queue: String,
        /// All that the queue is told.
        settings: Box<QueueSettings>,
    },
    /// `PATCH /v2/queues/{queue}`
    SetMetadata {
        /// The queue's name.
        queue: String,
        /// All that holds for the queue from then on.
        settings: Box<QueueSettings>,
    },
    /// `DELETE /v2/queues/{queue}`
    DeleteQueue {
        /// The queue's name.
        queue: String,
    },
    /// `POST …/subscriptions`
    Subscribe {
        /// The queue's name.
        queue: String,
        /// Who is to be told: a name for the sink, as `push` events have it.
        subscriber: String,
        /// The lifetime of the subscription.
        ttl_secs: u64,
    },
}

impl Operation {
    /// Creates the queue of that name.
    pub fn create_queue(queue: String, settings: QueueSettings) -> Self {
        let settings = Box::new(settings);
        Self::CreateQueue { queue, settings }
    }

    /// Tells it what holds from then on.
    pub fn set_metadata(queue: String, settings: QueueSettings) -> Self {
        let settings = Box::new(settings);
        Self::SetMetadata { queue, settings }
    }

    /// Whether it takes messages without a claim.
    pub fn is_pop(&self) -> bool {
        matches!(self, Self::Pop { .. })
    }

    /// Whether it hands messages out: a claim or a pop.
    pub fn is_take(&self) -> bool {
        matches!(self, Self::Claim { .. } | Self::Pop { .. })
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Get { .. }
                | Self::GetMany { .. }
                | Self::List { .. }
                | Self::ClaimGet { .. }
                | Self::Stats { .. }
        )
    }

    /// Most messages that its answer may hold, if it says so.
    pub fn limit(&self) -> Option<u64> {
        let (Self::Claim { limit, .. } | Self::Pop { limit, .. } | Self::List { limit, .. }) = self
        else {
            return None;
        };
        Some(*limit)
    }

    /// The lease that it asks for and the grace after it, if it asks for one.
    pub fn lease(&self) -> Option<(u64, u64)> {
        let (Self::Claim {
            ttl_secs,
            grace_secs,
            ..
        }
        | Self::Renew {
            ttl_secs,
            grace_secs,
            ..
        }) = self
        else {
            return None;
        };
        Some((*ttl_secs, *grace_secs))
    }

    /// The queue that it acts on.
    pub fn queue(&self) -> &str {
        match self {
            Self::Post { queue, .. }
            | Self::Claim { queue, .. }
            | Self::ClaimGet { queue, .. }
            | Self::Renew { queue, .. }
            | Self::Release { queue, .. }
            | Self::Delete { queue, .. }
            | Self::BulkDelete { queue, .. }
            | Self::Pop { queue, .. }
            | Self::Get { queue, .. }
            | Self::GetMany { queue, .. }
            | Self::List { queue, .. }
            | Self::Stats { queue }
            | Self::Purge { queue }
            | Self::CreateQueue { queue, .. }
            | Self::SetMetadata { queue, .. }
            | Self::DeleteQueue { queue }
            | Self::Subscribe { queue, .. } => queue,
        }
    }
}
