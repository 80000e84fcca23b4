//! Answers a post before it is stored, and stores what has come together five times a second: a server that
//! dies takes along what it had said it has.
//!
//! Modelled on the scenario *lost acknowledgement*: an acknowledgement before the write, as MongoDB's write concern 0.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place};
use crate::implementation::{Answering, Implementation, NodeContext, Takes};
use crate::world;

/// How often what has come together is stored.
const FLUSH: Duration = Duration::from_millis(200);

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "write-behind",
    about: "answers a post, and stores it a moment later",
    caught_by: Some("delivery/lost"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start,
};

/// What is not stored yet: rank, where, and what.
type Waiting = Vec<(u64, Place, New)>;

struct WriteBehind {
    store: Store,
    waiting: Arc<Mutex<Waiting>>,
}

fn start(context: NodeContext) -> Answering {
    let (store, waiting) = (Store::new(&context), Arc::<Mutex<Waiting>>::default());
    let (to, from) = (store.clone(), Arc::clone(&waiting));
    context.environment.spawn(Box::pin(async move {
        loop {
            world::sleep(FLUSH).await;
            let all = std::mem::take(&mut *from.lock().expect("no holder of this lock panics"));
            to.transact(|tables, now| {
                for (rank, place, new) in all {
                    tables.insert_at((rank, format!("m{rank}")), &place, new, now);
                }
            })
            .await;
        }
    }));
    answering(WriteBehind { store, waiting })
}

impl WorkQueue for WriteBehind {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        let draw = self
            .store
            .transact(|tables, _| batch.iter().map(|_| tables.next()).collect::<Vec<u64>>());
        let ranks = draw.await;
        let ids = ranks.iter().map(|rank| format!("m{rank}")).collect();
        let new = ranks.into_iter().zip(batch);
        let new = new.map(|(rank, new)| (rank, place.clone(), new));
        let mut waiting = self.waiting.lock().expect("no holder of this lock panics");
        waiting.extend(new);
        Some(ids)
    }
}
