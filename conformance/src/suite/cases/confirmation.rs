//! Contract 8.7 (G16): where confirmation is required, subscribers are asked first, and get messages once
//! they have confirmed.

use serde_json::{Value, json};

use super::notifications::numbers;
use crate::suite::capability::Capability::{self, Confirmation, Subscriptions, Webhooks};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::{
    Subscribed, Subscriber, confirming, pause, shown, subscribe, subscribe_with,
};
use crate::suite::{Case, CaseResult, Context, Request, Stop, case};

const NEEDS: &[Capability] = &[Subscriptions, Webhooks, Confirmation];

pub(super) const CASES: &[Case] = &[
    case!(Must, "confirmation/subscriber-is-asked", "8.7", asked)
        .needs(NEEDS)
        .waits(60)
        .since(2),
    case!(
        Must,
        "confirmation/unconfirmed-subscriber-gets-no-messages",
        "8.7",
        unconfirmed
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(130)
    .since(2),
    case!(
        Must,
        "confirmation/notice-is-enough-to-confirm",
        "8.7",
        confirms
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Must,
        "confirmation/notice-is-for-its-own-subscription",
        "8.7",
        own_subscription
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "confirmation/altered-notice-confirms-nothing",
        "8.7",
        altered
    )
    .needs(NEEDS)
    .waits(60)
    .since(2),
    case!(
        Must,
        "confirmation/subscribing-again-asks-again",
        "8.2",
        asked_again
    )
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Must,
        "confirmation/unsubscribed-subscriber-gets-no-messages",
        "8.7",
        unsubscribed
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(200)
    .since(2),
    case!(
        Should,
        "confirmation/unsubscribed-subscriber-is-told",
        "8.7",
        told
    )
    .needs(NEEDS)
    .waits(120)
    .since(2),
];

/// The notice of this kind that comes to `subscriber`.
async fn notice(context: &Context, (subscriber, kind): (&Subscriber, &str)) -> Result<Value, Stop> {
    let find = |subscriber: &Subscriber| {
        let mut all = subscriber.notices().into_iter();
        all.find(|notice| notice["Message_Type"] == kind)
    };
    subscriber
        .until(|subscriber| find(subscriber).is_some())
        .await;
    find(subscriber).ok_or_else(|| {
        let expected = format!("a notice of type {kind} within a minute");
        context.failure("8.7", expected, format!("{:?}", subscriber.received()))
    })
}

async fn subscribe_unasked(
    context: &Context,
    (queue, name): (&Queue, &str),
) -> Result<(Subscriber, Subscribed), Stop> {
    let subscriber = Subscriber::new(context, name)?;
    let body = json!({ "subscriber": subscriber.uri(), "ttl": 3_600 });
    let subscribed = subscribe_with(context, queue, &body).await?;
    Ok((subscriber, subscribed))
}

/// A confirmation as the notice says that it is to be made, at `path`.
fn answer(context: &Context, notice: &Value, path: &str) -> Request {
    let text = |name: &str| match &notice[name] {
        Value::String(text) => text.clone(),
        // The documents show lists, which headers have joined by commas.
        Value::Array(all) => {
            let words: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            words.join(",")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    };
    context
        .put(path)
        .json(&notice["SubscribeBody"])
        .header("url-signature", &text("URL-Signature"))
        .header("url-methods", &text("URL-Methods"))
        .header("url-paths", &text("URL-Paths"))
        .header("url-expires", &text("URL-Expires"))
        .header("x-project-id", &text("X-Project-ID"))
}

async fn asked(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (subscriber, subscribed) = subscribe_unasked(&context, (&queue, "s")).await?;
    let notice = notice(&context, (&subscriber, "SubscriptionConfirmation")).await?;
    let path = format!("/subscriptions/{}/confirm", subscribed.id);
    let paths = notice["URL-Paths"].to_string();
    let signed = ["URL-Signature", "URL-Expires", "Message"]
        .iter()
        .all(|name| notice[*name].as_str().is_some_and(|text| !text.is_empty()));
    let whole = signed
        && notice["URL-Methods"].to_string().contains("PUT")
        && paths.contains(&path)
        && notice["X-Project-ID"] == context.project()
        && notice["SubscribeBody"] == json!({ "confirmed": true })
        && notice["UnsubscribeBody"] == json!({ "confirmed": false })
        && notice["queue_name"]
            .as_str()
            .is_some_and(|name| name.ends_with('q'));
    if whole {
        return Ok(());
    }
    let expected = "signature, methods, paths, project, expiry, both bodies, queue and a message";
    Err(context.failure("8.7", expected, notice.to_string()))
}

async fn unconfirmed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (silent, _) = subscribe_unasked(&context, (&queue, "silent")).await?;
    let other = Subscriber::new(&context, "other")?;
    subscribe(&context, &queue, (&other, json!({}))).await?;
    queue.post(&numbered(0..2, 300)).await?;
    other.expect("8.7", &numbers(0..2)).await?;
    pause(&context, context.quiet_for()).await;
    silent.expect_none("8.7", "no message for a subscriber that has not confirmed")
}

async fn confirms(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (subscriber, subscribed) = subscribe_unasked(&context, (&queue, "s")).await?;
    let notice = notice(&context, (&subscriber, "SubscriptionConfirmation")).await?;
    let path = format!("{}/confirm", subscribed.path);
    answer(&context, &notice, &path)
        .send()
        .await?
        .expect("8.7", &[204])?;
    let confirmed = shown(&context, &subscribed).await?["confirmed"] == true;
    subscribed
        .reply
        .check("8.7", "a confirmed subscription", confirmed)?;
    queue.post(&numbered(0..2, 300)).await?;
    subscriber.expect("8.7", &numbers(0..2)).await
}

async fn own_subscription(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (subscriber, _) = subscribe_unasked(&context, (&queue, "s")).await?;
    let (_, other) = subscribe_unasked(&context, (&queue, "other")).await?;
    let notice = notice(&context, (&subscriber, "SubscriptionConfirmation")).await?;
    let path = format!("{}/confirm", other.path);
    answer(&context, &notice, &path)
        .send()
        .await?
        .expect("9.3", &[404])?;
    let unconfirmed = shown(&context, &other).await?["confirmed"] == false;
    other
        .reply
        .check("8.7", "a subscription that is not confirmed", unconfirmed)
}

async fn altered(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (subscriber, subscribed) = subscribe_unasked(&context, (&queue, "s")).await?;
    let notice = notice(&context, (&subscriber, "SubscriptionConfirmation")).await?;
    let path = format!("{}/confirm", subscribed.path);
    for (name, value) in [
        ("url-expires", "2999-01-01T00:00:00"),
        ("url-methods", "GET,PUT"),
        ("url-signature", "00"),
    ] {
        let request = answer(&context, &notice, &path).header(name, value);
        request.send().await?.expect("9.3", &[404])?;
    }
    let unconfirmed = shown(&context, &subscribed).await?["confirmed"] == false;
    subscribed
        .reply
        .check("8.7", "a subscription that is not confirmed", unconfirmed)
}

async fn asked_again(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (subscriber, first) = subscribe_unasked(&context, (&queue, "s")).await?;
    notice(&context, (&subscriber, "SubscriptionConfirmation")).await?;
    let (_, second) = subscribe_unasked(&context, (&queue, "s")).await?;
    second
        .reply
        .check("8.2", "the id that it has", first.id == second.id)?;
    if subscriber
        .until(|subscriber| subscriber.notices().len() >= 2)
        .await
    {
        return Ok(());
    }
    let expected = "another notice within a minute";
    Err(context.failure("8.2", expected, format!("{:?}", subscriber.received())))
}

pub(super) async fn unsubscribe(context: &Context, subscribed: &Subscribed) -> CaseResult {
    let request = confirming(context, subscribed, &json!({ "confirmed": false }));
    request.send().await?.expect("8.4", &[204]).map(drop)
}

async fn unsubscribed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (leaving, staying) = (
        Subscriber::new(&context, "a")?,
        Subscriber::new(&context, "b")?,
    );
    let granted = subscribe(&context, &queue, (&leaving, json!({}))).await?;
    subscribe(&context, &queue, (&staying, json!({}))).await?;
    queue.post(&numbered(0..1, 300)).await?;
    leaving.expect("8.7", &numbers(0..1)).await?;
    unsubscribe(&context, &granted).await?;
    queue.post(&numbered(1..3, 300)).await?;
    staying.expect("8.7", &numbers(0..3)).await?;
    pause(&context, context.quiet_for()).await;
    let bodies = leaving.bodies();
    if bodies.iter().all(|body| *body == 0) {
        return Ok(());
    }
    let expected = "no message for a subscriber that has unsubscribed";
    Err(context.failure("8.7", expected, format!("{bodies:?}")))
}

async fn told(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::new(&context, "s")?;
    let granted = subscribe(&context, &queue, (&subscriber, json!({}))).await?;
    unsubscribe(&context, &granted).await?;
    notice(&context, (&subscriber, "UnsubscribeConfirmation"))
        .await
        .map(drop)
}
