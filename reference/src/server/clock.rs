//! The clock of this machine as the broker's time.
#![expect(
    clippy::disallowed_types,
    reason = "this is the shell that turns real time into an argument"
)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime};

use crate::broker::Timestamp;
use crate::service::Clock;

/// The time of this machine: the wall clock at the start, and the monotone clock since then.
pub struct SystemClock {
    started_at: Instant,
    epoch: Timestamp,
    scale: NonZeroU32,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self::scaled(NonZeroU32::MIN)
    }

    /// A clock that starts now, and on which `scale` seconds pass in every second. For tests of
    /// clients that would wait too long otherwise.
    #[must_use]
    pub fn scaled(scale: NonZeroU32) -> Self {
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            started_at: Instant::now(),
            epoch: Timestamp::from_nanos(nanos(since_epoch)),
            scale,
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = nanos(self.started_at.elapsed());
        let scaled = elapsed.saturating_mul(self.scale.get().into());
        self.epoch.plus_nanos(scaled)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
