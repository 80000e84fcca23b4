//! Keeps the ends of leases in whole half minutes, and rounds down: a lease ends up to half a minute before its
//! holder expects it.
//!
//! Modelled on the scenario *coarse clock*: timing wheels and per-minute sweepers.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, SECOND};
use crate::implementation::{Implementation, Takes};

/// How coarse the ends of leases are.
const TICK_SECS: u64 = 30;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "coarse-leases",
    about: "ends leases at the last whole half minute before their time",
    caught_by: Some("claims/expired-early"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(CoarseLeases {
            store: Store::new(&context),
        })
    },
};

struct CoarseLeases {
    store: Store,
}

impl WorkQueue for CoarseLeases {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let granted = tables.claim(&place, lease, now);
                if let Some(until) = tables.leases.get_mut(&granted.claim) {
                    *until -= *until % (TICK_SECS * SECOND);
                }
                granted
            })
            .await
    }
}
