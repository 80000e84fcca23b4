//! What is known of something that changes at an instant that nobody outside can see.

use crate::environment::Instant;
use crate::suite::Sent;

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// Certainly not.
    No,
    /// A correct server may see it either way.
    Maybe,
    /// Certainly.
    Yes,
}

impl Certainty {
    pub(super) fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Both hold.
    pub(super) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// It does not hold.
    pub(super) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

/// When something ends: not before `earliest`, and not after `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) earliest: Instant,
    pub(super) latest: Instant,
}

impl Window {
    /// It ended before everything.
    pub(super) const PAST: Self = Self {
        earliest: Instant::START,
        latest: Instant::START,
    };

    /// Whether it is over for the server that works on a request at some instant of `sent`.
    pub(super) fn over(self, sent: Sent) -> Certainty {
        if sent.invoked_at > self.latest || self == Self::PAST {
            Certainty::Yes
        } else if sent.answered_at < self.earliest {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }

    /// It was seen to be over by `at`.
    pub(super) fn was_over_by(&mut self, at: Instant) {
        self.latest = self.latest.min(at);
        self.earliest = self.earliest.min(self.latest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(invoked_at: u64, answered_at: u64) -> Sent {
        Sent {
            invoked_at: Instant::from_nanos(invoked_at),
            answered_at: Instant::from_nanos(answered_at),
        }
    }

    #[test]
    fn end_is_undecided_for_requests_that_touch_its_window() {
        let window = Window {
            earliest: Instant::from_nanos(10),
            latest: Instant::from_nanos(20),
        };
        assert_eq!(window.over(sent(5, 9)), Certainty::No);
        assert_eq!(window.over(sent(5, 10)), Certainty::Maybe);
        assert_eq!(window.over(sent(20, 25)), Certainty::Maybe);
        assert_eq!(window.over(sent(21, 25)), Certainty::Yes);
    }

    #[test]
    fn end_that_was_seen_is_certain_afterwards() {
        let mut window = Window {
            earliest: Instant::from_nanos(10),
            latest: Instant::from_nanos(20),
        };
        window.was_over_by(Instant::from_nanos(15));
        assert_eq!(window.over(sent(16, 17)), Certainty::Yes);
        assert_eq!(window.over(sent(5, 9)), Certainty::No);
    }
}
