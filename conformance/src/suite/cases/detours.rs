//! Messages on a detour, through dead letters or a delay, in sequences with claims and deletions.

use super::mixed::release;
use crate::suite::capability::Capability::{DeadLetters, Delay, Metadata};
use crate::suite::steps::{Claim, EVERYTHING, Queue, bodies, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use serde_json::{Value, json};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "dead-letters/moved-message-can-be-finished",
        "7.2",
        finished_dead_letter
    )
    .guarantee("G12")
    .needs(&[DeadLetters, Metadata])
    .since(2),
    case!(
        Must,
        "dead-letters/moved-message-is-unknown-where-it-was",
        "7.2",
        moved_is_unknown
    )
    .guarantee("G12")
    .needs(&[DeadLetters, Metadata])
    .since(2),
    case!(
        Must,
        "dead-letters/each-message-has-its-own-count",
        "7.1",
        own_counts
    )
    .guarantee("G12")
    .needs(&[DeadLetters, Metadata])
    .since(2),
    case!(
        Must,
        "delays/released-message-waits-no-more",
        "5.9",
        released_is_not_delayed
    )
    .guarantee("G11")
    .needs(&[Delay, Metadata])
    .since(2),
    case!(
        Must,
        "delays/delayed-message-can-be-deleted",
        "5.9",
        delete_a_delayed_one
    )
    .guarantee("G13")
    .needs(&[Delay, Metadata])
    .since(2),
];

/// A queue whose messages move to `dead` when they were claimed `count` times.
async fn with_dead_letters(
    context: &Context,
    count: u64,
) -> Result<(Queue, Queue), crate::suite::Stop> {
    let (queue, dead) = (Queue::new(context, "q"), Queue::new(context, "dead"));
    dead.create(&json!({})).await?;
    queue
        .create(&json!({ "_dead_letter_queue": "dead", "_max_claim_count": count }))
        .await?;
    Ok((queue, dead))
}

/// Claims one message and releases it.
async fn try_once(context: &Context, queue: &Queue, expected: Value) -> CaseResult {
    let claim = queue.claim(60, 1).await?;
    let same = bodies(&claim.messages) == expected;
    claim
        .reply
        .check("7.2", &format!("the messages {expected}"), same)?;
    release(context, &claim.path).await
}

async fn finished_dead_letter(context: Context) -> CaseResult {
    let (queue, dead) = with_dead_letters(&context, 1).await?;
    queue.post_one(300).await?;
    try_once(&context, &queue, json!([0])).await?;
    queue.expect_nothing_to_claim("7.2").await?;
    let claim = dead.claim(60, 20).await?;
    let message = claim.only()?;
    context
        .delete(message.href.clone())
        .send()
        .await?
        .expect("5.7", &[204])?;
    release(&context, &claim.path).await?;
    dead.expect_nothing_to_claim("7.2").await?;
    let page = dead.list(EVERYTHING).await?;
    page.reply
        .check("7.2", "an empty queue", page.messages.is_empty())
}

async fn moved_is_unknown(context: Context) -> CaseResult {
    let (queue, dead) = with_dead_letters(&context, 1).await?;
    let (id, _) = queue.post_one(300).await?;
    try_once(&context, &queue, json!([0])).await?;
    queue.expect_nothing_to_claim("7.2").await?;
    queue.expect_gone("7.2", &id).await?;
    let page = dead.list(EVERYTHING).await?;
    page.reply.check(
        "7.2",
        "the message in its new queue",
        page.messages.len() == 1,
    )?;
    // Deleting it where it was has no effect where it is.
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    let page = dead.list(EVERYTHING).await?;
    page.reply.check(
        "7.2",
        "the message in its new queue",
        page.messages.len() == 1,
    )
}

async fn own_counts(context: Context) -> CaseResult {
    let (queue, dead) = with_dead_letters(&context, 2).await?;
    queue.post(&numbered(0..1, 300)).await?;
    try_once(&context, &queue, json!([0])).await?;
    try_once(&context, &queue, json!([0])).await?;
    queue.post(&numbered(1..2, 300)).await?;
    // The first one moves; the second one has its chances still. A claim may come back empty that moved.
    let terms = json!({ "ttl": 60, "grace": 60 });
    let first = queue
        .claiming(&terms, 1)
        .send()
        .await?
        .expect("7.2", &[201, 204])?;
    if first.status() == 201 {
        let claim = Claim::read(first)?;
        claim.reply.check(
            "7.2",
            "the second message",
            bodies(&claim.messages) == json!([1]),
        )?;
        release(&context, &claim.path).await?;
    } else {
        try_once(&context, &queue, json!([1])).await?;
    }
    try_once(&context, &queue, json!([1])).await?;
    let page = dead.list(EVERYTHING).await?;
    let moved = bodies(&page.messages) == json!([0]);
    page.reply.check("7.2", "the first message alone", moved)
}

async fn released_is_not_delayed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 900 }))
        .await?;
    queue
        .post(&json!([{ "ttl": 3_600, "body": 0, "delay": 0 }]))
        .await?;
    let claim = queue.claim(60, 1).await?;
    release(&context, &claim.path).await?;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn delete_a_delayed_one(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 900 }))
        .await?;
    let (id, _) = queue.post_one(3_600).await?;
    queue.get(&id).await?;
    queue.expect_nothing_to_claim("5.9").await?;
    expect_each("5.7", &[204], vec![queue.deleting(&id, "")]).await?;
    queue.expect_gone("5.7", &id).await
}
