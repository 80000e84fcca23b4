//! Tries a write again that the store does not answer in time, as if it had not happened: it has, and the
//! message is there twice.
//!
//! Modelled on the retries of Zaqar's MongoDB driver on a lost connection (`AutoReconnect`, scenario
//! *duplicate by retry*).

use std::time::Duration;

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place, Tables};
use crate::implementation::{Implementation, Takes};
use crate::world;

/// How long it waits for the store.
const PATIENCE: Duration = Duration::from_millis(100);

/// Share of writes that are confirmed too late.
const SLOW: f64 = 0.05;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "retried-insert",
    about: "writes again what the store was slow to confirm: a message is there twice",
    caught_by: Some("delivery/duplicated"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(RetriedInsert {
            store: Store::new(&context),
        })
    },
};

struct RetriedInsert {
    store: Store,
}

impl WorkQueue for RetriedInsert {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        let insert = async || {
            let insert =
                |new: &New, tables: &mut Tables, now| tables.insert(&place, new.clone(), now);
            let all = self.store.transact(|tables, now| {
                let ids = batch.iter().map(|new| insert(new, tables, now));
                ids.collect::<Vec<String>>()
            });
            all.await
        };
        if self.store.chance(SLOW) {
            // It was written; that it was is not heard in time.
            insert().await;
            world::sleep(PATIENCE).await;
        }
        Some(insert().await)
    }
}
