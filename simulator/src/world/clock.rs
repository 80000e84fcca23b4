//! A node's own clock: what it believes the time to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nanshe_reference::broker::Timestamp;
use nanshe_reference::service::Clock;

use super::time;

/// What every clock shows at the start of a run if nothing is wrong with it: 2026-01-01, in nanoseconds
/// since the Unix epoch.
const EPOCH_NANOS: i128 = 1_767_225_600_000_000_000;

/// How a clock is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSettings {
    /// How far it is ahead at the start of the run, in milliseconds.
    pub offset_ms: i64,
    /// How much too fast it runs, in millionths.
    pub drift_ppm: i64,
}

/// A node's clock. It outlives the processes of its node; clones are one clock.
#[derive(Clone, Debug)]
pub struct NodeClock {
    settings: ClockSettings,
    /// How far it was set forward since, in milliseconds.
    jumped_ms: Arc<AtomicI64>,
}

impl NodeClock {
    /// A clock with this error.
    pub fn new(settings: ClockSettings) -> Self {
        Self {
            settings,
            jumped_ms: Arc::default(),
        }
    }

    /// Sets it forward by so many milliseconds, or back.
    pub(crate) fn jump(&self, millis: i64) {
        self.jumped_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// What it shows when `elapsed_nanos` of true time have passed: nanoseconds since the Unix epoch.
    fn reading(&self, elapsed_nanos: u64) -> u64 {
        let elapsed = i128::from(elapsed_nanos);
        let drifted = elapsed + elapsed * i128::from(self.settings.drift_ppm) / 1_000_000;
        let ahead_ms = self.settings.offset_ms + self.jumped_ms.load(Ordering::Relaxed);
        let reading = EPOCH_NANOS + i128::from(ahead_ms) * 1_000_000 + drifted;
        u64::try_from(reading).expect("scenarios bound offset and drift: the year stays near 2026")
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.reading(time::now().as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_is_off_by_its_offset_and_drifts() {
        let at = |offset_ms, drift_ppm, elapsed_secs: u64| {
            let clock = NodeClock::new(ClockSettings {
                offset_ms,
                drift_ppm,
            });
            i128::from(clock.reading(elapsed_secs * 1_000_000_000)) - EPOCH_NANOS
        };
        assert_eq!(at(0, 0, 10), 10_000_000_000);
        assert_eq!(at(-1_500, 0, 10), 8_500_000_000);
        assert_eq!(at(0, 100, 10_000), 10_001_000_000_000);
        assert_eq!(at(0, -100, 10_000), 9_999_000_000_000);
    }

    #[test]
    fn clock_that_was_set_shows_it_and_so_do_its_clones() {
        let clock = NodeClock::new(ClockSettings::default());
        clock.clone().jump(-3_000);
        assert_eq!(i128::from(clock.reading(0)) - EPOCH_NANOS, -3_000_000_000);
        clock.jump(3_000);
        assert_eq!(i128::from(clock.reading(0)) - EPOCH_NANOS, 0);
    }
}
