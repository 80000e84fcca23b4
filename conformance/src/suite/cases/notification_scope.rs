//! Contract 8.3 to 8.8: who is not, or no longer, or all the same notified.

use super::notifications::{NEEDS, numbers, subscribed};
use crate::suite::capability::Capability::{self, Projects, Purge, Subscriptions, Webhooks};
use crate::suite::steps::{Queue, numbered, surely_gone};
use crate::suite::subscriber::{Subscriber, confirming, listed, pause, subscribe};
use crate::suite::{Case, CaseResult, Context, case};
use serde_json::json;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
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
    .disputed("subscriptions are kept, as the documents say; who takes them along takes new ones")
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

async fn other_queues(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    let other = Queue::new(&context, "q2");
    let stranger = Subscriber::new(&context, "stranger")?;
    subscribe(&context, &other, (&stranger, json!({}))).await?;
    queue.post(&numbered(0..2, 300)).await?;
    subscriber.expect("8.5", &numbers(0..2)).await?;
    pause(&context, context.quiet_for()).await;
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
    pause(&context, context.quiet_for()).await;
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
    pause(&context, context.quiet_for()).await;
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
    pause(&context, context.quiet_for()).await;
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
    let kept = Subscriber::new(context, "kept")?;
    if !matches!(end, End::Purged) {
        subscribe(context, &queue, (&kept, json!({}))).await?;
    }
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
    if matches!(end, End::Purged) {
        subscribe(context, &queue, (&kept, json!({}))).await?;
    }
    queue.post(&numbered(1..3, 300)).await?;
    kept.expect("8.5", &numbers(1..3)).await?;
    pause(context, context.quiet_for()).await;
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
        let confirm = confirming(&context, &granted, &body);
        confirm.send().await?.expect("8.4", &[204])?;
    }
    queue.post(&numbered(0..2, 300)).await?;
    new.expect("8.3", &numbers(0..2)).await?;
    pause(&context, context.quiet_for()).await;
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

/// Who subscribed to the queue of before is told of the new one's messages if that is still shown to be so.
async fn recreated(context: Context) -> CaseResult {
    let (queue, subscriber) = subscribed(&context).await?;
    queue.post(&numbered(0..1, 300)).await?;
    subscriber.expect("8.5", &numbers(0..1)).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let (all, _) = listed(&context, &queue).await?;
    if all.is_empty() {
        // The contract forgives who takes the subscriptions along; the new queue can have new ones.
        subscribe(&context, &queue, (&subscriber, json!({}))).await?;
    }
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
