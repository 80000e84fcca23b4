//! What the parts of one connection tell each other: how far it is, and since when.
//!
//! All of them live in one task, so nothing here orders anything: the atomics are there because the
//! task may move to another thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How far a connection is.
pub(super) struct Pulse {
    opened_at: Instant,
    /// When the latest answer was handed over, or the connection opened; from then on the head of
    /// the next request is awaited.
    awaited_since_nanos: AtomicU64,
    is_answering: AtomicBool,
    has_begun: AtomicBool,
    has_leftovers: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            opened_at: Instant::now(),
            awaited_since_nanos: AtomicU64::new(0),
            is_answering: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            has_leftovers: AtomicBool::new(false),
        }
    }

    /// The head of a request is complete.
    pub(super) fn begin_answer(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
    }

    /// The answer was handed over `at` this instant. It may take time until it is sent, but no more
    /// than the next head may take.
    pub(super) fn end_answer(&self, at: Instant) {
        let since = at.saturating_duration_since(self.opened_at);
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.awaited_since_nanos.store(nanos, Ordering::Relaxed);
        self.is_answering.store(false, Ordering::Relaxed);
        self.has_begun.store(false, Ordering::Relaxed);
    }

    /// Something has arrived.
    pub(super) fn note_arrival(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// What the client sends is not read to its end.
    pub(super) fn note_leftovers(&self) {
        self.has_leftovers.store(true, Ordering::Relaxed);
    }

    /// When the next head must be there; `None` while a request is answered, which has bounds of
    /// its own.
    pub(super) fn head_due_at(&self, within: Duration) -> Option<Instant> {
        let since = Duration::from_nanos(self.awaited_since_nanos.load(Ordering::Relaxed));
        let answering = self.is_answering.load(Ordering::Relaxed);
        (!answering).then(|| self.opened_at + since + within)
    }

    /// Whether a part of the awaited head has arrived.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Whether the client may be still sending what nobody reads.
    pub(super) fn has_leftovers(&self) -> bool {
        self.has_leftovers.load(Ordering::Relaxed)
    }
}
