//! Looks for free messages in one step and takes them in another: two claims that look at the same
//! time take the same messages.
//!
//! Modelled on Zaqar's Redis driver before LP 1367033 (H-02), which listed before it watched.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, Tables};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "check-then-claim",
    about: "lists free messages in one round trip and takes them in the next (H-02)",
    caught_by: Some("claims/overlap"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(CheckThenClaim {
            store: Store::new(&context),
        })
    },
};

struct CheckThenClaim {
    store: Store,
}

impl WorkQueue for CheckThenClaim {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        let free = |tables: &mut Tables, now| tables.active(&place, now, lease.limit);
        let ranks = self.store.transact(free).await;
        self.store
            .transact(|tables, now| tables.grant(&place, ranks, lease, now))
            .await
    }
}
