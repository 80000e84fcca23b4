//! Contract 13, subscriptions of others, made, shown and ended over a socket.

use serde_json::{Value, json};

use super::queues::of;
use crate::suite::capability::Capability::{self, Projects, Subscriptions, WebSocket};
use crate::suite::context::Reply;
use crate::suite::socket::Socket;
use crate::suite::steps::Queue;
use crate::suite::subscriber::listed;
use crate::suite::{Case, CaseResult, Context, Stop, case};

/// What cases about subscriptions over sockets need.
pub(super) const NEEDS: &[Capability] = &[WebSocket, Projects, Subscriptions];

/// Where nobody is.
const NOBODY: &str = "http://127.0.0.1:9/s";

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(Must, "websocket/subscription-is-granted", "13", granted)
        .needs(NEEDS)
        .since(3),
    case!(
        Should,
        "websocket/subscriber-has-one-subscription",
        "13",
        duplicate
    )
    .needs(NEEDS)
    .disputed("as over HTTP: 201 with the same id while it is unconfirmed, and 409 once it is not")
    .since(3),
    case!(Must, "websocket/subscriptions-are-shown", "13", shown)
        .needs(NEEDS)
        .since(3),
    case!(Must, "websocket/subscription-is-deleted", "13", deleted)
        .needs(NEEDS)
        .since(3),
    case!(
        Must,
        "websocket/bad-subscription-is-refused",
        "13",
        bad_subscriptions
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/subscriber-has-a-known-scheme",
        "13",
        bad_subscribers
    )
    .needs(NEEDS)
    .since(3),
];

/// The identifier of a subscription that must be granted.
pub(super) fn subscription_id(reply: Reply) -> Result<String, Stop> {
    let reply = reply.expect("13", &[201])?;
    let id = reply.json("13")?["subscription_id"]
        .as_str()
        .map(str::to_owned);
    let id = id.filter(|id| !id.is_empty());
    id.ok_or_else(|| reply.refuse("13", "`subscription_id`: a string"))
}

fn one(id: &str) -> Value {
    json!({ "queue_name": "q", "subscription_id": id })
}

fn subscriber(uri: &str) -> Value {
    json!({ "queue_name": "q", "subscriber": uri, "ttl": 600, "options": { "colour": "red" } })
}

async fn granted(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let reply = socket.ask("subscription_create", subscriber(NOBODY));
    let id = subscription_id(reply.await?)?;
    let (all, reply) = listed(&context, &Queue::new(&context, "q")).await?;
    let found = all.iter().any(|one| {
        let named = one["id"] == json!(id) && one["subscriber"] == NOBODY;
        named && one["ttl"] == 600 && one["options"]["colour"] == "red"
    });
    reply.check("13", "the subscription over HTTP", found)
}

/// Zaqar's code says 409 here, and 201 in some cases over HTTP; in none is there a second one.
async fn duplicate(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let first = socket.ask("subscription_create", subscriber(NOBODY));
    let first = subscription_id(first.await?)?;
    let again = socket.ask("subscription_create", subscriber(NOBODY));
    let again = again.await?.expect("13", &[201, 409])?;
    if again.status().as_u16() == 201 {
        let same = again.json("13")?["subscription_id"] == json!(first);
        again.check("13", "the same `subscription_id`", same)?;
    }
    let (all, reply) = listed(&context, &Queue::new(&context, "q")).await?;
    reply.check("13", "one subscription", all.len() == 1)?;
    let mut elsewhere = subscriber(NOBODY);
    elsewhere["queue_name"] = json!("p");
    let other = socket.ask("subscription_create", &elsewhere).await?;
    subscription_id(other).map(drop)
}

async fn shown(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let body = subscriber(&format!("{NOBODY}{number}"));
        let reply = socket.ask("subscription_create", &body).await?;
        ids.push(subscription_id(reply)?);
    }
    let reply = socket.ask("subscription_list", of("q")).await?;
    let reply = reply.expect("13", &[200])?;
    let document = reply.json("13")?;
    let Some(all) = document["subscriptions"].as_array() else {
        return Err(reply.refuse("13", "`subscriptions`: an array"));
    };
    let every = ids
        .iter()
        .all(|id| all.iter().any(|one| one["id"] == json!(id)));
    reply.check("13", "all three", every && all.len() == 3)?;
    let reply = socket.ask("subscription_get", one(&ids[1])).await?;
    let reply = reply.expect("13", &[200])?;
    let shown = reply.json("13")?;
    let same = shown["id"] == json!(ids[1]) && shown["subscriber"] == format!("{NOBODY}1");
    reply.check("13", "the subscription", same)?;
    let elsewhere = json!({ "queue_name": "p", "subscription_id": ids[1] });
    let unknown = [
        ("subscription_get", one("none")),
        ("subscription_get", elsewhere),
    ];
    socket.expect_each("13", &[404], &unknown).await?;
    let limited = json!({ "queue_name": "q", "limit": 2 });
    let reply = socket.ask("subscription_list", &limited).await?;
    let two = reply.json("13")?["subscriptions"]
        .as_array()
        .is_some_and(|page| page.len() == 2);
    reply.check("13", "two of them", two)
}

async fn deleted(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let reply = socket.ask("subscription_create", subscriber(NOBODY));
    let id = subscription_id(reply.await?)?;
    let delete = ("subscription_delete", one(&id));
    let unknown = ("subscription_delete", one("none"));
    let all = [delete.clone(), delete, unknown];
    socket.expect_each("13", &[204], &all).await?;
    let gone = [("subscription_get", one(&id))];
    socket.expect_each("13", &[404], &gone).await?;
    let again = socket.ask("subscription_create", subscriber(NOBODY));
    subscription_id(again.await?).map(drop)
}

async fn bad_subscriptions(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let with = |member: &str, value: Value| {
        let mut body = subscriber(NOBODY);
        body[member] = value;
        ("subscription_create", body)
    };
    let bad = [
        with("ttl", json!(59)),
        with("ttl", json!("600")),
        with("options", json!("red")),
    ];
    socket.expect_each("13", &[400], &bad).await?;
    let (all, reply) = listed(&context, &Queue::new(&context, "q")).await?;
    reply.check("13", "no subscription", all.is_empty())
}

async fn bad_subscribers(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let bad =
        ["ftp://example.org/s", "nowhere"].map(|uri| ("subscription_create", subscriber(uri)));
    socket.expect_each("13", &[400], &bad).await?;
    let (all, reply) = listed(&context, &Queue::new(&context, "q")).await?;
    reply.check("13", "no subscription", all.is_empty())
}
