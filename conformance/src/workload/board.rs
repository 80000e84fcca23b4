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

/// What a process waits for, on the board as long as it does.
pub(super) struct Entry<'b> {
    board: &'b Board,
    process: u64,
}

impl Entry<'_> {
    /// There is an answer, whatever it says.
    pub(super) fn answered(self) {
        self.board.answered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.board.lock().remove(&self.process);
    }
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

    /// Shows what `process` asks for, until that ends or the process dies.
    pub(super) fn begin(&self, process: u64, under_way: UnderWay) -> Entry<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(process, under_way);
        Entry {
            board: self,
            process,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, UnderWay>> {
        self.under_way
            .lock()
            .expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_any_more_who_was_answered_or_has_died() {
        let board = Board::default();
        let under_way = || UnderWay {
            project: String::new(),
            names: String::new(),
            operation: Operation::Purge {
                queue: "q".to_owned(),
            },
        };
        let (answered, killed) = (board.begin(1, under_way()), board.begin(2, under_way()));
        answered.answered();
        assert!(!board.is_idle() && board.under_way(1).is_none());
        drop(killed);
        assert!(board.is_idle());
        assert_eq!((board.asked(), board.answered()), (2, 1));
    }
}
