//! Writes a batch message by message and checks each only when its turn comes: when one is refused,
//! those before it are stored all the same, although the client was told that nothing was.
//!
//! Modelled on Zaqar's MongoDB driver before LP 1270263 (H-14): partial batches.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "unchecked-batch",
    about: "stores a batch message by message, and refuses it when it meets a bad one (H-14)",
    caught_by: Some("delivery/unexpected"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(UncheckedBatch {
            store: Store::new(&context),
        })
    },
};

struct UncheckedBatch {
    store: Store,
}

impl WorkQueue for UncheckedBatch {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        let mut ids = Vec::new();
        for new in batch {
            if !new.is_valid() {
                return None;
            }
            let insert = self
                .store
                .transact(|tables, now| tables.insert(&place, new, now));
            ids.push(insert.await);
        }
        Some(ids)
    }
}
