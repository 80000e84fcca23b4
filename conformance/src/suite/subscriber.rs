//! What cases about subscriptions share: subscribing, subscribers in the sink, and waiting for what they
//! get.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::capability::Capability;
use super::context::{Context, Reply, Request};
use super::sink::{Answer, Received, Script, Sink};
use super::steps::{Queue, legal_path, unknown};
use super::verdict::Stop;
use crate::environment::Instant;

/// Time between two looks at what has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A subscriber of the case's own, in the sink.
#[derive(Clone)]
pub(super) struct Subscriber {
    context: Context,
    sink: Arc<Sink>,
    path: String,
}

/// A subscription that was granted.
pub(super) struct Subscribed {
    pub(super) id: String,
    /// Its own path.
    pub(super) path: String,
    pub(super) reply: Reply,
}

/// A message as a subscriber got it.
#[derive(Clone, Debug)]
pub(super) struct Notified {
    pub(super) document: Value,
    pub(super) received: Received,
}

impl Subscriber {
    /// The subscriber called `name`, who answers 200.
    pub(super) fn new(context: &Context, name: &str) -> Result<Self, Stop> {
        Self::scripted(context, name, Script::default())
    }

    /// One who answers the first requests like this, and all others with 200.
    pub(super) fn answering(context: &Context, name: &str, first: &[Answer]) -> Result<Self, Stop> {
        let first = first.to_vec();
        let script = Script {
            first,
            ..Script::default()
        };
        Self::scripted(context, name, script)
    }

    /// One who does what `script` says.
    pub(super) fn scripted(context: &Context, name: &str, script: Script) -> Result<Self, Stop> {
        let Some(sink) = context.surroundings().sink.clone() else {
            return Err(unknown(context, "there is no sink for notifications"));
        };
        let path = format!("/{}/{name}", context.client_id());
        sink.script(&path, script);
        Ok(Self {
            context: context.clone(),
            sink,
            path,
        })
    }

    /// One who answers 503, whatever comes and however often.
    pub(super) fn failing(context: &Context, name: &str) -> Result<Self, Stop> {
        let script = Script {
            then: Answer::Status(503),
            ..Script::default()
        };
        Self::scripted(context, name, script)
    }

    /// From now on it does this.
    pub(super) fn rescript(&self, script: Script) {
        self.sink.script(&self.path, script);
    }

    pub(super) fn uri(&self) -> String {
        self.sink.uri(&self.path)
    }

    /// All that came, notices about the subscription included.
    pub(super) fn received(&self) -> Vec<Received> {
        self.sink.received(&self.path)
    }

    /// The messages that came. What is not JSON is a document of its own: null.
    pub(super) fn messages(&self) -> Vec<Notified> {
        let all = self.received().into_iter().map(|received| Notified {
            document: serde_json::from_slice(&received.body).unwrap_or_default(),
            received,
        });
        all.filter(|notified| !is_notice(&notified.document))
            .collect()
    }

    /// The times between one message and the next, as they came.
    pub(super) fn gaps(&self) -> Vec<Duration> {
        let came = self.messages();
        let pairs = came.windows(2);
        let gap = |pair: &[Notified]| pair[1].received.at.since(pair[0].received.at);
        pairs.map(gap).collect()
    }

    /// The notices about the subscription that came.
    pub(super) fn notices(&self) -> Vec<Value> {
        let all = self.received().into_iter();
        let documents =
            all.map(|received| serde_json::from_slice::<Value>(&received.body).unwrap_or_default());
        documents.filter(is_notice).collect()
    }

    /// Waits until `done` with what came; tells whether that was in time.
    pub(super) async fn until(&self, done: impl Fn(&Self) -> bool) -> bool {
        self.until_within(self.context.happens_within(), done).await
    }

    /// As [`Subscriber::until`], for at most `span`.
    pub(super) async fn until_within(&self, span: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.context.now().plus(span);
        loop {
            if done(self) {
                return true;
            }
            if self.context.now() >= deadline {
                return false;
            }
            let next = self.context.now().plus(LOOK_EVERY);
            self.context.sleep_until(next.min(deadline)).await;
        }
    }

    /// Demands that messages with each of these bodies come, each in good time after the one before: how long many of
    /// them take, one after the other, is for the server to know.
    pub(super) async fn expect(&self, clause: &str, bodies: &[Value]) -> Result<(), Stop> {
        let missing = |subscriber: &Self| {
            let came = subscriber.bodies();
            let missing = bodies.iter().filter(|body| !came.contains(body));
            missing.cloned().collect::<Vec<Value>>()
        };
        let mut left = missing(self);
        while !left.is_empty() {
            let before = left.len();
            let fewer = |subscriber: &Self| missing(subscriber).len() < before;
            if !self.until(fewer).await {
                break;
            }
            left = missing(self);
        }
        if left.is_empty() {
            return Ok(());
        }
        let expected = format!(
            "notifications of {} messages, each within {} s of the one before",
            bodies.len(),
            self.context.happens_within().as_secs()
        );
        let missing = missing(self);
        let came = format!(
            "{} requests to {}; {} messages are missing, the first with the body {}",
            self.received().len(),
            self.uri(),
            missing.len(),
            missing.first().cloned().unwrap_or_default(),
        );
        Err(self.context.failure(clause, expected, came))
    }

    /// Demands that no message came so far.
    pub(super) fn expect_none(&self, clause: &str, expected: &str) -> Result<(), Stop> {
        let came = self.bodies();
        if came.is_empty() {
            return Ok(());
        }
        let came = format!("messages with the bodies {}", json!(came));
        Err(self.context.failure(clause, expected, came))
    }

    /// The bodies of the messages that came.
    pub(super) fn bodies(&self) -> Vec<Value> {
        let body = |notified: Notified| notified.document["body"].clone();
        self.messages().into_iter().map(body).collect()
    }
}

fn is_notice(document: &Value) -> bool {
    let kind = document["Message_Type"].as_str().unwrap_or_default();
    kind.ends_with("Confirmation")
}

impl Subscribed {
    /// Reads the answer to a subscription that must be granted.
    pub(super) fn read(queue: &Queue, reply: Reply) -> Result<Self, Stop> {
        let reply = reply.expect("8.2", &[201])?;
        let document = reply.json("8.2")?;
        let id = document["subscription_id"].as_str();
        let path = id.map(|id| queue.at(&format!("/subscriptions/{id}")));
        match (id, path) {
            (Some(id), Some(path)) if !id.is_empty() && legal_path(&path).is_some() => Ok(Self {
                id: id.to_owned(),
                path,
                reply,
            }),
            _ => Err(reply.refuse("8.2", "`subscription_id`: a string")),
        }
    }
}

/// A request for a subscription with this body.
pub(super) fn subscribing(context: &Context, queue: &Queue, body: &Value) -> Request {
    context.post(queue.at("/subscriptions"), body)
}

/// A subscription with this body, which must be granted.
pub(super) async fn subscribe_with(
    context: &Context,
    queue: &Queue,
    body: &Value,
) -> Result<Subscribed, Stop> {
    Subscribed::read(queue, subscribing(context, queue, body).send().await?)
}

/// A subscription of something that is never posted to.
pub(super) async fn subscribe_uri(
    context: &Context,
    queue: &Queue,
    uri: &str,
) -> Result<Subscribed, Stop> {
    subscribe_with(context, queue, &json!({ "subscriber": uri, "ttl": 600 })).await
}

/// Subscribes somebody in the sink, and confirms for him where that is needed.
pub(super) async fn subscribe(
    context: &Context,
    queue: &Queue,
    (subscriber, options): (&Subscriber, Value),
) -> Result<Subscribed, Stop> {
    let body = json!({ "subscriber": subscriber.uri(), "ttl": 3_600, "options": options });
    let subscribed = subscribe_with(context, queue, &body).await?;
    if context.offers(Capability::Confirmation) {
        let confirm = confirming(context, &subscribed, &json!({ "confirmed": true }));
        confirm.send().await?.expect("8.4", &[204])?;
    }
    Ok(subscribed)
}

/// A request to confirm.
pub(super) fn confirming(context: &Context, subscribed: &Subscribed, body: &Value) -> Request {
    context
        .put(format!("{}/confirm", subscribed.path))
        .json(body)
}

/// The subscription as it is shown.
pub(super) async fn shown(context: &Context, subscribed: &Subscribed) -> Result<Value, Stop> {
    let reply = context.get(subscribed.path.clone()).send().await?;
    let reply = reply.expect("8.3", &[200])?;
    let document = reply.json("8.3")?;
    reply.check("8.1", "a subscription", document.is_object())?;
    Ok(document)
}

/// The subscriptions on a page, and where its next link leads.
pub(super) async fn page(
    context: &Context,
    path: String,
) -> Result<(Vec<Value>, Option<String>, Reply), Stop> {
    let reply = context.get(path).send().await?.expect("8.3", &[200])?;
    let document = reply.json("8.3")?;
    let Some(all) = document["subscriptions"].as_array() else {
        return Err(reply.refuse("8.3", "`subscriptions`: an array"));
    };
    let next = super::steps::next_link(&reply)?;
    Ok((all.clone(), next, reply))
}

/// All subscriptions of the queue: at most a page of twenty.
pub(super) async fn listed(context: &Context, queue: &Queue) -> Result<(Vec<Value>, Reply), Stop> {
    let (all, _, reply) = page(context, queue.at("/subscriptions?limit=20")).await?;
    Ok((all, reply))
}

/// Waits for `span`.
pub(super) async fn pause(context: &Context, span: Duration) -> Instant {
    let until = context.now().plus(span);
    context.sleep_until(until).await;
    until
}
