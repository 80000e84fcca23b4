//! A node's processor: requests take their turn, and load has consequences.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanshe_conformance::environment::Instant;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::time;

/// What a processor can do, and what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessorSettings {
    /// How many requests it works on at once; at least 1.
    pub cores: u32,
    /// What one request costs, in microseconds: least and most.
    pub service_us: (u64, u64),
    /// What it costs to examine an entry of whatever the implementation keeps, in nanoseconds; 0: nothing.
    pub entry_ns: u64,
}

impl ProcessorSettings {
    /// One core, on which nothing costs anything.
    pub const FREE: Self = Self {
        cores: 1,
        service_us: (0, 0),
        entry_ns: 0,
    };
}

/// As many servers of one queue of requests as it has cores. Clones are one processor.
#[derive(Clone)]
pub struct Processor(Arc<Mutex<State>>);

struct State {
    settings: ProcessorSettings,
    random: ChaCha8Rng,
    /// Until when each core is busy.
    busy_until: Vec<Instant>,
    slowness: u32,
    /// Entries that were examined so far.
    examined: u64,
}

impl Processor {
    /// A processor as `settings` say, whose choices come from `seed`.
    pub fn new(settings: ProcessorSettings, seed: u64) -> Self {
        let cores = usize::try_from(settings.cores).unwrap_or(usize::MAX);
        Self(Arc::new(Mutex::new(State {
            settings,
            random: ChaCha8Rng::seed_from_u64(seed),
            busy_until: vec![Instant::START; cores.max(1)],
            slowness: 1,
            examined: 0,
        })))
    }

    /// A processor on which nothing costs anything. Unlike others it needs no simulated world.
    pub fn free() -> Self {
        Self::new(ProcessorSettings::FREE, 0)
    }

    /// Waits until one request more has been worked off, after all that came before it.
    pub async fn work(&self) {
        self.take(|state| {
            let (min, max) = state.settings.service_us;
            if max == 0 {
                return Duration::ZERO;
            }
            Duration::from_micros(state.random.random_range(min..=max))
        })
        .await;
    }

    /// Waits until what a request did beside its fixed cost, the examination of so many entries, has been
    /// worked off, after all that came before it.
    pub async fn spend(&self, examined: u64) {
        self.take(|state| {
            state.examined = state.examined.saturating_add(examined);
            Duration::from_nanos(examined.saturating_mul(state.settings.entry_ns))
        })
        .await;
    }

    /// How many entries were examined so far.
    pub fn examined(&self) -> u64 {
        self.0
            .lock()
            .expect("no holder of this lock panics")
            .examined
    }

    /// Takes the core that is free first, for as long as `cost` says.
    async fn take(&self, cost: impl FnOnce(&mut State) -> Duration) {
        let until = {
            let mut state = self.0.lock().expect("no holder of this lock panics");
            let cost = cost(&mut state).saturating_mul(state.slowness);
            if cost.is_zero() {
                return;
            }
            let core = state.busy_until.iter_mut().min();
            let core = core.expect("invariant: a processor has a core");
            *core = (*core).max(time::now()).plus(cost);
            *core
        };
        time::sleep(until.since(time::now())).await;
    }

    /// Nobody waits for what it has taken on: its cores are free.
    pub(crate) fn forget(&self) {
        let mut state = self.0.lock().expect("no holder of this lock panics");
        state.busy_until.fill(Instant::START);
    }

    /// From now on everything costs so many times as much; 1 is as it was.
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

    fn micros_for(
        requests: u32,
        examined: u64,
        settings: ProcessorSettings,
        slowness: u32,
    ) -> u128 {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
        runtime.block_on(async {
            let processor = Processor::new(settings, 1);
            processor.slow_down(slowness);
            let request = || async {
                processor.work().await;
                processor.spend(examined).await;
            };
            let all = (0..requests).map(|_| request());
            futures_util::future::join_all(all).await;
            time::now().since_start().as_micros()
        })
    }

    #[test]
    fn requests_that_come_together_wait_for_each_other() {
        let free = ProcessorSettings::FREE;
        let busy = ProcessorSettings {
            service_us: (2_000, 2_000),
            ..free
        };
        assert_eq!(micros_for(1, 0, busy, 1), 2_000);
        assert_eq!(micros_for(50, 0, busy, 1), 100_000);
        assert_eq!(micros_for(50, 1_000, free, 1), 0);
    }

    #[test]
    fn what_the_dead_took_on_keeps_nobody_waiting() {
        let busy = ProcessorSettings {
            service_us: (2_000, 2_000),
            ..ProcessorSettings::FREE
        };
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
        let micros = runtime.block_on(async {
            let processor = Processor::new(busy, 1);
            let all = futures_util::future::join_all((0..50).map(|_| processor.work()));
            let started = futures_util::FutureExt::now_or_never(all);
            assert!(started.is_none());
            processor.forget();
            processor.work().await;
            time::now().since_start().as_micros()
        });
        assert_eq!(micros, 2_000);
    }

    #[test]
    fn cores_share_the_queue() {
        let cores = |cores| ProcessorSettings {
            cores,
            service_us: (2_000, 2_000),
            entry_ns: 0,
        };
        assert_eq!(micros_for(50, 0, cores(4), 1), 26_000);
        assert_eq!(micros_for(50, 0, cores(50), 1), 2_000);
        assert_eq!(micros_for(50, 0, cores(100), 1), 2_000);
    }

    #[test]
    fn what_is_examined_waits_its_turn_and_is_slowed_down_too() {
        let settings = |entry_ns| ProcessorSettings {
            cores: 1,
            service_us: (2_000, 2_000),
            entry_ns,
        };
        assert_eq!(micros_for(10, 1_000, settings(0), 1), 20_000);
        assert_eq!(micros_for(10, 1_000, settings(50), 1), 20_500);
        assert_eq!(micros_for(10, 1_000, settings(50), 3), 61_500);
    }
}
