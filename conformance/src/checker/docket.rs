//! A history that is written down for judgement while it is read, and never held as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use super::Verdicts;
use super::log::{Builder, Log};
use super::rules::Draft;
use super::story::Records;
use crate::environment::Instant;
use crate::history::{
    Begun, Chosen, Header, HistoryError, Note, Operation, Outcome, Posted, Sink, feed, posted_again,
};

/// What is to be judged: feed it, then ask for the [`Judgement`].
///
/// It holds about a hundred bytes for each operation.
#[derive(Debug)]
pub struct Docket {
    builder: Builder,
    /// What is under way, to be compared with its answer.
    asked: BTreeMap<usize, Operation>,
}

impl Docket {
    /// Of a history with that header, in which nothing has happened yet.
    pub fn new(header: Header) -> Self {
        Self {
            builder: Builder::new(header),
            asked: BTreeMap::new(),
        }
    }

    /// Judges what was read, on so many threads. The judgement does not depend on their number.
    pub fn judge(self, threads: usize) -> Judgement {
        let log = self.builder.finish();
        let draft = Draft::of(&log, threads);
        Judgement { log, draft }
    }
}

impl Sink for Docket {
    fn begin(&mut self, number: usize, begun: Begun) -> Result<(), String> {
        let Begun {
            at,
            process,
            project,
            operation,
        } = begun;
        if let Operation::Post { messages, .. } = &operation {
            let is_batch = messages.len() > 1;
            let mut tokens = BTreeSet::new();
            for Posted { token, .. } in messages {
                let is_new = !is_batch || tokens.insert(token);
                if !is_new || self.builder.is_posted(token) {
                    return Err(posted_again(token));
                }
            }
        }
        self.builder.invoke(at, process, (&project, &operation));
        self.asked.insert(number, operation);
        Ok(())
    }

    fn end(&mut self, number: usize, at: Instant, outcome: Outcome) -> Result<(), String> {
        let asked = self.asked.remove(&number);
        if let (Some(asked), Outcome::Ok(answer)) = (asked, &outcome) {
            asked.answered_by(answer)?;
        }
        let index = u32::try_from(number).map_err(|_| "is more than 2^32 operations".to_owned())?;
        self.builder.complete(index, at, &outcome);
        Ok(())
    }

    fn note(&mut self, at: Instant, note: Note) {
        match note {
            Note::Phase(phase) => self.builder.phase(at, phase),
            Note::Inject(fault) => self.builder.inject(at, fault),
            Note::Heal(fault) => self.builder.heal(at, fault),
            Note::Push(push) => self.builder.push(&push),
        }
    }
}

/// The verdicts, but for the stories of what was found.
#[derive(Debug)]
pub struct Judgement {
    log: Log,
    draft: Draft,
}

impl Judgement {
    /// The numbers of the operations that stories are to be told of; often none.
    pub fn proof(&self) -> BTreeSet<u32> {
        self.draft.proof()
    }

    /// The verdicts, with stories told of those operations.
    pub fn tell(self, chosen: Chosen) -> Verdicts {
        self.draft
            .conclude(&self.log, &Records::Some(chosen.records))
    }
}

/// Judges the history that `open` opens, on so many threads. It is read once more if there is something
/// to tell.
///
/// # Errors
///
/// As [`read`](crate::history::read); and what opening it says, as a line that cannot be read.
pub fn judge_stored<R: BufRead>(
    open: impl Fn() -> io::Result<R>,
    threads: usize,
) -> Result<Verdicts, HistoryError> {
    let opened = || open().map_err(|error| HistoryError::Read { line: 0, error });
    let judgement = feed(opened()?, threads, Docket::new)?.judge(threads);
    let proof = judgement.proof();
    let chosen = if proof.is_empty() {
        Chosen::new(proof)
    } else {
        feed(opened()?, threads, |_| Chosen::new(proof))?
    };
    Ok(judgement.tell(chosen))
}
