//! When faults strike whose times somebody has given bounds for, as scenarios do.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fault::{Fault, Scheduled};
use crate::environment::nanos;

/// A fault, and between which bounds its time is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// What.
    pub fault: Fault,
    /// When it begins, from the start of the work: at the earliest, at the latest.
    pub from: (Duration, Duration),
    /// How long it lasts: at least, at most.
    pub lasts: (Duration, Duration),
}

/// When each of `faults` strikes, drawn from the seed.
pub fn scheduled(faults: &[Timed], seed: u64) -> Vec<Scheduled> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from_be_bytes(*b"scenario"));
    let mut draw =
        |(min, max): (Duration, Duration)| random.random_range(nanos(min)..=nanos(max)) / 1_000_000;
    let mut schedule: Vec<Scheduled> = Vec::new();
    for timed in faults {
        let (from_ms, for_ms) = (draw(timed.from), draw(timed.lasts));
        schedule.push(Scheduled {
            fault: timed.fault.clone(),
            from_ms,
            for_ms,
        });
    }
    schedule.sort_by_key(|scheduled| scheduled.from_ms);
    schedule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_within_their_bounds_and_by_the_seed_alone() {
        let secs = |from, to| (Duration::from_secs(from), Duration::from_secs(to));
        let timed = |share, from, lasts| Timed {
            fault: Fault::KillClients { share },
            from,
            lasts,
        };
        let faults = [
            timed(0.1, secs(50, 60), secs(3, 9)),
            timed(0.2, secs(7, 7), secs(0, 0)),
        ];
        for seed in 0..50 {
            let schedule = scheduled(&faults, seed);
            assert_eq!(schedule, scheduled(&faults, seed));
            assert_eq!((schedule[0].from_ms, schedule[0].for_ms), (7_000, 0));
            assert!((50_000..=60_000).contains(&schedule[1].from_ms));
            assert!((3_000..=9_000).contains(&schedule[1].for_ms));
        }
        assert_ne!(scheduled(&faults, 1), scheduled(&faults, 2));
    }
}
