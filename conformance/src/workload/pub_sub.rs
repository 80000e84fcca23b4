//! Messages that are pushed to a subscriber as well, which writes down what comes.

use serde_json::Value;

use super::kind::plain_places;
use super::{Action, Actor, Kind, Settings};
use crate::history::{Operation, What};

/// The workload.
pub(super) const KIND: Kind = Kind {
    name: "pub-sub",
    about: "messages are pushed to a webhook that the run has, while others consume",
    actions: &[
        Action {
            word: "post",
            weight: 3,
            act: |actor| Box::pin(post(actor)),
        },
        Action {
            word: "consume",
            weight: 2,
            act: |actor| Box::pin(consume(actor)),
        },
    ],
    tune: |settings| {
        settings.clients = 4;
        settings.pause_ms_max = 100;
    },
    places: plain_places,
    set_up,
};

/// One subscription a queue, for as long as a message lives; none if nobody listens.
fn set_up(settings: &Settings) -> Vec<(String, Operation)> {
    let subscribe = |(project, queue)| {
        let subscriber = settings.sink.clone()?;
        let ttl_secs = settings.message_ttl_secs;
        let subscribe = Operation::Subscribe {
            queue,
            subscriber,
            ttl_secs,
        };
        Some((project, subscribe))
    };
    plain_places(settings)
        .into_iter()
        .filter_map(subscribe)
        .collect()
}

async fn post(actor: &mut Actor) {
    let queue = actor.queue();
    actor.post(&queue).await;
}

async fn consume(actor: &mut Actor) {
    let queue = actor.queue();
    actor.consume(&queue).await;
}

/// The event of a push to `subscriber` that was answered with `status`; `None` if it is no message of this
/// run, as a request to confirm is not.
pub fn pushed(body: &[u8], subscriber: String, status: Option<u16>) -> Option<What> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let token = json["body"]["token"].as_str()?.to_owned();
    let queue = json["queue_name"].as_str().unwrap_or_default().to_owned();
    let id = json["id"].as_str().map(str::to_owned);
    Some(What::Push {
        project: String::new(),
        queue,
        subscriber,
        token,
        id,
        status,
    })
}
