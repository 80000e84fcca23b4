//! Contract 8.3, 8.4 and 8.7 (G16): what ends a subscription ends the attempts that are still to be made for it,
//! whether one is under way or the next one waits.

use std::time::Duration;

use serde_json::{Value, json};

use super::notifications::numbers;
use crate::suite::capability::Capability::{self, Confirmation, Purge, Subscriptions, Webhooks};
use crate::suite::sink::{Answer, Script};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::{Subscribed, Subscriber, confirming, pause, subscribe};
use crate::suite::{Case, CaseResult, Context, Stop, case};

const NEEDS: &[Capability] = &[Subscriptions, Webhooks];
const NEEDS_CONFIRMATION: &[Capability] = &[Subscriptions, Webhooks, Confirmation];

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "notifications/deleted-subscription-is-tried-no-more",
        "8.3",
        deleted
    )
    .guarantee("G16")
    .needs(NEEDS)
    .waits(70)
    .since(4),
    case!(
        Should,
        "notifications/purged-subscription-is-tried-no-more",
        "4.8",
        purged
    )
    .guarantee("G16")
    .needs(&[Subscriptions, Webhooks, Purge])
    .waits(70)
    .since(4),
    case!(
        Should,
        "confirmation/unsubscribed-subscriber-is-tried-no-more",
        "8.7",
        unsubscribed
    )
    .guarantee("G16")
    .needs(NEEDS_CONFIRMATION)
    .waits(70)
    .since(4),
    case!(
        Must,
        "confirmation/subscriber-that-confirms-again-gets-later-messages",
        "8.7",
        confirmed_again
    )
    .guarantee("G16")
    .needs(NEEDS_CONFIRMATION)
    .waits(190)
    .since(4),
    case!(
        Must,
        "notifications/deleted-subscriber-that-comes-back-gets-later-messages",
        "8.5",
        back_again
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(130)
    .since(4),
];

/// Two subscribers who fail: for one an attempt is under way for three seconds each time, for the other one
/// the next attempt is mostly waited for.
struct Failing {
    subscribers: [Subscriber; 2],
    granted: [Subscribed; 2],
}

/// Subscribes both and posts; returns when each has had an attempt.
async fn failing(context: &Context, queue: &Queue) -> Result<Failing, Stop> {
    let script = |secs| Script {
        then: Answer::Status(503),
        delay: Duration::from_secs(secs),
        ..Script::default()
    };
    let slow = Subscriber::scripted(context, "slow", script(3))?;
    let quick = Subscriber::scripted(context, "quick", script(0))?;
    let policy = json!({
        "retries_with_no_delay": 0, "minimum_delay_retries": 20, "minimum_delay": 4,
        "maximum_delay": 14, "maximum_delay_retries": 1,
    });
    let options = json!({ "_retry_policy": policy });
    let granted = [
        subscribe(context, queue, (&slow, options.clone())).await?,
        subscribe(context, queue, (&quick, options)).await?,
    ];
    queue.post(&numbered(0..2, 3_600)).await?;
    for subscriber in [&quick, &slow] {
        subscriber.expect("8.5", &numbers(0..1)).await?;
    }
    Ok(Failing {
        subscribers: [slow, quick],
        granted,
    })
}

impl Failing {
    /// Demands that nothing is attempted any more, from a moment after now.
    async fn expect_quiet(&self, context: &Context, clause: &str) -> CaseResult {
        // One attempt may have been on its way already.
        pause(context, Duration::from_secs(1)).await;
        let counts = || self.subscribers.each_ref().map(|one| one.messages().len());
        let before = counts();
        pause(context, context.quiet_for().max(Duration::from_secs(20))).await;
        let after = counts();
        if before == after {
            return Ok(());
        }
        let expected = "no other attempt for a subscription that has ended";
        let came = format!("{before:?} requests a second after its end, {after:?} later");
        Err(context.failure(clause, expected, came))
    }
}

async fn deleted(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let failing = failing(&context, &queue).await?;
    for granted in &failing.granted {
        let delete = context.delete(granted.path.clone()).send().await?;
        delete.expect("8.3", &[204])?;
    }
    failing.expect_quiet(&context, "8.3").await
}

async fn purged(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let failing = failing(&context, &queue).await?;
    let body = json!({ "resource_types": ["subscriptions"] });
    let purge = context.post(queue.at("/purge"), &body).send().await?;
    purge.expect("4.8", &[204])?;
    failing.expect_quiet(&context, "4.8").await
}

async fn confirm(context: &Context, granted: &Subscribed, confirmed: bool) -> CaseResult {
    let request = confirming(context, granted, &json!({ "confirmed": confirmed }));
    request.send().await?.expect("8.4", &[204]).map(drop)
}

/// The notice that tells them is no message.
async fn unsubscribed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let failing = failing(&context, &queue).await?;
    for granted in &failing.granted {
        confirm(&context, granted, false).await?;
    }
    failing.expect_quiet(&context, "8.7").await
}

/// What was posted meanwhile is not made up for.
async fn confirmed_again(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (moody, steady) = (
        Subscriber::new(&context, "moody")?,
        Subscriber::new(&context, "steady")?,
    );
    let granted = subscribe(&context, &queue, (&moody, json!({}))).await?;
    subscribe(&context, &queue, (&steady, json!({}))).await?;
    for round in 0..3_u64 {
        let batch = |first: u64| numbered(first..first + 2, 3_600);
        queue.post(&batch(round * 10)).await?;
        let bodies: Vec<Value> = numbers(round * 10..round * 10 + 2);
        moody.expect("8.7", &bodies).await?;
        confirm(&context, &granted, false).await?;
        let missed = 100 + round * 10;
        queue.post(&batch(missed)).await?;
        steady.expect("8.7", &numbers(missed..missed + 2)).await?;
        confirm(&context, &granted, true).await?;
    }
    queue.post(&numbered(50..51, 3_600)).await?;
    moody.expect("8.7", &numbers(50..51)).await?;
    let bodies = moody.bodies();
    if bodies.iter().all(|body| body.as_u64() < Some(100)) {
        return Ok(());
    }
    let expected = "nothing of what was posted while it was unsubscribed";
    Err(context.failure("8.7", expected, json!(bodies).to_string()))
}

/// It goes in the midst of its messages, and comes back under another id.
async fn back_again(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (guest, steady) = (
        Subscriber::new(&context, "guest")?,
        Subscriber::new(&context, "steady")?,
    );
    subscribe(&context, &queue, (&steady, json!({}))).await?;
    for round in 0..3_u64 {
        let granted = subscribe(&context, &queue, (&guest, json!({}))).await?;
        let kept = round * 10..round * 10 + 2;
        queue.post(&numbered(kept.clone(), 3_600)).await?;
        guest.expect("8.5", &numbers(kept)).await?;
        let delete = context.delete(granted.path).send().await?;
        delete.expect("8.3", &[204])?;
        let missed = 100 + round * 10..102 + round * 10;
        queue.post(&numbered(missed.clone(), 3_600)).await?;
        steady.expect("8.5", &numbers(missed)).await?;
    }
    let bodies = guest.bodies();
    if bodies.iter().all(|body| body.as_u64() < Some(100)) {
        return Ok(());
    }
    let expected = "nothing of what was posted while it was not subscribed";
    Err(context.failure("8.5", expected, json!(bodies).to_string()))
}
