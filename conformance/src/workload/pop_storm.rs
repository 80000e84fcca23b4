//! Everybody pops at once: what is taken is gone, and is taken once.

use super::kind::{no_set_up, plain_places};
use super::{Action, Actor, Kind};

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "pop-storm",
    about: "everybody pops from one queue at once, some look",
    actions: &[
        Action {
            word: "post",
            weight: 5,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "pop",
            weight: 6,
            act: |actor| Box::pin(pop(actor)),
        },
        Action {
            word: "list",
            weight: 1,
            act: |actor| Box::pin(list(actor)),
        },
    ],
    tune: |settings| {
        settings.queues = 1;
        settings.clients = 16;
        settings.pause_ms_max = 5;
    },
    places: plain_places,
    set_up: no_set_up,
};

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    actor.post(&queue).await;
}

async fn pop(actor: &mut Actor) {
    let queue = actor.queue();
    actor.pop(&queue).await;
}

async fn list(actor: &mut Actor) {
    let queue = actor.queue();
    actor.walk(&queue, true).await;
}
