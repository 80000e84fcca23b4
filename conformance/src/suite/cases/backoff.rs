//! Contract 8.6: how the delays between attempts grow.

use std::time::Duration;

use serde_json::json;

use super::retries::judge_gaps;

use crate::suite::capability::Capability::{self, Subscriptions, Webhooks};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::{Subscriber, subscribe};
use crate::suite::{Case, CaseResult, Context, case};

const NEEDS: &[Capability] = &[Subscriptions, Webhooks];

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "notifications/delays-grow-linearly",
        "8.6",
        linearly
    )
    .needs(NEEDS)
    .waits(150)
    .since(3),
    case!(
        Should,
        "notifications/delays-grow-arithmetically",
        "8.6",
        arithmetically
    )
    .needs(NEEDS)
    .waits(150)
    .since(3),
    case!(
        Should,
        "notifications/delays-grow-geometrically",
        "8.6",
        geometrically
    )
    .needs(NEEDS)
    .waits(150)
    .since(3),
    case!(
        Should,
        "notifications/delays-grow-exponentially",
        "8.6",
        exponentially
    )
    .needs(NEEDS)
    .waits(150)
    .since(3),
];

async fn linearly(context: Context) -> CaseResult {
    expect_growth(&context, ("linear", [5, 10, 15, 20, 25])).await
}

async fn arithmetically(context: Context) -> CaseResult {
    expect_growth(&context, ("arithmetic", [5, 7, 12, 20, 30])).await
}

async fn geometrically(context: Context) -> CaseResult {
    expect_growth(&context, ("geometric", [5, 7, 12, 19, 30])).await
}

/// It is another word for geometric.
async fn exponentially(context: Context) -> CaseResult {
    expect_growth(&context, ("exponential", [5, 7, 12, 19, 30])).await
}

/// The first at once, the second after the shortest delay, the last after the longest; what lies between
/// grows.
async fn expect_growth(context: &Context, (function, grown): (&str, [u64; 5])) -> CaseResult {
    let queue = Queue::new(context, function);
    let subscriber = Subscriber::failing(context, function)?;
    let policy = json!({
        "retries_with_no_delay": 1, "minimum_delay_retries": 1, "minimum_delay": 5,
        "maximum_delay": 30, "maximum_delay_retries": 1, "retry_backoff_function": function,
    });
    let options = json!({ "_retry_policy": policy });
    subscribe(context, &queue, (&subscriber, options)).await?;
    queue.post(&numbered(0..1, 600)).await?;
    let mut delays = vec![0, 5];
    delays.extend(grown);
    delays.push(30);
    let total = Duration::from_secs(delays.iter().sum());
    let all = |subscriber: &Subscriber| subscriber.messages().len() > delays.len();
    // That one is missing shows below.
    let span = total + context.happens_within();
    let _all_came = subscriber.until_within(span, all).await;
    let expected = format!("attempts that follow each other after {delays:?} seconds");
    judge_gaps(context, &subscriber.gaps(), (&delays, expected))
}
