//! Finds the oldest free messages as a query without an index does: reads all messages of the queue, keeps those
//! that are free, and takes the first of them. A claim costs as much as the backlog is deep.

use super::shelf::{Shelf, is_free};
use super::shelves::{IN_TIME, Shelves};
use crate::implementation::{Implementation, Takes};
use crate::specimens::front::{WorkQueue, answering};
use crate::specimens::tables::{Granted, Lease, Place};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "scanning-claims",
    about: "reads the whole backlog for every claim",
    caught_by: Some("scaling/flat-cost"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(ScanningClaims {
            shelves: Shelves::new(&context, IN_TIME),
        })
    },
};

struct ScanningClaims {
    shelves: Shelves,
}

impl WorkQueue<Shelves> for ScanningClaims {
    fn store(&self) -> &Shelves {
        &self.shelves
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        let claim = |shelf: &mut Shelf, now| {
            let ranks = scan(shelf, lease.limit, now);
            self.shelves.grant(shelf, ranks, lease, now)
        };
        self.shelves.look(&place, claim).await
    }
}

/// Ranks of the oldest messages that are free, found the hard way.
fn scan(shelf: &mut Shelf, limit: usize, now: u64) -> Vec<u64> {
    let rows = shelf.rows.iter();
    let free = rows.filter(|(_, row)| is_free(row, now));
    let mut ranks: Vec<u64> = free.map(|(rank, _)| *rank).collect();
    ranks.truncate(limit);
    shelf.examined += u64::try_from(shelf.rows.len()).unwrap_or(u64::MAX);
    ranks
}
