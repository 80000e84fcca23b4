//! Contract 13, messages: posted, listed, read, deleted and popped over a socket.

use serde_json::{Value, json};

use super::NEEDS;
use super::queues::of;
use crate::suite::capability::Capability::{
    BulkDeleteIgnoresClaims, Delay, Pop, Projects, WebSocket,
};
use crate::suite::context::Reply;
use crate::suite::socket::Socket;
use crate::suite::steps::{
    EVERYTHING, Queue, bodies, ids, messages, numbered, still_before, surely_until,
};
use crate::suite::{Case, CaseResult, Context, Stop, case};

/// Largest body of a post, `max_messages_post_size`, in bytes.
const POST_BYTES_MAX: usize = 262_144;

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(Must, "websocket/posted-messages-are-there", "13", posted)
        .needs(NEEDS)
        .guarantee("G1")
        .since(3),
    case!(
        Must,
        "websocket/message-is-shown-as-documented",
        "13",
        shown
    )
    .needs(NEEDS)
    .since(3),
    case!(Must, "websocket/bad-post-stores-nothing", "13", bad_posts)
        .needs(NEEDS)
        .since(3),
    case!(
        Should,
        "websocket/malformed-message-is-refused",
        "13",
        malformed_messages
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/too-large-post-stores-nothing",
        "13",
        too_large
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "websocket/delay-of-a-message-is-ignored",
        "13",
        delay_is_ignored
    )
    .needs(&[WebSocket, Projects, Delay])
    .since(3),
    case!(Must, "websocket/own-messages-need-echo", "13", echo)
        .needs(NEEDS)
        .since(3),
    case!(
        Must,
        "websocket/claimed-messages-are-listed-on-request",
        "13",
        include_claimed
    )
    .needs(NEEDS)
    .since(3),
    case!(Must, "websocket/message-pages-have-a-limit", "13", limits)
        .needs(NEEDS)
        .since(3),
    case!(Must, "websocket/message-is-read-by-id", "13", read_by_id)
        .needs(NEEDS)
        .since(3),
    case!(
        Must,
        "websocket/messages-are-read-by-ids",
        "13",
        read_by_ids
    )
    .needs(NEEDS)
    .since(3),
    case!(Must, "websocket/message-is-deleted", "13", deleted)
        .needs(NEEDS)
        .since(3),
    case!(
        Must,
        "websocket/messages-are-deleted-by-ids",
        "13",
        deleted_by_ids
    )
    .needs(&[WebSocket, Projects, BulkDeleteIgnoresClaims])
    .since(3),
    case!(Must, "websocket/pop-returns-and-removes", "13", popped)
        .needs(&[WebSocket, Projects, Pop])
        .since(3),
    case!(Must, "websocket/bad-pop-removes-nothing", "13", bad_pops)
        .needs(&[WebSocket, Projects, Pop])
        .since(3),
    case!(Must, "websocket/messages-expire", "13", expire)
        .needs(NEEDS)
        .guarantee("G8")
        .waits(140)
        .since(3),
];

/// A post of messages, a JSON array.
pub(super) fn post(messages: &Value) -> Value {
    json!({ "queue_name": "q", "messages": messages })
}

/// A listing of all messages but claimed ones.
fn everything() -> Value {
    json!({ "queue_name": "q", "echo": true, "limit": 20 })
}

fn one(id: &str) -> Value {
    json!({ "queue_name": "q", "message_id": id })
}

/// The identifiers in the answer to a post.
fn posted_ids(reply: &Reply) -> Result<Vec<String>, Stop> {
    let document = reply.json("13")?;
    let ids = document["message_ids"].as_array().and_then(|ids| {
        let id = |id: &Value| Some(id.as_str()?.to_owned());
        ids.iter().map(id).collect::<Option<Vec<String>>>()
    });
    ids.ok_or_else(|| reply.refuse("13", "`message_ids`: an array of strings"))
}

async fn posted(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let reply = socket.ask("message_post", post(&numbered(0..3, 300)));
    let reply = reply.await?.expect("13", &[201])?;
    let posted = posted_ids(&reply)?;
    reply.check("13", "three ids", posted.len() == 3)?;
    let queue = Queue::new(&context, "q");
    for (number, id) in posted.iter().enumerate() {
        let message = queue.get(id).await?;
        let expected = format!("the body {number} under {id}");
        reply.check("13", &expected, message.body == json!(number))?;
    }
    let page = queue.whole(EVERYTHING, 3).await?;
    page.reply
        .check("13", "all three", page.messages.len() == 3)?;
    // The other way round.
    let (id, _) = queue.post_one(300).await?;
    let reply = socket.ask("message_list", everything()).await?;
    let reply = reply.expect("13", &[200])?;
    let listed = messages(&reply, "13")?;
    let both = listed.len() == 4 && ids(&listed).contains(&&*id);
    reply.check("13", "what was posted over HTTP as well", both)
}

async fn shown(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let reply = socket.ask("message_list", everything()).await?;
    let first = reply.json("13")?["messages"][0].clone();
    let reply = socket.ask("message_get", one(&id)).await?;
    let only = reply.json("13")?["messages"].clone();
    for shown in [first, only] {
        let named = shown["id"] == json!(id) && shown.get("claim_id") == Some(&Value::Null);
        let holds = named
            && shown["ttl"] == 300
            && shown["age"].as_u64().is_some_and(|age| age < 60)
            && shown["body"] == 0;
        let expected = "id, ttl 300, age, the body, and `claim_id` null";
        reply.check("13", expected, holds)?;
    }
    Ok(())
}

async fn bad_posts(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    socket.ask("queue_create", of("q")).await?;
    for messages in [
        json!([]),
        json!([{ "ttl": 300 }]),
        json!([{ "ttl": 59, "body": 1 }]),
        json!([{ "ttl": 1_209_601, "body": 1 }]),
        // One that is bad spoils those that are not.
        json!([{ "ttl": 300, "body": 1 }, { "ttl": 1, "body": 2 }]),
    ] {
        let reply = socket.ask("message_post", post(&messages)).await?;
        reply.expect("13", &[400])?;
    }
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    page.reply
        .check("13", "nothing is stored", page.messages.is_empty())?;
    let edges = json!([{ "ttl": 60, "body": 1 }, { "ttl": 1_209_600, "body": 2 }, { "body": 3 }]);
    let reply = socket.ask("message_post", post(&edges)).await?;
    reply.expect("13", &[201])?;
    let page = Queue::new(&context, "q").whole(EVERYTHING, 3).await?;
    let ttl = |body: u64| {
        let found = page.messages.iter().find(|message| message.body == body);
        found.map(|message| message.ttl.clone())
    };
    let ttls = [ttl(1), ttl(2), ttl(3)];
    let expected = [60, 1_209_600, 3_600].map(|ttl| Some(json!(ttl)));
    page.reply.check(
        "13",
        "their lifetimes, an hour by default",
        ttls == expected,
    )
}

async fn malformed_messages(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    socket.ask("queue_create", &of("q")).await?;
    for messages in [
        json!([1]),
        json!([null]),
        json!([{ "ttl": "300", "body": 1 }]),
    ] {
        let reply = socket.ask("message_post", post(&messages)).await?;
        reply.expect("13", &[400])?;
    }
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    page.reply
        .check("13", "nothing is stored", page.messages.is_empty())
}

async fn too_large(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let text = |bytes: usize| json!([{ "ttl": 300, "body": "x".repeat(bytes) }]);
    let reply = socket.ask("message_post", post(&text(POST_BYTES_MAX + 1)));
    reply.await?.expect("13", &[400])?;
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    page.reply
        .check("13", "nothing is stored", page.messages.is_empty())?;
    // Room for what is around the body.
    let reply = socket.ask("message_post", post(&text(POST_BYTES_MAX - 200)));
    reply.await?.expect("13", &[201]).map(drop)
}

async fn delay_is_ignored(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let messages = json!([{ "ttl": 300, "delay": 200, "body": 0 }]);
    let reply = socket.ask("message_post", post(&messages)).await?;
    reply.expect("13", &[201])?;
    let claimed = socket.ask("claim_create", of("q")).await?;
    claimed.expect("13", &[201]).map(drop)
}

async fn echo(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let own = socket.ask("message_post", post(&numbered(0..1, 300)));
    own.await?.expect("13", &[201])?;
    let queue = Queue::new(&context, "q");
    let others = queue.seen_by(&context.other_client());
    others.post(&numbered(1..2, 300)).await?;
    for (echo, expected) in [
        (None, json!([1])),
        (Some(false), json!([1])),
        (Some(true), json!([0, 1])),
    ] {
        let mut body = of("q");
        if let Some(echo) = echo {
            body["echo"] = json!(echo);
        }
        let reply = socket.ask("message_list", &body).await?;
        let mut listed = messages(&reply, "13")?;
        listed.sort_by_key(|message| message.body.as_u64());
        let holds = bodies(&listed) == expected;
        reply.check("13", &format!("the messages {expected}"), holds)?;
    }
    Ok(())
}

async fn include_claimed(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    queue.claim(300, 2).await?;
    for (include, count) in [(false, 1), (true, 3)] {
        let body = json!({ "queue_name": "q", "echo": true, "include_claimed": include });
        let reply = socket.ask("message_list", &body).await?;
        let listed = messages(&reply, "13")?.len();
        let expected = format!("{count} messages");
        reply.check("13", &expected, listed == count)?;
    }
    Ok(())
}

async fn limits(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..10, 300)).await?;
    queue.post(&numbered(10..22, 300)).await?;
    let page = |limit: i64| json!({ "queue_name": "q", "echo": true, "limit": limit });
    let unlimited = json!({ "queue_name": "q", "echo": true });
    for (body, count) in [(page(1), 1), (page(5), 5), (page(20), 20), (unlimited, 10)] {
        let reply = socket.ask("message_list", &body).await?;
        let reply = reply.expect("13", &[200])?;
        let oldest = Value::from((0..count).collect::<Vec<u64>>());
        let holds = bodies(&messages(&reply, "13")?) == oldest;
        reply.check("13", &format!("the {count} oldest"), holds)?;
    }
    let refused = [-1, 0, 21].map(|limit| ("message_list", page(limit)));
    socket.expect_each("13", &[400], &refused).await
}

async fn read_by_id(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let (id, _) = Queue::new(&context, "q").post_one(300).await?;
    let reply = socket.ask("message_get", one(&id)).await?;
    let reply = reply.expect("13", &[200])?;
    // One, in spite of the name of the member.
    let same = reply.json("13")?["messages"]["id"] == json!(id);
    reply.check("13", "`messages`: the message", same)?;
    let elsewhere = json!({ "queue_name": "p", "message_id": id });
    let unknown = [
        ("message_get", one("none")),
        ("message_get", one("")),
        ("message_get", elsewhere),
    ];
    socket.expect_each("13", &[404], &unknown).await
}

async fn read_by_ids(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let posted = Queue::new(&context, "q").post(&numbered(0..3, 300)).await?;
    let many = |ids: Value| json!({ "queue_name": "q", "message_ids": ids });
    let two = json!([posted.ids[0], posted.ids[2], "none"]);
    let reply = socket.ask("message_get_many", many(two)).await?;
    let mut found = messages(&reply.expect("13", &[200])?, "13")?;
    found.sort_by_key(|message| message.body.as_u64());
    if bodies(&found) != json!([0, 2]) {
        let came = bodies(&found).to_string();
        return Err(context.failure("13", "the two that are there", came));
    }
    let reply = socket.ask("message_get_many", many(json!(["none"])));
    let reply = reply.await?.expect("13", &[200])?;
    let none = messages(&reply, "13")?.is_empty();
    reply.check("13", "an empty list", none)?;
    let too_many: Value = (0..21).map(|number| json!(number.to_string())).collect();
    let reply = socket.ask("message_get_many", many(too_many)).await?;
    reply.expect("13", &[400]).map(drop)
}

async fn deleted(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let delete = ("message_delete", one(&posted.ids[0]));
    let unknown = ("message_delete", one("none"));
    // Again, and of one that never was: there is nothing to do.
    let all = [delete.clone(), delete, unknown];
    socket.expect_each("13", &[204], &all).await?;
    queue.expect_gone("13", &posted.ids[0]).await?;
    queue.get(&posted.ids[1]).await.map(drop)
}

async fn deleted_by_ids(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let body = json!({ "queue_name": "q", "message_ids": [posted.ids[0], posted.ids[1], "none"] });
    let delete = [("message_delete_many", body)];
    socket.expect_each("13", &[204], &delete).await?;
    queue.expect_gone("13", &posted.ids[0]).await?;
    queue.expect_gone("13", &posted.ids[1]).await?;
    queue.get(&posted.ids[2]).await.map(drop)
}

fn pop(count: i64) -> (&'static str, Value) {
    (
        "message_delete_many",
        json!({ "queue_name": "q", "pop": count }),
    )
}

async fn popped(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..4, 300)).await?;
    let (held, rest) = (queue.claim(300, 1).await?, posted.ids.len() - 1);
    let held = held.only()?.id.clone();
    let mut seen = Vec::new();
    for (count, expected) in [(2, 2), (20, rest - 2), (20, 0)] {
        let (action, body) = pop(count);
        let reply = socket.ask(action, &body).await?.expect("13", &[200])?;
        let popped = messages(&reply, "13")?;
        let new = popped.iter().all(|message| !seen.contains(&message.id));
        let expected_words = format!("{expected} messages that were not popped before");
        let free = new && popped.len() == expected && !ids(&popped).contains(&&*held);
        reply.check("13", &expected_words, free)?;
        for message in popped {
            queue.expect_gone("13", &message.id).await?;
            seen.push(message.id);
        }
    }
    queue.get(&held).await.map(drop)
}

async fn bad_pops(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let both = json!({ "queue_name": "q", "pop": 1, "message_ids": [id] });
    let bad = [
        pop(0),
        pop(-1),
        pop(21),
        ("message_delete_many", both),
        ("message_delete_many", of("q")),
    ];
    socket.expect_each("13", &[400], &bad).await?;
    queue.get(&id).await.map(drop)
}

async fn expire(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let reply = socket.ask("message_post", post(&numbered(0..1, 60)));
    let reply = reply.await?.expect("13", &[201])?;
    let (ids, sent) = (posted_ids(&reply)?, reply.sent);
    let [id] = ids.as_slice() else {
        return Err(reply.refuse("13", "one id"));
    };
    let deadline = surely_until(&context, sent, 60);
    socket.rest_until_shortly_before(deadline).await;
    let reply = socket.ask("message_get", one(id)).await?;
    still_before(&context, reply.sent, deadline)?;
    reply.expect("13", &[200])?;
    Queue::new(&context, "q").await_gone(id, sent, 60).await?;
    socket
        .ask("message_get", one(id))
        .await?
        .expect("13", &[404])?;
    let reply = socket.ask("message_list", everything()).await?;
    let none = messages(&reply, "13")?.is_empty();
    reply.check("13", "nothing is listed", none)?;
    let claimed = socket.ask("claim_create", of("q")).await?;
    claimed.expect("13", &[204]).map(drop)
}
