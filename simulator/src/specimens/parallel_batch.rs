//! Writes the messages of a batch at once, each on a connection of its own: they are stored in the order in
//! which they arrive there.
//!
//! Modelled on the scenario *order of a batch*: bulk writes that are not ordered, as MongoDB's `ordered:
//! false`.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "parallel-batch",
    about: "writes the messages of a batch side by side: their order is a matter of luck",
    caught_by: Some("delivery/order"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(ParallelBatch {
            store: Store::new(&context),
        })
    },
};

struct ParallelBatch {
    store: Store,
}

impl WorkQueue for ParallelBatch {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        let insert = |new| {
            self.store
                .transact(|tables, now| tables.insert(&place, new, now))
        };
        let all: Vec<_> = batch.into_iter().map(insert).collect();
        Some(futures_util::future::join_all(all).await)
    }
}
