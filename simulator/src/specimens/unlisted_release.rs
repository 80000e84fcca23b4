//! Takes a claim away when it is released, and leaves its mark on the messages; a mark without a claim counts
//! as one that will not end.
//!
//! Modelled on Zaqar's MongoDB driver before LP 1210633 (H-15): released messages were never listed again.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, Row};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "unlisted-release",
    about: "leaves the mark of a released claim on its messages (H-15)",
    caught_by: Some("delivery/lost"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(UnlistedRelease {
            store: Store::new(&context),
        })
    },
};

struct UnlistedRelease {
    store: Store,
}

impl WorkQueue for UnlistedRelease {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let is_free = |row: &Row| {
                    let ended = |claim: &String| {
                        tables.leases.get(claim).is_some_and(|until| *until <= now)
                    };
                    row.active_at <= now && row.claim.as_ref().is_none_or(ended)
                };
                let mut ranks = tables.ranks(&place, now, is_free);
                ranks.truncate(lease.limit);
                tables.grant(&place, ranks, lease, now)
            })
            .await
    }

    async fn release(&self, claim: String) {
        self.store
            .transact(|tables, _| tables.leases.remove(&claim))
            .await;
    }
}
