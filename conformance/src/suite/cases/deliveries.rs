//! Contract 8.5 and 8.6 (G17): what happens to notifications when subscribers answer badly, slowly or not
//! at all.

use std::time::Duration;

use serde_json::{Value, json};

use super::notifications::{NEEDS, numbers};
use crate::suite::capability::Capability::Projects;
use crate::suite::capability::Capability::{Metadata, Subscriptions, Webhooks};
use crate::suite::sink::{Answer, Script};
use crate::suite::steps::{Queue, numbered};
use crate::suite::subscriber::{Subscriber, pause, subscribe};
use crate::suite::{Case, CaseResult, Context, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "notifications/server-error-is-retried",
        "8.6",
        server_errors
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Must,
        "notifications/dropped-connection-is-retried",
        "8.6",
        dropped
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Should,
        "notifications/garbled-answer-is-retried",
        "8.6",
        garbled
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Must,
        "notifications/failures-do-not-stop-later-messages",
        "8.6",
        later_messages
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(160)
    .since(2),
    case!(
        Must,
        "notifications/refusals-do-not-stop-later-messages",
        "8.6",
        refusals
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Must,
        "notifications/dead-subscriber-does-not-stop-others",
        "8.5",
        dead_subscriber
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Must,
        "notifications/slow-subscriber-gets-everything",
        "8.5",
        slow_gets_all
    )
    .guarantee("G17")
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Should,
        "notifications/slow-subscribers-do-not-delay-other-projects",
        "8.5",
        fair
    )
    .guarantee("G17")
    .needs(&[Subscriptions, Webhooks, Projects])
    .waits(60)
    .since(2)
    .apart(),
    case!(
        Should,
        "notifications/redirection-counts-as-delivered",
        "8.6",
        redirection
    )
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Should,
        "notifications/success-has-many-codes",
        "8.6",
        success_codes
    )
    .needs(NEEDS)
    .waits(70)
    .since(2),
    case!(
        Should,
        "notifications/retries-wait-as-the-policy-says",
        "8.6",
        policy_delays
    )
    .needs(NEEDS)
    .waits(120)
    .since(2),
    case!(
        Should,
        "notifications/queue-policy-counts-too",
        "8.6",
        queue_policy
    )
    .needs(&[Subscriptions, Webhooks, Metadata])
    .waits(120)
    .since(2),
    case!(
        Should,
        "notifications/retries-end-as-the-policy-says",
        "8.6",
        policy_end
    )
    .needs(NEEDS)
    .waits(130)
    .since(2),
];

/// Attempts follow each other quickly, and are soon over.
fn hasty() -> Value {
    json!({
        "retries_with_no_delay": 2, "minimum_delay_retries": 1, "minimum_delay": 1,
        "maximum_delay": 11, "maximum_delay_retries": 1,
    })
}

/// Somebody with these first answers must get the one message all the same.
async fn retried(context: &Context, first: &[Answer]) -> CaseResult {
    let queue = Queue::new(context, "q");
    let mut all = Vec::new();
    for (number, answer) in first.iter().enumerate() {
        let subscriber = Subscriber::answering(context, &format!("s{number}"), &[*answer])?;
        subscribe(context, &queue, (&subscriber, json!({}))).await?;
        all.push((subscriber, *answer));
    }
    queue.post(&numbered(0..1, 300)).await?;
    for (subscriber, answer) in all {
        if !subscriber
            .until(|subscriber| subscriber.received().len() >= 2)
            .await
        {
            let expected = format!("another attempt within a minute of {answer:?}");
            let came = format!("{} requests", subscriber.received().len());
            return Err(context.failure("8.6", expected, came));
        }
        let last = subscriber.messages().into_iter().next_back();
        if last.is_none_or(|last| last.document["body"] != 0) {
            let expected = "the same message again";
            return Err(context.failure("8.6", expected, format!("{:?}", subscriber.received())));
        }
    }
    Ok(())
}

async fn server_errors(context: Context) -> CaseResult {
    retried(&context, &[500, 502, 503].map(Answer::Status)).await
}

async fn dropped(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    // What was not read is no message to look at; that it comes whole in the end is what counts.
    let first = [Answer::Drop, Answer::DropUnread];
    let mut all = Vec::new();
    for (number, answer) in first.into_iter().enumerate() {
        let subscriber = Subscriber::answering(&context, &format!("s{number}"), &[answer])?;
        subscribe(&context, &queue, (&subscriber, json!({}))).await?;
        all.push(subscriber);
    }
    queue.post(&numbered(0..1, 300)).await?;
    for subscriber in all {
        if !subscriber
            .until(|subscriber| subscriber.received().len() >= 2)
            .await
        {
            let expected = "another attempt within a minute of a dropped connection";
            let came = format!("{} requests", subscriber.received().len());
            return Err(context.failure("8.6", expected, came));
        }
        subscriber.expect("8.6", &numbers(0..1)).await?;
    }
    Ok(())
}

async fn garbled(context: Context) -> CaseResult {
    retried(&context, &[Answer::Garbage]).await
}

/// A queue with one message, and its subscriber, who fails every attempt; they are soon over.
async fn failing(context: &Context) -> Result<(Queue, Subscriber), Stop> {
    let queue = Queue::new(context, "q");
    let script = Script {
        then: Answer::Status(500),
        ..Script::default()
    };
    let subscriber = Subscriber::scripted(context, "s", script)?;
    let options = json!({ "_retry_policy": hasty() });
    subscribe(context, &queue, (&subscriber, options)).await?;
    queue.post(&numbered(0..1, 600)).await?;
    Ok((queue, subscriber))
}

/// All attempts for the first message fail; those behind it must come all the same.
async fn later_messages(context: Context) -> CaseResult {
    let (queue, subscriber) = failing(&context).await?;
    subscriber.expect("8.5", &numbers(0..1)).await?;
    pause(&context, Duration::from_secs(40)).await;
    subscriber.rescript(Script::default());
    queue.post(&numbered(1..4, 600)).await?;
    subscriber.expect("8.6", &numbers(1..4)).await
}

/// Whether a refusal is retried is left open; that what is behind it comes is not.
async fn refusals(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut all = Vec::new();
    for code in [400, 404, 410, 429] {
        let first = [Answer::Status(code)];
        let subscriber = Subscriber::answering(&context, &format!("s{code}"), &first)?;
        subscribe(&context, &queue, (&subscriber, json!({}))).await?;
        all.push(subscriber);
    }
    queue.post(&numbered(0..3, 300)).await?;
    queue.post(&numbered(3..4, 300)).await?;
    for subscriber in all {
        // All were attempted, the refused one at least once.
        subscriber.expect("8.6", &numbers(0..4)).await?;
    }
    Ok(())
}

async fn dead_subscriber(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut live = Vec::new();
    for number in 0..3 {
        let script = Script {
            then: [Answer::Status(500), Answer::Drop, Answer::Garbage][number],
            ..Script::default()
        };
        let dead = Subscriber::scripted(&context, &format!("dead{number}"), script)?;
        subscribe(
            &context,
            &queue,
            (&dead, json!({ "_retry_policy": hasty() })),
        )
        .await?;
        let subscriber = Subscriber::new(&context, &format!("live{number}"))?;
        subscribe(&context, &queue, (&subscriber, json!({}))).await?;
        live.push(subscriber);
    }
    queue.post(&numbered(0..5, 300)).await?;
    for subscriber in live {
        subscriber.expect("8.5", &numbers(0..5)).await?;
    }
    Ok(())
}

fn slow(delay: Duration) -> Script {
    Script {
        delay,
        ..Script::default()
    }
}

async fn slow_gets_all(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::scripted(&context, "s", slow(Duration::from_secs(3)))?;
    subscribe(&context, &queue, (&subscriber, json!({}))).await?;
    queue.post(&numbered(0..4, 300)).await?;
    subscriber.expect("8.5", &numbers(0..4)).await
}

/// One project has slow subscribers, and much to tell them; another one has a quick subscriber. Both post
/// several times in turn, so that every process of a server has some of either.
///
/// Six notifications may wait six times for a slow subscriber each, where a server takes turns. Behind all three
/// hundred of the other project, with thirty at once, they would come too late.
async fn fair(context: Context) -> CaseResult {
    const ROUNDS: u64 = 6;
    const SLOW_ROUNDS: u64 = 25;
    let project = format!("{}-slow", context.project());
    let queue = Queue::new(&context, "q");
    let within = context.happens_within();
    let mut all_slow = Vec::new();
    for number in 0..12 {
        let name = format!("slow{number}");
        let subscriber = Subscriber::scripted(&context, &name, slow(within / 10))?;
        let body = json!({ "subscriber": subscriber.uri(), "ttl": 600 });
        let request = context.post(queue.at("/subscriptions"), &body);
        let reply = request.header("x-project-id", &project).send().await?;
        reply.expect("8.2", &[201])?;
        all_slow.push(subscriber);
    }
    let quick = Subscriber::new(&context, "quick")?;
    subscribe(&context, &queue, (&quick, json!({}))).await?;
    for round in 0..SLOW_ROUNDS {
        let batch = numbered(round..round + 1, 300);
        let post = queue.posting(&batch).header("x-project-id", &project);
        post.send().await?.expect("5.2", &[201])?;
    }
    for round in 0..ROUNDS {
        queue.post(&numbered(round..round + 1, 300)).await?;
    }
    let all = |quick: &Subscriber| quick.messages().len() >= 6;
    let in_time = quick.until_within(within, all).await;
    // What is still owed to them is not to stand in other cases' way.
    for subscriber in &all_slow {
        subscriber.rescript(Script::default());
    }
    if in_time {
        return Ok(());
    }
    let secs = within.as_secs();
    let expected =
        format!("6 notifications within {secs} s, though another project has slow subscribers");
    let came = format!("{} in that time", quick.messages().len());
    Err(context.failure("8.5", expected, came))
}

/// Demands that each of these answers ends the matter.
async fn delivered(context: &Context, codes: &[u16]) -> CaseResult {
    let queue = Queue::new(context, "q");
    let mut all = Vec::new();
    for code in codes {
        let script = Script {
            then: Answer::Status(*code),
            ..Script::default()
        };
        let subscriber = Subscriber::scripted(context, &format!("s{code}"), script)?;
        subscribe(context, &queue, (&subscriber, json!({}))).await?;
        all.push((subscriber, code));
    }
    queue.post(&numbered(0..1, 300)).await?;
    for (subscriber, _) in &all {
        subscriber.expect("8.5", &numbers(0..1)).await?;
    }
    pause(context, context.quiet_for()).await;
    for (subscriber, code) in all {
        let count = subscriber.messages().len();
        if count != 1 {
            let expected = format!("no other attempt after an answer {code}");
            return Err(context.failure("8.6", expected, format!("{count} requests")));
        }
    }
    Ok(())
}

/// Without a Location, so that there is nothing to follow.
async fn redirection(context: Context) -> CaseResult {
    delivered(&context, &[301, 302, 304, 307]).await
}

async fn success_codes(context: Context) -> CaseResult {
    delivered(&context, &[200, 201, 202, 204, 299]).await
}

/// When the attempts for one message were made, once there are `count`.
async fn attempts(
    context: &Context,
    subscriber: &Subscriber,
    count: usize,
) -> Result<Vec<crate::environment::Instant>, Stop> {
    if !subscriber
        .until(|subscriber| subscriber.messages().len() >= count)
        .await
    {
        let came = format!("{} requests", subscriber.messages().len());
        return Err(context.failure("8.6", format!("{count} attempts within a minute"), came));
    }
    let all = subscriber.messages();
    Ok(all.iter().map(|notified| notified.received.at).collect())
}

/// Demands two retries at once and the third about six seconds later.
async fn expect_policy(context: &Context, subscriber: &Subscriber) -> CaseResult {
    let at = attempts(context, subscriber, 4).await?;
    let waited = at[3].since(at[2]);
    let (least, quick) = (Duration::from_secs(5), at[2].since(at[0]));
    if waited >= least && waited <= Duration::from_secs(30) && quick <= least {
        return Ok(());
    }
    let expected = "two retries at once and one about six seconds later";
    let came = format!("the second after {quick:?}, the third {waited:?} later");
    Err(context.failure("8.6", expected, came))
}

fn patient() -> Value {
    json!({
        "retries_with_no_delay": 2, "minimum_delay_retries": 2, "minimum_delay": 6,
        "maximum_delay": 30, "maximum_delay_retries": 1,
    })
}

async fn policy_delays(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscriber = Subscriber::answering(&context, "s", &[Answer::Status(500); 3])?;
    let options = json!({ "_retry_policy": patient() });
    subscribe(&context, &queue, (&subscriber, options)).await?;
    queue.post(&numbered(0..1, 600)).await?;
    expect_policy(&context, &subscriber).await
}

async fn queue_policy(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut policy = patient();
    policy["ignore_subscription_override"] = json!(true);
    queue.create(&json!({ "_retry_policy": policy })).await?;
    let subscriber = Subscriber::answering(&context, "s", &[Answer::Status(500); 3])?;
    let options = json!({ "_retry_policy": hasty() });
    subscribe(&context, &queue, (&subscriber, options)).await?;
    queue.post(&numbered(0..1, 600)).await?;
    expect_policy(&context, &subscriber).await
}

/// One attempt and at most 2 + 1 + 2 + 1 retries, about twenty seconds in all.
async fn policy_end(context: Context) -> CaseResult {
    let (_, subscriber) = failing(&context).await?;
    attempts(&context, &subscriber, 4).await?;
    pause(&context, Duration::from_secs(40)).await;
    let count = subscriber.messages().len();
    if (4..=7).contains(&count) {
        return Ok(());
    }
    let expected = "four to seven attempts, and then no more";
    Err(context.failure("8.6", expected, format!("{count} attempts")))
}
