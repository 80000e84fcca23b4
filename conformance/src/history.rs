//! Operations as clients saw them, and the faults that were injected.
//!
//! On disk a history is JSON Lines: a [`Header`], then one [`Event`] a line in the order of time. All
//! instants come from one monotonic clock, in nanoseconds since the start of the run. In memory the
//! events of one operation are paired into a [`Record`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::environment::Instant;

pub use self::answer::{Answer, Seen};
pub use self::events::read_events;
pub use self::lines::{HistoryError, feed, read, write};
pub use self::operation::{Operation, Posted, QueueSettings};
pub(crate) use self::pairing::posted_again;
pub use self::pairing::{Begun, Chosen, Note, Sink};
pub use self::profile::{OrderProfile, Profile, ShortAnswers};
pub use self::recorder::{Handle, Recorder};

mod answer;
mod blocks;
pub mod edn;
mod events;
mod lines;
mod operation;
mod pairing;
mod profile;
mod raw;
mod recorder;
pub mod trace;

/// The format's name, in the first line of every history.
pub const FORMAT: &str = "nanshe-history";

/// The format's version. Readers refuse others.
pub const VERSION: u32 = 1;

/// What the text of a fault holds that may repeat requests: a post meanwhile may be two messages.
pub const REPEATS: &str = "duplicate";

/// What the text of such a fault holds as well if it repeats no post.
pub const NOT_POSTS: &str = "not posts";

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
    /// What the target promises beyond the bare contract.
    #[serde(default, skip_serializing_if = "Profile::is_default")]
    pub profile: Profile,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// A process sends a request. It has one under way at most.
    Invoke {
        /// The client.
        process: u64,
        /// The tenant that it asks as; empty if there is only one.
        #[serde(skip_serializing_if = "String::is_empty")]
        project: String,
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
    /// A sink received a push.
    Push {
        /// The tenant that the sink subscribed as; empty if there is only one.
        #[serde(skip_serializing_if = "String::is_empty")]
        project: String,
        /// The queue that the push names.
        queue: String,
        /// The sink's name, as it subscribed.
        subscriber: String,
        /// The token in the message's body.
        token: String,
        /// The message's identifier, if the push says it.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// How the sink answered; `None` if it did not.
        status: Option<u16>,
    },
}

/// A push that a sink received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// When.
    pub at: Instant,
    /// The tenant that the sink subscribed as.
    pub project: String,
    /// The queue that the push names.
    pub queue: String,
    /// The sink's name, as it subscribed.
    pub subscriber: String,
    /// The token in the message's body.
    pub token: String,
    /// How the sink answered; `None` if it did not.
    pub status: Option<u16>,
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
    /// The tenant that it asked as; empty if there is only one.
    pub project: String,
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
    /// Faults that ended.
    pub heals: Vec<(Instant, String)>,
    /// Pushes that sinks received.
    pub pushes: Vec<Push>,
}

impl History {
    /// A history in which nothing has happened yet.
    pub fn new(header: Header) -> Self {
        Self {
            header,
            records: Vec::new(),
            phases: Vec::new(),
            faults: Vec::new(),
            heals: Vec::new(),
            pushes: Vec::new(),
        }
    }
}
