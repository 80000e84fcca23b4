//! What a claim leaves behind: in counts, for a pop, and for a marker. Drawn sequences found these.

use serde_json::{Value, json};

use super::mixed::release;
use crate::suite::capability::Capability::{DeadLetters, Metadata, Pop, Stats};
use crate::suite::steps::{
    Queue, bodies, counts, numbered, still_before, surely_gone, surely_until,
};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "claims/claimed-message-behind-free-ones-is-not-popped",
        "5.8",
        pop_in_front_of_a_claim
    )
    .needs(&[Pop])
    .provenance(Provenance::Documents)
    .guarantee("G6")
    .since(2),
    case!(
        Should,
        "queues/stats-forget-claims-of-a-deleted-queue",
        "4.7",
        stats_after_rebirth
    )
    .needs(&[Stats])
    .guarantee("G19")
    .since(2),
    case!(
        Should,
        "dead-letters/stats-count-what-is-held",
        "4.7",
        stats_after_a_move
    )
    .needs(&[Metadata, DeadLetters, Stats])
    .guarantee("G19")
    .since(2),
    case!(
        Must,
        "lifetimes/marker-outlives-its-collected-message",
        "5.4",
        collected_marker
    )
    .provenance(Provenance::Documents)
    .guarantee("G9")
    .waits(125)
    .since(2),
];

/// A pop looks at each message that it takes, not only at the first.
async fn pop_in_front_of_a_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let first = queue.claim(300, 1).await?;
    let second = queue.claim(300, 1).await?;
    let held = second.only()?.href.clone();
    release(&context, &first.path).await?;
    let (popped, reply) = queue.pop(20).await?;
    let free = bodies(&popped) == json!([0, 2]);
    reply.check("5.8", "the free messages alone, 0 and 2", free)?;
    let delete = context.delete(held).send().await?;
    delete.expect("5.7", &[204]).map(drop)
}

/// Demands these counts of `queue`.
async fn expect_counts(queue: &Queue, (free, claimed): (u64, u64)) -> CaseResult {
    let holds = |stats: &Value| counts(stats, (claimed, free));
    let total = free + claimed;
    let expected = format!("{free} free, {claimed} claimed, {total} in total");
    queue.expect_stats("4.7", &expected, holds).await.map(drop)
}

async fn stats_after_rebirth(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    queue.claim(300, 2).await?;
    let delete = context.delete(queue.at("")).send().await?;
    delete.expect("4.6", &[204])?;
    queue.post(&numbered(2..3, 300)).await?;
    expect_counts(&queue, (1, 0)).await
}

/// The claim that moves one message and is granted another holds but the latter.
async fn stats_after_a_move(context: Context) -> CaseResult {
    let (queue, dead) = (Queue::new(&context, "q"), Queue::new(&context, "dead"));
    dead.create(&json!({})).await?;
    let metadata = json!({ "_max_claim_count": 1, "_dead_letter_queue": "dead" });
    queue.create(&metadata).await?;
    queue.post(&numbered(0..1, 300)).await?;
    let first = queue.claim(300, 1).await?;
    release(&context, &first.path).await?;
    queue.post(&numbered(1..2, 300)).await?;
    let second = queue.claim(300, 20).await?;
    let granted = bodies(&second.messages) == json!([1]);
    second
        .reply
        .check("7.2", "the new message alone", granted)?;
    expect_counts(&queue, (0, 1)).await
}

/// A claim gives a server occasion to look at what has expired in the queue, and to clear it away.
async fn collected_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let messages = json!([{ "ttl": 600, "body": 0 }, { "ttl": 60, "body": 1 }]);
    let posted = queue.post(&messages).await?.reply.sent;
    queue.post(&numbered(2..4, 600)).await?;
    let page = queue.first("echo=true", 2).await?;
    still_before(
        &context,
        page.reply.sent,
        surely_until(&context, posted, 60),
    )?;
    let both = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("5.4", "two messages", both)?;
    // Held, so that whoever looks for a free message comes past the expired one. Were the marker
    // forgotten with that, the first message would come again.
    let first = queue.claim(300, 1).await?;
    let gone = surely_gone(&context, posted, 60);
    context.sleep_until(gone).await;
    let others = queue.claim(300, 20).await?;
    release(&context, &first.path).await?;
    release(&context, &others.path).await?;
    let next = queue.rest(&page, 2).await?;
    still_before(
        &context,
        next.reply.sent,
        surely_until(&context, posted, 600),
    )?;
    let rest = bodies(&next.messages) == json!([2, 3]);
    next.reply.check("5.4", "the other two messages", rest)
}
