//! Deletes whatever is named, and does not look whether the claim that is named with it still lives, or ever
//! did: a consumer that was away for longer than its lease deletes what another is working on.
//!
//! Modelled on Zaqar before 6472ed4b (H-49) and LP 1215484 (H-19).

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Deleted, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "unfenced-delete",
    about: "takes any claim for a good one when it deletes (H-49)",
    caught_by: Some("claims/fencing"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(UnfencedDelete {
            store: Store::new(&context),
        })
    },
};

struct UnfencedDelete {
    store: Store,
}

impl WorkQueue for UnfencedDelete {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn delete(&self, place: Place, id: String, _: Option<String>) -> Deleted {
        self.store
            .transact(|tables, now| {
                if let Some(rank) = tables.find(&place, &id, now) {
                    tables.rows.remove(&rank);
                }
                Deleted::Gone
            })
            .await
    }
}
