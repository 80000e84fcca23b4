//! Keeps the claims that hold something in a table with a fixed number of places, and turns away who finds it full, however
//! little there is to do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::shelf::Shelf;
use super::shelves::{IN_TIME, Shelves};
use crate::implementation::{Implementation, Takes};
use crate::specimens::front::{WorkQueue, answering};
use crate::specimens::steps::Steps as _;
use crate::specimens::tables::{Deleted, Granted, Lease, Place, SECOND};

/// Places in the table. Claims that live for 200 ms fill it at 80 in a second.
const PLACES: usize = 16;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "fixed-table",
    about: "has places for sixteen claims, and answers 503 when they are taken",
    caught_by: Some("scaling/continuous"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(FixedTable {
            shelves: Shelves::new(&context, IN_TIME),
            table: Mutex::default(),
        })
    },
};

/// The claims that hold something: when each ends, and in which queue it is.
type Table = BTreeMap<String, (u64, Place)>;

struct FixedTable {
    shelves: Shelves,
    table: Mutex<Table>,
}

impl FixedTable {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no holder of this lock panics")
    }
}

impl WorkQueue<Shelves> for FixedTable {
    fn store(&self) -> &Shelves {
        &self.shelves
    }

    async fn try_claim(&self, place: Place, lease: Lease) -> Option<Granted> {
        let claim = |shelf: &mut Shelf, now| {
            let mut table = self.table();
            table.retain(|_, (until, _)| now < *until);
            if table.len() >= PLACES {
                return None;
            }
            let granted = self.shelves.claim_oldest(shelf, lease, now);
            if !granted.rows.is_empty() {
                let until = now + lease.ttl_secs * SECOND;
                table.insert(granted.claim.clone(), (until, place.clone()));
            }
            Some(granted)
        };
        self.shelves.look(&place, claim).await
    }

    async fn renew(&self, claim: String, lease: Lease) -> bool {
        let renewed = self.shelves.renew(claim.clone(), lease).await;
        if renewed {
            let until = self.shelves.now() + lease.ttl_secs * SECOND;
            self.table()
                .entry(claim)
                .and_modify(|(end, _)| *end = until);
        }
        renewed
    }

    async fn remove(&self, place: Place) {
        self.table().retain(|_, (_, of)| *of != place);
        self.shelves.remove(place).await;
    }

    async fn release(&self, claim: String) {
        self.table().remove(&claim);
        self.shelves.release(claim).await;
    }

    async fn delete(&self, place: Place, id: String, claim: Option<String>) -> Deleted {
        let deleted = self.shelves.delete(place, id, claim.clone()).await;
        if let Some(claim) = claim
            && deleted == Deleted::Gone
        {
            let held = self.shelves.claimed(claim.clone()).await;
            // What has nothing left to hold needs no place, whether it is released or not.
            if held.is_none_or(|rows| rows.is_empty()) {
                self.table().remove(&claim);
            }
        }
        deleted
    }
}
