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

/// The event of a push to `subscriber` that was answered with `status`, if names of queues begin with `names` on
/// the wire; `None` if it is no message of this run, as a request to confirm is not.
pub fn pushed(body: &[u8], (subscriber, names): (&str, &str), status: Option<u16>) -> Option<What> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let token = json["body"]["token"].as_str()?.to_owned();
    let queue = json["queue_name"].as_str().unwrap_or_default();
    let queue = queue.strip_prefix(names).unwrap_or(queue).to_owned();
    let id = json["id"].as_str().map(str::to_owned);
    Some(What::Push {
        project: String::new(),
        queue,
        subscriber: subscriber.to_owned(),
        token,
        id,
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_is_written_down_without_what_the_names_of_queues_begin_with() {
        let told = |queue: &str, names: &str| {
            let body = format!(r#"{{"queue_name":"{queue}","body":{{"token":"t"}},"id":"i"}}"#);
            let What::Push { queue, token, .. } = pushed(body.as_bytes(), ("s", names), None)?
            else {
                return None;
            };
            Some((queue, token))
        };
        let expected = |queue: &str| Some((queue.to_owned(), "t".to_owned()));
        assert_eq!(told("run-1-q", "run-1-"), expected("q"));
        assert_eq!(told("q", ""), expected("q"));
        // Another run's is no queue of this one.
        assert_eq!(told("run-2-q", "run-1-"), expected("run-2-q"));
        assert_eq!(pushed(b"{\"confirm\":1}", ("s", ""), None), None);
    }
}
