//! Two stores, and queues that move from one to the other now and then; every server remembers for a while where a
//! queue was, and posts there.
//!
//! Modelled on the scenario *stale route after a move*, and on H-47's existence cache and H-33.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{New, Place, Tables};
use crate::implementation::{Answering, Implementation, NodeContext, Takes};
use crate::world;

/// How often all queues move.
const MOVE: Duration = Duration::from_secs(40);

/// How long a server remembers where a queue is.
const REMEMBERED_SECS: u64 = 5;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "cached-route",
    about: "remembers where a queue was before it moved, and posts there (as H-47)",
    caught_by: Some("delivery/lost"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start,
};

/// The store that is not in use: messages that were posted there by mistake are seen by nobody until the
/// queues come back, when it is cleared.
#[derive(Default)]
struct Elsewhere(Mutex<Tables>);

/// How often the queues have moved.
#[derive(Default)]
struct Moves(Mutex<u64>);

struct CachedRoute {
    store: Store,
    elsewhere: Arc<Elsewhere>,
    moves: Arc<Moves>,
    /// What a server knows of a queue: how often it had moved, and when that was.
    known: Mutex<BTreeMap<Place, (u64, u64)>>,
}

fn start(context: NodeContext) -> Answering {
    let elsewhere = context.beside.the(Elsewhere::default);
    let moves = context.beside.the(Moves::default);
    let (store, counted) = (Store::new(&context), Arc::clone(&moves));
    // One server is as good as another to move them: the first.
    if context.servers.first() == Some(&context.name) {
        let mover = store.clone();
        let cleared = Arc::clone(&elsewhere);
        context.environment.spawn(Box::pin(async move {
            loop {
                world::sleep(MOVE).await;
                mover
                    .transact(|_, _| {
                        *counted.0.lock().expect("no holder of this lock panics") += 1;
                        let mut left = cleared.0.lock().expect("no holder of this lock panics");
                        *left = Tables::default();
                    })
                    .await;
            }
        }));
    }
    answering(CachedRoute {
        store,
        elsewhere,
        moves,
        known: Mutex::default(),
    })
}

impl CachedRoute {
    /// Whether what the server remembers of the queue is out of date.
    fn is_stale(&self, place: &Place, now: u64) -> bool {
        let moved = *self.moves.0.lock().expect("no holder of this lock panics");
        let mut known = self.known.lock().expect("no holder of this lock panics");
        let (remembered, since) = *known.entry(place.clone()).or_insert((moved, now));
        if now - since > REMEMBERED_SECS * super::tables::SECOND {
            known.insert(place.clone(), (moved, now));
            return false;
        }
        remembered != moved
    }
}

impl WorkQueue for CachedRoute {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        self.store
            .transact(|tables, now| {
                let stale = self.is_stale(&place, now);
                let mut elsewhere = self
                    .elsewhere
                    .0
                    .lock()
                    .expect("no holder of this lock panics");
                let insert = |new| {
                    let rank = tables.next();
                    let into = if stale { &mut *elsewhere } else { &mut *tables };
                    into.insert_at((rank, format!("m{rank}")), &place, new, now)
                };
                Some(batch.into_iter().map(insert).collect())
            })
            .await
    }
}
