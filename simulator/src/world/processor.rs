//! A node's processor: requests take their turn, and load has consequences.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanshe_conformance::environment::Instant;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::time;

/// One server of a queue of requests. Clones are one processor.
#[derive(Clone)]
pub struct Processor(Arc<Mutex<State>>);

struct State {
    /// What one request costs, in microseconds: least and most.
    service_us: (u64, u64),
    random: ChaCha8Rng,
    busy_until: Instant,
    slowness: u32,
}

impl Processor {
    /// A processor on which a request costs as many microseconds as `service_us` says; none at all if
    /// that is zero.
    pub fn new(service_us: (u64, u64), seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            service_us,
            random: ChaCha8Rng::seed_from_u64(seed),
            busy_until: Instant::START,
            slowness: 1,
        })))
    }

    /// Waits until one request more has been worked off, after all that came before it.
    pub async fn work(&self) {
        let until = {
            let mut state = self.0.lock().expect("no holder of this lock panics");
            let (min, max) = state.service_us;
            if max == 0 {
                return;
            }
            let cost = Duration::from_micros(state.random.random_range(min..=max));
            let begins = state.busy_until.max(time::now());
            state.busy_until = begins.plus(cost * state.slowness);
            state.busy_until
        };
        time::sleep(until.since(time::now())).await;
    }

    /// From now on a request costs so many times as much; 1 is as it was.
    pub(crate) fn slow_down(&self, factor: u32) {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .slowness = factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis_for(requests: u32, service_us: (u64, u64)) -> u128 {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
        runtime.block_on(async {
            let processor = Processor::new(service_us, 1);
            let all = (0..requests).map(|_| processor.work());
            futures_util::future::join_all(all).await;
            time::now().since_start().as_millis()
        })
    }

    #[test]
    fn requests_that_come_together_wait_for_each_other() {
        assert_eq!(millis_for(1, (2_000, 2_000)), 2);
        assert_eq!(millis_for(50, (2_000, 2_000)), 100);
        assert_eq!(millis_for(50, (0, 0)), 0);
    }
}
