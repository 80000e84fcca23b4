//! Events in the order of time, paired into operations.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, Header, History, Operation, Outcome, Phase, Posted, Push, Record, What};
use crate::environment::Instant;

/// What takes a history, operation by operation.
pub trait Sink {
    /// An operation begins, the `number`-th from 0.
    ///
    /// # Errors
    ///
    /// Why it cannot be taken, in one line: it posts a token that was posted before.
    fn begin(&mut self, number: usize, begun: Begun) -> Result<(), String>;
    /// That operation ends.
    ///
    /// # Errors
    ///
    /// Why it cannot be taken, in one line: the answer is not one to what was asked.
    fn end(&mut self, number: usize, at: Instant, outcome: Outcome) -> Result<(), String>;
    /// Something else happens.
    fn note(&mut self, at: Instant, note: Note);
}

/// An operation that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// When.
    pub at: Instant,
    /// The client.
    pub process: u64,
    /// The tenant that it asks as; empty if there is only one.
    pub project: String,
    /// What it asks for.
    pub operation: Operation,
}

/// What happens besides operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The run enters a phase.
    Phase(Phase),
    /// A fault begins.
    Inject(String),
    /// A fault ends.
    Heal(String),
    /// A sink received a push.
    Push(Push),
}

/// Pairs invocations with completions, and sees to it that they can be paired.
pub(super) struct Pairing<S> {
    sink: S,
    now: Instant,
    count: usize,
    under_way: BTreeMap<u64, usize>,
    walks: BTreeMap<u64, Walk>,
}

/// What all pages of one walk have in common.
#[derive(Clone, PartialEq, Eq)]
struct Walk {
    project: String,
    queue: String,
    flags: [bool; 3],
}

impl Walk {
    /// The chain that a page belongs to, and its walk.
    fn of(project: &str, operation: &Operation) -> Option<(u64, Self)> {
        let Operation::List {
            queue,
            chain,
            echo,
            include_claimed,
            include_delayed,
            ..
        } = operation
        else {
            return None;
        };
        let walk = Self {
            project: project.to_owned(),
            queue: queue.clone(),
            flags: [*echo, *include_claimed, *include_delayed],
        };
        Some((*chain, walk))
    }
}

impl<S: Sink> Pairing<S> {
    pub(super) fn new(sink: S) -> Self {
        Self {
            sink,
            now: Instant::START,
            count: 0,
            under_way: BTreeMap::new(),
            walks: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, event: Event) -> Result<(), String> {
        let Event { at, what } = event;
        if at < self.now {
            return Err(format!(
                "time runs backwards, from {} to {} ns",
                self.now.as_nanos(),
                at.as_nanos()
            ));
        }
        self.now = at;
        let note = match what {
            What::Invoke {
                process,
                project,
                operation,
            } => {
                return self.invoke(Begun {
                    at,
                    process,
                    project,
                    operation,
                });
            }
            What::Ok { process, answer } => return self.end(at, process, Outcome::Ok(answer)),
            What::Fail { process, status } => {
                if let Some(status) = status.filter(|status| (500..600).contains(status)) {
                    return Err(format!(
                        "a status of {status} does not tell that nothing happened: that ends as `info`"
                    ));
                }
                return self.end(at, process, Outcome::Fail { status });
            }
            What::Info { process, .. } => return self.end(at, process, Outcome::Info),
            What::Inject { fault } => Note::Inject(fault),
            What::Heal { fault } => Note::Heal(fault),
            What::Phase { phase } => Note::Phase(phase),
            What::Push {
                project,
                queue,
                subscriber,
                token,
                id: _,
                status,
            } => Note::Push(Push {
                at,
                project,
                queue,
                subscriber,
                token,
                status,
            }),
        };
        self.sink.note(at, note);
        Ok(())
    }

    fn invoke(&mut self, begun: Begun) -> Result<(), String> {
        if let Some((chain, walk)) = Walk::of(&begun.project, &begun.operation)
            && *self.walks.entry(chain).or_insert_with(|| walk.clone()) != walk
        {
            return Err(format!(
                "chain {chain} goes on in another queue, or with other flags"
            ));
        }
        let process = begun.process;
        if self.under_way.insert(process, self.count).is_some() {
            return Err(format!("process {process} has two operations under way"));
        }
        self.sink.begin(self.count, begun)?;
        self.count += 1;
        Ok(())
    }

    fn end(&mut self, at: Instant, process: u64, outcome: Outcome) -> Result<(), String> {
        let Some(number) = self.under_way.remove(&process) else {
            return Err(format!("process {process} completes what it never invoked"));
        };
        self.sink.end(number, at, outcome)
    }

    pub(super) fn finish(self) -> S {
        self.sink
    }
}

/// What the second of two posts of one token is refused with.
pub(crate) fn posted_again(token: &str) -> String {
    format!("token `{token}` is posted a second time")
}

/// A history in memory.
pub(super) struct Whole {
    history: History,
    tokens: BTreeSet<String>,
}

impl Whole {
    pub(super) fn new(header: Header) -> Self {
        Self {
            history: History::new(header),
            tokens: BTreeSet::new(),
        }
    }

    /// The same, with room for so many operations.
    pub(super) fn with_room(mut self, operations: usize) -> Self {
        self.history.records.reserve_exact(operations);
        self
    }

    pub(super) fn finish(self) -> History {
        self.history
    }
}

impl Sink for Whole {
    fn begin(&mut self, _: usize, begun: Begun) -> Result<(), String> {
        if let Operation::Post { messages, .. } = &begun.operation {
            for Posted { token, .. } in messages {
                if !self.tokens.insert(token.clone()) {
                    return Err(posted_again(token));
                }
            }
        }
        self.history.records.push(begun.record());
        Ok(())
    }

    fn end(&mut self, number: usize, at: Instant, outcome: Outcome) -> Result<(), String> {
        self.history.records[number].end(at, outcome)
    }

    fn note(&mut self, at: Instant, note: Note) {
        match note {
            Note::Phase(phase) => self.history.phases.push((at, phase)),
            Note::Inject(fault) => self.history.faults.push((at, fault)),
            Note::Heal(fault) => self.history.heals.push((at, fault)),
            Note::Push(push) => self.history.pushes.push(push),
        }
    }
}

/// Some operations of a history that was read before.
#[derive(Debug)]
pub struct Chosen {
    wanted: BTreeSet<u32>,
    /// By number.
    pub records: BTreeMap<u32, Record>,
}

impl Chosen {
    /// Keeps those of the `wanted` numbers.
    pub fn new(wanted: BTreeSet<u32>) -> Self {
        Self {
            wanted,
            records: BTreeMap::new(),
        }
    }
}

impl Sink for Chosen {
    fn begin(&mut self, number: usize, begun: Begun) -> Result<(), String> {
        if let Ok(number) = u32::try_from(number)
            && self.wanted.contains(&number)
        {
            self.records.insert(number, begun.record());
        }
        Ok(())
    }

    fn end(&mut self, number: usize, at: Instant, outcome: Outcome) -> Result<(), String> {
        let record = u32::try_from(number).ok();
        let record = record.and_then(|number| self.records.get_mut(&number));
        record.map_or(Ok(()), |record| record.end(at, outcome))
    }

    fn note(&mut self, _: Instant, _: Note) {}
}

impl Begun {
    /// The operation, without an end yet.
    fn record(self) -> Record {
        let Self {
            at,
            process,
            project,
            operation,
        } = self;
        Record {
            process,
            project,
            operation,
            invoked_at: at,
            completed_at: Instant::NEVER,
            outcome: Outcome::Info,
        }
    }
}

impl Record {
    fn end(&mut self, at: Instant, outcome: Outcome) -> Result<(), String> {
        if let Outcome::Ok(answer) = &outcome {
            self.operation.answered_by(answer)?;
        }
        self.completed_at = at;
        self.outcome = outcome;
        Ok(())
    }
}
