//! Sequences across features: claims with release, renewal, delete, pop, delay, dead letters and paging.

use crate::suite::capability::Capability::{Bulk, Pop, Stats};
use crate::suite::steps::{EVERYTHING, Message, Queue, bodies, counts, ids, messages, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use serde_json::json;

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "claims/pop-takes-what-a-claim-left",
        "5.8",
        pop_beside_a_claim
    )
    .guarantee("G6")
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "claims/released-messages-are-popped-in-their-place",
        "5.3",
        pop_after_release
    )
    .guarantee("G4")
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "claims/released-claim-leaves-deleted-ones-deleted",
        "6.6",
        release_after_delete
    )
    .guarantee("G13")
    .since(2),
    case!(
        Must,
        "claims/renewed-claim-still-deletes",
        "6.5",
        renewed_deletes
    )
    .guarantee("G7")
    .since(2),
    case!(
        Must,
        "claims/later-posts-do-not-change-a-claim",
        "6.4",
        later_posts
    )
    .since(2),
    case!(
        Must,
        "claims/each-of-many-holds-its-own",
        "6.4",
        many_claims
    )
    .guarantee("G6")
    .since(2),
    case!(
        Must,
        "claims/release-is-for-its-own-messages",
        "6.6",
        own_release
    )
    .guarantee("G6")
    .since(2),
    case!(
        Must,
        "claims/released-message-has-a-new-holder-at-once",
        "6.6",
        new_holder
    )
    .guarantee("G7")
    .since(2),
    case!(
        Must,
        "messages/get-by-ids-mixes-states",
        "5.5",
        ids_of_all_states
    )
    .needs(&[Bulk])
    .since(2),
    case!(
        Must,
        "messages/ids-of-another-queue-are-unknown",
        "14.2",
        foreign_ids
    )
    .guarantee("G14")
    .needs(&[Bulk])
    .since(2),
    case!(
        Must,
        "queues/stats-follow-a-whole-life",
        "4.7",
        stats_of_a_life
    )
    .guarantee("G19")
    .needs(&[Stats, Pop])
    .since(2),
];

pub(super) async fn release(context: &Context, path: &str) -> CaseResult {
    context
        .delete(path)
        .send()
        .await?
        .expect("6.6", &[204])
        .map(drop)
}

async fn pop_beside_a_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..5, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    let (popped, reply) = queue.pop(20).await?;
    reply.check(
        "5.8",
        "the three free messages",
        bodies(&popped) == json!([2, 3, 4]),
    )?;
    release(&context, &claim.path).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let rest = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("6.6", "the released messages alone", rest)
}

async fn pop_after_release(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..4, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    queue.post(&numbered(4..6, 300)).await?;
    release(&context, &claim.path).await?;
    let (popped, reply) = queue.pop(20).await?;
    let ordered = bodies(&popped) == json!([0, 1, 2, 3, 4, 5]);
    reply.check("5.3", "all six in the order of their posts", ordered)
}

async fn release_after_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(300, 3).await?;
    let middle = &claim.messages[1.min(claim.messages.len() - 1)];
    let delete = context.delete(middle.href.clone());
    delete.send().await?.expect("5.7", &[204])?;
    release(&context, &claim.path).await?;
    let again = queue.claim(300, 20).await?;
    let rest = bodies(&again.messages) == json!([0, 2]);
    again
        .reply
        .check("6.6", "the first and the third message", rest)
}

async fn renewed_deletes(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let renew = context.patch(claim.path.clone(), &json!({ "ttl": 120, "grace": 60 }));
    renew.send().await?.expect("6.5", &[204])?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[403])?;
    let query = format!("?claim_id={}", claim.id);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.expect_gone("5.7", &id).await
}

async fn later_posts(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 20).await?;
    queue.post(&numbered(2..5, 300)).await?;
    queue.claim(300, 1).await?;
    let reply = context
        .get(claim.path)
        .send()
        .await?
        .expect("6.4", &[200])?;
    let held = are(&messages(&reply, "6.4")?, &[0, 1]);
    reply.check("6.4", "the two messages that were claimed", held)
}

async fn many_claims(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..12, 300)).await?;
    let mut claims = Vec::new();
    for _ in 0..12 {
        claims.push(queue.claim(300, 1).await?);
    }
    for (number, claim) in claims.iter().enumerate() {
        let reply = context
            .get(claim.path.clone())
            .send()
            .await?
            .expect("6.4", &[200])?;
        let own = bodies(&messages(&reply, "6.4")?) == json!([number]);
        reply.check("6.4", &format!("message {number} alone"), own)?;
        let neighbour = &claims[(number + 1) % claims.len()];
        let query = format!("?claim_id={}", neighbour.id);
        queue
            .deleting(&claim.only()?.id, &query)
            .send()
            .await?
            .expect("5.7", &[403])?;
    }
    for claim in &claims {
        let delete = context.delete(claim.only()?.href.clone());
        delete.send().await?.expect("5.7", &[204])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.7", "an empty queue", page.messages.is_empty())
}

/// Whether those are the messages with these bodies, in any order: a claim promises none.
fn are(messages: &[Message], wanted: &[u64]) -> bool {
    let mut shown: Vec<Option<u64>> = messages
        .iter()
        .map(|message| message.body.as_u64())
        .collect();
    shown.sort_unstable();
    shown.into_iter().eq(wanted.iter().copied().map(Some))
}

async fn own_release(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..4, 300)).await?;
    let (first, second) = (queue.claim(300, 2).await?, queue.claim(300, 2).await?);
    release(&context, &second.path).await?;
    let third = queue.claim(300, 20).await?;
    let freed = are(&third.messages, &[2, 3]);
    third
        .reply
        .check("6.6", "the released messages alone", freed)?;
    // They have another holder now; the old claim frees nothing any more.
    release(&context, &second.path).await?;
    queue.expect_nothing_to_claim("6.6").await?;
    let reply = context.get(first.path).send().await?;
    let reply = reply.expect("6.4", &[200])?;
    let held = are(&messages(&reply, "6.4")?, &[0, 1]);
    reply.check("6.6", "the messages of the first claim, still held", held)
}

/// The old claim is worth nothing to its former holder.
async fn new_holder(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let old = queue.claim(300, 1).await?;
    release(&context, &old.path).await?;
    let new = queue.seen_by(&context.other_client()).claim(300, 1).await?;
    let renew = context.patch(old.path.clone(), &json!({ "ttl": 60 }));
    renew.send().await?.expect("6.5", &[404])?;
    let query = format!("?claim_id={}", old.id);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[400])?;
    queue.expect_nothing_to_claim("6.1").await?;
    let query = format!("?claim_id={}", new.id);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[204])
        .map(drop)
}

async fn ids_of_all_states(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..4, 300)).await?;
    queue.claim(300, 2).await?;
    queue
        .deleting(&posted.ids[2], "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    let unknown = super::claims::UNKNOWN;
    let all = format!("{},{unknown}", posted.ids.join(","));
    let reply = context
        .get(queue.at(&format!("/messages?ids={all}")))
        .send()
        .await?;
    let reply = reply.expect("5.5", &[200])?;
    let found = messages(&reply, "5.5")?;
    let mut found = ids(&found);
    found.sort_unstable();
    let mut there = [0, 1, 3].map(|number: usize| posted.ids[number].as_str());
    there.sort_unstable();
    reply.check(
        "5.5",
        "the claimed and the free messages, each once",
        found == there,
    )
}

async fn foreign_ids(context: Context) -> CaseResult {
    let (queue, other) = (Queue::new(&context, "q"), Queue::new(&context, "q2"));
    let posted = queue.post(&numbered(0..3, 300)).await?;
    other.post(&numbered(0..3, 300)).await?;
    let path = other.at(&format!("/messages?ids={}", posted.ids.join(",")));
    context
        .get(path.clone())
        .send()
        .await?
        .expect("14.2", &[404])?;
    context.delete(path).send().await?.expect("5.8", &[204])?;
    for id in &posted.ids {
        queue.get(id).await?;
    }
    let page = other.whole(EVERYTHING, 3).await?;
    page.reply.check(
        "14.2",
        "the other queue's messages",
        page.messages.len() == 3,
    )
}

async fn expect_stats(queue: &Queue, (claimed, free): (u64, u64)) -> CaseResult {
    let same = |stats: &serde_json::Value| counts(stats, (claimed, free));
    let expected = format!("{claimed} claimed and {free} free");
    queue.expect_stats("4.7", &expected, same).await.map(drop)
}

async fn stats_of_a_life(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    expect_stats(&queue, (0, 0)).await?;
    queue.post(&numbered(0..5, 300)).await?;
    expect_stats(&queue, (0, 5)).await?;
    let claim = queue.claim(300, 2).await?;
    expect_stats(&queue, (2, 3)).await?;
    let Some(first) = claim.messages.first() else {
        return Ok(());
    };
    context
        .delete(first.href.clone())
        .send()
        .await?
        .expect("5.7", &[204])?;
    expect_stats(&queue, (1, 3)).await?;
    queue.pop(1).await?;
    expect_stats(&queue, (1, 2)).await?;
    release(&context, &claim.path).await?;
    expect_stats(&queue, (0, 3)).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    expect_stats(&queue, (0, 0)).await
}
