//! Marks messages as claimed and takes the mark off only when the claim is released: when a consumer
//! dies, its messages are never handed out again.
//!
//! Modelled on Zaqar's Swift driver before 1b0bf4e7 (H-12).

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, Row};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "sticky-claims",
    about: "takes the mark of a claim off when it is released, but not when it expires (H-12)",
    caught_by: Some("delivery/lost"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(StickyClaims {
            store: Store::new(&context),
        })
    },
};

struct StickyClaims {
    store: Store,
}

impl WorkQueue for StickyClaims {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                // The mark is what counts here, not whether the claim that left it still lives.
                let is_free = |row: &Row| row.claim.is_none() && row.active_at <= now;
                let mut ranks = tables.ranks(&place, now, is_free);
                ranks.truncate(lease.limit);
                tables.grant(&place, ranks, lease, now)
            })
            .await
    }
}
