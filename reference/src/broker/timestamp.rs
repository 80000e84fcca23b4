//! Instants, as the broker counts them. Owns the arithmetic; must not know any clock.

use serde::{Deserialize, Serialize};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// An instant: nanoseconds since the Unix epoch. The caller supplies it, the broker never asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `nanos` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `secs` seconds after the Unix epoch; the last one representable if that is
    /// later.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / NANOS_PER_SEC
    }

    /// This instant, `secs` seconds later; the last one representable if that is later.
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(NANOS_PER_SEC)))
    }

    /// This instant, `nanos` nanoseconds later; the last one representable if that is later.
    #[must_use]
    pub const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Whole seconds from `earlier` to this instant, rounded down; zero if it is not earlier.
    #[must_use]
    pub const fn whole_secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / NANOS_PER_SEC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_round_down() {
        let start = Timestamp::from_secs(5);
        assert_eq!(start.plus_nanos(999_999_999).whole_secs_since(start), 0);
        assert_eq!(start.plus_secs(1).whole_secs_since(start), 1);
        assert_eq!(start.whole_secs_since(start.plus_secs(9)), 0);
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        let end = Timestamp::from_nanos(u64::MAX);
        assert_eq!(end.plus_secs(1), end);
        assert_eq!(Timestamp::from_secs(u64::MAX), end);
    }
}
