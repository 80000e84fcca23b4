//! Contract 7.1 and 7.2: messages that were handed out too often move to the dead letter queue.

use serde_json::{Value, json};

use crate::suite::capability::Capability::{DeadLetters, Metadata, Pop};
use crate::suite::steps::{
    EVERYTHING, Queue, bodies, ids, numbered, sleep_until_shortly_before, still_before,
    surely_after, surely_until,
};
use crate::suite::{Case, CaseResult, Context, Provenance, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "dead-letters/unfinished-message-moves",
        "7.2",
        unfinished_message_moves
    )
    .needs(&[Metadata, DeadLetters])
    .guarantee("G12")
    .waits(130),
    case!(
        Should,
        "dead-letters/moved-message-is-active-at-once",
        "7.2",
        moved_is_active
    )
    .needs(&[Metadata, DeadLetters])
    .disputed("it is active at once; the documents are silent")
    .guarantee("G12"),
    case!(
        Must,
        "dead-letters/finished-message-does-not-move",
        "7.2",
        finished_does_not_move
    )
    .needs(&[Metadata, DeadLetters])
    .guarantee("G13"),
    case!(
        Should,
        "dead-letters/message-is-handed-out-n-times",
        "7.2",
        handed_out_n_times
    )
    .needs(&[Metadata, DeadLetters])
    .disputed("a release keeps the count; one driver forgets it")
    .guarantee("G12"),
    case!(
        Should,
        "dead-letters/zero-moves-at-once",
        "7.2",
        zero_moves_at_once
    )
    .needs(&[Metadata, DeadLetters])
    .provenance(Provenance::Observed)
    .guarantee("G12"),
    case!(
        Should,
        "dead-letters/others-are-still-handed-out",
        "7.2",
        others_are_handed_out
    )
    .needs(&[Metadata, DeadLetters])
    .guarantee("G12"),
    case!(
        Must,
        "dead-letters/moving-needs-both-attributes",
        "7.1",
        needs_both_attributes
    )
    .needs(&[Metadata, DeadLetters])
    .guarantee("G5"),
    case!(
        Should,
        "dead-letters/target-need-not-exist",
        "7.2",
        target_need_not_exist
    )
    .needs(&[Metadata, DeadLetters])
    .disputed("the target is created when it is needed")
    .guarantee("G12"),
    case!(
        Should,
        "dead-letters/pop-is-no-delivery",
        "5.8",
        pop_is_no_delivery
    )
    .needs(&[Metadata, Pop, DeadLetters])
    .disputed("a pop is not counted; one driver counts it"),
    case!(
        Should,
        "dead-letters/moved-message-lives-on",
        "7.2",
        moved_message_lives_on
    )
    .needs(&[Metadata, DeadLetters])
    .disputed("the new lifetime counts from the move")
    .guarantee("G12")
    .waits(150),
    case!(
        Should,
        "dead-letters/moved-message-has-the-new-ttl",
        "7.2",
        moved_has_new_ttl
    )
    .needs(&[Metadata, DeadLetters])
    .provenance(Provenance::Documents)
    .guarantee("G12")
    .waits(125),
    case!(
        Should,
        "dead-letters/moved-message-keeps-its-ttl",
        "7.2",
        moved_keeps_ttl
    )
    .needs(&[Metadata, DeadLetters])
    .guarantee("G10")
    .waits(125),
];

/// A queue that hands out a message `count` times, and its dead letter queue.
async fn queues(context: &Context, count: u64, more: Value) -> Result<(Queue, Queue), Stop> {
    let (queue, dead) = (Queue::new(context, "q"), Queue::new(context, "dead"));
    dead.create(&json!({})).await?;
    let mut metadata = json!({ "_max_claim_count": count, "_dead_letter_queue": "dead" });
    if let (Some(metadata), Value::Object(more)) = (metadata.as_object_mut(), more) {
        metadata.extend(more);
    }
    queue.create(&metadata).await?;
    Ok((queue, dead))
}

/// Claims everything and releases it.
async fn deliver(context: &Context, queue: &Queue) -> Result<Value, Stop> {
    let claim = queue.claim(300, 20).await?;
    let release = context.delete(claim.path).send().await?;
    release.expect("6.6", &[204])?;
    Ok(bodies(&claim.messages))
}

/// Demands that message `id` left `queue` for `dead`, whole.
async fn expect_moved(queue: &Queue, dead: &Queue, id: &str) -> CaseResult {
    let page = queue.list(EVERYTHING).await?;
    let left = !ids(&page.messages).contains(&id);
    page.reply
        .check("7.2", &format!("{id} is not listed any more"), left)?;
    let whole = dead.get(id).await?.body == 0;
    page.reply
        .check("7.2", "the message in the dead letter queue", whole)
}

/// Zaqar's Redis driver hides a moved message under the claim that moved it. Lost is worse than
/// late, so here it has the time of that claim to appear.
async fn unfinished_message_moves(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 1, json!({})).await?;
    let (id, _) = queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    claim.only()?;
    context
        .sleep_until(surely_after(&context, claim.reply.sent, 60))
        .await;
    let terms = json!({ "ttl": 60, "grace": 60 });
    let moving = queue.claiming(&terms, 20).send().await?;
    let moving = moving.expect("7.2", &[204])?;
    expect_moved(&queue, &dead, &id).await?;
    context
        .sleep_until(surely_after(&context, moving.sent, 60))
        .await;
    queue.expect_nothing_to_claim("7.2").await?;
    let again = dead.claim(60, 1).await?;
    again
        .reply
        .check("7.2", "the same message", again.only()?.id == id)?;
    let delete = context.delete(again.only()?.href.clone());
    delete.send().await?.expect("5.7", &[204])?;
    dead.expect_gone("5.7", &id).await
}

async fn moved_is_active(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 0, json!({})).await?;
    let (id, _) = queue.post_one(600).await?;
    queue.expect_nothing_to_claim("7.2").await?;
    let page = dead.list("?echo=true").await?;
    let listed = ids(&page.messages) == [&*id];
    page.reply.check("7.2", "the message", listed)?;
    let claim = dead.claim(60, 1).await?;
    let same = claim.only()?.id == id;
    claim.reply.check("7.2", "the same message", same)
}

async fn finished_does_not_move(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 1, json!({})).await?;
    queue.post_one(600).await?;
    let claim = queue.claim(300, 1).await?;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[204])?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    queue.expect_nothing_to_claim("7.2").await?;
    let page = dead.list(EVERYTHING).await?;
    page.reply
        .check("7.2", "no dead letters", page.messages.is_empty())
}

/// A release ends a delivery like an expiry does: the count is kept.
async fn handed_out_n_times(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 3, json!({})).await?;
    let (id, _) = queue.post_one(600).await?;
    for _ in 0..3 {
        deliver(&context, &queue).await?;
    }
    let page = dead.list(EVERYTHING).await?;
    page.reply
        .check("7.2", "no dead letters yet", page.messages.is_empty())?;
    queue.expect_nothing_to_claim("7.2").await?;
    expect_moved(&queue, &dead, &id).await
}

async fn zero_moves_at_once(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 0, json!({})).await?;
    let (id, _) = queue.post_one(600).await?;
    queue.expect_nothing_to_claim("7.2").await?;
    expect_moved(&queue, &dead, &id).await
}

async fn others_are_handed_out(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 1, json!({})).await?;
    let (id, _) = queue.post_one(600).await?;
    deliver(&context, &queue).await?;
    queue.post(&numbered(1..3, 600)).await?;
    let claim = queue.claim(300, 20).await?;
    let others = bodies(&claim.messages) == json!([1, 2]);
    claim.reply.check("7.2", "the other two messages", others)?;
    expect_moved(&queue, &dead, &id).await
}

async fn needs_both_attributes(context: Context) -> CaseResult {
    for (name, metadata) in [
        ("a", json!({ "_max_claim_count": 1 })),
        ("b", json!({ "_dead_letter_queue": "dead" })),
    ] {
        let queue = Queue::new(&context, name);
        queue.create(&metadata).await?;
        let posted = queue.post(&numbered(0..1, 600)).await?;
        for _ in 0..3 {
            let delivered = deliver(&context, &queue).await?;
            posted
                .reply
                .check("7.1", "the message, every time", delivered == json!([0]))?;
        }
    }
    Ok(())
}

/// Lost would be the worst that can become of a message that nobody could handle.
async fn target_need_not_exist(context: Context) -> CaseResult {
    let (queue, dead) = (Queue::new(&context, "q"), Queue::new(&context, "dead"));
    queue
        .create(&json!({ "_max_claim_count": 0, "_dead_letter_queue": "dead" }))
        .await?;
    let (id, _) = queue.post_one(600).await?;
    queue.expect_nothing_to_claim("7.2").await?;
    expect_moved(&queue, &dead, &id).await?;
    // It is there for those who look for queues, too.
    let reply = context.put(dead.at("")).send().await?;
    reply.expect("7.2", &[204]).map(drop)
}

async fn pop_is_no_delivery(context: Context) -> CaseResult {
    let (queue, _) = queues(&context, 1, json!({})).await?;
    queue.post_one(600).await?;
    deliver(&context, &queue).await?;
    let (popped, reply) = queue.pop(1).await?;
    reply.check("5.8", "the message", bodies(&popped) == json!([0]))
}

/// Moved shortly before its end, with 90 s to live from then on.
async fn moved_message_lives_on(context: Context) -> CaseResult {
    let more = json!({ "_dead_letter_queue_messages_ttl": 90 });
    let (queue, dead) = queues(&context, 0, more).await?;
    let (id, posted) = queue.post_one(70).await?;
    let deadline = surely_until(&context, posted, 70);
    sleep_until_shortly_before(&context, deadline).await;
    let terms = json!({ "ttl": 60, "grace": 60 });
    let reply = queue.claiming(&terms, 1).send().await?;
    still_before(&context, reply.sent, deadline)?;
    let reply = reply.expect("7.2", &[204])?;
    let deadline = surely_until(&context, reply.sent, 90);
    sleep_until_shortly_before(&context, deadline).await;
    let reply = dead.getting(&id).send().await?;
    still_before(&context, reply.sent, deadline)?;
    reply.expect("7.2", &[200]).map(drop)
}

async fn moved_has_new_ttl(context: Context) -> CaseResult {
    let more = json!({ "_dead_letter_queue_messages_ttl": 60 });
    let (queue, dead) = queues(&context, 0, more).await?;
    let (id, _) = queue.post_one(3_600).await?;
    let terms = json!({ "ttl": 60, "grace": 60 });
    let reply = queue.claiming(&terms, 1).send().await?;
    let moved = reply.expect("7.2", &[204])?.sent;
    dead.get(&id).await?;
    dead.await_gone(&id, moved, 60).await
}

async fn moved_keeps_ttl(context: Context) -> CaseResult {
    let (queue, dead) = queues(&context, 0, json!({})).await?;
    let (id, posted) = queue.post_one(60).await?;
    queue.expect_nothing_to_claim("7.2").await?;
    dead.get(&id).await?;
    dead.await_gone(&id, posted, 60).await
}
