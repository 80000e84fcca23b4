//! Contract 13 and 1.7: frames that are long or nest deeply.

use bytes::Bytes;
use serde_json::{Value, json};

use super::NEEDS;
use super::messages::post;
use crate::suite::message_pack::pack;
use crate::suite::socket::{Encoding, Socket};
use crate::suite::steps::{EVERYTHING, Queue, bodies};
use crate::suite::{Case, CaseResult, Context, case};
use crate::target::Frame;

/// Levels of a body that the suite can read in an answer: serde_json stops at 128, and the answer has some.
const DEPTH_MAX: usize = 125;

/// Levels that no server has room for on its stack, and few bytes.
const TOO_DEEP: usize = 50_000;

pub(in crate::suite::cases) const CASES: &[Case] = &[
    case!(
        Must,
        "websocket/long-values-are-message-pack-too",
        "13",
        long_values
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Must,
        "websocket/accepted-body-comes-back-however-deep",
        "13",
        deep_bodies
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Should,
        "websocket/excessive-nesting-is-refused",
        "13",
        too_deep
    )
    .needs(NEEDS)
    .disputed("an error; beyond which depth is left open")
    .since(4),
];

/// Texts and arrays of more than 65535: the widest heads that MessagePack has. Each in a post of its own: JSON with
/// spaces of both would be longer than any post has to be.
async fn long_values(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    socket.speak(Encoding::MessagePack);
    let long = json!([{ "text": "x".repeat(70_000) }, { "many": vec![0; 70_000] }]);
    for body in long.as_array().into_iter().flatten() {
        let messages = json!([{ "ttl": 300, "body": body }]);
        let posted = socket.ask("message_post", post(&messages)).await?;
        posted.expect("13", &[201])?;
    }
    let list = json!({ "queue_name": "q", "echo": true });
    let listed = socket.ask("message_list", &list).await?;
    let listed = listed.expect("13", &[200])?;
    let shown = listed.json("13")?["messages"].clone();
    let same = shown[0]["body"] == long[0] && shown[1]["body"] == long[1];
    listed.check("13", "the bodies as they were posted", same)?;
    // They are the same messages for those who read JSON.
    let page = Queue::new(&context, "q").whole(EVERYTHING, 2).await?;
    let same = bodies(&page.messages) == long;
    page.reply
        .check("13", "the bodies as they were posted", same)
}

/// How deep a body may be is left open. What is accepted can be read, in the answer that repeats it as well.
/// Deeper than [`DEPTH_MAX`] the suite's own reader gives up.
async fn deep_bodies(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    socket.speak(Encoding::MessagePack);
    for depth in [10, 60, 64, 70, 100].into_iter().chain(115..=DEPTH_MAX) {
        let body = (0..depth).fold(json!(depth), |inner, _| json!([inner]));
        let messages = json!([{ "ttl": 300, "body": body }]);
        let posted = socket.ask("message_post", post(&messages)).await?;
        if posted.status().as_u16() >= 400 {
            return Ok(());
        }
        let posted = posted.expect("13", &[201])?;
        let id = posted.json("13")?["message_ids"][0].clone();
        let get = json!({ "queue_name": "q", "message_id": id });
        let shown = socket.ask("message_get", &get).await?;
        let shown = shown.expect("13", &[200])?;
        let same = shown.json("13")?["messages"]["body"] == body;
        shown.check("13", "the body as it was posted", same)?;
    }
    Ok(())
}

/// A post of a message whose body is these bytes of MessagePack.
fn binary_post(socket: &Socket, body: &[u8]) -> Frame {
    let text = |text: &str| pack(&json!(text));
    let head: [&[u8]; 14] = [
        b"\x83",
        &text("action"),
        &text("message_post"),
        &text("headers"),
        &pack(&socket.headers()),
        &text("body"),
        b"\x82",
        &text("queue_name"),
        &text("q"),
        &text("messages"),
        b"\x91\x82",
        &text("ttl"),
        &pack(&json!(300)),
        &text("body"),
    ];
    Frame::Binary(Bytes::from([&head.concat(), body].concat()))
}

async fn too_deep(context: Context) -> CaseResult {
    let mut socket = Socket::open(&context).await?;
    // The frame is made as it should be: with another body it is accepted.
    let good = socket.send_frame(binary_post(&socket, b"\x01")).await?;
    good.reply.expect("13", &[201])?;
    let nested = |level: &[u8]| [&level.repeat(TOO_DEEP), &b"\xc0"[..]].concat();
    let mut frames = vec![
        binary_post(&socket, &nested(b"\x91")),
        binary_post(&socket, &nested(b"\x81\xa1a")),
    ];
    let request = socket.request("message_post", &post(&json!([{ "ttl": 300, "body": 7 }])));
    let (open, close) = ("[".repeat(TOO_DEEP), "]".repeat(TOO_DEEP));
    let text = request
        .to_string()
        .replace(":7", &format!(":{open}{close}"));
    frames.push(Frame::Text(text));
    for frame in frames {
        let heard = socket.send_frame(frame).await?;
        let refused = heard.reply.status().as_u16() >= 400;
        heard.reply.check("13", "an error", refused)?;
    }
    let page = Queue::new(&context, "q").list(EVERYTHING).await?;
    let one: Value = json!([1]);
    page.reply.check(
        "13",
        "the first message alone",
        bodies(&page.messages) == one,
    )
}
