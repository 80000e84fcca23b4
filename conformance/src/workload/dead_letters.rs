//! Messages that fail again and again, and must become dead letters, none too early and none lost.

use super::{Action, Actor, Kind, Place};
use crate::history::{Operation, QueueSettings};

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "dead-letters",
    about: "consumers give messages back until they become dead letters, which others read",
    actions: &[
        Action {
            word: "post",
            weight: 4,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "fail",
            weight: 5,
            act: |actor| Box::pin(fail(actor)),
        },
        Action {
            word: "serve",
            weight: 2,
            act: |actor| Box::pin(serve(actor)),
        },
        Action {
            word: "read-letters",
            weight: 1,
            act: |actor| Box::pin(read_letters(actor)),
        },
    ],
    tune: |settings| settings.batch_max = 4,
    places,
    set_up,
};

/// A queue, then where its dead letters go.
fn places(settings: &super::Settings) -> Vec<Place> {
    let both = |number| [format!("queue-{number}"), format!("letters-{number}")];
    let names = (0..settings.queues).flat_map(both);
    names.map(|name| (String::new(), name)).collect()
}

fn set_up(settings: &super::Settings) -> Vec<(String, Operation)> {
    let pair = |number| {
        let letters = format!("letters-{number}");
        let source = QueueSettings {
            dead_letter_queue: Some(letters.clone()),
            dead_letter_ttl_secs: Some(settings.message_ttl_secs),
            max_claim_count: Some(settings.max_claim_count),
            ..QueueSettings::default()
        };
        // The place for dead letters must be there before the queue that names it.
        [
            (letters, QueueSettings::default()),
            (format!("queue-{number}"), source),
        ]
    };
    let create = |(queue, settings)| (String::new(), Operation::create_queue(queue, settings));
    (0..settings.queues).flat_map(pair).map(create).collect()
}

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    actor.post(&queue).await;
}

/// Claims, and gives back what it claimed.
async fn fail(actor: &mut Actor) {
    let queue = actor.queue();
    if let Some((claim, _)) = actor.claim(&queue).await {
        actor.pause().await;
        actor.release(&queue, &claim).await;
    }
}

async fn serve(actor: &mut Actor) {
    let queue = actor.queue();
    actor.consume(&queue).await;
}

async fn read_letters(actor: &mut Actor) {
    let queue = actor.queue().replace("queue", "letters");
    actor.walk(&queue, true).await;
}
