//! Contract 8.5 (G17): who is notified of what, and in which form.
//!
//! Attempts are made at least once, in no promised order. So a case waits until all that is owed has come,
//! and listens for what must not come only behind something that did.

use crate::suite::capability::Capability::{self, Delay, Metadata, Subscriptions, Webhooks};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::{
    Notified, Subscriber, confirming, pause, subscribe, subscribe_with,
};
use crate::suite::{Case, CaseResult, Context, Provenance, Stop, case};
use serde_json::{Value, json};

pub(super) const NEEDS: &[Capability] = &[Subscriptions, Webhooks];

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "notifications/every-message-is-posted",
        "8.5",
        every_message
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Should,
        "notifications/accepted-one-is-not-posted-again",
        "8.5",
        once
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/document-is-as-documented",
        "8.5",
        document
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Should,
        "notifications/document-has-no-other-members",
        "8.5",
        no_other_members
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/bodies-arrive-unchanged",
        "8.5",
        bodies_unchanged
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/every-subscriber-is-notified",
        "8.5",
        every_subscriber
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/large-batch-arrives-in-full",
        "8.5",
        large_batch
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/many-posts-arrive-in-full",
        "8.5",
        many_posts
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/post-headers-are-sent",
        "8.5",
        post_headers
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Should,
        "notifications/post-headers-override-the-type",
        "8.5",
        content_type
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/post-data-is-a-template",
        "8.5",
        post_data
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(Must, "notifications/uri-is-used-as-it-is", "8.5", uri)
        .needs(NEEDS)
        .waits(60)
        .since(2),
    case!(
        Should,
        "notifications/delay-is-told-and-not-waited-for",
        "5.9",
        delay
    )
    .needs(&[Subscriptions, Webhooks, Delay, Metadata])
    .provenance(Provenance::Observed)
    .waits(60)
    .since(2),
];

/// A queue with one subscriber, who answers 200.
pub(super) async fn subscribed(context: &Context) -> Result<(Queue, Subscriber), Stop> {
    let queue = Queue::new(context, "q");
    let subscriber = Subscriber::new(context, "s")?;
    subscribe(context, &queue, (&subscriber, json!({}))).await?;
    Ok((queue, subscriber))
}

pub(super) fn numbers(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(|number| json!(number)).collect()
}

async fn every_message(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    queue.post(&numbered(0..3, 300)).await?;
    queue.post_one(300).await?;
    queue.post(&numbered(3..4, 300)).await?;
    subscriber.expect("8.5", &numbers(0..4)).await?;
    let two_zeros = |subscriber: &Subscriber| {
        subscriber
            .bodies()
            .iter()
            .filter(|body| **body == 0)
            .count()
            >= 2
    };
    // Two messages had the body 0, and each has a notification of its own.
    if subscriber.until(two_zeros).await {
        return Ok(());
    }
    let came = format!("{} requests", subscriber.received().len());
    Err(context.failure("8.5", "five requests, one for each message", came))
}

/// Duplicates are possible where an answer was lost; here none is.
async fn once(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    queue.post(&numbered(0..5, 300)).await?;
    subscriber.expect("8.5", &numbers(0..5)).await?;
    pause(&context, context.quiet_for()).await;
    let count = subscriber.messages().len();
    if count == 5 {
        return Ok(());
    }
    let came = format!("{count} requests");
    Err(context.failure("8.5", "five requests, one for each message", came))
}

async fn first_document(context: &Context) -> Result<Notified, Stop> {
    let (queue, subscriber) = subscribed(context).await?;
    queue
        .post(&json!([{ "ttl": 321, "body": { "a": [1] } }]))
        .await?;
    subscriber.expect("8.5", &[json!({ "a": [1] })]).await?;
    let first = subscriber.messages().into_iter().next();
    first.ok_or_else(|| context.failure("8.5", "a notification", "none"))
}

async fn document(context: Context) -> CaseResult {
    let notified = first_document(&context).await?;
    let came = || format!("{:?}", notified.received);
    let says = |name: &str, value: Value| notified.document[name] == value;
    let queue = notified.document["queue_name"].as_str().unwrap_or_default();
    let whole = says("ttl", json!(321))
        && says("Message_Type", json!("Notification"))
        && queue.ends_with('q');
    if !whole {
        let expected = "a document with ttl 321, Message_Type Notification and the queue_name";
        return Err(context.failure("8.5", expected, came()));
    }
    let kind = notified.received.headers.get("content-type");
    let json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if notified.received.method != http::Method::POST || !json {
        return Err(context.failure("8.5", "a POST of application/json", came()));
    }
    Ok(())
}

async fn no_other_members(context: Context) -> CaseResult {
    let notified = first_document(&context).await?;
    let known = ["ttl", "body", "delay", "Message_Type", "queue_name"];
    let members = notified.document.as_object().cloned().unwrap_or_default();
    let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let expected = "ttl, body, delay, Message_Type and queue_name alone";
    Err(context.failure("8.5", expected, format!("a member {other}")))
}

async fn bodies_unchanged(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    let bodies = [
        json!(null),
        json!(false),
        json!(""),
        json!(i64::MAX),
        json!(-1.5),
        json!([[], {}, [null]]),
        json!({ "é": "日本 \u{1f600}", "": "\"\\\n\u{0}", "$zaqar_message$": "\"$zaqar_message$\"" }),
        json!("x".repeat(100_000)),
    ];
    let batch: Value = bodies
        .iter()
        .map(|body| json!({ "ttl": 300, "body": body }))
        .collect();
    queue.post(&batch).await?;
    subscriber.expect("8.5", &bodies).await
}

/// More of them than two pages have.
async fn every_subscriber(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut all = Vec::new();
    for number in 0..23 {
        let subscriber = Subscriber::new(&context, &format!("s{number}"))?;
        subscribe(&context, &queue, (&subscriber, json!({}))).await?;
        all.push(subscriber);
    }
    queue.post(&numbered(0..2, 300)).await?;
    for subscriber in all {
        subscriber.expect("8.5", &numbers(0..2)).await?;
    }
    Ok(())
}

async fn large_batch(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    queue.post(&numbered(0..250, 300)).await?;
    subscriber.expect("8.5", &numbers(0..250)).await
}

async fn many_posts(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    for number in 0..40 {
        queue.post(&numbered(number..number + 1, 300)).await?;
    }
    subscriber.expect("8.5", &numbers(0..40)).await
}

async fn post_headers(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::new(&context, "s")?;
    let options = json!({ "post_headers": { "X-Colour": "red", "x-token": "a b;c=\"d\"" } });
    subscribe(&context, &queue, (&subscriber, options)).await?;
    queue.post(&numbered(0..1, 300)).await?;
    subscriber.expect("8.5", &numbers(0..1)).await?;
    for notified in subscriber.messages() {
        let headers = &notified.received.headers;
        let says = |name: &str, value: &str| headers.get(name).is_some_and(|all| all == value);
        let kind = headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next());
        let is_json = kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let whole = says("x-colour", "red") && says("x-token", "a b;c=\"d\"") && is_json;
        if !whole {
            let expected = "the post_headers, and the content type";
            return Err(context.failure("8.5", expected, format!("{headers:?}")));
        }
    }
    Ok(())
}

async fn content_type(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::new(&context, "s")?;
    let options = json!({ "post_headers": { "Content-Type": "application/x-nanshe" } });
    subscribe(&context, &queue, (&subscriber, options)).await?;
    queue.post(&numbered(0..1, 300)).await?;
    subscriber.expect("8.5", &numbers(0..1)).await?;
    let all = subscriber.messages();
    let kinds = all
        .iter()
        .map(|one| one.received.headers.get_all("content-type"));
    let kinds: Vec<Vec<_>> = kinds.map(|kinds| kinds.iter().collect()).collect();
    if kinds
        .iter()
        .all(|kinds| matches!(kinds.as_slice(), [one] if *one == "application/x-nanshe"))
    {
        return Ok(());
    }
    let expected = "one Content-Type, application/x-nanshe";
    Err(context.failure("8.5", expected, format!("{kinds:?}")))
}

/// The message takes the place of the quoted placeholder; all else is sent as it stands.
async fn post_data(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let filled = Subscriber::new(&context, "filled")?;
    let options = json!({ "post_data": r#"{"text": ["$zaqar_message$", "$other$"], "n": 1}"# });
    subscribe(&context, &queue, (&filled, options)).await?;
    let fixed = Subscriber::new(&context, "fixed")?;
    let options = json!({ "post_data": "no JSON, and no message" });
    subscribe(&context, &queue, (&fixed, options)).await?;
    queue.post(&json!([{ "ttl": 300, "body": "x" }])).await?;

    let is_filled = |subscriber: &Subscriber| {
        subscriber.messages().iter().any(|notified| {
            let message = &notified.document["text"][0];
            notified.document["n"] == 1
                && notified.document["text"][1] == "$other$"
                && message["body"] == "x"
                && message["Message_Type"] == "Notification"
        })
    };
    if !filled.until(is_filled).await {
        let expected = "the template with the message in place of its placeholder";
        return Err(context.failure("8.5", expected, format!("{:?}", filled.received())));
    }
    let is_fixed = |subscriber: &Subscriber| {
        let all = subscriber.received();
        all.iter()
            .any(|received| received.body == "no JSON, and no message")
    };
    if !fixed.until(is_fixed).await {
        let expected = "the template as it stands";
        return Err(context.failure("8.5", expected, format!("{:?}", fixed.received())));
    }
    Ok(())
}

async fn uri(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::new(&context, "s%20t/u.v")?;
    let uri = format!("{}?a=1&b=%2F&a=2", subscriber.uri());
    let body = json!({ "subscriber": uri, "ttl": 600 });
    let granted = subscribe_with(&context, &queue, &body).await?;
    if context.offers(Capability::Confirmation) {
        let body = json!({ "confirmed": true });
        let confirm = confirming(&context, &granted, &body);
        confirm.send().await?.expect("8.4", &[204])?;
    }
    queue.post(&numbered(0..1, 300)).await?;
    subscriber.expect("8.5", &numbers(0..1)).await?;
    let all = subscriber.received();
    if all
        .iter()
        .all(|received| received.target.ends_with("/s%20t/u.v?a=1&b=%2F&a=2"))
    {
        return Ok(());
    }
    let expected = "path and query as they were given";
    Err(context.failure("8.5", expected, format!("{all:?}")))
}

async fn delay(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 900 }))
        .await?;
    let subscriber = Subscriber::new(&context, "s")?;
    subscribe(&context, &queue, (&subscriber, json!({}))).await?;
    queue
        .post(&json!([{ "ttl": 3_600, "body": 0, "delay": 850 }]))
        .await?;
    // It waits for a minute: the delay is a quarter of an hour.
    subscriber.expect("5.9", &numbers(0..1)).await?;
    if subscriber
        .messages()
        .iter()
        .all(|one| one.document["delay"] == 850)
    {
        return Ok(());
    }
    let came = format!("{:?}", subscriber.messages());
    Err(context.failure("5.9", "a member `delay` of 850", came))
}
