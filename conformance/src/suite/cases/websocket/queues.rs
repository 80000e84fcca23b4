//! Contract 13, queues: created, shown, listed, counted, purged and deleted over a socket.

use std::time::Duration;

use serde_json::{Value, json};

use super::NEEDS;
use crate::suite::capability::Capability::{
    self, Metadata, Projects, Purge, QueueLists, Stats, Subscriptions, WebSocket,
};
use crate::suite::context::Reply;
use crate::suite::socket::Socket;
use crate::suite::steps::{EVERYTHING, Queue, counts, numbered};
use crate::suite::subscriber::{pause, subscribe_uri};
use crate::suite::{Case, CaseResult, Context, Stop, case};

const SUBSCRIBED: &[Capability] = &[WebSocket, Projects, Purge, Subscriptions];

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(Must, "websocket/queue-is-created-once", "13", created_once)
        .needs(&[WebSocket, Projects, Metadata])
        .since(3),
    case!(
        Should,
        "websocket/queue-shows-what-is-stored",
        "13",
        shows_what_is_stored
    )
    .needs(&[WebSocket, Projects, Metadata])
    .since(3),
    case!(Must, "websocket/queues-are-listed", "13", listed)
        .needs(&[WebSocket, Projects, QueueLists])
        .since(3),
    case!(Must, "websocket/queue-pages-have-a-limit", "13", pages)
        .needs(&[WebSocket, Projects, QueueLists])
        .since(3),
    case!(Must, "websocket/queue-is-deleted", "13", deleted)
        .needs(NEEDS)
        .since(3),
    case!(Must, "websocket/stats-count-messages", "13", stats)
        .needs(&[WebSocket, Projects, Stats])
        .since(3),
    case!(
        Should,
        "websocket/stats-of-an-unknown-queue-are-404",
        "13",
        unknown_stats
    )
    .needs(&[WebSocket, Projects, Stats])
    .since(3),
    case!(Must, "websocket/purge-takes-messages", "13", purged)
        .needs(&[WebSocket, Projects, Purge])
        .since(3),
    case!(
        Must,
        "websocket/purge-takes-what-it-names",
        "13",
        purged_by_type
    )
    .needs(SUBSCRIBED)
    .since(3),
    case!(
        Should,
        "websocket/purge-knows-what-it-names",
        "13",
        purging_the_unknown
    )
    .needs(&[WebSocket, Projects, Purge])
    .disputed("a type that is unknown is 400, as over HTTP, and nothing is purged")
    .since(3),
    case!(Must, "websocket/queue-names-are-checked", "13", names)
        .needs(NEEDS)
        .since(3),
    case!(Must, "websocket/projects-are-isolated", "13", isolated)
        .needs(NEEDS)
        .guarantee("G14")
        .since(3),
];

/// A body that names the queue alone.
pub(super) fn of(queue: &str) -> Value {
    json!({ "queue_name": queue })
}

async fn created_once(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let red = json!({ "queue_name": "q", "metadata": { "colour": "red" } });
    socket
        .ask("queue_create", &red)
        .await?
        .expect("13", &[201])?;
    let queue = Queue::new(&context, "q");
    let shown = queue.metadata().await?;
    if shown["colour"] != "red" {
        return Err(context.failure("13", "the queue as it was created", shown.to_string()));
    }
    // Again, over either way.
    socket
        .ask("queue_create", &red)
        .await?
        .expect("13", &[204])?;
    let again = context.put(queue.at("")).json(&json!({})).send().await?;
    again.expect("4.3", &[204])?;
    Queue::new(&context, "p").create(&json!({})).await?;
    let again = socket.ask("queue_create", of("p")).await?;
    again.expect("13", &[204]).map(drop)
}

async fn shows_what_is_stored(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let metadata = json!({ "colour": "red", "deep": [{ "x": null }] });
    Queue::new(&context, "q").create(&metadata).await?;
    for (name, expected) in [("q", metadata), ("unknown", json!({}))] {
        let reply = socket.ask("queue_get", of(name)).await?;
        let reply = reply.expect("13", &[200])?;
        let same = reply.json("13")? == expected;
        reply.check("13", "the metadata as it was given", same)?;
    }
    Ok(())
}

fn names_in(reply: &Reply) -> Result<Vec<String>, Stop> {
    let document = reply.json("13")?;
    let names = document["queues"].as_array().and_then(|queues| {
        let name = |queue: &Value| Some(queue["name"].as_str()?.to_owned());
        queues.iter().map(name).collect::<Option<Vec<String>>>()
    });
    names.ok_or_else(|| reply.refuse("13", "`queues`: an array of objects with a `name`"))
}

async fn listed(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let reply = socket.ask("queue_list", json!({})).await?;
    let reply = reply.expect("13", &[200])?;
    reply.check("13", "no queues", names_in(&reply)?.is_empty())?;
    Queue::new(&context, "a")
        .create(&json!({ "colour": "red" }))
        .await?;
    let b = json!({ "queue_name": "b" });
    socket.ask("queue_create", &b).await?.expect("13", &[201])?;
    let reply = socket.ask("queue_list", json!({})).await?;
    reply.check("13", "both queues", names_in(&reply)? == ["a", "b"])?;
    let detailed = json!({ "detailed": true });
    let reply = socket.ask("queue_list", &detailed).await?;
    let shown = reply.json("13")?["queues"][0]["metadata"]["colour"] == "red";
    reply.check("13", "with metadata", shown)
}

/// Pages are turned by names: what the documents have as `marker`.
async fn pages(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    for number in 0..12 {
        let name = format!("q{number:02}");
        let created = socket.ask("queue_create", of(&name)).await?;
        created.expect("13", &[201])?;
    }
    let mut seen = Vec::new();
    let mut page = json!({ "limit": 5 });
    for count in [5, 5, 2, 0] {
        let reply = socket
            .ask("queue_list", &page)
            .await?
            .expect("13", &[200])?;
        let names = names_in(&reply)?;
        let expected = format!("{count} queues that were not shown before");
        let new = names.iter().all(|name| !seen.contains(name));
        reply.check("13", &expected, new && names.len() == count)?;
        if let Some(last) = names.last() {
            page["marker"] = json!(last);
        }
        seen.extend(names);
    }
    let reply = socket.ask("queue_list", json!({})).await?;
    reply.check("13", "ten queues by default", names_in(&reply)?.len() == 10)?;
    let refused = |limit: i64| ("queue_list", json!({ "limit": limit }));
    let refused = [refused(0), refused(-1), refused(21)];
    socket.expect_each("13", &[400], &refused).await?;
    let most = socket.ask("queue_list", json!({ "limit": 20 })).await?;
    most.check("13", "all twelve", names_in(&most)?.len() == 12)
}

async fn deleted(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let delete = ("queue_delete", of("q"));
    socket
        .expect_each("13", &[204], std::slice::from_ref(&delete))
        .await?;
    queue.expect_gone("13", &id).await?;
    // Neither a queue that is gone nor one that never was is missed.
    let never = ("queue_delete", of("never"));
    socket.expect_each("13", &[204], &[delete, never]).await?;
    let created = socket.ask("queue_create", of("q")).await?;
    created.expect("13", &[201]).map(drop)
}

async fn stats(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..5, 300)).await?;
    queue.claim(300, 2).await?;
    // They may follow what they count.
    let deadline = context.now().plus(context.happens_within());
    loop {
        let reply = socket.ask("queue_get_stats", of("q")).await?;
        let reply = reply.expect("13", &[200])?;
        let holds = counts(&reply.json("13")?["messages"], (2, 3));
        if holds || context.now() >= deadline {
            return reply.check("13", "3 free, 2 claimed, 5 in all", holds);
        }
        pause(&context, Duration::from_millis(500)).await;
    }
}

async fn unknown_stats(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let reply = socket.ask("queue_get_stats", of("unknown")).await?;
    let reply = reply.expect("13", &[404])?;
    let counts = reply.json("13")?["messages"].clone();
    let zero = ["free", "claimed", "total"].map(|name| counts[name] == 0);
    reply.check("13", "the counts of an empty queue", zero == [true; 3])
}

async fn purged(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let other = Queue::new(&context, "other");
    let (kept, _) = other.post_one(300).await?;
    let purge = ("queue_purge", of("q"));
    socket.expect_each("13", &[204], &[purge]).await?;
    for id in &posted.ids {
        queue.expect_gone("13", id).await?;
    }
    other.get(&kept).await?;
    // The queue is still there.
    let again = socket.ask("queue_create", of("q")).await?;
    again.expect("13", &[204]).map(drop)
}

async fn purged_by_type(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    subscribe_uri(&context, &queue, "http://127.0.0.1:9/s").await?;
    let purging = |types: Value| {
        let body = json!({ "queue_name": "q", "resource_types": types });
        ("queue_purge", body)
    };
    let subscriptions = [purging(json!(["subscriptions"]))];
    socket.expect_each("13", &[204], &subscriptions).await?;
    queue.get(&id).await?;
    let (left, reply) = crate::suite::subscriber::listed(&context, &queue).await?;
    reply.check("13", "no subscription", left.is_empty())?;
    subscribe_uri(&context, &queue, "http://127.0.0.1:9/s").await?;
    let messages = [purging(json!(["messages"]))];
    socket.expect_each("13", &[204], &messages).await?;
    queue.expect_gone("13", &id).await?;
    let (left, reply) = crate::suite::subscriber::listed(&context, &queue).await?;
    reply.check("13", "the subscription", left.len() == 1)
}

async fn purging_the_unknown(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    for types in [json!(["claims"]), json!(["messages", "claims"])] {
        let body = json!({ "queue_name": "q", "resource_types": types });
        socket
            .ask("queue_purge", body)
            .await?
            .expect("13", &[400])?;
    }
    queue.get(&id).await.map(drop)
}

async fn names(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let long = |length: usize| "n".repeat(length);
    for name in ["", "a b", "a/b", "ü", "a?b", &long(65)] {
        let reply = socket.ask("queue_create", of(name)).await?;
        reply.expect("13", &[400])?;
    }
    for name in ["a-b_9", &long(64)] {
        let reply = socket.ask("queue_create", of(name)).await?;
        reply.expect("13", &[201])?;
    }
    Ok(())
}

/// What another project knows, the identifiers included, gets it nowhere.
async fn isolated(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let stranger = format!("{}-stranger", context.project());
    let free = posted.ids.last().cloned().unwrap_or_default();
    for (action, body, statuses) in [
        ("queue_create", of("q"), &[201][..]),
        (
            "message_get",
            json!({ "queue_name": "q", "message_id": free }),
            &[404],
        ),
        (
            "claim_get",
            json!({ "queue_name": "q", "claim_id": claim.id }),
            &[404],
        ),
        ("claim_create", of("q"), &[204]),
        (
            "claim_delete",
            json!({ "queue_name": "q", "claim_id": claim.id }),
            &[204],
        ),
        (
            "message_delete",
            json!({ "queue_name": "q", "message_id": free }),
            &[204],
        ),
        ("queue_delete", of("q"), &[204]),
    ] {
        let mut request = socket.request(action, &body);
        request["headers"]["X-Project-ID"] = json!(stranger);
        let heard = socket.exchange(&request).await?;
        heard.reply.expect("13", statuses)?;
    }
    queue.get(&free).await?;
    context.get(claim.path).send().await?.expect("13", &[200])?;
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("13", "the message", page.messages.len() == 1)
}
