//! What the clients of a run are doing just now, for those who watch or meddle while it goes on.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::Operation;

/// An operation under way, as its process asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// The tenant; empty if there is only one.
    pub project: String,
    /// What names of queues begin with on the wire; mostly nothing.
    pub names: String,
    /// The operation.
    pub operation: Operation,
}

/// Counts operations and shows those under way. All clients of a run share one.
#[derive(Debug, Default)]
pub struct Board {
    asked: AtomicU64,
    answered: AtomicU64,
    under_way: Mutex<BTreeMap<u64, UnderWay>>,
}

impl Board {
    /// Operations that were begun.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Operations that were answered, whatever the answer.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether nobody waits for an answer.
    pub fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    /// What `process` waits for.
    pub fn under_way(&self, process: u64) -> Option<UnderWay> {
        self.lock().get(&process).cloned()
    }

    pub(super) fn begin(&self, process: u64, under_way: UnderWay) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(process, under_way);
    }

    pub(super) fn end(&self, process: u64, is_answered: bool) {
        self.lock().remove(&process);
        if is_answered {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, UnderWay>> {
        self.under_way
            .lock()
            .expect("no holder of this lock panics")
    }
}
