//! Marks messages as claimed and takes the mark off only when the claim is released: when a consumer
//! dies, its messages are never handed out again.
//!
//! Modelled on Zaqar's Swift driver before 1b0bf4e7 (H-12).

use super::http::{WorkQueue, answering};
use super::store::{Granted, Lease, Store};
use crate::implementation::Implementation;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "sticky-claims",
    about: "takes the mark of a claim off when it is released, but not when it expires (H-12)",
    caught_by: Some("delivery/lost"),
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

    async fn claim(&self, queue: String, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let ranks = tables.active(&queue, now, usize::MAX).into_iter();
                // The mark is what counts here, not whether the claim that left it still lives.
                let unmarked = ranks.filter(|rank| tables.rows[rank].claim.is_none());
                let ranks: Vec<u64> = unmarked.take(lease.limit).collect();
                let claim = tables.open_claim(lease, now);
                let take = |rank| tables.take(rank, &claim, lease, now);
                let rows = ranks.into_iter().filter_map(take).collect();
                Granted { claim, rows }
            })
            .await
    }
}
