//! Deletes at the primary, but looks for messages in a replica that follows it late: what was deleted
//! in between is handed out again.
//!
//! Modelled on Zaqar's MongoDB driver before LP 1218990 (H-01), which read claims from a secondary.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, Place, Row, Tables};
use crate::implementation::{Answering, Implementation, NodeContext, Takes};
use crate::world;

/// How often the replica catches up.
const REPLICATION: Duration = Duration::from_millis(700);

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "stale-replica",
    about: "deletes at the primary, and claims from a replica that follows late (H-01)",
    caught_by: Some("delivery/resurrected"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start,
};

struct StaleReplica {
    primary: Store,
    replica: Arc<Mutex<Tables>>,
}

fn start(context: NodeContext) -> Answering {
    let (primary, replica) = (
        Store::new(&context),
        Arc::new(Mutex::new(Tables::default())),
    );
    let (from, to) = (primary.clone(), Arc::clone(&replica));
    context.environment.spawn(Box::pin(async move {
        loop {
            world::sleep(REPLICATION).await;
            let tables = from.transact(|tables, _| tables.clone()).await;
            *to.lock().expect("no holder of this lock panics") = tables;
        }
    }));
    answering(StaleReplica { primary, replica })
}

impl WorkQueue for StaleReplica {
    fn store(&self) -> &Store {
        &self.primary
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        let replica = Arc::clone(&self.replica);
        self.primary
            .transact(move |tables, now| {
                let replica = replica.lock().expect("no holder of this lock panics");
                let ranks = replica.active(&place, now, lease.limit);
                let claim = tables.open_claim(lease, now);
                let rows = ranks.into_iter().filter_map(|rank| {
                    let row = tables.rows.get(&rank).or(replica.rows.get(&rank))?.clone();
                    let held = |row: &Row| tables.is_held(row, now);
                    if held(&row) {
                        return None;
                    }
                    // Writes the row as the replica has it, whether the primary still has one or not.
                    tables.rows.entry(rank).or_insert(row);
                    tables.take(rank, &claim, lease, now)
                });
                let rows = rows.collect();
                Granted { claim, rows }
            })
            .await
    }
}
