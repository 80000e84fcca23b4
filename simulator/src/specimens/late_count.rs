//! Counts deliveries in memory, and writes the counts down once a second: a message that is given back and
//! claimed again before that is handed out too often.
//!
//! Modelled on the scenario *dead-letter race*: a counter that is eventually right.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place};
use crate::implementation::{Answering, Implementation, NodeContext, Takes};
use crate::world;

/// How often counts are written down.
const FLUSH: Duration = Duration::from_secs(1);

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "late-count",
    about: "counts deliveries in memory, and writes them down once a second",
    caught_by: Some("claims/dead-letter"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start,
};

/// How often each message was claimed since counts were written down, by its rank.
type Counts = BTreeMap<u64, u64>;

struct LateCount {
    store: Store,
    counts: Arc<Mutex<Counts>>,
}

fn start(context: NodeContext) -> Answering {
    let (store, counts) = (Store::new(&context), Arc::<Mutex<Counts>>::default());
    let (to, from) = (store.clone(), Arc::clone(&counts));
    context.environment.spawn(Box::pin(async move {
        loop {
            world::sleep(FLUSH).await;
            let counted = std::mem::take(&mut *from.lock().expect("no holder of this lock panics"));
            to.transact(|tables, _| {
                for (rank, count) in counted {
                    if let Some(row) = tables.rows.get_mut(&rank) {
                        row.claims += count;
                    }
                }
            })
            .await;
        }
    }));
    answering(LateCount { store, counts })
}

impl WorkQueue for LateCount {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let ranks = tables.active(&place, now, lease.limit);
                let ranks = tables.divert(&place, ranks, now);
                let claim = tables.open_claim(lease, now);
                let mut counts = self.counts.lock().expect("no holder of this lock panics");
                let mut rows = Vec::new();
                for rank in ranks {
                    let counted = tables.rows[&rank].claims;
                    rows.extend(tables.take(rank, &claim, lease, now));
                    if let Some(row) = tables.rows.get_mut(&rank) {
                        row.claims = counted;
                    }
                    *counts.entry(rank).or_default() += 1;
                }
                Granted { claim, rows }
            })
            .await
    }
}
