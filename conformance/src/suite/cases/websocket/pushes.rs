//! Contract 13, notifications: a socket that subscribes itself is told of messages, while it is open.

use std::time::Duration;

use serde_json::{Value, json};

use super::messages::post;
use super::queues::of;
use super::subscriptions::{NEEDS, subscription_id};
use crate::suite::socket::{Encoding, Pushed, Socket};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::listed;
use crate::suite::{Case, CaseResult, Context, Stop, case};

/// Between two looks at whether a subscription has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(
        Must,
        "websocket/subscribed-socket-is-notified",
        "13",
        pushed
    )
    .needs(NEEDS)
    .guarantee("G17")
    .since(3),
    case!(
        Must,
        "websocket/notification-is-as-documented",
        "13",
        as_documented
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/notifications-are-in-the-subscriber-s-encoding",
        "13",
        encoded
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/every-subscribed-socket-is-notified",
        "13",
        every_socket
    )
    .needs(NEEDS)
    .guarantee("G17")
    .waits(10)
    .since(3),
    case!(
        Must,
        "websocket/other-queues-are-not-pushed",
        "13",
        other_queues
    )
    .needs(NEEDS)
    .waits(10)
    .since(3),
    case!(
        Must,
        "websocket/ended-subscription-is-not-pushed",
        "13",
        ended
    )
    .needs(NEEDS)
    .waits(10)
    .since(3),
    case!(
        Must,
        "websocket/closed-socket-loses-its-subscriptions",
        "13",
        closed
    )
    .needs(NEEDS)
    .waits(1)
    .since(3),
    case!(
        Must,
        "websocket/closed-socket-leaves-the-others",
        "13",
        closed_beside_others
    )
    .needs(NEEDS)
    .waits(1)
    .since(3),
];

/// Subscribes the socket itself to `q`.
async fn subscribe(socket: &mut Socket) -> Result<String, Stop> {
    let body = json!({ "queue_name": "q", "ttl": 600 });
    let reply = socket.ask("subscription_create", &body).await?;
    subscription_id(reply)
}

fn bodies(pushed: &[Pushed]) -> Vec<u64> {
    let bodies = pushed.iter().map(|one| one.document["body"].as_u64());
    let mut bodies: Vec<u64> = bodies.map(|body| body.unwrap_or(u64::MAX)).collect();
    bodies.sort_unstable();
    bodies
}

/// Demands that what was pushed has these bodies. At least once: some may come twice.
fn expect(context: &Context, pushed: &[Pushed], expected: &[u64]) -> Result<(), Stop> {
    let mut came = bodies(pushed);
    came.dedup();
    if came == expected {
        return Ok(());
    }
    let documents: Vec<&Value> = pushed.iter().map(|one| &one.document).collect();
    let expected = format!("notifications of the messages {expected:?}");
    Err(context.failure("13", expected, json!(documents).to_string()))
}

async fn pushed(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    // What was there before is not told.
    queue.post(&numbered(90..91, 300)).await?;
    subscribe(&mut socket).await?;
    queue.post(&numbered(0..3, 300)).await?;
    expect(&context, &socket.pushed(3).await, &[0, 1, 2])?;
    // Over the socket itself as well, between answers.
    let posted = socket.ask("message_post", post(&numbered(3..5, 300)));
    posted.await?.expect("13", &[201])?;
    expect(&context, &socket.pushed(5).await, &[0, 1, 2, 3, 4])?;
    let stats = socket.ask("queue_list", json!({})).await?;
    stats.expect("13", &[200]).map(drop)
}

async fn as_documented(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    subscribe(&mut socket).await?;
    let body = json!({ "deep": [null, "ü"] });
    let messages = json!([{ "ttl": 300, "body": body }]);
    Queue::new(&context, "q").post(&messages).await?;
    let pushed = socket.pushed(1).await;
    let document = pushed.first().map(|one| one.document.clone());
    let document = document.unwrap_or_default();
    let holds = document["body"] == body
        && document["ttl"] == 300
        && document["queue_name"] == "q"
        && document["Message_Type"] == "Notification";
    let expected = "a document with ttl, body, queue_name and Message_Type: Notification";
    if holds {
        return Ok(());
    }
    Err(context.failure("13", expected, document.to_string()))
}

async fn encoded(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for encoding in [Encoding::MessagePack, Encoding::Json] {
        let mut socket = Socket::open(&context).await?;
        socket.speak(encoding);
        subscribe(&mut socket).await?;
        queue.post(&numbered(0..1, 300)).await?;
        let pushed = socket.pushed(1).await;
        expect(&context, &pushed, &[0])?;
        if pushed.iter().any(|one| one.encoding != encoding) {
            let expected = format!("a notification in {encoding:?}, as it was asked for");
            return Err(context.failure("13", expected, format!("{:?}", pushed[0].encoding)));
        }
        socket.close().await;
    }
    Ok(())
}

async fn every_socket(context: Context) -> CaseResult {
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::open(&context).await?;
        subscribe(&mut socket).await?;
        sockets.push(socket);
    }
    let mut deaf = Socket::open(&context).await?;
    Queue::new(&context, "q").post(&numbered(0..2, 300)).await?;
    for socket in &mut sockets {
        expect(&context, &socket.pushed(2).await, &[0, 1])?;
    }
    expect(&context, &deaf.pushed_anyway().await, &[])
}

async fn other_queues(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    subscribe(&mut socket).await?;
    let stranger = format!("{}-stranger", context.project());
    Queue::new(&context, "other").post_one(300).await?;
    let theirs = Queue::new(&context, "q").posting(&numbered(7..8, 300));
    let theirs = theirs.header("x-project-id", &stranger).send().await?;
    theirs.expect("5.2", &[201])?;
    Queue::new(&context, "q").post(&numbered(1..2, 300)).await?;
    expect(&context, &socket.pushed(1).await, &[1])?;
    expect(&context, &socket.pushed_anyway().await, &[1])
}

async fn ended(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let id = subscribe(&mut socket).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..1, 300)).await?;
    expect(&context, &socket.pushed(1).await, &[0])?;
    let body = json!({ "queue_name": "q", "subscription_id": id });
    let end = [("subscription_delete", body)];
    socket.expect_each("13", &[204], &end).await?;
    queue.post(&numbered(1..2, 300)).await?;
    expect(&context, &socket.pushed_anyway().await, &[0])
}

/// Demands that `count` subscriptions of `q` are left, after a while.
async fn expect_left(context: &Context, count: usize) -> CaseResult {
    let deadline = context.now().plus(context.happens_within());
    loop {
        let (all, reply) = listed(context, &Queue::new(context, "q")).await?;
        if all.len() == count {
            return Ok(());
        }
        if context.now() >= deadline {
            let expected = format!("{count} subscriptions are left");
            return Err(reply.refuse("13", &expected));
        }
        context.sleep_until(context.now().plus(LOOK_EVERY)).await;
    }
}

async fn closed(context: Context) -> CaseResult {
    let mut said = Socket::open(&context).await?;
    let mut cut = Socket::open(&context).await?;
    for socket in [&mut said, &mut cut] {
        subscribe(socket).await?;
    }
    expect_left(&context, 2).await?;
    said.close().await;
    expect_left(&context, 1).await?;
    // Who goes without a goodbye has gone as well.
    drop(cut);
    expect_left(&context, 0).await
}

async fn closed_beside_others(context: Context) -> CaseResult {
    let mut leaving = Socket::open(&context).await?;
    let mut staying = Socket::open(&context).await?;
    subscribe(&mut leaving).await?;
    subscribe(&mut staying).await?;
    let webhook = json!({ "queue_name": "q", "subscriber": "http://127.0.0.1:9/s", "ttl": 600 });
    let reply = leaving.ask("subscription_create", &webhook).await?;
    subscription_id(reply)?;
    leaving.close().await;
    // The socket's own has ended; what it subscribed for another has not.
    expect_left(&context, 2).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..1, 300)).await?;
    expect(&context, &staying.pushed(1).await, &[0])?;
    let stats = staying.ask("queue_get", of("q")).await?;
    stats.expect("13", &[200]).map(drop)
}
