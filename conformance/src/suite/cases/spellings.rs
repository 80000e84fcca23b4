//! Contract 1.1 to 1.8: what can be said in several ways and means the same, and what only looks like it.

use serde_json::{Value, json};

use crate::suite::capability::Capability::UuidClients;
use crate::suite::steps::{EVERYTHING, Page, Queue, bodies, numbered};
use crate::suite::{Case, CaseResult, Context, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "common/client-id-may-have-braces-or-a-prefix",
        "1.3",
        client_id_forms
    )
    .needs(&[UuidClients])
    .disputed("every spelling of a UUID is accepted, and is one client")
    .since(4),
    case!(
        Should,
        "common/most-specific-range-of-accept-decides",
        "1.3",
        specific_accept
    )
    .since(4),
    case!(
        Should,
        "common/percent-encoding-changes-no-meaning",
        "1.1",
        percent_encoding
    )
    .since(4),
    case!(
        Must,
        "common/numbers-have-many-forms",
        "1.7",
        forms_of_numbers
    )
    .since(4),
    case!(
        Must,
        "common/escaped-text-is-the-text-itself",
        "1.7",
        escaped_text
    )
    .since(4),
    case!(Must, "common/almost-json-is-refused", "1.7", almost_json).since(4),
];

async fn client_id_forms(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let id = context.client_id().to_owned();
    let bare = id.replace('-', "");
    for spelling in [
        format!("{{{id}}}"),
        format!("{{{}}}", bare.to_uppercase()),
        format!("urn:uuid:{id}"),
        format!("urn:uuid:{}", id.to_uppercase()),
    ] {
        let listing = context.get(queue.at("/messages"));
        let listing = listing.header("client-id", &spelling).send().await?;
        let page = Page::read(listing)?;
        let expected = format!("nothing for {spelling}, whose message it is");
        page.reply
            .check("1.3", &expected, page.messages.is_empty())?;
    }
    let others = queue.seen_by(&context.other_client()).list("").await?;
    others
        .reply
        .check("1.3", "another client sees it", others.messages.len() == 1)
}

/// RFC 9110, 12.5.1: of the ranges that fit, the most specific one counts, wherever it stands.
async fn specific_accept(context: Context) -> CaseResult {
    for (accept, statuses) in [
        ("*/*, application/json;q=0", &[406][..]),
        ("application/json;q=0, */*", &[406]),
        ("application/json;q=0, application/*;q=0.9", &[406]),
        ("application/json;q=0.1, */*;q=0", &[200, 204]),
        ("*/*;q=0, application/json", &[200, 204]),
        ("application/*;q=0, application/json", &[200, 204]),
    ] {
        let get = context.get("/v2/queues/q/messages");
        let reply = get.header("accept", accept).send().await?;
        reply.expect("1.3", statuses)?;
    }
    Ok(())
}

/// RFC 3986, 6.2.2.2: a letter or a digit that is percent-encoded is that letter or digit.
async fn percent_encoding(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let path = "/v2/queues/%71/%6Dessages?%65cho=%74rue&limit=%32";
    let page = Page::read(context.get(path).send().await?)?;
    // A page may be short.
    let first = [json!([0]), json!([0, 1])].contains(&bodies(&page.messages));
    page.reply
        .check("1.1", "the first two messages, or one of them", first)?;
    let mut encoded = String::new();
    for byte in posted.ids[2].bytes() {
        encoded.push_str(&format!("%{byte:02x}"));
    }
    let reply = queue.getting(&encoded).send().await?;
    let reply = reply.expect("1.1", &[200])?;
    let third = reply.json("1.1")?["body"] == 2;
    reply.check("1.1", "the third message", third)
}

/// The body of the one message that a post of this text, a body of JSON, makes.
async fn stored(context: &Context, name: &str, body: &str) -> Result<Value, crate::suite::Stop> {
    let queue = Queue::new(context, name);
    let text = format!(r#"{{"mess\u0061ges": [{{"b\u006fdy": {body}, "ttl": 300}}]}}"#);
    let reply = queue.posting_text(text).send().await?;
    reply.expect("1.7", &[201])?;
    let page = queue.list(EVERYTHING).await?;
    match page.messages.as_slice() {
        [one] => Ok(one.body.clone()),
        _ => Err(page.reply.refuse("1.7", "one message")),
    }
}

/// How a number comes back is up to the server; that it is the same number is not.
async fn forms_of_numbers(context: Context) -> CaseResult {
    let text = "[0, -0, 10, -7, 0.5, -0.25, 1e2, 1E2, 1e+2, 25e-1, 1.5E+3, -1.5E-1, 0e0, 0.0]";
    let expected = [
        0.0, 0.0, 10.0, -7.0, 0.5, -0.25, 100.0, 100.0, 100.0, 2.5, 1_500.0, -0.15, 0.0, 0.0,
    ];
    let body = stored(&context, "q", text).await?;
    let numbers = body.as_array().cloned().unwrap_or_default();
    let numbers: Vec<Option<f64>> = numbers.iter().map(Value::as_f64).collect();
    if numbers == expected.map(Some) {
        return Ok(());
    }
    Err(context.failure("1.7", format!("{expected:?}"), body.to_string()))
}

async fn escaped_text(context: Context) -> CaseResult {
    let text =
        r#"{"\u006bey": "\ud83d\ude00 \uD834\uDD1E \u00e9\u00C9 \/\b\f\n\r\t \u005c\u0022"}"#;
    let expected = json!({ "key": "😀 \u{1d11e} éÉ /\u{8}\u{c}\n\r\t \\\"" });
    let body = stored(&context, "q", text).await?;
    if body == expected {
        return Ok(());
    }
    Err(context.failure("1.7", expected.to_string(), body.to_string()))
}

/// What a lenient reader may take for JSON.
async fn almost_json(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for body in [
        "01",
        "-01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "nul",
        "True",
        "nulll",
        "[1 2]",
        "[1,]",
        "[,1]",
        "[1}",
        "{\"a\" 1}",
        "{\"a\"}",
        "{\"a\": 1,}",
        "{,}",
        "{a: 1}",
        "{1: 1}",
        "'a'",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "1 // one",
        "/* one */ 1",
    ] {
        let text = format!(r#"{{"messages": [{{"ttl": 300, "body": {body}}}]}}"#);
        let reply = queue.posting_text(text).send().await?;
        reply.expect("1.7", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("1.7", "nothing is stored", page.messages.is_empty())
}
