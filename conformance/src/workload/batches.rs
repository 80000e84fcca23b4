//! Batches, which are stored whole or not at all.

use rand::RngExt;

use super::kind::{no_set_up, plain_places};
use super::{Action, Actor, Kind};
use crate::history::Operation;

/// A ttl that no server accepts, in seconds: it spoils the batch that holds it.
const REFUSED_TTL_SECS: u64 = 1;

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "batch-posts",
    about: "batches up to the limit, some of them spoiled, looked up and deleted in bulk",
    actions: &[
        Action {
            word: "post",
            weight: 5,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "post-spoiled",
            weight: 2,
            act: |actor| Box::pin(post_spoiled(actor)),
        },
        Action {
            word: "consume",
            weight: 5,
            act: |actor| Box::pin(consume(actor)),
        },
    ],
    tune: |settings| settings.batch_max = 20,
    places: plain_places,
    set_up: no_set_up,
};

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    let ids = actor.post(&queue).await;
    if ids.is_empty() || actor.chance(0.5) {
        return;
    }
    let get = Operation::GetMany {
        queue: queue.clone(),
        ids: ids.clone(),
    };
    actor.process.perform(get).await;
    if actor.chance(0.3) {
        actor
            .process
            .perform(Operation::BulkDelete { queue, ids })
            .await;
    }
}

/// One bad message anywhere in it: the whole batch must be refused.
async fn post_spoiled(actor: &mut Actor) {
    let (queue, count) = (actor.queue(), actor.some());
    let mut messages = actor.batch(count);
    let spoiled = actor.random.random_range(0..messages.len());
    messages[spoiled].ttl_secs = REFUSED_TTL_SECS;
    actor.post_these(&queue, messages).await;
}

async fn consume(actor: &mut Actor) {
    let queue = actor.queue();
    actor.consume(&queue).await;
}
