//! Sequences across features: claims with release, renewal, delete, pop, delay, dead letters and paging.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::capability::Capability::{Bulk, DeadLetters, Delay, Metadata, Pop, Stats};
use super::steps::{EVERYTHING, Queue, bodies, expect_each, ids, messages, numbered};
use super::{Case, CaseResult, Context, case};

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
        "claims/claims-and-pops-never-share",
        "5.8",
        claims_and_pops
    )
    .guarantee("G6")
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "messages/concurrent-pops-never-share",
        "5.8",
        concurrent_pops
    )
    .guarantee("G6")
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "messages/concurrent-deletes-are-all-fine",
        "5.7",
        concurrent_deletes
    )
    .guarantee("G13")
    .since(2),
    case!(
        Must,
        "messages/deleting-beside-a-claim-is-refused",
        "5.7",
        delete_beside_a_claim
    )
    .guarantee("G6")
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

async fn release(context: &Context, path: &str) -> CaseResult {
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
    let page = queue.list(EVERYTHING).await?;
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
    let held = bodies(&messages(&reply, "6.4")?) == json!([0, 1]);
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
    let page = queue
        .list(&format!("{EVERYTHING}&include_claimed=true"))
        .await?;
    page.reply
        .check("5.7", "an empty queue", page.messages.is_empty())
}

async fn own_release(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..4, 300)).await?;
    let (first, second) = (queue.claim(300, 2).await?, queue.claim(300, 2).await?);
    release(&context, &second.path).await?;
    let third = queue.claim(300, 20).await?;
    let freed = bodies(&third.messages) == json!([2, 3]);
    third
        .reply
        .check("6.6", "the released messages alone", freed)?;
    release(&context, &second.path).await?;
    release(&context, &first.path).await?;
    let fourth = queue.claim(300, 20).await?;
    let freed = bodies(&fourth.messages) == json!([0, 1]);
    fourth
        .reply
        .check("6.6", "the released messages alone", freed)
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

/// The ids in what claims and pops gave out.
async fn given_out(requests: Vec<super::Request>) -> Result<Vec<String>, super::Stop> {
    let sent = requests.into_iter().map(super::Request::send);
    let mut given = Vec::new();
    for reply in join_all(sent).await {
        let reply = reply?.expect("6.1", &[200, 201, 204])?;
        if reply.status() != 204 {
            let all = messages(&reply, "6.1")?;
            given.extend(all.into_iter().map(|message| message.id));
        }
    }
    Ok(given)
}

fn expect_distinct(context: &Context, clause: &str, mut given: Vec<String>) -> CaseResult {
    given.sort_unstable();
    let all = given.len();
    given.dedup();
    if all == given.len() && all > 0 {
        return Ok(());
    }
    let came = format!("{all} given out, {} distinct", given.len());
    Err(context.failure(clause, "messages, each given out once", came))
}

async fn claims_and_pops(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..60, 300)).await?;
    let terms = json!({ "ttl": 300, "grace": 60 });
    let requests = (0..12).map(|number| match number % 2 {
        0 => queue.claiming(&terms, 5),
        _ => context.delete(queue.at("/messages?pop=5")),
    });
    let given = given_out(requests.collect()).await?;
    expect_distinct(&context, "5.8", given)
}

async fn concurrent_pops(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..60, 300)).await?;
    let pops = (0..12).map(|_| context.delete(queue.at("/messages?pop=4")));
    let given = given_out(pops.collect()).await?;
    for id in given.iter().take(5) {
        queue.expect_gone("5.8", id).await?;
    }
    expect_distinct(&context, "5.8", given)
}

async fn concurrent_deletes(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let deletes = (0..6).map(|_| queue.deleting(&posted.ids[0], "").send());
    for reply in join_all(deletes).await {
        reply?.expect("5.7", &[204])?;
    }
    queue.expect_gone("5.7", &posted.ids[0]).await?;
    queue.get(&posted.ids[1]).await.map(drop)
}

/// Whoever comes first, a message that was claimed is not deleted without its claim.
async fn delete_beside_a_claim(context: Context) -> CaseResult {
    for number in 0..6 {
        let queue = Queue::new(&context, &format!("q{number}"));
        let (id, _) = queue.post_one(300).await?;
        let claiming = queue
            .claiming(&json!({ "ttl": 300, "grace": 60 }), 1)
            .send();
        let (claimed, deleted) = join(claiming, queue.deleting(&id, "").send()).await;
        let claimed = claimed?.expect("6.1", &[201, 204])?;
        let deleted = deleted?.expect("5.7", &[204, 403])?;
        if deleted.status() == 204 {
            // If it was claimed before it was deleted, it was deleted under somebody's hands: that the
            // message is gone shows nothing, but that it is still handed out would.
            queue.expect_gone("5.7", &id).await?;
        } else {
            claimed.check(
                "5.7",
                "a claim, for the message was held",
                claimed.status() == 201,
            )?;
            queue.get(&id).await?;
        }
    }
    Ok(())
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
    let page = other.list(EVERYTHING).await?;
    page.reply.check(
        "14.2",
        "the other queue's messages",
        page.messages.len() == 3,
    )
}

async fn expect_stats(
    (context, queue): (&Context, &Queue),
    (claimed, free): (u64, u64),
) -> CaseResult {
    let reply = context
        .get(queue.at("/stats"))
        .send()
        .await?
        .expect("4.7", &[200])?;
    let stats = &reply.json("4.7")?["messages"];
    let same =
        stats["claimed"] == claimed && stats["free"] == free && stats["total"] == claimed + free;
    reply.check("4.7", &format!("{claimed} claimed and {free} free"), same)
}

async fn stats_of_a_life(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let here = (&context, &queue);
    expect_stats(here, (0, 0)).await?;
    queue.post(&numbered(0..5, 300)).await?;
    expect_stats(here, (0, 5)).await?;
    let claim = queue.claim(300, 2).await?;
    expect_stats(here, (2, 3)).await?;
    let Some(first) = claim.messages.first() else {
        return Ok(());
    };
    context
        .delete(first.href.clone())
        .send()
        .await?
        .expect("5.7", &[204])?;
    expect_stats(here, (1, 3)).await?;
    queue.pop(1).await?;
    expect_stats(here, (1, 2)).await?;
    release(&context, &claim.path).await?;
    expect_stats(here, (0, 3)).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    expect_stats(here, (0, 0)).await
}

/// A queue whose messages move to `dead` when they were claimed `count` times.
async fn with_dead_letters(context: &Context, count: u64) -> Result<(Queue, Queue), super::Stop> {
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
        let claim = super::steps::Claim::read(first)?;
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
