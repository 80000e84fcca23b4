//! Keeps what is delayed in the server's memory, and takes what it finds in the store for due: after a
//! restart every delay is over.
//!
//! Modelled on the scenario *timers in memory*: delays in a timing wheel that no restart brings back.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Granted, Lease, New, Place, SECOND};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "lost-delays",
    about: "keeps delays in memory: a restart ends them",
    caught_by: Some("delivery/early"),
    takes: Takes {
        servers_max: 1,
        ..Takes::MANY_BEFORE_A_STORE
    },
    variants: &[],
    start: |context| {
        answering(LostDelays {
            store: Store::new(&context),
            due: Mutex::default(),
        })
    },
};

struct LostDelays {
    store: Store,
    /// When messages are due, by their ids.
    due: Mutex<BTreeMap<String, u64>>,
}

impl LostDelays {
    fn is_due(&self, id: &str, now: u64) -> bool {
        let due = self.due.lock().expect("no holder of this lock panics");
        due.get(id).is_none_or(|at| *at <= now)
    }
}

impl WorkQueue for LostDelays {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        self.store
            .transact(|tables, now| {
                let mut due = self.due.lock().expect("no holder of this lock panics");
                let insert = |mut new: New| {
                    let delay_secs = new.delay_secs.replace(0).unwrap_or(0);
                    let id = tables.insert(&place, new, now);
                    due.insert(id.clone(), now + delay_secs * SECOND);
                    id
                };
                Some(batch.into_iter().map(insert).collect())
            })
            .await
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.store
            .transact(|tables, now| {
                let mut ranks = tables.active(&place, now, usize::MAX);
                ranks.retain(|rank| self.is_due(&tables.rows[rank].id, now));
                ranks.truncate(lease.limit);
                tables.grant(&place, ranks, lease, now)
            })
            .await
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<super::tables::Row> {
        self.store
            .transact(|tables, now| {
                let mut ranks = tables.active(&place, now, usize::MAX);
                ranks.retain(|rank| self.is_due(&tables.rows[rank].id, now));
                ranks.truncate(limit);
                let take = |rank| tables.rows.remove(&rank);
                ranks.into_iter().filter_map(take).collect()
            })
            .await
    }
}
