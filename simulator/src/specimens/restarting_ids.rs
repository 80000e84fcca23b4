//! Numbers messages by a counter in the server's memory: after a restart it gives the same names again.
//!
//! Modelled on the scenario *counter in memory*: ids from a process, as beanstalkd without a log reuses its job
//! numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "restarting-ids",
    about: "numbers messages by a counter that a restart sets back",
    caught_by: Some("delivery/corrupted"),
    takes: Takes {
        servers_max: 1,
        ..Takes::MANY_BEFORE_A_STORE
    },
    variants: &[],
    start: |context| {
        answering(RestartingIds {
            store: Store::new(&context),
            next: AtomicU64::new(1),
        })
    },
};

struct RestartingIds {
    store: Store,
    next: AtomicU64,
}

impl WorkQueue for RestartingIds {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        self.store
            .transact(|tables, now| {
                let insert = |new| {
                    let id = format!("m{}", self.next.fetch_add(1, Ordering::Relaxed));
                    let rank = tables.next();
                    tables.insert_at((rank, id), &place, new, now)
                };
                Some(batch.into_iter().map(insert).collect())
            })
            .await
    }
}
