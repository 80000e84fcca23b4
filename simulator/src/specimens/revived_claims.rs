//! Renews a claim without looking whether it has ended: what its holder lost comes back to it, while another
//! holds it.
//!
//! Modelled on the scenario *renewal racing expiry*.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Lease, SECOND};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "revived-claims",
    about: "renews claims that have ended",
    caught_by: Some("claims/fencing"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(RevivedClaims {
            store: Store::new(&context),
        })
    },
};

struct RevivedClaims {
    store: Store,
}

impl WorkQueue for RevivedClaims {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn renew(&self, claim: String, lease: Lease) -> bool {
        self.store
            .transact(|tables, now| {
                let Some(until) = tables.leases.get_mut(&claim) else {
                    return false;
                };
                *until = now + lease.ttl_secs * SECOND;
                for rank in tables.held_by(&claim, now) {
                    tables.extend(rank, lease, now);
                }
                true
            })
            .await
    }
}
