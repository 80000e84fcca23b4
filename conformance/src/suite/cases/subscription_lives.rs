//! Contract 4.8 and 8.8: how subscriptions end, and what they outlive.

use super::subscription_items::NEEDS;
use super::subscriptions::NOWHERE;
use crate::suite::capability::Capability::{Purge, Subscriptions};
use crate::suite::steps::{Queue, still_before, surely_gone, surely_until};
use crate::suite::subscriber::{Subscribed, listed, pause, shown, subscribe_uri, subscribe_with};
use crate::suite::{Case, CaseResult, Context, Stop, case};
use http::Method;
use serde_json::json;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    case!(Should, "subscriptions/survives-its-queue", "4.6", survives)
        .guarantee("G16")
        .needs(NEEDS)
        .disputed("kept, as the documents say; who takes it along takes it altogether")
        .since(2),
    case!(Must, "subscriptions/purge-removes-them", "4.8", purge)
        .needs(&[Subscriptions, Purge])
        .since(2),
    case!(
        Must,
        "subscriptions/purge-of-messages-keeps-them",
        "4.8",
        purge_messages
    )
    .needs(&[Subscriptions, Purge])
    .since(2),
    case!(Must, "subscriptions/lives-for-its-ttl", "8.8", lives)
        .guarantee("G16")
        .needs(NEEDS)
        .waits(60)
        .since(2),
    case!(Must, "subscriptions/expired-one-is-gone", "8.8", expires)
        .guarantee("G16")
        .needs(NEEDS)
        .waits(125)
        .since(2),
    case!(
        Must,
        "subscriptions/expired-subscriber-can-come-back",
        "8.8",
        expired_comes_back
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(125)
    .since(2),
    case!(
        Must,
        "subscriptions/renewal-restarts-the-ttl",
        "8.3",
        renewal
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(100)
    .since(2),
    case!(
        Must,
        "subscriptions/renewal-can-shorten-it",
        "8.3",
        shortened
    )
    .needs(NEEDS)
    .waits(125)
    .since(2),
];

/// The documents keep it, and the contract forgives who does not: then it is gone altogether.
async fn survives(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    queue.post_one(300).await?;
    context
        .request(Method::DELETE, queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let reply = context.get(subscribed.path.clone()).send().await?;
    let left = reply.expect("4.6", &[200, 404])?.status() == 200;
    if left {
        shown(&context, &subscribed).await?;
    }
    queue.post_one(300).await?;
    let (all, reply) = listed(&context, &queue).await?;
    let expected = if left {
        "the subscription that is still there"
    } else {
        "no subscription, for it is gone"
    };
    reply.check("4.6", expected, all.len() == usize::from(left))
}

async fn purge(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for (body, kept) in [(r#"{"resource_types":["subscriptions"]}"#, 1), ("", 0)] {
        let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
        if kept == 1 {
            queue.post_one(300).await?;
        }
        let purge = context.request(Method::POST, queue.at("/purge"));
        purge.body(body).send().await?.expect("4.8", &[204])?;
        let (all, reply) = listed(&context, &queue).await?;
        reply.check("4.8", "no subscription", all.is_empty())?;
        context
            .get(subscribed.path)
            .send()
            .await?
            .expect("4.8", &[404])?;
        let messages = queue.list("?echo=true").await?;
        let expected = format!("{kept} messages");
        messages
            .reply
            .check("4.8", &expected, messages.messages.len() == kept)?;
    }
    Ok(())
}

async fn purge_messages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    queue.post_one(300).await?;
    let purge = context.post(
        queue.at("/purge"),
        &json!({ "resource_types": ["messages"] }),
    );
    purge.send().await?.expect("4.8", &[204])?;
    shown(&context, &subscribed).await.map(drop)
}

async fn subscribe_for(context: &Context, queue: &Queue, ttl: u64) -> Result<Subscribed, Stop> {
    subscribe_with(
        context,
        queue,
        &json!({ "subscriber": NOWHERE, "ttl": ttl }),
    )
    .await
}

async fn lives(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_for(&context, &queue, 60).await?;
    let deadline = surely_until(&context, subscribed.reply.sent, 60);
    context
        .sleep_until(deadline.minus(Duration::from_secs(5)))
        .await;
    let reply = context.get(subscribed.path).send().await?;
    still_before(&context, reply.sent, deadline)?;
    reply.expect("8.8", &[200]).map(drop)
}

/// Waits until `subscribed` must be gone, and demands that it is.
async fn expect_gone(
    (context, queue): (&Context, &Queue),
    (subscribed, from): (&Subscribed, crate::suite::Sent),
) -> CaseResult {
    context.sleep_until(surely_gone(context, from, 60)).await;
    context
        .get(subscribed.path.clone())
        .send()
        .await?
        .expect("8.8", &[404])?;
    let (all, reply) = listed(context, queue).await?;
    reply.check("8.8", "no subscription", all.is_empty())
}

async fn expires(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_for(&context, &queue, 60).await?;
    expect_gone((&context, &queue), (&subscribed, subscribed.reply.sent)).await?;
    let patch = context.patch(subscribed.path, &json!({ "ttl": 600 }));
    patch.send().await?.expect("8.8", &[404]).map(drop)
}

async fn expired_comes_back(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let first = subscribe_for(&context, &queue, 60).await?;
    context
        .sleep_until(surely_gone(&context, first.reply.sent, 60))
        .await;
    let second = subscribe_for(&context, &queue, 600).await?;
    shown(&context, &second).await?;
    let (all, reply) = listed(&context, &queue).await?;
    let new = matches!(all.as_slice(), [one] if one["id"] == *second.id && one["ttl"] == 600);
    reply.check("8.8", "the new subscription alone", new)
}

async fn renewal(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_for(&context, &queue, 60).await?;
    pause(&context, Duration::from_secs(45)).await;
    let patch = context
        .patch(subscribed.path.clone(), &json!({ "ttl": 60 }))
        .send()
        .await?;
    let renewed = patch.expect("8.3", &[204])?;
    let deadline = surely_until(&context, renewed.sent, 60);
    context
        .sleep_until(deadline.minus(Duration::from_secs(10)))
        .await;
    let reply = context.get(subscribed.path).send().await?;
    still_before(&context, reply.sent, deadline)?;
    reply.expect("8.3", &[200]).map(drop)
}

async fn shortened(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_for(&context, &queue, 6_000).await?;
    let patch = context
        .patch(subscribed.path.clone(), &json!({ "ttl": 60 }))
        .send()
        .await?;
    let renewed = patch.expect("8.3", &[204])?;
    expect_gone((&context, &queue), (&subscribed, renewed.sent)).await
}
