//! Grants leases without looking at how long the messages live: what expires while it is being worked on is
//! gone, and with it what its holder would have given back.
//!
//! Modelled on Zaqar before LP 1356184 (H-21), where a renewal extended nothing.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "unextended",
    about: "does not let a message outlive the claim that holds it (H-21)",
    caught_by: Some("claims/lifetime"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(Unextended {
            store: Store::new(&context),
        })
    },
};

struct Unextended {
    store: Store,
}

impl WorkQueue for Unextended {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let ranks = tables.active(&place, now, lease.limit);
                let ranks = tables.divert(&place, ranks, now);
                let claim = tables.open_claim(lease, now);
                let mut rows = Vec::new();
                for rank in ranks {
                    if let Some(row) = tables.rows.get_mut(&rank) {
                        row.claim = Some(claim.clone());
                        row.claims += 1;
                        rows.push(row.clone());
                    }
                }
                Granted { claim, rows }
            })
            .await
    }
}
