//! Messages that must not be handed out before their delay is over, and must be then.

use rand::RngExt;

use super::kind::plain_places;
use super::{Action, Actor, Kind, Settings};
use crate::history::{Operation, QueueSettings};

/// The longest delay of messages that name none.
const DEFAULT_DELAY_SECS_MAX: u64 = 2;

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
    set_up,
};

/// A message's own delay counts only where the queue has one (Zaqar v2, section 5.9).
fn set_up(settings: &Settings) -> Vec<(String, Operation)> {
    let create = |(project, queue)| {
        let settings = QueueSettings {
            default_delay_secs: Some(settings.delay_secs_max.clamp(1, DEFAULT_DELAY_SECS_MAX)),
            ..QueueSettings::default()
        };
        (project, Operation::create_queue(queue, settings))
    };
    plain_places(settings).into_iter().map(create).collect()
}

async fn post(actor: &mut Actor) {
    let (queue, count) = (actor.queue(), actor.some());
    let mut messages = actor.batch(count);
    let longest = actor.settings.delay_secs_max;
    for message in &mut messages {
        // Some leave it to the queue.
        let own = actor.random.random_range(0..=longest);
        message.delay_secs = actor.chance(0.8).then_some(own);
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
