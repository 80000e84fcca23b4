//! Places, and what servers name in them, as numbers: looked up, or told by a thread that looks them up
//! ahead of the one that writes operations down.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{NONE, Names, Place};
use crate::environment::Instant;
use crate::history::{Answer, History, Operation, Outcome, Push, Record};

/// Numbers that are told at once.
const BATCH_COUNT: usize = 16_384;

/// Batches that may wait to be taken.
const BATCHES_WAITING_MAX: usize = 8;

/// Gives numbers to queues of projects, and to identifiers in them.
pub(in crate::checker) trait Identify {
    fn place(&mut self, project: &str, queue: &str) -> Place;
    fn message(&mut self, place: Place, id: &str) -> u32;
    fn claim(&mut self, place: Place, id: &str) -> u32;
}

/// Looks numbers up.
#[derive(Debug)]
pub(in crate::checker) struct Identifiers {
    pub(super) projects: Names,
    pub(super) queues: Names,
    pub(super) messages: Names,
    pub(super) claims: Names,
    last: Place,
}

impl Identifiers {
    pub(super) fn new() -> Self {
        Self {
            projects: Names::default(),
            queues: Names::default(),
            messages: Names::default(),
            claims: Names::default(),
            last: NONE,
        }
    }
}

impl Identify for Identifiers {
    fn place(&mut self, project: &str, queue: &str) -> Place {
        // Most operations act where the one before did.
        let last = self.last;
        if last != NONE
            && self.queues.is_name(last, queue)
            && self.projects.is_name(self.queues.scope(last), project)
        {
            return last;
        }
        let project = self.projects.number(0, project);
        self.last = self.queues.number(project, queue);
        self.last
    }

    fn message(&mut self, place: Place, id: &str) -> u32 {
        self.messages.number(place, id)
    }

    fn claim(&mut self, place: Place, id: &str) -> u32 {
        self.claims.number(place, id)
    }
}

/// Is told numbers, in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct Told {
    batches: Receiver<Vec<u32>>,
    batch: std::vec::IntoIter<u32>,
}

impl Told {
    fn next(&mut self) -> u32 {
        loop {
            if let Some(number) = self.batch.next() {
                return number;
            }
            let batch = self.batches.recv();
            let batch = batch.expect("invariant: both threads go through the same history");
            self.batch = batch.into_iter();
        }
    }

    /// Whether everything that was told was asked for.
    pub(super) fn is_over(&mut self) -> bool {
        self.batch.len() == 0 && self.batches.iter().all(|batch| batch.is_empty())
    }
}

impl Identify for Told {
    fn place(&mut self, _: &str, _: &str) -> Place {
        self.next()
    }

    fn message(&mut self, _: Place, _: &str) -> u32 {
        self.next()
    }

    fn claim(&mut self, _: Place, _: &str) -> u32 {
        self.next()
    }
}

/// Looks up what a [`Told`] is told: all that a [`Builder`](super::Builder) asks for, in its order.
#[derive(Debug)]
pub(super) struct Ahead {
    identifiers: Identifiers,
    batch: Vec<u32>,
    batches: SyncSender<Vec<u32>>,
}

/// The two ends.
pub(super) fn ahead(identifiers: Identifiers) -> (Ahead, Told) {
    let (sender, batches) = sync_channel(BATCHES_WAITING_MAX);
    let ahead = Ahead {
        identifiers,
        batch: Vec::with_capacity(BATCH_COUNT),
        batches: sender,
    };
    let batch = Vec::new().into_iter();
    (ahead, Told { batches, batch })
}

impl Ahead {
    /// Goes through the history.
    pub(super) fn go_through(mut self, history: &History) -> Identifiers {
        for record in &history.records {
            self.record(record);
        }
        for Push { project, queue, .. } in &history.pushes {
            self.place(project, queue);
        }
        self.send();
        self.identifiers
    }

    fn record(&mut self, record: &Record) {
        let Record {
            project, operation, ..
        } = record;
        let place = self.place(project, operation.queue());
        self.asked(place, operation);
        if record.completed_at < Instant::NEVER
            && let Outcome::Ok(answer) = &record.outcome
        {
            self.answered(place, (operation, answer));
        }
    }

    fn asked(&mut self, place: Place, operation: &Operation) {
        match operation {
            Operation::ClaimGet { claim, .. }
            | Operation::Renew { claim, .. }
            | Operation::Release { claim, .. } => self.claim(place, claim),
            Operation::Delete { message, claim, .. } => {
                self.message(place, message);
                if let Some(claim) = claim {
                    self.claim(place, claim);
                }
            }
            Operation::Get { message, .. } => self.message(place, message),
            Operation::BulkDelete { ids, .. } | Operation::GetMany { ids, .. } => {
                ids.iter().for_each(|id| self.message(place, id));
            }
            Operation::Post { .. }
            | Operation::Claim { .. }
            | Operation::Pop { .. }
            | Operation::List { .. }
            | Operation::Stats { .. }
            | Operation::Purge { .. }
            | Operation::CreateQueue { .. }
            | Operation::SetMetadata { .. }
            | Operation::DeleteQueue { .. }
            | Operation::Subscribe { .. } => {}
        }
    }

    fn answered(&mut self, place: Place, both: (&Operation, &Answer)) {
        match both {
            (Operation::Post { .. }, Answer::Post { ids }) => {
                ids.iter().for_each(|id| self.message(place, id));
            }
            (
                Operation::Claim { .. },
                Answer::Claim {
                    claim: Some(claim), ..
                },
            ) => self.claim(place, claim),
            _ => {}
        }
        for seen in both.1.seen() {
            self.message(place, &seen.id);
        }
    }

    fn place(&mut self, project: &str, queue: &str) -> Place {
        let place = self.identifiers.place(project, queue);
        self.tell(place);
        place
    }

    fn message(&mut self, place: Place, id: &str) {
        let number = self.identifiers.message(place, id);
        self.tell(number);
    }

    fn claim(&mut self, place: Place, id: &str) {
        let number = self.identifiers.claim(place, id);
        self.tell(number);
    }

    fn tell(&mut self, number: u32) {
        self.batch.push(number);
        if self.batch.len() == BATCH_COUNT {
            self.send();
            self.batch.reserve_exact(BATCH_COUNT);
        }
    }

    fn send(&mut self) {
        // Whoever does not listen any more has panicked, and says so itself.
        drop(self.batches.send(std::mem::take(&mut self.batch)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::{judge, judge_on};
    use crate::history::{FORMAT, Header, Profile, VERSION};

    /// Claims that were refused: each asks for its place alone.
    fn refused(claims: usize) -> History {
        let mut history = History::new(Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed: 0,
            scenario: String::new(),
            target: String::new(),
            slack_ns: 0,
            latest_effect_ns: None,
            profile: Profile::default(),
        });
        let record = Record {
            process: 1,
            project: String::new(),
            operation: Operation::Claim {
                queue: "q".to_owned(),
                limit: 1,
                ttl_secs: 60,
                grace_secs: 60,
            },
            invoked_at: Instant::START,
            completed_at: Instant::START,
            outcome: Outcome::Fail { status: Some(404) },
        };
        history.records = vec![record; claims];
        history
    }

    #[test]
    fn everything_told_is_asked_for_however_much_it_is() {
        let edge = BATCH_COUNT * (BATCHES_WAITING_MAX + 2);
        for claims in [0, 1, BATCH_COUNT - 1, BATCH_COUNT, BATCH_COUNT + 1, edge] {
            let history = refused(claims);
            assert_eq!(judge_on(&history, 2), judge(&history), "{claims}");
        }
    }
}
