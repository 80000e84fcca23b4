//! Operations as clients saw them, and the faults that were injected.
//!
//! On disk a history is JSON Lines: a [`Header`], then one [`Event`] a line in the order of time. All
//! instants come from one monotonic clock, in nanoseconds since the start of the run. In memory the
//! events of one operation are paired into a [`Record`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::environment::Instant;

pub use self::lines::{HistoryError, read, write};
pub use self::recorder::{Handle, Recorder};

mod lines;
mod recorder;

/// The format's name, in the first line of every history.
pub const FORMAT: &str = "nanshe-history";

/// The format's version. Readers refuse others.
pub const VERSION: u32 = 1;

/// What holds for the whole history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The seed that everything was drawn from.
    pub seed: u64,
    /// The scenario's name; empty if there is none.
    pub scenario: String,
    /// The implementation's name.
    pub target: String,
    /// How wrong the target's clock may be over the span of a rule (ε).
    pub slack_ns: u64,
    /// How long after its invocation an operation without an answer may still take effect (λ);
    /// `None`: for ever.
    pub latest_effect_ns: Option<u64>,
}

impl Header {
    /// The slack ε.
    pub fn slack(&self) -> Duration {
        Duration::from_nanos(self.slack_ns)
    }

    /// The latest instant at which an operation invoked at `invoked_at` can take effect if nobody
    /// knows what became of it: `i + λ`.
    pub fn latest_effect(&self, invoked_at: Instant) -> Instant {
        match self.latest_effect_ns {
            None => Instant::NEVER,
            Some(nanos) => invoked_at.plus(Duration::from_nanos(nanos)),
        }
    }
}

/// One line of a history after its header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// A process sends a request. It has one under way at most.
    Invoke {
        /// The client.
        process: u64,
        /// What it asks for.
        #[serde(flatten)]
        operation: Operation,
    },
    /// It happened, and this is the answer.
    Ok {
        /// The client.
        process: u64,
        /// What it was told.
        #[serde(flatten)]
        answer: Answer,
    },
    /// It certainly did not happen.
    Fail {
        /// The client.
        process: u64,
        /// The status of the answer; `None` if the request was never sent.
        status: Option<u16>,
    },
    /// Nobody knows whether it happened, or will.
    Info {
        /// The client.
        process: u64,
        /// What the client saw instead of an answer.
        why: String,
    },
    /// A fault begins.
    Inject {
        /// Its kind and what it strikes, in words.
        fault: String,
    },
    /// A fault ends.
    Heal {
        /// As at its beginning.
        fault: String,
    },
    /// The run enters a phase.
    Phase {
        /// Which.
        phase: Phase,
    },
}

/// The phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Clients work, faults strike.
    Work,
    /// All faults have ended, work stops, leases run out.
    Heal,
    /// One client takes what is still there.
    Drain,
    /// The end.
    End,
}

/// A message as its producer sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Its identity: unique in the run, and part of the body.
    pub token: String,
    /// Its lifetime.
    pub ttl_secs: u64,
}

/// A message as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The identifier that the server gave it.
    pub id: String,
    /// The token in its body.
    pub token: String,
}

/// What a process asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Operation {
    /// Whether it takes messages without a claim.
    pub fn is_pop(&self) -> bool {
        matches!(self, Self::Pop { .. })
    }

    /// The queue that it acts on.
    pub fn queue(&self) -> &str {
        match self {
            Self::Post { queue, .. }
            | Self::Claim { queue, .. }
            | Self::Renew { queue, .. }
            | Self::Release { queue, .. }
            | Self::Delete { queue, .. }
            | Self::Pop { queue, .. }
            | Self::Get { queue, .. } => queue,
        }
    }
}

/// What a process was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "f", rename_all = "kebab-case")]
pub enum Answer {
    /// The identifiers of the batch, in its order.
    Post {
        /// One for each message.
        ids: Vec<String>,
    },
    /// What was handed out; empty if nothing was.
    Claim {
        /// The claim's identifier; `None` if nothing was handed out.
        claim: Option<String>,
        /// The messages, in the order of the answer.
        messages: Vec<Seen>,
    },
    /// Renewed.
    Renew,
    /// Released.
    Release,
    /// Gone.
    Delete,
    /// What was taken.
    Pop {
        /// The messages, in the order of the answer.
        messages: Vec<Seen>,
    },
    /// What is there. An absence is an answer, not a failure.
    Get {
        /// The message, if it is there.
        message: Option<Seen>,
    },
}

impl Answer {
    /// The messages that the answer shows.
    pub fn seen(&self) -> &[Seen] {
        match self {
            Self::Claim { messages, .. } | Self::Pop { messages } => messages,
            Self::Get { message } => message.as_slice(),
            Self::Post { .. } | Self::Renew | Self::Release | Self::Delete => &[],
        }
    }
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Ok(Answer),
    /// It certainly did not happen.
    Fail {
        /// The status of the answer; `None` if the request was never sent.
        status: Option<u16>,
    },
    /// Nobody knows.
    Info,
}

/// An operation, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The client.
    pub process: u64,
    /// What it asked for.
    pub operation: Operation,
    /// When it asked (`i`).
    pub invoked_at: Instant,
    /// When it knew (`c`), or gave up; [`Instant::NEVER`] if the history ends before.
    pub completed_at: Instant,
    /// What it was told.
    pub outcome: Outcome,
}

impl Record {
    /// The answer, if it happened for certain.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Ok(answer) => Some(answer),
            Outcome::Fail { .. } | Outcome::Info => None,
        }
    }

    /// Whether it happened for certain.
    pub fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// Whether nobody knows if it happened.
    pub fn is_info(&self) -> bool {
        matches!(self.outcome, Outcome::Info)
    }

    /// Whether it may have happened.
    pub fn is_possible(&self) -> bool {
        !matches!(self.outcome, Outcome::Fail { .. })
    }
}

/// A history in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What holds for all of it.
    pub header: Header,
    /// The operations, in the order of their invocations.
    pub records: Vec<Record>,
    /// When the phases began.
    pub phases: Vec<(Instant, Phase)>,
    /// Faults that began.
    pub faults: Vec<(Instant, String)>,
}
