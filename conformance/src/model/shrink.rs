//! Makes a sequence that differs smaller, as long as it goes on differing alike.
//!
//! proptest's tree is driven by hand: every attempt is a run of its own, in projects of its own.

use std::time::Duration;

use super::campaign::Tree;
use super::operation::Operation;
use super::run::{Attempt, End, Ground, Names};
use crate::environment::Instant;

/// How much may be tried.
pub(super) struct Budget {
    pub(super) attempts_max: u64,
    pub(super) until: Instant,
    pub(super) wait_max: Option<Duration>,
}

/// The smallest that was found.
pub(super) struct Shrunk {
    pub(super) attempt: Attempt,
    /// Runs that it took.
    pub(super) attempts: u64,
}

/// Shrinks the sequence of `tree`, whose run `first` differed. `names` are those of the n-th run.
pub(super) async fn shrink(
    ground: &Ground,
    (mut tree, first): (Tree, Attempt),
    budget: Budget,
    names: impl Fn(u64) -> Names,
) -> Shrunk {
    let mut best = Best::new(tree.current(), first);
    let mut attempts = 0;
    let mut differs = true;
    loop {
        let moved = if differs {
            tree.simplify()
        } else {
            tree.complicate()
        };
        if !moved || attempts >= budget.attempts_max || ground.served.now() >= budget.until {
            break;
        }
        let operations = tree.current();
        // What follows the difference never ran: taking it away needs no run to know.
        if best.begins(&operations) {
            differs = true;
            continue;
        }
        attempts += 1;
        let attempt = ground
            .run(&operations, names(attempts), budget.wait_max)
            .await;
        differs = best.is_like(&attempt);
        if differs {
            best = Best::new(operations, attempt);
        }
    }
    // The tree looks at every operation but once. What an operation was needed for may be gone now.
    let mut is_smaller = true;
    while is_smaller {
        is_smaller = false;
        for place in (0..best.operations.len()).rev() {
            if attempts >= budget.attempts_max || ground.served.now() >= budget.until {
                break;
            }
            let mut operations = best.operations.clone();
            operations.remove(place);
            attempts += 1;
            let attempt = ground
                .run(&operations, names(attempts), budget.wait_max)
                .await;
            if best.is_like(&attempt) {
                best = Best::new(operations, attempt);
                is_smaller = true;
            }
        }
    }
    Shrunk {
        attempt: best.attempt,
        attempts,
    }
}

struct Best {
    /// Up to the one that differs.
    operations: Vec<Operation>,
    attempt: Attempt,
}

impl Best {
    fn new(mut operations: Vec<Operation>, attempt: Attempt) -> Self {
        if let End::Differed { at, .. } = &attempt.end {
            operations.truncate(at + 1);
        }
        Self {
            operations,
            attempt,
        }
    }

    fn begins(&self, operations: &[Operation]) -> bool {
        operations.starts_with(&self.operations)
    }

    /// Whether `attempt` differs at the same kind of operation and by the same clause: another
    /// difference would hide this one.
    fn is_like(&self, attempt: &Attempt) -> bool {
        let signature = |end: &End| match end {
            End::Differed {
                kind, difference, ..
            } => Some((*kind, difference.clause.clone())),
            End::Agreed | End::Unanswered(_) => None,
        };
        signature(&attempt.end) == signature(&self.attempt.end)
    }
}
