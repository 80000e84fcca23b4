//! Checks a batch as a whole, and then writes it message by message: a client that goes away in
//! between, or a server that dies, leaves a part of it behind.
//!
//! Modelled on Zaqar's MongoDB driver before LP 1270263 (H-14): a batch is cut off by the network.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "cut-batch",
    about: "stores a batch message by message: a connection that breaks leaves a part of it (H-14)",
    caught_by: Some("delivery/partial-batch"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(CutBatch {
            store: Store::new(&context),
        })
    },
};

struct CutBatch {
    store: Store,
}

impl WorkQueue for CutBatch {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        let mut ids = Vec::new();
        for new in batch {
            let insert = self
                .store
                .transact(|tables, now| tables.insert(&place, new, now));
            ids.push(insert.await);
        }
        Some(ids)
    }
}
