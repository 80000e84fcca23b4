//! Takes expired messages away now and then, and shows them until it has.
//!
//! Modelled on Zaqar's SQL driver before LP 1349213 (H-46), and on H-13, which dropped the filter.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, Row, SECOND};
use crate::implementation::{Implementation, Takes};

/// How often the sweeper comes by.
const SWEEP_SECS: u64 = 300;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "late-sweep",
    about: "shows and hands out expired messages until a sweeper has come by (H-46)",
    caught_by: Some("delivery/expired"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(LateSweep {
            store: Store::new(&context),
        })
    },
};

struct LateSweep {
    store: Store,
}

impl WorkQueue for LateSweep {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                // What is expired is looked for as of the last sweep; who holds what, as of now.
                let is_free = |row: &Row| row.active_at <= now && !tables.is_held(row, now);
                let mut ranks = tables.ranks(&place, swept(now), is_free);
                ranks.truncate(lease.limit);
                tables.grant(&place, ranks, lease, now)
            })
            .await
    }

    async fn get(&self, place: Place, ids: Vec<String>) -> Vec<Row> {
        self.store
            .transact(|tables, now| tables.get(&place, &ids, swept(now)))
            .await
    }
}

/// When the sweeper came by last: what has expired since is still there.
fn swept(now: u64) -> u64 {
    now - now % (SWEEP_SECS * SECOND)
}
