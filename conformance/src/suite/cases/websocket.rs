//! Contract 13, the form: requests, answers, encodings, and what is wrong with a frame.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{self, Bulk, Projects, WebSocket};
use crate::suite::context::Reply;
use crate::suite::socket::{Encoding, Heard, Socket};
use crate::suite::steps::{EVERYTHING, Queue, bodies};
use crate::suite::{Case, CaseResult, Context, Provenance, Stop, case};
use crate::target::Frame;

pub(super) mod claims;
pub(super) mod frames;
pub(super) mod messages;
pub(super) mod pushes;
pub(super) mod queues;
pub(super) mod signing;
pub(super) mod subscriptions;

/// What all cases about sockets need: each is in a project of its own.
pub(super) const NEEDS: &[Capability] = &[WebSocket, Projects];

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "websocket/answer-repeats-its-request",
        "13",
        answer_repeats_its_request
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "websocket/additional-members-are-tolerated",
        "13",
        additional_members
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/binary-frames-are-message-pack",
        "13",
        binary_frames
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/answer-has-the-encoding-of-its-request",
        "13",
        encoding_of_the_request
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/undecodable-frame-is-refused",
        "13",
        undecodable
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/request-is-an-object",
        "13",
        request_is_an_object
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/unknown-action-is-refused",
        "13",
        unknown_action
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/client-and-project-are-needed",
        "13",
        headers_are_needed
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/needed-members-are-needed",
        "13",
        needed_members
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Must,
        "websocket/members-are-of-their-kind",
        "13",
        members_of_their_kind
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "websocket/metadata-is-an-object",
        "13",
        metadata_is_an_object
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "websocket/handlers-name-their-exception",
        "13",
        handlers_name_their_exception
    )
    .needs(NEEDS)
    .since(3),
    case!(
        May,
        "websocket/actions-without-implementation-fail",
        "13",
        without_implementation
    )
    .needs(NEEDS)
    .provenance(Provenance::Contract)
    .since(3),
    case!(
        Must,
        "websocket/error-leaves-the-socket-usable",
        "13",
        usable_after_errors
    )
    .needs(&[WebSocket, Projects, Bulk])
    .since(3),
];

/// Demands that a frame was refused as malformed: 400, with words in `error`.
fn expect_malformed(heard: Heard) -> Result<(), Stop> {
    let reply = heard.reply.expect("13", &[400])?;
    let says = reply.json("13")?["error"].is_string();
    reply.check("13", "`error`: what is wrong", says)
}

async fn answer_repeats_its_request(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let body = json!({ "queue_name": "q", "metadata": { "colour": "red" } });
    let asked = [
        socket.request("queue_create", &body),
        // What fails is told apart from what does not by nothing else.
        socket.request(
            "claim_get",
            &json!({ "queue_name": "q", "claim_id": "none" }),
        ),
        socket.request("message_list", &json!({ "queue_name": "q", "limit": 0 })),
        socket.request("queue_dance", &json!({ "queue_name": "q" })),
    ];
    for request in asked {
        let heard = socket.exchange(&request).await?;
        let echo = &heard.document["request"];
        for member in ["action", "body", "headers"] {
            let same = echo[member] == request[member];
            let expected = format!("`request` with the same `{member}`");
            heard.reply.check("13", &expected, same)?;
        }
        let api = echo["api"] == "v2";
        heard.reply.check("13", "`request` with `api`: v2", api)?;
        let body = heard.document.get("body").is_some();
        heard.reply.check("13", "a `body`", body)?;
    }
    Ok(())
}

async fn additional_members(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let body = json!({ "queue_name": "q", "messages": [{ "ttl": 300, "body": 1 }] });
    let mut request = socket.request("message_post", &body);
    request["id"] = json!(7);
    request["api"] = json!("v2");
    request["headers"]["X-Other"] = json!("x");
    let heard = socket.exchange(&request).await?;
    heard.reply.expect("13", &[201])?;
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    let is_there = bodies(&page.messages) == json!([1]);
    page.reply.check("13", "the message", is_there)
}

/// A body with all that both encodings have.
fn document() -> Value {
    json!({
        "text": "Grüße \u{1f4ec}\n", "numbers": [0, -1, 127, 128, 65_536, 1_234_567_890_123_i64, -2.5],
        "nothing": null, "flags": [true, false], "empty": [{}, [], ""],
        "long": "x".repeat(300), "many": (0..20).collect::<Vec<u32>>(),
    })
}

async fn binary_frames(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    socket.speak(Encoding::MessagePack);
    let messages = json!([{ "ttl": 300, "body": document() }]);
    let post = json!({ "queue_name": "q", "messages": messages });
    let posted = socket.ask("message_post", &post).await?;
    posted.expect("13", &[201])?;
    let list = json!({ "queue_name": "q", "echo": true });
    let listed = socket.ask("message_list", &list).await?;
    let listed = listed.expect("13", &[200])?;
    let same = listed.json("13")?["messages"][0]["body"] == document();
    listed.check("13", "the body as it was posted", same)?;
    // It is the same message for those who read JSON.
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    let same = bodies(&page.messages) == json!([document()]);
    page.reply.check("13", "the body as it was posted", same)
}

async fn encoding_of_the_request(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let list = socket.request("queue_list", &json!({}));
    let wrong = socket.request("queue_dance", &json!({}));
    for encoding in [Encoding::MessagePack, Encoding::Json, Encoding::MessagePack] {
        socket.speak(encoding);
        for request in [&list, &wrong] {
            let heard = socket.exchange(request).await?;
            let expected = format!("an answer in {encoding:?}");
            heard
                .reply
                .check("13", &expected, heard.encoding == encoding)?;
        }
    }
    Ok(())
}

async fn undecodable(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    for text in ["", "{", "nonsense", r#"{"action": "queue_list""#] {
        let heard = socket.send_frame(Frame::Text(text.to_owned())).await?;
        expect_malformed(heard)?;
    }
    // A byte that MessagePack never uses; a map that is cut off.
    for bytes in [&b"\xc1"[..], b"\x82\xa1a"] {
        let frame = Frame::Binary(Bytes::from_static(bytes));
        expect_malformed(socket.send_frame(frame).await?)?;
    }
    Ok(())
}

async fn request_is_an_object(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    for request in [json!([]), json!(1), json!("queue_list"), json!(null)] {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            socket.speak(encoding);
            expect_malformed(socket.exchange(&request).await?)?;
        }
    }
    Ok(())
}

async fn unknown_action(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let headers = socket.headers();
    for request in [
        json!({ "action": "queue_dance", "headers": headers, "body": {} }),
        json!({ "action": "QUEUE_LIST", "headers": headers, "body": {} }),
        json!({ "action": "", "headers": headers, "body": {} }),
        json!({ "action": 1, "headers": headers, "body": {} }),
        json!({ "headers": headers, "body": {} }),
    ] {
        expect_malformed(socket.exchange(&request).await?)?;
    }
    Ok(())
}

async fn headers_are_needed(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let whole = socket.request("queue_create", &json!({ "queue_name": "q" }));
    for header in ["Client-ID", "X-Project-ID"] {
        let mut request = whole.clone();
        if let Some(headers) = request["headers"].as_object_mut() {
            headers.remove(header);
        }
        expect_malformed(socket.exchange(&request).await?)?;
    }
    for headers in [json!({}), json!([]), json!(null)] {
        let mut request = whole.clone();
        request["headers"] = headers;
        expect_malformed(socket.exchange(&request).await?)?;
    }
    // Refused means that nothing was done: it is new now.
    let heard = socket.exchange(&whole).await?;
    heard.reply.expect("13", &[201]).map(drop)
}

/// Every action with the members that it needs.
fn needs() -> [(&'static str, Value); 15] {
    let queue = json!({ "queue_name": "q" });
    let and = |member: &str, value: Value| json!({ "queue_name": "q", member: value });
    [
        ("queue_create", queue.clone()),
        ("queue_get", queue.clone()),
        ("queue_delete", queue.clone()),
        ("queue_get_stats", queue.clone()),
        ("queue_purge", queue.clone()),
        (
            "message_post",
            and("messages", json!([{ "ttl": 300, "body": 1 }])),
        ),
        ("message_list", queue.clone()),
        ("message_get", and("message_id", json!("none"))),
        ("message_get_many", and("message_ids", json!(["none"]))),
        ("message_delete", and("message_id", json!("none"))),
        ("message_delete_many", queue.clone()),
        ("claim_create", queue),
        ("claim_get", and("claim_id", json!("none"))),
        ("claim_update", and("claim_id", json!("none"))),
        ("claim_delete", and("claim_id", json!("none"))),
    ]
}

async fn needed_members(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    for (action, body) in needs() {
        let members = body.as_object().cloned().unwrap_or_default();
        for member in members.keys() {
            let mut without = members.clone();
            without.remove(member);
            let request = socket.request(action, &json!(without));
            expect_malformed(socket.exchange(&request).await?)?;
        }
    }
    Ok(())
}

async fn members_of_their_kind(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let and = |member: &str, value: Value| json!({ "queue_name": "q", member: value });
    for (action, body) in [
        ("queue_create", json!({ "queue_name": 1 })),
        ("queue_create", json!({ "queue_name": null })),
        ("queue_list", json!({ "limit": "1" })),
        ("queue_list", json!({ "detailed": "true" })),
        ("queue_purge", and("resource_types", json!("messages"))),
        ("message_post", and("messages", json!({ "body": 1 }))),
        ("message_list", and("limit", json!("1"))),
        ("message_list", and("echo", json!("true"))),
        ("message_list", and("include_claimed", json!(1))),
        ("message_get", and("message_id", json!(1))),
        ("message_get_many", and("message_ids", json!("none"))),
        ("message_delete_many", and("message_ids", json!("none"))),
        ("message_delete_many", and("pop", json!("1"))),
        ("claim_create", and("ttl", json!("60"))),
        ("claim_create", and("limit", json!("1"))),
        ("claim_get", and("claim_id", json!(1))),
    ] {
        let request = socket.request(action, &body);
        expect_malformed(socket.exchange(&request).await?)?;
    }
    let created = socket.ask("queue_create", json!({ "queue_name": "q" }));
    let created = created.await?;
    created.expect("13", &[201]).map(drop)
}

async fn metadata_is_an_object(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    for metadata in [json!([]), json!("red"), json!(1)] {
        let body = json!({ "queue_name": "q", "metadata": metadata });
        socket
            .ask("queue_create", body)
            .await?
            .expect("13", &[400])?;
    }
    let created = socket.ask("queue_create", json!({ "queue_name": "q" }));
    created.await?.expect("13", &[201]).map(drop)
}

/// What is well formed and still cannot be done.
async fn handlers_name_their_exception(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let names = |reply: &Reply| {
        let exception = reply.json("13")?["exception"].is_string();
        reply.check("13", "`exception`: its name", exception)
    };
    for (action, body, status) in [
        (
            "message_list",
            json!({ "queue_name": "q", "limit": 0 }),
            400,
        ),
        ("queue_create", json!({ "queue_name": "not legal" }), 400),
        (
            "message_get",
            json!({ "queue_name": "q", "message_id": "none" }),
            404,
        ),
        (
            "claim_get",
            json!({ "queue_name": "q", "claim_id": "none" }),
            404,
        ),
    ] {
        let reply = socket.ask(action, &body).await?;
        names(&reply.expect("13", &[status])?)?;
    }
    Ok(())
}

async fn without_implementation(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    for action in ["ping", "health", "get_home_doc", "pool_list", "flavor_list"] {
        let reply = socket.ask(action, &json!({})).await?;
        let fails = reply.status().as_u16() >= 400;
        reply.check("13", "an error", fails)?;
    }
    let created = socket.ask("queue_create", json!({ "queue_name": "q" }));
    created.await?.expect("13", &[201]).map(drop)
}

/// State after errors of every kind: nothing of them is left, neither on the socket nor in the queue.
async fn usable_after_errors(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    let post = |ttl: u32| json!({ "queue_name": "q", "messages": [{ "ttl": ttl, "body": ttl }] });
    let good = socket.ask("message_post", post(300)).await?;
    good.expect("13", &[201])?;
    socket.send_frame(Frame::Text("{".to_owned())).await?;
    socket.ask("message_post", post(1)).await?;
    socket.ask("queue_dance", post(301)).await?;
    let mut unsigned = socket.request("message_post", &post(302));
    unsigned["headers"] = json!({});
    socket.exchange(&unsigned).await?;
    let good = socket.ask("message_post", post(303)).await?;
    good.expect("13", &[201])?;
    let page = Queue::new(&context, "q").whole(EVERYTHING, 2).await?;
    let two = bodies(&page.messages) == json!([300, 303]);
    page.reply.check("13", "the two that were accepted", two)
}
