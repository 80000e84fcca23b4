//! Writes operations down as numbers.

use std::collections::BTreeMap;
use std::thread;

use super::identifiers::{Identifiers, Identify, ahead};
use super::{
    Act, Counts, Flags, Index, Lease, Log, Message, NONE, Names, Op, Outcome, Page, Place, Pushed,
    Sight, Span, Subscription,
};
use crate::environment::Instant;
use crate::history::{self, Answer, Header, History, Operation, Phase, Posted, Push};

/// Writes a [`Log`], operation by operation.
#[derive(Debug)]
pub(in crate::checker) struct Builder<I = Identifiers> {
    log: Log,
    identifiers: I,
    processes: BTreeMap<u64, u32>,
    leases: BTreeMap<Lease, u32>,
}

impl Builder {
    pub(in crate::checker) fn new(header: Header) -> Self {
        Self::told_by(Identifiers::new(), header)
    }

    pub(in crate::checker) fn finish(self) -> Log {
        self.log.finish(self.identifiers)
    }
}

/// The whole of a history in memory, written down on so many threads: a second one looks up identifiers.
pub(in crate::checker) fn log(history: &History, threads: usize) -> Log {
    let sizes = Sizes::of(history);
    let mut identifiers = Identifiers::new();
    sizes.reserve_identifiers(&mut identifiers);
    if threads <= 1 {
        let mut builder = Builder::told_by(identifiers, history.header.clone());
        builder.whole(history, &sizes);
        return builder.finish();
    }
    let (ahead, told) = ahead(identifiers);
    let mut builder = Builder::told_by(told, history.header.clone());
    thread::scope(|scope| {
        let identifiers = scope.spawn(|| ahead.go_through(history));
        builder.whole(history, &sizes);
        assert!(
            builder.identifiers.is_over(),
            "invariant: both threads go through the same history"
        );
        let identifiers = identifiers
            .join()
            .expect("invariant: looking up cannot fail");
        builder.log.finish(identifiers)
    })
}

/// Stretches of a history that are looked at for [`Sizes`], and operations of each.
const STRETCHES: usize = 64;
const STRETCH_COUNT: usize = 64;

/// Room that is made at once for each operation, at most: a sample may mislead.
const ROOM_PER_OPERATION: usize = 2;

/// How much there is of what most of a history consists of, about: room for it is made at once.
#[derive(Default)]
struct Sizes {
    posted: usize,
    claims: usize,
    seen: usize,
}

impl Sizes {
    fn of(history: &History) -> Self {
        let mut sizes = Self::default();
        let every = history.records.len().div_ceil(STRETCHES).max(STRETCH_COUNT);
        let stretches = history.records.chunks(every);
        for record in stretches.flat_map(|stretch| stretch.iter().take(STRETCH_COUNT)) {
            if let Operation::Post { messages, .. } = &record.operation {
                sizes.posted += messages.len();
            }
            sizes.claims += usize::from(matches!(record.operation, Operation::Claim { .. }));
            if let history::Outcome::Ok(answer) = &record.outcome {
                sizes.seen += answer.seen().len();
                if let Answer::Post { ids } = answer {
                    sizes.seen += ids.len();
                }
            }
        }
        let Self {
            posted,
            claims,
            seen,
        } = sizes;
        let most = history.records.len() * ROOM_PER_OPERATION;
        let scaled = |count: usize| (count * every).div_ceil(STRETCH_COUNT).min(most);
        let [posted, claims, seen] = [posted, claims, seen].map(scaled);
        Self {
            posted,
            claims,
            seen,
        }
    }

    fn reserve_identifiers(&self, identifiers: &mut Identifiers) {
        identifiers.messages.reserve(self.posted);
        identifiers.claims.reserve(self.claims);
    }
}

impl<I: Identify> Builder<I> {
    fn told_by(identifiers: I, header: Header) -> Self {
        let log = Log {
            header,
            operations: Vec::new(),
            seen: Vec::new(),
            named: Vec::new(),
            messages: Vec::new(),
            leases: Vec::new(),
            pages: Vec::new(),
            counts: Vec::new(),
            settings: Vec::new(),
            subscriptions: Vec::new(),
            pushes: Vec::new(),
            phases: Vec::new(),
            faults: Vec::new(),
            heals: Vec::new(),
            message_of: Vec::new(),
            tokens: Names::default(),
            ids: Names::default(),
            claims: Names::default(),
            projects: Names::default(),
            queues: Names::default(),
            bodies: Names::default(),
            subscribers: Names::default(),
            markers: Names::default(),
        };
        Self {
            log,
            identifiers,
            processes: BTreeMap::new(),
            leases: BTreeMap::new(),
        }
    }

    /// Everything of a history in memory.
    fn whole(&mut self, history: &History, sizes: &Sizes) {
        self.log.operations.reserve_exact(history.records.len());
        self.log.messages.reserve(sizes.posted);
        self.log.message_of.reserve(sizes.posted);
        self.log.seen.reserve(sizes.seen);
        self.log.tokens.reserve(sizes.posted);
        for record in &history.records {
            let asked = (record.project.as_str(), &record.operation);
            let index = self.invoke(record.invoked_at, record.process, asked);
            if record.completed_at < Instant::NEVER {
                self.complete(index, record.completed_at, &record.outcome);
            }
        }
        for (at, phase) in &history.phases {
            self.phase(*at, *phase);
        }
        for (at, fault) in &history.faults {
            self.inject(*at, fault.clone());
        }
        for (at, fault) in &history.heals {
            self.heal(*at, fault.clone());
        }
        for push in &history.pushes {
            self.push(push);
        }
    }

    pub(in crate::checker) fn phase(&mut self, at: Instant, phase: Phase) {
        self.log.phases.push((at, phase));
    }

    pub(in crate::checker) fn inject(&mut self, at: Instant, fault: String) {
        self.log.faults.push((at, fault));
    }

    pub(in crate::checker) fn heal(&mut self, at: Instant, fault: String) {
        self.log.heals.push((at, fault));
    }

    pub(in crate::checker) fn push(&mut self, push: &Push) {
        let status = push.status.unwrap_or(0);
        let pushed = Pushed {
            at: push.at,
            place: self.identifiers.place(&push.project, &push.queue),
            subscriber: self.log.subscribers.number(0, &push.subscriber),
            token: self.log.tokens.number(0, &push.token),
            is_accepted: (200..300).contains(&status),
        };
        self.log.pushes.push(pushed);
    }

    /// Whether somebody tried to post a message of that token.
    pub(in crate::checker) fn is_posted(&mut self, token: &str) -> bool {
        let token = self.log.tokens.number(0, token);
        let message = self.log.message_of.get(token as usize);
        message.is_some_and(|&message| message != NONE)
    }

    fn process(&mut self, process: u64) -> u32 {
        let next = number(self.processes.len());
        *self.processes.entry(process).or_insert(next)
    }

    fn lease(&mut self, ttl_secs: u64, grace_secs: u64) -> u32 {
        let lease = Lease {
            ttl_secs,
            grace_secs,
        };
        let next = number(self.log.leases.len());
        let found = *self.leases.entry(lease).or_insert(next);
        if found == next {
            self.log.leases.push(lease);
        }
        found
    }

    /// An operation begins. Its outcome is not known yet.
    pub(in crate::checker) fn invoke(
        &mut self,
        at: Instant,
        process: u64,
        (project, operation): (&str, &Operation),
    ) -> Index {
        let place = self.identifiers.place(project, operation.queue());
        let op = Op {
            invoked_at: at,
            completed_at: Instant::NEVER,
            process: self.process(process),
            place,
            act: self.act(place, operation),
            outcome: Outcome::Info,
            seen: Span::default(),
        };
        let index = number(self.log.operations.len());
        self.log.operations.push(op);
        index
    }

    fn act(&mut self, place: Place, operation: &Operation) -> Act {
        match operation {
            Operation::Post { messages, .. } => self.posted(place, messages),
            Operation::Claim {
                limit,
                ttl_secs,
                grace_secs,
                ..
            } => Act::Claim {
                claim: NONE,
                limit: at_most(*limit),
                lease: self.lease(*ttl_secs, *grace_secs),
            },
            Operation::ClaimGet { claim, .. } => Act::ClaimGet {
                claim: self.identifiers.claim(place, claim),
                is_found: false,
            },
            Operation::Renew {
                claim,
                ttl_secs,
                grace_secs,
                ..
            } => Act::Renew {
                claim: self.identifiers.claim(place, claim),
                lease: self.lease(*ttl_secs, *grace_secs),
            },
            Operation::Release { claim, .. } => Act::Release {
                claim: self.identifiers.claim(place, claim),
            },
            Operation::Delete { message, claim, .. } => Act::Delete {
                id: self.identifiers.message(place, message),
                claim: claim
                    .as_ref()
                    .map_or(NONE, |claim| self.identifiers.claim(place, claim)),
            },
            Operation::BulkDelete { ids, .. } => Act::BulkDelete {
                ids: self.named(place, ids),
            },
            Operation::Pop { limit, .. } => Act::Pop {
                limit: at_most(*limit),
            },
            Operation::Get { message, .. } => Act::Get {
                id: self.identifiers.message(place, message),
            },
            Operation::GetMany { ids, .. } => Act::GetMany {
                ids: self.named(place, ids),
            },
            Operation::List { .. } => self.listed(operation),
            Operation::Stats { .. } => Act::Stats { counts: NONE },
            Operation::Purge { .. } => Act::Purge,
            Operation::CreateQueue { settings, .. } => Act::CreateQueue {
                settings: add(&mut self.log.settings, settings.as_ref().clone()),
                was_there: false,
            },
            Operation::SetMetadata { settings, .. } => Act::SetMetadata {
                settings: add(&mut self.log.settings, settings.as_ref().clone()),
            },
            Operation::DeleteQueue { .. } => Act::DeleteQueue,
            Operation::Subscribe {
                subscriber,
                ttl_secs,
                ..
            } => Act::Subscribe {
                subscription: self.subscription(subscriber, *ttl_secs),
            },
        }
    }

    fn subscription(&mut self, subscriber: &str, ttl_secs: u64) -> u32 {
        let subscription = Subscription {
            subscriber: self.log.subscribers.number(0, subscriber),
            ttl_secs,
        };
        add(&mut self.log.subscriptions, subscription)
    }

    fn posted(&mut self, home: Place, batch: &[Posted]) -> Act {
        let post = number(self.log.operations.len());
        let first = number(self.log.messages.len());
        for (place, posted) in (0..).zip(batch) {
            let token = self.log.tokens.number(0, &posted.token);
            let body = self.body(posted.body.as_ref());
            let message_of = &mut self.log.message_of;
            if message_of.len() <= token as usize {
                message_of.resize(token as usize + 1, NONE);
            }
            message_of[token as usize] = number(self.log.messages.len());
            self.log.messages.push(Message {
                token,
                home,
                post,
                place,
                ttl_secs: at_most(posted.ttl_secs),
                delay_secs: posted.delay_secs.map_or(NONE, at_most),
                body,
            });
        }
        Act::Post {
            first,
            count: number(batch.len()),
        }
    }

    fn body(&mut self, body: Option<&String>) -> u32 {
        body.map_or(NONE, |body| self.log.bodies.number(0, body))
    }

    fn named(&mut self, place: Place, ids: &[String]) -> Span {
        let span = Span {
            from: number(self.log.named.len()),
            count: number(ids.len()),
        };
        for id in ids {
            let id = self.identifiers.message(place, id);
            self.log.named.push(id);
        }
        span
    }

    fn marker(&mut self, marker: Option<&String>) -> u32 {
        marker.map_or(NONE, |marker| self.log.markers.number(0, marker))
    }

    fn listed(&mut self, operation: &Operation) -> Act {
        let Operation::List {
            chain,
            marker,
            limit,
            echo,
            include_claimed,
            include_delayed,
            ..
        } = operation
        else {
            unreachable!("`act` comes here with a page alone");
        };
        let page = Page {
            chain: *chain,
            marker: self.marker(marker.as_ref()),
            next: NONE,
            limit: at_most(*limit),
            flags: Flags {
                echo: *echo,
                include_claimed: *include_claimed,
                include_delayed: *include_delayed,
            },
        };
        Act::List {
            page: add(&mut self.log.pages, page),
        }
    }

    /// The operation at `index` ends.
    pub(in crate::checker) fn complete(
        &mut self,
        index: Index,
        at: Instant,
        outcome: &history::Outcome,
    ) {
        let op = &mut self.log.operations[index as usize];
        op.completed_at = at;
        match outcome {
            history::Outcome::Info => {}
            history::Outcome::Fail { status } => op.outcome = Outcome::Fail { status: *status },
            history::Outcome::Ok(answer) => {
                op.outcome = Outcome::Ok;
                self.answered(index, answer);
            }
        }
    }

    fn answered(&mut self, index: Index, answer: &Answer) {
        let Op { place, mut act, .. } = *self.log.op(index);
        let mut seen = Span {
            from: number(self.log.seen.len()),
            count: 0,
        };
        match (&mut act, answer) {
            // The identifiers of a batch stand where an answer's messages do.
            (Act::Post { first, .. }, Answer::Post { ids }) => {
                for (message, id) in (*first..).zip(ids) {
                    let Message { token, body, .. } = self.log.messages[message as usize];
                    let id = self.identifiers.message(place, id);
                    self.log.seen.push(Sight { token, id, body });
                }
            }
            (
                Act::Claim { claim, .. },
                Answer::Claim {
                    claim: Some(granted),
                    ..
                },
            ) => *claim = self.identifiers.claim(place, granted),
            (Act::ClaimGet { is_found, .. }, Answer::ClaimGet { messages }) => {
                *is_found = messages.is_some();
            }
            (Act::List { page }, Answer::List { next, .. }) => {
                self.log.pages[*page as usize].next = self.marker(next.as_ref());
            }
            (
                Act::Stats { counts },
                &Answer::Stats {
                    free,
                    claimed,
                    total,
                },
            ) => {
                let said = Counts {
                    free,
                    claimed,
                    total,
                };
                *counts = add(&mut self.log.counts, said);
            }
            (Act::CreateQueue { was_there, .. }, Answer::CreateQueue { created }) => {
                *was_there = !created;
            }
            _ => {}
        }
        for shown in answer.seen() {
            let sight = Sight {
                token: self.log.tokens.number(0, &shown.token),
                id: self.identifiers.message(place, &shown.id),
                body: self.body(shown.body.as_ref()),
            };
            self.log.seen.push(sight);
        }
        seen.count = number(self.log.seen.len()) - seen.from;
        let op = &mut self.log.operations[index as usize];
        op.act = act;
        op.seen = seen;
    }
}

/// Adds `item`, and says its place.
fn add<T>(items: &mut Vec<T>, item: T) -> u32 {
    items.push(item);
    number(items.len() - 1)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a history holds fewer than 2^32 of anything")
}

/// What does not fit counts as the most that does; [`NONE`] is kept free.
fn at_most(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(NONE).min(NONE - 1)
}
