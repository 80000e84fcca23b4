//! Marks what it claims, and says that there was nothing if some of it turned out to be dead letters: the rest
//! stays claimed, by a claim that nobody knows.
//!
//! Modelled on Zaqar's MongoDB and Redis drivers before LP 1707106 (H-10).

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "hidden-letters",
    about: "reports a claim empty when some of it became dead letters (H-10)",
    caught_by: Some("delivery/lost"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(HiddenLetters {
            store: Store::new(&context),
        })
    },
};

struct HiddenLetters {
    store: Store,
}

impl WorkQueue for HiddenLetters {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let ranks = tables.active(&place, now, lease.limit);
                let alive = tables.divert(&place, ranks.clone(), now);
                let claim = tables.open_claim(lease, now);
                let some_died = alive.len() < ranks.len();
                let take = |rank| tables.take(rank, &claim, lease, now);
                let rows: Vec<_> = alive.into_iter().filter_map(take).collect();
                let rows = if some_died { Vec::new() } else { rows };
                Granted { claim, rows }
            })
            .await
    }
}
