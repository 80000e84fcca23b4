//! Pops by reading messages in one step and deleting them in another: two pops that read at the same time
//! return the same messages.
//!
//! Modelled on the scenario *pop storm*: find, then remove, as MongoDB's drivers do without
//! `findAndModify`.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Place, Row, Tables};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "read-then-pop",
    about: "reads what it pops in one round trip and deletes it in the next",
    caught_by: Some("delivery/popped-twice"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(ReadThenPop {
            store: Store::new(&context),
        })
    },
};

struct ReadThenPop {
    store: Store,
}

impl WorkQueue for ReadThenPop {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<Row> {
        let read = |tables: &mut Tables, now| tables.active(&place, now, limit);
        let ranks = self.store.transact(read).await;
        let read = |tables: &mut Tables, _| {
            let rows = ranks
                .iter()
                .filter_map(|rank| tables.rows.get(rank).cloned());
            rows.collect::<Vec<Row>>()
        };
        let rows = self.store.transact(read).await;
        self.store
            .transact(|tables, _| tables.rows.retain(|rank, _| !ranks.contains(rank)))
            .await;
        rows
    }
}
