//! Keeps the number of free messages in a counter, which is written whenever somebody posts, claims, or
//! gives back. That a lease, or a message, ends by itself is nobody's doing: the counter does not hear of it.
//!
//! Modelled on Zaqar's Redis driver, whose counters go below zero still, and on H-41.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, New, Place, Row, Stats};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "drifting-counters",
    about: "counts free messages beside the messages, and does not count what ends by itself (as H-41)",
    caught_by: Some("delivery/stats"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(DriftingCounters {
            store: Store::new(&context),
            counters: context.beside.the(Mutex::default),
        })
    },
};

/// How many messages of each queue are free, as far as was counted.
type Counters = Mutex<BTreeMap<Place, u64>>;

struct DriftingCounters {
    store: Store,
    counters: Arc<Counters>,
}

impl DriftingCounters {
    fn more(&self, place: &Place, count: usize) {
        let mut counters = self.counters.lock().expect("no holder of this lock panics");
        *counters.entry(place.clone()).or_default() += u64::try_from(count).unwrap_or(0);
    }

    fn fewer(&self, place: &Place, count: usize) {
        let mut counters = self.counters.lock().expect("no holder of this lock panics");
        let counter = counters.entry(place.clone()).or_default();
        *counter = counter.saturating_sub(u64::try_from(count).unwrap_or(0));
    }
}

impl WorkQueue for DriftingCounters {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        self.store
            .transact(|tables, now| {
                self.more(&place, batch.len());
                let insert = |new| tables.insert(&place, new, now);
                Some(batch.into_iter().map(insert).collect())
            })
            .await
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let granted = tables.claim(&place, lease, now);
                self.fewer(&place, granted.rows.len());
                granted
            })
            .await
    }

    async fn release(&self, claim: String) {
        self.store
            .transact(|tables, now| {
                let held = tables.claimed(&claim, now).unwrap_or_default();
                if let Some(row) = held.first() {
                    self.more(&row.place, held.len());
                }
                tables.release(&claim);
            })
            .await;
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<Row> {
        self.store
            .transact(|tables, now| {
                let popped = tables.pop(&place, limit, now);
                self.fewer(&place, popped.len());
                popped
            })
            .await
    }

    async fn stats(&self, place: Place) -> Stats {
        self.store
            .transact(|tables, now| {
                let (_, claimed) = tables.stats(&place, now);
                let counters = self.counters.lock().expect("no holder of this lock panics");
                (counters.get(&place).copied().unwrap_or(0), claimed)
            })
            .await
    }
}
