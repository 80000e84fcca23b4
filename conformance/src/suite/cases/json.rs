//! Contract 1.7: what counts as JSON, and what happens to what does not.
//!
//! Every refusal is followed by a look at the queue: refused means that nothing was stored.

use serde_json::{Value, json};

use crate::suite::steps::{EVERYTHING, Queue, bodies};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "common/malformed-json-is-refused",
        "1.7",
        malformed_json
    ),
    case!(Should, "common/body-must-be-plain-utf8", "1.7", plain_utf8)
        .provenance(Provenance::Observed),
    case!(
        Should,
        "common/wrong-top-level-type-is-refused",
        "1.7",
        wrong_top_level_type
    )
    .disputed("400, where the code answers 500"),
    case!(
        Should,
        "common/integers-fit-64-bits",
        "1.7",
        integers_fit_64_bits
    )
    .provenance(Provenance::Observed),
    case!(Should, "common/nan-is-not-json", "1.7", nan_is_not_json)
        .disputed("400, where the code stores it"),
    case!(
        Must,
        "common/huge-float-leaves-the-queue-readable",
        "1.7",
        huge_float
    ),
    case!(
        Should,
        "common/lone-surrogate-is-refused",
        "1.7",
        lone_surrogate
    )
    .disputed("400, where the code answers 503"),
    case!(
        Should,
        "common/deep-nesting-is-refused",
        "1.7",
        deep_nesting
    )
    .disputed("400 beyond a fixed depth; anything but 2xx is accepted"),
    case!(
        Should,
        "common/last-of-duplicate-keys-wins",
        "1.7",
        duplicate_keys
    )
    .provenance(Provenance::Observed),
];

/// Posts each text, expects 400, and demands that the queue stayed empty.
async fn refuses(context: &Context, texts: &[&[u8]]) -> CaseResult {
    let queue = Queue::new(context, "q");
    for text in texts {
        let reply = queue.posting_text(text.to_vec()).send().await?;
        reply.expect("1.7", &[400])?;
    }
    stays_empty(&queue).await
}

async fn stays_empty(queue: &Queue) -> CaseResult {
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("1.7", "nothing is stored", page.messages.is_empty())
}

async fn malformed_json(context: Context) -> CaseResult {
    let texts: &[&[u8]] = &[
        b"",
        b"   ",
        b"{",
        br#"{"messages": [{"ttl": 300, "body": 1}]"#,
        br#"{"messages": [{"ttl": 300, "body": 1},]}"#,
        br#"{"messages": [{"ttl": 300, "body": 1}]} {}"#,
        br#"{'messages': [{'ttl': 300, 'body': 1}]}"#,
        b"messages=1",
    ];
    refuses(&context, texts).await
}

async fn plain_utf8(context: Context) -> CaseResult {
    let texts: &[&[u8]] = &[
        b"{\"messages\": [{\"ttl\": 300, \"body\": \"\xff\"}]}",
        b"{\"messages\": [{\"ttl\": 300, \"body\": \"\xed\xa0\x80\"}]}",
        b"\xef\xbb\xbf{\"messages\": [{\"ttl\": 300, \"body\": 1}]}",
        b"\xff\xfe{\0}\0",
    ];
    refuses(&context, texts).await
}

async fn wrong_top_level_type(context: Context) -> CaseResult {
    refuses(
        &context,
        &[
            b"null",
            b"5",
            b"true",
            b"\"messages\"",
            b"[]",
            b"[\"messages\"]",
        ],
    )
    .await?;
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    for text in ["5", "\"ttl\"", "[]", "[\"ttl\"]"] {
        let request = queue.claiming(&Value::Null, 1).body(text);
        request.send().await?.expect("1.7", &[400])?;
    }
    // None of them took the message.
    queue.claim(60, 1).await?.only().map(drop)
}

async fn integers_fit_64_bits(context: Context) -> CaseResult {
    let over: &[&[u8]] = &[
        br#"{"messages": [{"ttl": 300, "body": 9223372036854775808}]}"#,
        br#"{"messages": [{"ttl": 300, "body": {"deep": [-9223372036854775809]}}]}"#,
        br#"{"messages": [{"ttl": 300, "body": 100000000000000000000000000000}]}"#,
    ];
    refuses(&context, over).await?;
    let queue = Queue::new(&context, "q");
    let extremes = json!([i64::MAX, i64::MIN]);
    queue
        .post(&json!([{ "ttl": 300, "body": extremes }]))
        .await?;
    let page = queue.list(EVERYTHING).await?;
    let holds = bodies(&page.messages) == json!([extremes]);
    page.reply
        .check("1.7", "the extremes of 64 bits, unchanged", holds)
}

async fn nan_is_not_json(context: Context) -> CaseResult {
    let texts: &[&[u8]] = &[
        br#"{"messages": [{"ttl": 300, "body": NaN}]}"#,
        br#"{"messages": [{"ttl": 300, "body": Infinity}]}"#,
        br#"{"messages": [{"ttl": 300, "body": [-Infinity]}]}"#,
    ];
    refuses(&context, texts).await
}

/// Whoever accepts a number too big for its floats must not answer readers with `Infinity`.
async fn huge_float(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let text = r#"{"messages": [{"ttl": 300, "body": 1e400}]}"#;
    let reply = queue.posting_text(text).send().await?;
    let stored = reply.expect("1.7", &[201, 400])?.status() == 201;
    let reply = context.get(queue.at("/messages?echo=true")).send().await?;
    // Looked at as text: a parser here would refuse 1e400 itself.
    let text = String::from_utf8_lossy(reply.body()).into_owned();
    let lies = text.contains("Infinity") || text.contains("NaN");
    reply.check("1.7", "a listing that is JSON", !lies)?;
    if stored {
        Ok(())
    } else {
        stays_empty(&queue).await
    }
}

async fn lone_surrogate(context: Context) -> CaseResult {
    let texts: &[&[u8]] = &[
        br#"{"messages": [{"ttl": 300, "body": "\ud800"}]}"#,
        br#"{"messages": [{"ttl": 300, "body": {"\udc00": 1}}]}"#,
    ];
    refuses(&context, texts).await
}

/// The contract leaves the code open; what counts is that the service survives and stores nothing.
async fn deep_nesting(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (open, close) = ("[".repeat(2_000), "]".repeat(2_000));
    let text = format!(r#"{{"messages": [{{"ttl": 300, "body": {open}{close}}}]}}"#);
    let reply = queue.posting_text(text).send().await?;
    let refused = reply.status().is_client_error() || reply.status().is_server_error();
    reply.check("1.7", "a refusal", refused)?;
    stays_empty(&queue).await
}

async fn duplicate_keys(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let text = r#"{"messages": [{"ttl": 60, "body": 1, "ttl": 300, "body": 2}]}"#;
    queue
        .posting_text(text)
        .send()
        .await?
        .expect("1.7", &[201])?;
    let page = queue.list(EVERYTHING).await?;
    let holds = matches!(page.messages.as_slice(), [m] if m.body == 2 && m.ttl == 300);
    page.reply
        .check("1.7", "one message with body 2 and ttl 300", holds)
}
