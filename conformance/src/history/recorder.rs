//! Writes down what clients do, while they do it.

use std::sync::{Arc, Mutex, MutexGuard};

use super::pairing::{Pairing, Whole};
use super::{Answer, Event, Header, History, Operation, Phase, What, write};
use crate::environment::World;
use crate::target::NotAnswered;

/// The history of a run under way.
pub struct Recorder {
    header: Header,
    written: Mutex<Written>,
}

/// What is written down.
#[derive(Default)]
struct Written {
    events: Vec<Event>,
    /// Whether nothing is added any more.
    is_sealed: bool,
}

impl Recorder {
    /// An empty history.
    pub fn new(header: Header) -> Arc<Self> {
        Arc::new(Self {
            header,
            written: Mutex::default(),
        })
    }

    /// Writes down `what` happened now.
    pub fn add(&self, world: &World, what: What) {
        let mut written = self.lock();
        if written.is_sealed {
            return;
        }
        // The clock is read under the lock, so that the events are in the order of time.
        written.events.push(Event {
            at: world.now(),
            what,
        });
    }

    /// The history is over: what still happens is not written down any more, so that what is judged is what is stored.
    pub fn seal(&self) {
        self.lock().is_sealed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().expect("no holder of this lock panics")
    }

    /// Writes down that a phase begins.
    pub fn phase(&self, world: &World, phase: Phase) {
        self.add(world, What::Phase { phase });
    }

    /// The history as JSON Lines.
    pub fn lines(&self) -> Vec<u8> {
        self.lines_since(0).0
    }

    /// The lines from `line` on, the header being 0, and how many there are in all. Who asks for what
    /// is new keeps no writer waiting for what is old.
    pub fn lines_since(&self, line: usize) -> (Vec<u8>, usize) {
        let header = (line == 0).then_some(&self.header);
        let events = &self.lock().events;
        let new = events.get(line.saturating_sub(1)..).unwrap_or_default();
        let mut bytes = Vec::with_capacity(new.len() * 160);
        write(&mut bytes, header, new).expect("memory takes every byte");
        (bytes, events.len() + 1)
    }

    /// The history with its operations paired.
    ///
    /// # Panics
    ///
    /// If a process had two operations under way: a defect of the workload.
    pub fn history(&self) -> History {
        self.paired(self.lock().events.iter().cloned())
    }

    /// As [`Self::history`], and nothing is written down any more: in long runs, a second copy of all
    /// events costs more than to pair them.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn take_history(&self) -> History {
        let events = std::mem::take(&mut self.lock().events);
        self.paired(events.into_iter())
    }

    fn paired(&self, events: impl ExactSizeIterator<Item = Event>) -> History {
        let whole = Whole::new(self.header.clone()).with_room(events.len() / 2);
        let mut pairing = Pairing::new(whole);
        for event in events {
            pairing
                .add(event)
                .expect("a recorder writes what a reader accepts");
        }
        pairing.finish().finish()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// One process's pen.
#[derive(Clone, Debug)]
pub struct Handle {
    recorder: Arc<Recorder>,
    process: u64,
    project: String,
}

impl Handle {
    /// The pen of `process`.
    pub fn new(recorder: Arc<Recorder>, process: u64) -> Self {
        Self {
            recorder,
            process,
            project: String::new(),
        }
    }

    /// The same, of a process that asks as the tenant `project`.
    #[must_use]
    pub fn in_project(mut self, project: &str) -> Self {
        project.clone_into(&mut self.project);
        self
    }

    /// It asks.
    pub fn invoke(&self, world: &World, operation: Operation) {
        self.recorder.add(
            world,
            What::Invoke {
                process: self.process,
                project: self.project.clone(),
                operation,
            },
        );
    }

    /// It was answered.
    pub fn ok(&self, world: &World, answer: Answer) {
        self.recorder.add(
            world,
            What::Ok {
                process: self.process,
                answer,
            },
        );
    }

    /// It was refused.
    pub fn refused(&self, world: &World, status: u16) {
        self.recorder.add(
            world,
            What::Fail {
                process: self.process,
                status: Some(status),
            },
        );
    }

    /// It was answered, but with nothing that says whether it happened: a 5xx, or garbage.
    pub fn unclear(&self, world: &World, why: String) {
        self.recorder.add(
            world,
            What::Info {
                process: self.process,
                why,
            },
        );
    }

    /// It was not answered.
    pub fn not_answered(&self, world: &World, not_answered: NotAnswered) {
        let process = self.process;
        self.recorder.add(
            world,
            match not_answered {
                NotAnswered::NotSent(_) => What::Fail {
                    process,
                    status: None,
                },
                NotAnswered::NoAnswer(why) => What::Info { process, why },
            },
        );
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;
    use crate::environment::TokioEnvironment;
    use crate::history::{FORMAT, Profile, VERSION};

    #[test]
    fn what_happens_after_the_end_is_in_no_history() {
        let recorder = Recorder::new(Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed: 1,
            scenario: String::new(),
            target: String::new(),
            slack_ns: 0,
            latest_effect_ns: None,
            profile: Profile::default(),
        });
        let world: World = Arc::new(TokioEnvironment::new());
        recorder.phase(&world, Phase::End);
        recorder.seal();
        let written = recorder.lines();
        let process = Handle::new(Arc::clone(&recorder), 1);
        process.unclear(&world, "too late".to_owned());
        assert_eq!(recorder.lines(), written);
        assert_eq!(recorder.history().phases.len(), 1);
    }
}
