//! Messages that must not be handed out before their delay is over, and must be then.

use rand::RngExt;

use super::kind::{no_set_up, plain_places};
use super::{Action, Actor, Kind};

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "delayed-messages",
    about: "messages with delays, claimed and popped all the time",
    actions: &[
        Action {
            word: "post",
            weight: 6,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "consume",
            weight: 5,
            act: |actor| Box::pin(consume(actor)),
        },
        Action {
            word: "pop",
            weight: 2,
            act: |actor| Box::pin(pop(actor)),
        },
        Action {
            word: "walk",
            weight: 1,
            act: |actor| Box::pin(walk(actor)),
        },
    ],
    tune: |_| {},
    places: plain_places,
    set_up: no_set_up,
};

async fn post(actor: &mut Actor) {
    let (queue, count) = (actor.queue(), actor.some());
    let mut messages = actor.batch(count);
    let longest = actor.settings.delay_secs_max;
    for message in &mut messages {
        message.delay_secs = Some(actor.random.random_range(0..=longest));
    }
    actor.post_these(&queue, messages).await;
}

async fn consume(actor: &mut Actor) {
    let queue = actor.queue();
    actor.consume(&queue).await;
}

async fn pop(actor: &mut Actor) {
    let queue = actor.queue();
    actor.pop(&queue).await;
}

async fn walk(actor: &mut Actor) {
    let (queue, whole) = (actor.queue(), actor.chance(0.5));
    actor.walk(&queue, whole).await;
}
