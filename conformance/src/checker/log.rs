//! A history as numbers: all that the rules look at, and nothing else.
//!
//! Strings are looked up once, when an operation is written down; from then on names are numbers, and an
//! operation has the same few bytes whatever it says. So histories are judged that would not fit into
//! memory as they stand in their file.

use crate::environment::Instant;
use crate::history::{Header, Phase, QueueSettings};

pub(super) use self::builder::{Builder, log};
pub(super) use self::groups::Groups;
use self::identifiers::Identifiers;
pub(super) use self::names::{NONE, Names};

mod builder;
mod groups;
mod identifiers;
mod names;

/// The number of an operation, in the order of invocations.
pub(super) type Index = u32;

/// The number of a queue of a project, in the order in which they came.
pub(super) type Place = u32;

/// The history.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) header: Header,
    pub(super) operations: Vec<Op>,
    /// What the answers show, one after the other.
    pub(super) seen: Vec<Sight>,
    /// Identifiers that operations name many of, one after the other.
    pub(super) named: Vec<u32>,
    /// Messages that somebody tried to post, in the order of the attempts.
    pub(super) messages: Vec<Message>,
    pub(super) leases: Vec<Lease>,
    pub(super) pages: Vec<Page>,
    pub(super) counts: Vec<Counts>,
    pub(super) settings: Vec<QueueSettings>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) pushes: Vec<Pushed>,
    pub(super) phases: Vec<(Instant, Phase)>,
    pub(super) faults: Vec<(Instant, String)>,
    pub(super) heals: Vec<(Instant, String)>,
    /// By token: its message, or [`NONE`].
    pub(super) message_of: Vec<u32>,
    pub(super) tokens: Names,
    /// Identifiers of messages, by place.
    pub(super) ids: Names,
    /// Identifiers of claims, by place.
    pub(super) claims: Names,
    pub(super) projects: Names,
    /// Queues, by project: their numbers are places.
    pub(super) queues: Names,
    /// Digests of bodies.
    pub(super) bodies: Names,
    pub(super) subscribers: Names,
    pub(super) markers: Names,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) invoked_at: Instant,
    /// [`Instant::NEVER`] if it never came to an end.
    pub(super) completed_at: Instant,
    /// The number of the process, in the order in which they came.
    pub(super) process: u32,
    pub(super) place: Place,
    pub(super) act: Act,
    pub(super) outcome: Outcome,
    /// What its answer shows.
    pub(super) seen: Span,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Fail { status: Option<u16> },
    Info,
}

/// Some of the items that all operations share a list of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) count: u32,
}

impl Span {
    pub(super) fn of<T>(self, items: &[T]) -> &[T] {
        let from = self.from as usize;
        &items[from..from + self.count as usize]
    }
}

/// What is asked for, and the part of the answer that is not a list of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The first message of the batch, and how many there are.
    Post {
        first: u32,
        count: u32,
    },
    /// The claim is [`NONE`] if none was granted.
    Claim {
        claim: u32,
        limit: u32,
        lease: u32,
    },
    ClaimGet {
        claim: u32,
        is_found: bool,
    },
    Renew {
        claim: u32,
        lease: u32,
    },
    Release {
        claim: u32,
    },
    /// The claim is [`NONE`] if none is named.
    Delete {
        id: u32,
        claim: u32,
    },
    BulkDelete {
        ids: Span,
    },
    Pop {
        limit: u32,
    },
    Get {
        id: u32,
    },
    GetMany {
        ids: Span,
    },
    List {
        page: u32,
    },
    /// The counts are [`NONE`] if none came.
    Stats {
        counts: u32,
    },
    Purge,
    /// Whether it is certain that it was there before.
    CreateQueue {
        settings: u32,
        was_there: bool,
    },
    SetMetadata {
        settings: u32,
    },
    DeleteQueue,
    Subscribe {
        subscription: u32,
    },
}

/// A message in an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) token: u32,
    pub(super) id: u32,
    /// [`NONE`] if nothing was said of it.
    pub(super) body: u32,
}

/// A message as it was posted. Spans beyond a hundred years count as that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) token: u32,
    /// Where it was posted.
    pub(super) home: Place,
    pub(super) post: Index,
    /// Its place in the batch.
    pub(super) place: u32,
    pub(super) ttl_secs: u32,
    /// [`NONE`] if the queue's default holds.
    pub(super) delay_secs: u32,
    /// [`NONE`] if nothing was said of it.
    pub(super) body: u32,
}

/// How long a claim or a renewal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lease {
    pub(super) ttl_secs: u64,
    pub(super) grace_secs: u64,
}

/// One page of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) chain: u64,
    /// [`NONE`] for the first page.
    pub(super) marker: u32,
    /// [`NONE`] if the answer names none.
    pub(super) next: u32,
    pub(super) limit: u32,
    pub(super) flags: Flags,
}

/// What qualifies for a page besides what could be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) echo: bool,
    pub(super) include_claimed: bool,
    pub(super) include_delayed: bool,
}

/// How many messages an answer says that there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) free: u64,
    pub(super) claimed: u64,
    pub(super) total: u64,
}

/// Who is to be told, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) subscriber: u32,
    pub(super) ttl_secs: u64,
}

/// A push that a sink received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pushed {
    pub(super) at: Instant,
    pub(super) place: Place,
    pub(super) subscriber: u32,
    pub(super) token: u32,
    pub(super) is_accepted: bool,
}

impl Op {
    pub(super) fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    pub(super) fn is_info(&self) -> bool {
        self.outcome == Outcome::Info
    }

    /// Whether it may have happened.
    pub(super) fn is_possible(&self) -> bool {
        !matches!(self.outcome, Outcome::Fail { .. })
    }

    pub(super) fn is_pop(&self) -> bool {
        matches!(self.act, Act::Pop { .. })
    }

    /// Whether it hands messages out: a claim or a pop.
    pub(super) fn is_take(&self) -> bool {
        matches!(self.act, Act::Pop { .. } | Act::Claim { .. })
    }

    /// Whether it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        matches!(
            self.act,
            Act::Get { .. }
                | Act::GetMany { .. }
                | Act::List { .. }
                | Act::ClaimGet { .. }
                | Act::Stats { .. }
        )
    }

    /// The claim that it was granted, renews, releases, looks at or deletes under; [`NONE`] if there
    /// is none.
    pub(super) fn claim(&self) -> u32 {
        match self.act {
            Act::Claim { claim, .. }
            | Act::ClaimGet { claim, .. }
            | Act::Renew { claim, .. }
            | Act::Release { claim }
            | Act::Delete { claim, .. } => claim,
            Act::Post { .. }
            | Act::BulkDelete { .. }
            | Act::Pop { .. }
            | Act::Get { .. }
            | Act::GetMany { .. }
            | Act::List { .. }
            | Act::Stats { .. }
            | Act::Purge
            | Act::CreateQueue { .. }
            | Act::SetMetadata { .. }
            | Act::DeleteQueue
            | Act::Subscribe { .. } => NONE,
        }
    }
}

impl Log {
    /// Nothing more comes.
    fn finish(mut self, identifiers: Identifiers) -> Self {
        let Identifiers {
            projects,
            queues,
            messages,
            claims,
            ..
        } = identifiers;
        (self.projects, self.queues) = (projects, queues);
        (self.ids, self.claims) = (messages, claims);
        self.message_of.resize(self.tokens.count(), NONE);
        self
    }

    pub(super) fn op(&self, index: Index) -> &Op {
        &self.operations[index as usize]
    }

    /// The operations, with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (Index, &Op)> {
        (0..).zip(&self.operations)
    }

    /// What the answer to that operation shows.
    pub(super) fn seen(&self, op: &Op) -> &[Sight] {
        op.seen.of(&self.seen)
    }

    /// Most messages that the answer may hold, if the question says so.
    pub(super) fn limit(&self, op: &Op) -> Option<u32> {
        if let Act::List { page } = op.act {
            return Some(self.pages[page as usize].limit);
        }
        let (Act::Claim { limit, .. } | Act::Pop { limit }) = op.act else {
            return None;
        };
        Some(limit)
    }

    /// The identifiers that the question names.
    pub(super) fn ids<'o>(&'o self, op: &'o Op) -> &'o [u32] {
        if let Act::Delete { id, .. } | Act::Get { id } = &op.act {
            return std::slice::from_ref(id);
        }
        let (Act::BulkDelete { ids } | Act::GetMany { ids }) = op.act else {
            return &[];
        };
        ids.of(&self.named)
    }

    /// The message of that token, if somebody tried to post it.
    pub(super) fn message_of(&self, token: u32) -> Option<u32> {
        let message = *self.message_of.get(token as usize)?;
        (message != NONE).then_some(message)
    }

    /// A project and one of its queues, as their names.
    pub(super) fn place_names(&self, place: Place) -> (&str, &str) {
        let project = self.queues.scope(place);
        (self.projects.name(project), self.queues.name(place))
    }
}
