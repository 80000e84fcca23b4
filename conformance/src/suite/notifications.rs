//! Contract 8.5 (G17): who is notified of what, and in which form.
//!
//! Attempts are made at least once, in no promised order. So a case waits until all that is owed has come,
//! and listens for what must not come only behind something that did.

use std::time::Duration;

use serde_json::{Value, json};

use super::capability::Capability::{self, Delay, Projects, Purge, Subscriptions, Webhooks};
use super::steps::{Queue, numbered, surely_gone};
use super::subscriber::{QUIET, Subscriber, pause, subscribe, subscribe_with};
use super::{Case, CaseResult, Context, Provenance, Stop, case};

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
    .needs(&[Subscriptions, Webhooks, Delay])
    .provenance(Provenance::Observed)
    .waits(60)
    .since(2),
    case!(
        Must,
        "notifications/other-queues-are-not-notified",
        "8.5",
        other_queues
    )
    .guarantee("G14")
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/other-projects-are-not-notified",
        "14.2",
        other_projects
    )
    .guarantee("G14")
    .needs(&[Subscriptions, Webhooks, Projects])
    .waits(70)
    .since(2),
    case!(
        Should,
        "notifications/earlier-messages-are-not-sent",
        "8.5",
        earlier_messages
    )
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/refused-batch-notifies-nobody",
        "5.2",
        refused_batch
    )
    .guarantee("G2")
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/deleted-subscription-gets-nothing",
        "8.3",
        deleted
    )
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/purged-subscription-gets-nothing",
        "4.8",
        purged
    )
    .needs(&[Subscriptions, Webhooks, Purge])
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/expired-subscription-gets-nothing",
        "8.8",
        expired
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(260)
    .since(2),
    case!(
        Must,
        "notifications/moved-subscriber-gets-later-messages",
        "8.3",
        moved
    )
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Must,
        "notifications/patched-options-are-for-later-messages",
        "8.3",
        patched_options
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Should,
        "notifications/new-queue-of-the-name-notifies-too",
        "4.6",
        recreated
    )
    .guarantee("G16")
    .needs(NEEDS)
    .provenance(Provenance::Documents)
    .waits(60)
    .since(2),
    case!(
        Should,
        "notifications/message-that-is-gone-is-notified-of",
        "8.5",
        gone_at_once
    )
    .guarantee("G17")
    .needs(NEEDS)
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
    pause(&context, QUIET).await;
    let count = subscriber.messages().len();
    if count == 5 {
        return Ok(());
    }
    let came = format!("{count} requests");
    Err(context.failure("8.5", "five requests, one for each message", came))
}

async fn first_document(context: &Context) -> Result<super::subscriber::Notified, Stop> {
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
        let whole = says("x-colour", "red")
            && says("x-token", "a b;c=\"d\"")
            && says("content-type", "application/json");
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
        let confirm = super::subscriber::confirming(&context, &granted, &body);
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

async fn other_queues(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    let other = Queue::new(&context, "q2");
    let stranger = Subscriber::new(&context, "stranger")?;
    subscribe(&context, &other, (&stranger, json!({}))).await?;
    queue.post(&numbered(0..2, 300)).await?;
    subscriber.expect("8.5", &numbers(0..2)).await?;
    pause(&context, QUIET).await;
    stranger.expect_none("8.5", "nothing of another queue")
}

async fn other_projects(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    let project = format!("{}-stranger", context.project());
    let stranger = Subscriber::new(&context, "stranger")?;
    let body = json!({ "subscriber": stranger.uri(), "ttl": 600 });
    let request = context.post(queue.at("/subscriptions"), &body);
    let reply = request.header("x-project-id", &project).send().await?;
    reply.expect("8.2", &[201])?;
    queue.post(&numbered(0..2, 300)).await?;
    subscriber.expect("8.5", &numbers(0..2)).await?;
    pause(&context, QUIET).await;
    stranger.expect_none("14.2", "nothing of another project")
}

async fn earlier_messages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(100..102, 300)).await?;
    // Who is notified may be found out a moment after the answer.
    pause(&context, Duration::from_secs(2)).await;
    let subscriber = Subscriber::new(&context, "s")?;
    subscribe(&context, &queue, (&subscriber, json!({}))).await?;
    queue.post(&numbered(0..2, 300)).await?;
    subscriber.expect("8.5", &numbers(0..2)).await?;
    pause(&context, QUIET).await;
    let bodies = subscriber.bodies();
    if bodies.contains(&json!(100)) || bodies.contains(&json!(101)) {
        let expected = "messages posted after the subscription alone";
        return Err(context.failure("8.5", expected, format!("{bodies:?}")));
    }
    Ok(())
}

async fn refused_batch(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    let bad = json!([{ "ttl": 300, "body": 100 }, { "ttl": 1, "body": 101 }]);
    queue.posting(&bad).send().await?.expect("5.2", &[400])?;
    queue.post(&numbered(0..1, 300)).await?;
    subscriber.expect("8.5", &numbers(0..1)).await?;
    pause(&context, QUIET).await;
    let bodies = subscriber.bodies();
    if bodies.iter().all(|body| *body == 0) {
        return Ok(());
    }
    let expected = "nothing of a batch that was refused";
    Err(context.failure("5.2", expected, format!("{bodies:?}")))
}

/// How a subscription ends.
#[derive(Clone, Copy)]
enum End {
    Deleted,
    Purged,
    Expired,
}

/// A subscriber gets a message; then its subscription ends, and it gets no more.
async fn nothing_after(context: &Context, clause: &str, end: End) -> CaseResult {
    let (queue, gone) = (Queue::new(context, "q"), Subscriber::new(context, "gone")?);
    let granted = subscribe(context, &queue, (&gone, json!({}))).await?;
    queue.post(&numbered(0..1, 300)).await?;
    gone.expect("8.5", &numbers(0..1)).await?;
    match end {
        End::Deleted => {
            let delete = context.delete(granted.path).send().await?;
            delete.expect("8.3", &[204])?;
        }
        End::Purged => {
            let body = json!({ "resource_types": ["subscriptions"] });
            let purge = context.post(queue.at("/purge"), &body).send().await?;
            purge.expect("4.8", &[204])?;
        }
        End::Expired => {
            let patch = context.patch(granted.path, &json!({ "ttl": 60 }));
            let renewed = patch.send().await?.expect("8.3", &[204])?;
            let over = surely_gone(context, renewed.sent, 60);
            context.sleep_until(over).await;
        }
    }
    let kept = Subscriber::new(context, "kept")?;
    subscribe(context, &queue, (&kept, json!({}))).await?;
    queue.post(&numbered(1..3, 300)).await?;
    kept.expect("8.5", &numbers(1..3)).await?;
    pause(context, QUIET).await;
    let bodies = gone.bodies();
    if bodies.iter().all(|body| *body == 0) {
        return Ok(());
    }
    let expected = "no later message for a subscription that has ended";
    Err(context.failure(clause, expected, format!("{bodies:?}")))
}

async fn deleted(context: Context) -> CaseResult {
    nothing_after(&context, "8.3", End::Deleted).await
}

async fn purged(context: Context) -> CaseResult {
    nothing_after(&context, "4.8", End::Purged).await
}

async fn expired(context: Context) -> CaseResult {
    nothing_after(&context, "8.8", End::Expired).await
}

async fn moved(context: Context) -> CaseResult {
    let (queue, old) = (Queue::new(&context, "q"), Subscriber::new(&context, "old")?);
    let granted = subscribe(&context, &queue, (&old, json!({}))).await?;
    let new = Subscriber::new(&context, "new")?;
    let patch = context.patch(granted.path.clone(), &json!({ "subscriber": new.uri() }));
    patch.send().await?.expect("8.3", &[204])?;
    if context.offers(Capability::Confirmation) {
        let body = json!({ "confirmed": true });
        let confirm = super::subscriber::confirming(&context, &granted, &body);
        confirm.send().await?.expect("8.4", &[204])?;
    }
    queue.post(&numbered(0..2, 300)).await?;
    new.expect("8.3", &numbers(0..2)).await?;
    pause(&context, QUIET).await;
    old.expect_none("8.3", "nothing for the subscriber of before")
}

async fn patched_options(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::new(&context, "s")?;
    let options = json!({ "post_headers": { "X-Colour": "red" } });
    let granted = subscribe(&context, &queue, (&subscriber, options)).await?;
    let options = json!({ "post_headers": { "X-Colour": "blue" } });
    let patch = context.patch(granted.path, &json!({ "options": options }));
    patch.send().await?.expect("8.3", &[204])?;
    queue.post(&numbered(0..1, 300)).await?;
    subscriber.expect("8.3", &numbers(0..1)).await?;
    let all = subscriber.messages();
    let blue = all.iter().all(|one| {
        let colour = one.received.headers.get("x-colour");
        colour.is_some_and(|colour| colour == "blue")
    });
    if blue {
        return Ok(());
    }
    Err(context.failure("8.3", "the new post_headers", format!("{all:?}")))
}

async fn recreated(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    queue.post(&numbered(0..1, 300)).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    queue.post(&numbered(1..2, 300)).await?;
    subscriber.expect("4.6", &numbers(0..2)).await
}

/// Every stored message is pushed, whatever becomes of it.
async fn gone_at_once(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    let posted = queue.post(&numbered(0..3, 300)).await?;
    for id in &posted.ids {
        queue.deleting(id, "").send().await?.expect("5.7", &[204])?;
    }
    subscriber.expect("8.5", &numbers(0..3)).await
}
