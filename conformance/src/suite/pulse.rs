//! Whether the target still answers: a run on a dead one ends early, not with hundreds of time-outs.

use std::sync::atomic::{AtomicU32, Ordering};

/// Requests without an answer, and no answer to any other in between, after which a target counts as
/// dead. Each of them ends a case without a verdict, so nothing that could be learned is lost by it.
pub(super) const UNANSWERED_MAX: u32 = 16;

/// Counts what came back last.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    unanswered: AtomicU32,
}

impl Pulse {
    /// A request was answered.
    pub(super) fn answered(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// A request was not answered, or could not even be sent.
    pub(super) fn missed(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the target stopped answering.
    pub(super) fn is_gone(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX
    }
}
