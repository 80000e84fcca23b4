//! One lock for all queues, which whoever posts holds until the last message of the batch is written to a store that
//! is a round trip away. Everybody else holds it for no longer than a look takes; but the big batches of one queue
//! hold up the small operations of all others.

use std::sync::Arc;
use std::time::Duration;

use nanshe_conformance::environment::Environment;
use tokio::sync::{Mutex, MutexGuard};

use super::shelves::{IN_TIME, Shelves};
use crate::implementation::{Implementation, Takes};
use crate::specimens::front::{WorkQueue, answering};
use crate::specimens::steps::Steps as _;
use crate::specimens::tables::{Deleted, Granted, Lease, Listed, New, Page, Place, Row, Stats};

/// The way to the store and back. The first message of a batch goes along with the commit; each further one is
/// written on its own before.
const ROUND_TRIP: Duration = Duration::from_millis(1);

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "one-lock",
    about: "holds one lock for all queues while it writes a batch message by message",
    caught_by: Some("scaling/isolation"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(OneLock {
            shelves: Shelves::new(&context, IN_TIME),
            environment: context.environment,
            lock: Mutex::new(()),
        })
    },
};

struct OneLock {
    shelves: Shelves,
    environment: Arc<dyn Environment>,
    /// It is fair: who comes first is first.
    lock: Mutex<()>,
}

impl OneLock {
    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().await
    }
}

impl WorkQueue<Shelves> for OneLock {
    fn store(&self) -> &Shelves {
        &self.shelves
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        let turn = self.turn().await;
        for _ in batch.iter().skip(1) {
            self.environment.sleep(ROUND_TRIP).await;
        }
        drop(turn);
        self.shelves.post(place, batch).await
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        drop(self.turn().await);
        self.shelves.claim(place, lease).await
    }

    async fn claimed(&self, claim: String) -> Option<Vec<Row>> {
        drop(self.turn().await);
        self.shelves.claimed(claim).await
    }

    async fn renew(&self, claim: String, lease: Lease) -> bool {
        drop(self.turn().await);
        self.shelves.renew(claim, lease).await
    }

    async fn release(&self, claim: String) {
        drop(self.turn().await);
        self.shelves.release(claim).await;
    }

    async fn delete(&self, place: Place, id: String, claim: Option<String>) -> Deleted {
        drop(self.turn().await);
        self.shelves.delete(place, id, claim).await
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<Row> {
        drop(self.turn().await);
        self.shelves.pop(place, limit).await
    }

    async fn get(&self, place: Place, ids: Vec<String>) -> Vec<Row> {
        drop(self.turn().await);
        self.shelves.get(place, ids).await
    }

    async fn list(&self, place: Place, page: Page) -> Listed {
        drop(self.turn().await);
        self.shelves.list(place, page).await
    }

    async fn stats(&self, place: Place) -> Stats {
        drop(self.turn().await);
        self.shelves.stats(place).await
    }
}
