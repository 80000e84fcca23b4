//! Keeps the messages of all queues in one table, oldest first, and looks for those of a queue as a query without an
//! index does: from the table's beginning. A claim costs as much as everybody has, not as much as its own queue.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::shelf::{Shelf, is_free, rank};
use super::shelves::{IN_TIME, Shelves};
use crate::implementation::{Implementation, Takes};
use crate::specimens::front::{WorkQueue, answering};
use crate::specimens::steps::Steps as _;
use crate::specimens::tables::{Deleted, Granted, Lease, New, Place, Row};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "one-table",
    about: "looks through the messages of all queues for every claim",
    caught_by: Some("scaling/idle"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(OneTable {
            shelves: Shelves::new(&context, IN_TIME),
            table: Mutex::default(),
        })
    },
};

/// The queue of each message, by the message's rank.
type Table = BTreeMap<u64, Place>;

struct OneTable {
    shelves: Shelves,
    /// What has expired is here until its queue is removed.
    table: Mutex<Table>,
}

impl OneTable {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no holder of this lock panics")
    }

    /// The messages that the table has of a queue, oldest first, and how many it has in all.
    fn look_through(&self, place: &Place) -> (Vec<u64>, u64) {
        let table = self.table();
        let of = table.iter().filter(|(_, of)| *of == place);
        let of = of.map(|(rank, _)| *rank).collect();
        (of, u64::try_from(table.len()).unwrap_or(u64::MAX))
    }

    fn strike<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        let mut table = self.table();
        for rank in ids.into_iter().filter_map(|id| rank(id)) {
            table.remove(&rank);
        }
    }
}

impl WorkQueue<Shelves> for OneTable {
    fn store(&self) -> &Shelves {
        &self.shelves
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        let ids = self.shelves.post(place.clone(), batch).await?;
        let ranks = ids.iter().filter_map(|id| rank(id));
        let rows = ranks.map(|rank| (rank, place.clone()));
        self.table().extend(rows);
        Some(ids)
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        let claim = |shelf: &mut Shelf, now| {
            let (mut ranks, examined) = self.look_through(&place);
            shelf.examined += examined;
            ranks.retain(|rank| shelf.rows.get(rank).is_some_and(|row| is_free(row, now)));
            ranks.truncate(lease.limit);
            self.shelves.grant(shelf, ranks, lease, now)
        };
        self.shelves.look(&place, claim).await
    }

    async fn remove(&self, place: Place) {
        self.table().retain(|_, of| *of != place);
        self.shelves.remove(place).await;
    }

    async fn delete(&self, place: Place, id: String, claim: Option<String>) -> Deleted {
        let deleted = self.shelves.delete(place, id.clone(), claim).await;
        if deleted == Deleted::Gone {
            self.strike([&id]);
        }
        deleted
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<Row> {
        let rows = self.shelves.pop(place, limit).await;
        self.strike(rows.iter().map(|row| &row.id));
        rows
    }
}
