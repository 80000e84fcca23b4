//! Clients that change a queue's settings at once, while others use it.

use rand::RngExt;

use super::{Action, Actor, Kind, Place, Settings};
use crate::history::{Operation, QueueSettings};

/// Where all dead letters go.
const LETTERS: &str = "letters";

/// The longest default delay that is set, in seconds.
const DELAY_SECS_MAX: u64 = 2;

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "metadata-races",
    about: "clients patch a queue's settings at once, while others post and claim",
    actions: &[
        Action {
            word: "patch",
            weight: 2,
            act: |actor| Box::pin(patch(actor)),
        },
        Action {
            word: "post",
            weight: 5,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "consume",
            weight: 5,
            act: |actor| Box::pin(consume(actor)),
        },
        Action {
            word: "fail",
            weight: 2,
            act: |actor| Box::pin(fail(actor)),
        },
    ],
    tune: |_| {},
    places,
    set_up,
};

fn places(settings: &Settings) -> Vec<Place> {
    let mut places = super::kind::plain_places(settings);
    places.push((String::new(), LETTERS.to_owned()));
    places
}

/// Every setting is there from the beginning, so that a patch can replace it.
fn set_up(settings: &Settings) -> Vec<(String, Operation)> {
    let letters = (LETTERS.to_owned(), QueueSettings::default());
    let sources = super::kind::plain_places(settings).into_iter();
    let sources = sources.map(|(_, queue)| (queue, drawn(settings, 0, settings.max_claim_count)));
    let create = |(queue, settings)| (String::new(), Operation::create_queue(queue, settings));
    std::iter::once(letters)
        .chain(sources)
        .map(create)
        .collect()
}

fn drawn(settings: &Settings, delay_secs: u64, max_claim_count: u64) -> QueueSettings {
    QueueSettings {
        default_ttl_secs: Some(settings.message_ttl_secs),
        default_delay_secs: Some(delay_secs),
        dead_letter_queue: Some(LETTERS.to_owned()),
        dead_letter_ttl_secs: Some(settings.message_ttl_secs),
        max_claim_count: Some(max_claim_count),
    }
}

async fn patch(actor: &mut Actor) {
    let queue = actor.queue();
    let delay_secs = actor.random.random_range(0..=DELAY_SECS_MAX);
    let max_claim_count = actor
        .random
        .random_range(1..=actor.settings.max_claim_count + 2);
    let settings = drawn(&actor.settings, delay_secs, max_claim_count);
    let patch = Operation::set_metadata(queue, settings);
    actor.process.perform(patch).await;
}

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    actor.post(&queue).await;
}

async fn consume(actor: &mut Actor) {
    let queue = actor.queue();
    actor.consume(&queue).await;
}

async fn fail(actor: &mut Actor) {
    let queue = actor.queue();
    if let Some((claim, _)) = actor.claim(&queue).await {
        actor.release(&queue, &claim).await;
    }
}
