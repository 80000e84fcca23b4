//! Observers that walk through queues by markers while others post and delete.

use rand::RngExt;

use super::kind::{no_set_up, plain_places};
use super::{Action, Actor, Kind};
use crate::history::Operation;

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "observers",
    about: "observers follow markers and look messages up while others post and delete",
    actions: &[
        Action {
            word: "post",
            weight: 6,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "walk",
            weight: 3,
            act: |actor| Box::pin(walk(actor)),
        },
        Action {
            word: "consume",
            weight: 4,
            act: |actor| Box::pin(consume(actor)),
        },
        Action {
            word: "stats",
            weight: 2,
            act: |actor| Box::pin(stats(actor)),
        },
    ],
    tune: |settings| settings.batch_max = 10,
    places: plain_places,
    set_up: no_set_up,
};

/// Posts, and looks at what it posted.
async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    let ids = actor.post(&queue).await;
    if ids.is_empty() || actor.chance(0.7) {
        return;
    }
    if actor.chance(0.5) {
        actor
            .process
            .perform(Operation::GetMany { queue, ids })
            .await;
    } else {
        let message = ids[actor.random.random_range(0..ids.len())].clone();
        actor
            .process
            .perform(Operation::Get { queue, message })
            .await;
    }
}

async fn walk(actor: &mut Actor) {
    let (queue, whole) = (actor.queue(), actor.chance(0.7));
    actor.walk(&queue, whole).await;
}

async fn consume(actor: &mut Actor) {
    let queue = actor.queue();
    actor.consume(&queue).await;
}

async fn stats(actor: &mut Actor) {
    let queue = actor.queue();
    actor.process.perform(Operation::Stats { queue }).await;
}
