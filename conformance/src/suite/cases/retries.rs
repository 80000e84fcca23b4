//! Contract 8.6: how many attempts a policy means, when each is made, and which policy counts.
//!
//! Who is subscribed here answers no attempt but with an error, so that all of them are made.

use std::time::Duration;

use serde_json::{Value, json};

use crate::suite::capability::Capability::{self, Metadata, Subscriptions, Webhooks};
use crate::suite::steps::{Queue, numbered, unknown};
use crate::suite::subscriber::{Subscriber, pause, subscribe};
use crate::suite::{Case, CaseResult, Context, Stop, case};

const NEEDS: &[Capability] = &[Subscriptions, Webhooks];
const NEEDS_METADATA: &[Capability] = &[Subscriptions, Webhooks, Metadata];

/// How much later than it is due an attempt may come and still tell one delay from the next.
const LATE: Duration = Duration::from_secs(3);

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "notifications/default-policy-is-fourteen-retries",
        "8.6",
        default_policy
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(290)
    .since(4),
    case!(
        Should,
        "notifications/phases-have-as-many-retries-as-they-say",
        "8.6",
        counted_phases
    )
    .needs(NEEDS)
    .waits(190)
    .since(4),
    case!(
        Should,
        "notifications/subscription-policy-counts-before-the-queue-s",
        "8.6",
        subscription_first
    )
    .needs(NEEDS_METADATA)
    .waits(110)
    .since(4),
    case!(
        Should,
        "notifications/queue-policy-is-for-subscriptions-without-one",
        "8.6",
        queue_otherwise
    )
    .needs(NEEDS_METADATA)
    .waits(110)
    .since(4),
    case!(
        Should,
        "notifications/subscription-may-leave-it-to-the-queue",
        "8.6",
        left_to_the_queue
    )
    .needs(NEEDS_METADATA)
    .waits(110)
    .since(4),
    case!(
        Should,
        "notifications/growth-may-begin-at-no-delay",
        "8.6",
        growth_from_zero
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(110)
    .since(5),
];

/// Delays of 2 and 7 seconds and no others: no phase but the growth has a retry.
fn growth_alone() -> Value {
    json!({
        "retries_with_no_delay": 0, "minimum_delay_retries": 0, "minimum_delay": 2,
        "maximum_delay": 12, "maximum_delay_retries": 0,
    })
}

/// Somebody who fails whatever comes, subscribed with these options.
async fn failing(context: &Context, queue: &Queue, options: Value) -> Result<Subscriber, Stop> {
    let subscriber = Subscriber::failing(context, "s")?;
    subscribe(context, queue, (&subscriber, options)).await?;
    Ok(subscriber)
}

/// Demands that the attempts for the next message follow each other after these delays, and that none
/// comes behind them.
async fn expect_delays(
    context: &Context,
    (queue, subscriber): (&Queue, &Subscriber),
    delays: &[u64],
) -> CaseResult {
    queue.post(&numbered(0..1, 3_600)).await?;
    let total = Duration::from_secs(delays.iter().sum());
    let all = |subscriber: &Subscriber| subscriber.messages().len() > delays.len();
    // How long it takes to be told at all is another case's to judge.
    let first = |subscriber: &Subscriber| !subscriber.messages().is_empty();
    if !subscriber
        .until_within(context.happens_within(), first)
        .await
    {
        return Err(unknown(context, "the first attempt did not come in time"));
    }
    // That one is missing shows below.
    let span = total + context.happens_within();
    let _all_came = subscriber.until_within(span, all).await;
    // Longer than any delay of these policies.
    pause(context, Duration::from_secs(35)).await;
    let expected = format!("attempts that follow each other after {delays:?} seconds, and no more");
    judge_gaps(context, &subscriber.gaps(), (delays, expected))
}

/// Demands attempts that follow each other after `delays`, which `expected` has in words, and none earlier.
pub(super) fn judge_gaps(
    context: &Context,
    gaps: &[Duration],
    (delays, expected): (&[u64], String),
) -> CaseResult {
    let slack = context.slack();
    let each = || {
        gaps.iter()
            .zip(delays)
            .map(|(gap, secs)| (*gap, Duration::from_secs(*secs)))
    };
    let none_early = each().all(|(gap, delay)| gap + slack >= delay);
    let none_late = each().all(|(gap, delay)| gap <= delay + slack + LATE);
    if gaps.len() == delays.len() && none_early {
        // The contract says when an attempt is due, and not how soon it has to follow.
        let late = || {
            unknown(
                context,
                format!("attempts came later than {LATE:?} after their time: {gaps:.1?}"),
            )
        };
        return if none_late { Ok(()) } else { Err(late()) };
    }
    Err(context.failure("8.6", expected, format!("{gaps:.1?}")))
}

/// About three minutes in all.
async fn default_policy(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = failing(&context, &queue, json!({})).await?;
    let delays = [0, 0, 0, 5, 5, 5, 5, 10, 15, 20, 25, 30, 30, 30];
    expect_delays(&context, (&queue, &subscriber), &delays).await
}

/// No two counts are alike, and none is what it is by default. Steps of five divide the distance of the two delays:
/// what else the growth would end with is left open.
async fn counted_phases(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let policy = json!({
        "retries_with_no_delay": 1, "minimum_delay_retries": 2, "minimum_delay": 3,
        "maximum_delay": 18, "maximum_delay_retries": 4,
    });
    let subscriber = failing(&context, &queue, json!({ "_retry_policy": policy })).await?;
    let delays = [0, 3, 3, 3, 8, 13, 18, 18, 18, 18];
    expect_delays(&context, (&queue, &subscriber), &delays).await
}

/// One retry at once, and then what grows from one second.
fn another(ignores_override: bool) -> Value {
    json!({
        "retries_with_no_delay": 1, "minimum_delay_retries": 0, "minimum_delay": 1,
        "maximum_delay": 11, "maximum_delay_retries": 0,
        "ignore_subscription_override": ignores_override,
    })
}

async fn subscription_first(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_retry_policy": another(false) }))
        .await?;
    let options = json!({ "_retry_policy": growth_alone() });
    let subscriber = failing(&context, &queue, options).await?;
    expect_delays(&context, (&queue, &subscriber), &[2, 7]).await
}

async fn queue_otherwise(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_retry_policy": growth_alone() }))
        .await?;
    let subscriber = failing(&context, &queue, json!({})).await?;
    expect_delays(&context, (&queue, &subscriber), &[2, 7]).await
}

/// Either side may say that the subscription's policy does not count; here it does so itself.
async fn left_to_the_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_retry_policy": growth_alone() }))
        .await?;
    let options = json!({ "_retry_policy": another(true) });
    let subscriber = failing(&context, &queue, options).await?;
    expect_delays(&context, (&queue, &subscriber), &[2, 7]).await
}

/// How a product grows from nothing is left open, and that it is tried again is not: with three steps and a retry
/// behind them, twice at least.
async fn growth_from_zero(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let policy = json!({
        "retries_with_no_delay": 0, "minimum_delay_retries": 0, "minimum_delay": 0,
        "maximum_delay": 15, "maximum_delay_retries": 1, "retry_backoff_function": "geometric",
    });
    let subscriber = failing(&context, &queue, json!({ "_retry_policy": policy })).await?;
    queue.post(&numbered(0..1, 300)).await?;
    let three = |subscriber: &Subscriber| subscriber.messages().len() >= 3;
    let span = Duration::from_secs(3 * 15) + context.happens_within();
    if subscriber.until_within(span, three).await {
        return Ok(());
    }
    let came = subscriber.messages().len();
    Err(context.failure("8.6, G17", "at least three attempts", came.to_string()))
}
