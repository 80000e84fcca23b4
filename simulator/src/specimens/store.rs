//! A simulated store: tables a round trip away, which no server takes along when it dies.
//!
//! One [`Store::transact`] is one round trip and one atomic step. The time that a step sees is the store's own,
//! which is right; a server's own clock need not be.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nanshe_reference::service::Clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::tables::Tables;
use crate::implementation::NodeContext;
use crate::world::{self, ClockSettings, NodeClock};

/// One way to the store: shortest and longest, in microseconds.
const ONE_WAY_MICROS: (u64, u64) = (200, 3_000);

/// How often one way takes longer, and how many times as long: the tail that every store has.
const TAIL: (f64, u64) = (0.01, 100);

/// The way of a server to the store.
#[derive(Clone)]
pub(super) struct Store {
    tables: Arc<Mutex<Tables>>,
    random: Arc<Mutex<ChaCha8Rng>>,
    clock: NodeClock,
}

impl Store {
    pub(super) fn new(context: &NodeContext) -> Self {
        let tables = context.beside.the(Mutex::<Tables>::default);
        Self::over(tables, context)
    }

    /// Another store, of which the specimen says where it is.
    pub(super) fn over(tables: Arc<Mutex<Tables>>, context: &NodeContext) -> Self {
        Self {
            tables,
            random: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(context.seed))),
            clock: NodeClock::new(ClockSettings::default()),
        }
    }

    /// One round trip, in the middle of which `step` happens at once. It gets the tables and the time
    /// in nanoseconds.
    pub(super) async fn transact<T>(&self, step: impl FnOnce(&mut Tables, u64) -> T) -> T {
        world::sleep(self.one_way()).await;
        let done = step(&mut self.tables(), self.now());
        world::sleep(self.one_way()).await;
        done
    }

    /// The store's time.
    pub(super) fn now(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    pub(super) fn one_way(&self) -> Duration {
        let mut random = self.random.lock().expect("no holder of this lock panics");
        let micros = random.random_range(ONE_WAY_MICROS.0..=ONE_WAY_MICROS.1);
        let factor = if random.random_bool(TAIL.0) {
            TAIL.1
        } else {
            1
        };
        Duration::from_micros(micros * factor)
    }

    /// Whether something happens that happens so often.
    pub(super) fn chance(&self, share: f64) -> bool {
        let mut random = self.random.lock().expect("no holder of this lock panics");
        random.random_bool(share)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no holder of this lock panics")
    }
}
