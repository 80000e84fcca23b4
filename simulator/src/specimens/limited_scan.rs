//! Looks at as many messages from the head of the queue as were asked for, and hands out those that are free: when
//! all of these are held, whoever comes next gets nothing, although there are more.
//!
//! Modelled on the scenario *limit before filter*, and on H-45, where a queue of claimed messages was never passed.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, Row};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "limited-scan",
    about: "takes the limit before it leaves out what is held (as H-45)",
    caught_by: Some("claims/stuck"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(LimitedScan {
            store: Store::new(&context),
        })
    },
};

struct LimitedScan {
    store: Store,
}

impl WorkQueue for LimitedScan {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let mut ranks = tables.ranks(&place, now, |row: &Row| row.active_at <= now);
                ranks.truncate(lease.limit);
                ranks.retain(|rank| !tables.is_held(&tables.rows[rank], now));
                tables.grant(&place, ranks, lease, now)
            })
            .await
    }
}
