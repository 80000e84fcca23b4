//! Contract 13, claims: made, shown, renewed and released over a socket, and what they protect from.

use serde_json::{Value, json};

use super::NEEDS;
use super::queues::of;
use crate::suite::context::Reply;
use crate::suite::socket::Socket;
use crate::suite::steps::{
    Message, Queue, ids, messages, numbered, still_before, surely_after, surely_until,
};
use crate::suite::{Case, CaseResult, Context, Stop, case};

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(Must, "websocket/claim-hands-out-messages", "13", granted)
        .needs(NEEDS)
        .guarantee("G6")
        .since(3),
    case!(
        Must,
        "websocket/nothing-to-claim-is-204",
        "13",
        nothing_to_claim
    )
    .needs(NEEDS)
    .since(3),
    case!(Must, "websocket/claim-terms-are-checked", "13", terms)
        .needs(NEEDS)
        .since(3),
    case!(Must, "websocket/claim-is-shown", "13", shown)
        .needs(NEEDS)
        .since(3),
    case!(
        Must,
        "websocket/claims-never-share-over-either-way",
        "13",
        never_share
    )
    .needs(NEEDS)
    .guarantee("G6")
    .since(3),
    case!(Must, "websocket/released-claim-frees", "13", released)
        .needs(NEEDS)
        .since(3),
    case!(
        Must,
        "websocket/claimed-message-needs-its-claim",
        "13",
        fenced
    )
    .needs(NEEDS)
    .guarantee("G7")
    .since(3),
    case!(Must, "websocket/expired-claim-frees", "13", expired)
        .needs(NEEDS)
        .guarantee("G7")
        .waits(75)
        .since(3),
    case!(Must, "websocket/renewed-claim-holds", "13", renewed)
        .needs(NEEDS)
        .guarantee("G7")
        .waits(140)
        .since(3),
];

/// A claim over a socket.
struct Claimed {
    id: String,
    messages: Vec<Message>,
    reply: Reply,
}

/// The body of an action about a claim.
fn about(id: &str) -> Value {
    json!({ "queue_name": "q", "claim_id": id })
}

/// A claim that must be granted.
async fn claim(socket: &mut Socket, ttl: u64, limit: u64) -> Result<Claimed, Stop> {
    let body = json!({ "queue_name": "q", "ttl": ttl, "grace": 60, "limit": limit });
    let reply = socket.ask("claim_create", &body).await?;
    let reply = reply.expect("13", &[201])?;
    let messages = messages(&reply, "13")?;
    match reply.json("13")?["claim_id"].as_str() {
        Some(id) if !id.is_empty() => Ok(Claimed {
            id: id.to_owned(),
            messages,
            reply,
        }),
        Some(_) | None => Err(reply.refuse("13", "`claim_id`: a string")),
    }
}

async fn granted(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..12, 300)).await?;
    let Claimed {
        id,
        messages: claimed,
        reply,
    } = claim(&mut socket, 300, 2).await?;
    reply.check("13", "two messages", claimed.len() == 2)?;
    let document = reply.json("13")?;
    let held = document["messages"]
        .as_array()
        .is_some_and(|all| all.iter().all(|one| one["claim_id"] == json!(id)));
    reply.check("13", "messages with the `claim_id`", held)?;
    // It is a claim over HTTP as well.
    let path = queue.at(&format!("/claims/{id}"));
    let shown = context.get(path).send().await?.expect("6.2", &[200])?;
    let same = ids(&messages(&shown, "6.2")?) == ids(&claimed);
    shown.check("13", "the same messages", same)?;
    let ten = socket.ask("claim_create", of("q")).await?;
    let count = messages(&ten.expect("13", &[201])?, "13")?.len();
    if count != 10 {
        return Err(context.failure("13", "ten messages by default", count.to_string()));
    }
    queue.expect_nothing_to_claim("13").await
}

async fn nothing_to_claim(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    // Neither a queue that is empty nor one that is not there has anything.
    for body in [of("unknown"), of("q")] {
        let reply = socket.ask("claim_create", &body).await?;
        reply.expect("13", &[204])?;
        let created = socket.ask("queue_create", of("q")).await?;
        created.expect("13", &[201, 204])?;
    }
    Ok(())
}

async fn terms(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let with =
        |member: &str, value: i64| ("claim_create", json!({ "queue_name": "q", member: value }));
    let bad = [
        with("ttl", 59),
        with("ttl", 43_201),
        with("grace", 59),
        with("grace", 43_201),
        with("limit", 0),
        with("limit", -1),
        with("limit", 21),
    ];
    socket.expect_each("13", &[400], &bad).await?;
    // Refused means that nothing is held.
    let good = [(60, 60), (43_200, 43_200)];
    for (ttl, grace) in good {
        let body = json!({ "queue_name": "q", "ttl": ttl, "grace": grace, "limit": 1 });
        socket
            .ask("claim_create", &body)
            .await?
            .expect("13", &[201])?;
    }
    let last = claim(&mut socket, 60, 20).await?;
    let one = last.messages.len() == 1;
    last.reply.check("13", "the message that is left", one)?;
    let renewals = [59, 43_201].map(|ttl| {
        let body = json!({ "queue_name": "q", "claim_id": last.id, "ttl": ttl });
        ("claim_update", body)
    });
    socket.expect_each("13", &[400], &renewals).await
}

async fn shown(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 600)).await?;
    let claim = queue.claim(300, 2).await?;
    let reply = socket.ask("claim_get", about(&claim.id)).await?;
    let reply = reply.expect("13", &[200])?;
    let document = reply.json("13")?;
    let young = document["age"].as_u64().is_some_and(|age| age < 60);
    reply.check("13", "ttl 300 and an age", young && document["ttl"] == 300)?;
    let same = ids(&messages(&reply, "13")?) == ids(&claim.messages);
    reply.check("13", "its messages", same)?;
    let elsewhere = json!({ "queue_name": "p", "claim_id": claim.id });
    let unknown = [
        ("claim_get", about("none")),
        ("claim_get", elsewhere),
        (
            "claim_update",
            json!({ "queue_name": "q", "claim_id": "none", "ttl": 60 }),
        ),
    ];
    socket.expect_each("13", &[404], &unknown).await
}

/// Claims over both ways in turn: every message is handed out once.
async fn never_share(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..12, 300)).await?;
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..3 {
        let over_socket = claim(&mut socket, 300, 2).await?;
        let over_http = queue.claim(300, 2).await?;
        for (claimed, reply) in [
            (over_socket.messages, over_socket.reply),
            (over_http.messages, over_http.reply),
        ] {
            let new = claimed.iter().all(|message| !seen.contains(&message.id));
            let two = new && claimed.len() == 2;
            reply.check("13", "two messages that nobody holds", two)?;
            seen.extend(claimed.into_iter().map(|message| message.id));
        }
    }
    let nothing = socket.ask("claim_create", of("q")).await?;
    nothing.expect("13", &[204]).map(drop)
}

async fn released(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let first = claim(&mut socket, 300, 20).await?;
    queue.expect_nothing_to_claim("13").await?;
    let release = ("claim_delete", about(&first.id));
    let unknown = ("claim_delete", about("none"));
    let all = [release.clone(), release, unknown];
    socket.expect_each("13", &[204], &all).await?;
    let gone = [("claim_get", about(&first.id))];
    socket.expect_each("13", &[404], &gone).await?;
    let again = queue.claim(300, 20).await?;
    let both = ids(&again.messages) == ids(&first.messages);
    again.reply.check("13", "both messages", both)
}

async fn fenced(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let first = claim(&mut socket, 300, 1).await?;
    let other = claim(&mut socket, 300, 1).await?;
    let Some(id) = first.messages.first().map(|message| message.id.clone()) else {
        return Err(first.reply.refuse("13", "a message"));
    };
    let delete = |claim: Option<&str>| {
        let mut body = json!({ "queue_name": "q", "message_id": id });
        if let Some(claim) = claim {
            body["claim_id"] = json!(claim);
        }
        ("message_delete", body)
    };
    socket.expect_each("13", &[403], &[delete(None)]).await?;
    let wrong = [delete(Some(&other.id)), delete(Some("none"))];
    socket.expect_each("13", &[400, 403], &wrong).await?;
    queue.get(&id).await?;
    let right = [delete(Some(&first.id))];
    socket.expect_each("13", &[204], &right).await?;
    queue.expect_gone("13", &id).await
}

async fn expired(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(600).await?;
    let first = claim(&mut socket, 60, 1).await?;
    let sent = first.reply.sent;
    let deadline = surely_until(&context, sent, 60);
    socket.rest_until_shortly_before(deadline).await;
    let early = socket.ask("claim_create", of("q")).await?;
    still_before(&context, early.sent, deadline)?;
    early.expect("13", &[204])?;
    socket.rest_until(surely_after(&context, sent, 60)).await;
    let gone = [("claim_get", about(&first.id))];
    socket.expect_each("13", &[404], &gone).await?;
    let second = claim(&mut socket, 300, 1).await?;
    second
        .reply
        .check("13", "the message", ids(&second.messages) == [&*id])?;
    // Who had it before is too late.
    let late = json!({ "queue_name": "q", "message_id": id, "claim_id": first.id });
    let late = [("message_delete", late)];
    socket.expect_each("13", &[400, 403], &late).await?;
    queue.get(&id).await.map(drop)
}

async fn renewed(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(600).await?;
    let first = claim(&mut socket, 60, 1).await?;
    let deadline = surely_until(&context, first.reply.sent, 60);
    socket.rest_until_shortly_before(deadline).await;
    let body = json!({ "queue_name": "q", "claim_id": first.id, "ttl": 70, "grace": 60 });
    let renewed = socket.ask("claim_update", &body).await?;
    still_before(&context, renewed.sent, deadline)?;
    let renewed = renewed.expect("13", &[204])?.sent;
    // It would have ended long ago.
    let deadline = surely_until(&context, renewed, 70);
    socket.rest_until_shortly_before(deadline).await;
    let nothing = socket.ask("claim_create", of("q")).await?;
    still_before(&context, nothing.sent, deadline)?;
    nothing.expect("13", &[204])?;
    socket.rest_until(surely_after(&context, renewed, 70)).await;
    let second = claim(&mut socket, 60, 1).await?;
    second
        .reply
        .check("13", "the message", ids(&second.messages) == [&*id])
}
