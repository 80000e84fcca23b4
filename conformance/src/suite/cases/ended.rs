//! Contract 8.3 and 8.7 (G16): what ends a subscription ends the attempts that are still to be made for it,
//! whether one is under way or the next one waits.

use std::time::Duration;

use serde_json::json;

use super::confirmation::unsubscribe;
use super::notifications::numbers;
use crate::suite::capability::Capability::{self, Confirmation, Subscriptions, Webhooks};
use crate::suite::sink::{Answer, Script};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::{Subscribed, Subscriber, pause, subscribe};
use crate::suite::{Case, CaseResult, Context, Stop, case};

const NEEDS: &[Capability] = &[Subscriptions, Webhooks];
const NEEDS_CONFIRMATION: &[Capability] = &[Subscriptions, Webhooks, Confirmation];

/// How long an attempt may have been on its way that was made before its subscription ended: less than one takes
/// with the slow subscriber, so that the one for the next message is seen.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "notifications/deleted-subscription-is-tried-no-more",
        "8.3",
        deleted
    )
    .guarantee("G16")
    .disputed("what ends a subscription ends its attempts")
    .needs(NEEDS)
    .waits(70)
    .since(4),
    case!(
        Should,
        "confirmation/unsubscribed-subscriber-is-tried-no-more",
        "8.7",
        unsubscribed
    )
    .guarantee("G16")
    .disputed("what ends a subscription ends its attempts")
    .needs(NEEDS_CONFIRMATION)
    .waits(70)
    .since(4),
    case!(
        Must,
        "notifications/late-answer-of-a-deleted-subscriber-harms-no-other",
        "8.5",
        late_answer
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(70)
    .since(5),
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
    // Who is told of one after the other is told for half a minute.
    queue.post(&numbered(0..10, 3_600)).await?;
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
        pause(context, ON_ITS_WAY).await;
        let counts = || self.subscribers.each_ref().map(|one| one.messages().len());
        let before = counts();
        pause(context, context.quiet_for().max(Duration::from_secs(20))).await;
        let after = counts();
        if before == after {
            return Ok(());
        }
        let expected = "no other attempt for a subscription that has ended";
        let came = format!("{before:?} requests soon after its end, {after:?} later");
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

/// The notice that tells them is no message.
async fn unsubscribed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let failing = failing(&context, &queue).await?;
    for granted in &failing.granted {
        unsubscribe(&context, granted).await?;
    }
    failing.expect_quiet(&context, "8.7").await
}

/// Whoever comes after it may be given its place, and not what it still has to say.
async fn late_answer(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let script = Script {
        delay: Duration::from_secs(4),
        ..Script::default()
    };
    let slow = Subscriber::scripted(&context, "slow", script)?;
    let granted = subscribe(&context, &queue, (&slow, json!({}))).await?;
    queue.post(&numbered(0..1, 600)).await?;
    slow.expect("8.5", &numbers(0..1)).await?;
    // It has the message, and has not answered yet.
    let delete = context.delete(granted.path).send().await?;
    delete.expect("8.3", &[204])?;
    let next = Subscriber::new(&context, "next")?;
    subscribe(&context, &queue, (&next, json!({}))).await?;
    queue.post(&numbered(1..2, 600)).await?;
    next.expect("8.5", &numbers(1..2)).await?;
    pause(&context, Duration::from_secs(6)).await;
    queue.post(&numbered(2..3, 600)).await?;
    next.expect("8.5", &numbers(1..3)).await
}
