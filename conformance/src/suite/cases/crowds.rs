//! Queues of many messages answer as small ones do: no answer depends on how many a server keeps together.

use serde_json::{Value, json};

use super::mixed::release;
use crate::environment::Instant;
use crate::suite::capability::Capability::{Delay, Metadata, Stats};
use crate::suite::steps::{
    Claim, EVERYTHING, Queue, bodies, counts, numbered, still_before, surely_after, surely_gone,
    surely_until,
};
use crate::suite::{Case, CaseResult, Context, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "claims/releases-in-any-order-restore-the-order",
        "5.3",
        scattered_releases
    )
    .guarantee("G4")
    .since(4),
    case!(
        Should,
        "queues/stats-tell-many-messages-of-all-kinds-apart",
        "4.7",
        mixed_stats
    )
    .guarantee("G19")
    .needs(&[Stats])
    .waits(190)
    .since(4),
    case!(
        Must,
        "listing/own-message-hides-none-of-others",
        "5.4",
        own_before_others
    )
    .since(4),
    case!(
        Must,
        "delays/many-delays-end-one-after-another",
        "5.9",
        many_delays
    )
    .guarantee("G11")
    .needs(&[Delay, Metadata])
    .waits(130)
    .since(4),
];

/// As many as do not fit into a few of whatever a server keeps them in.
const MANY: u64 = 1_200;

/// Posts so many messages, whose bodies are their numbers: their ids.
async fn post_many(queue: &Queue, count: u64) -> Result<Vec<String>, Stop> {
    let mut ids = Vec::new();
    for first in (0..count).step_by(200) {
        let batch = numbered(first..count.min(first + 200), 43_200);
        ids.extend(queue.post(&batch).await?.ids);
    }
    Ok(ids)
}

/// The numbers below `count`, far from their order: each once if `count` is no multiple of 7.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| number * 7 % count)
}

/// Demands that a pass over the queue shows exactly these, in this order.
async fn expect_all(queue: &Queue, clause: &str, wanted: &[u64]) -> CaseResult {
    let all = queue.pass(EVERYTHING).await?;
    let page = queue.list(EVERYTHING).await?;
    let expected = format!("a pass with {} messages, in order", wanted.len());
    let same = all.iter().map(|message| message.body.as_u64());
    let same = same.eq(wanted.iter().map(|number| Some(*number)));
    page.reply.check(clause, &expected, same)
}

/// For an hour: none is over before the last is granted.
async fn claim_all(queue: &Queue) -> Result<Vec<Claim>, Stop> {
    let mut claims = Vec::new();
    for first in (0..MANY).step_by(20) {
        let claim = queue.claim(3_600, 20).await?;
        let oldest: Value = (first..first + 20).collect();
        let expected = format!("the twenty messages from {first} on");
        claim
            .reply
            .check("6.1", &expected, bodies(&claim.messages) == oldest)?;
        claims.push(claim);
    }
    Ok(claims)
}

/// All are claimed, and the claims are released in no order.
async fn scattered_releases(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    post_many(&queue, MANY).await?;
    let claims = claim_all(&queue).await?;
    for (round, index) in scattered(claims.len()).enumerate() {
        release(&context, &claims[index].path).await?;
        if round == claims.len() / 2 {
            let mut freed: Vec<usize> = scattered(claims.len()).take(round + 1).collect();
            freed.sort_unstable();
            let first = |index: usize| u64::try_from(index).unwrap_or_default() * 20;
            let freed = freed
                .into_iter()
                .flat_map(|index| first(index)..first(index) + 20);
            let freed: Vec<u64> = freed.collect();
            expect_all(&queue, "5.3", &freed).await?;
        }
    }
    let wanted: Vec<u64> = (0..MANY).collect();
    expect_all(&queue, "5.3", &wanted).await?;
    claim_all(&queue).await.map(drop)
}

/// Until `deadline` the counts cannot change.
async fn expect_stats(
    queue: &Queue,
    (claimed, free): (u64, u64),
    (oldest, newest): (&str, &str),
    deadline: Instant,
) -> CaseResult {
    let ends = [("oldest", oldest), ("newest", newest)];
    let holds = |stats: &Value| {
        let leads = |(end, id): (&str, &str)| {
            let href = stats[end]["href"].as_str().unwrap_or_default();
            href.ends_with(id)
        };
        counts(stats, (claimed, free)) && ends.into_iter().all(leads)
    };
    let expected = format!("{claimed} claimed and {free} free, from {oldest} to {newest}");
    queue
        .expect_stats_by(deadline, ("4.7", &expected), holds)
        .await
        .map(drop)
}

/// Of three hundred two hundred are claimed, by ten claims: every third ends after a minute, the first and the last
/// among them.
async fn mixed_stats(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let ids = post_many(&queue, 300).await?;
    let ends = (ids[0].as_str(), ids[ids.len() - 1].as_str());
    expect_stats(&queue, (0, 300), ends, Instant::NEVER).await?;
    let mut claims = Vec::new();
    for turn in 0..10 {
        let terms = if turn % 3 == 0 { 60 } else { 3_600 };
        claims.push(queue.claim(terms, 20).await?);
    }
    let (first, last) = (&claims[0], &claims[claims.len() - 1]);
    let deadline = surely_until(&context, first.reply.sent, 60);
    expect_stats(&queue, (200, 100), ends, deadline).await?;
    context
        .sleep_until(surely_after(&context, last.reply.sent, 60))
        .await;
    expect_stats(&queue, (120, 180), ends, Instant::NEVER).await?;
    // Now some that end soon, before and behind which others lie.
    let brief = queue.post(&numbered(0..200, 60)).await?;
    let last = brief.ids.last().map(String::as_str).unwrap_or_default();
    let deadline = surely_until(&context, brief.reply.sent, 60);
    expect_stats(&queue, (120, 380), (ends.0, last), deadline).await?;
    context
        .sleep_until(surely_gone(&context, brief.reply.sent, 60))
        .await;
    expect_stats(&queue, (120, 180), ends, Instant::NEVER).await?;
    // The first twenty are free by now, and are deleted: what is claimed counts too.
    for id in &ids[..20] {
        let delete = queue.deleting(id, "").send().await?;
        delete.expect("5.7", &[204])?;
    }
    expect_stats(&queue, (120, 160), (&ids[20], ends.1), Instant::NEVER).await
}

/// Forty that wait for a minute, and forty between them that wait for two.
async fn many_delays(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 900 }))
        .await?;
    let delay = |number: u64| if number.is_multiple_of(2) { 60 } else { 120 };
    let batch =
        (0..80_u64).map(|number| json!({ "ttl": 3_600, "body": number, "delay": delay(number) }));
    let batch: Value = batch.collect();
    let sent = queue.post(&batch).await?.reply.sent;
    queue.expect_nothing_to_claim("5.9").await?;
    // The others are still delayed while the first are taken; nothing follows behind the others.
    let second = surely_until(&context, sent, 120);
    for (secs, first, deadline) in [(60, 0, second), (120, 1, Instant::NEVER)] {
        let hidden = queue.list("?echo=true").await?;
        let still_hidden = surely_until(&context, sent, secs);
        still_before(&context, hidden.reply.sent, still_hidden)?;
        hidden
            .reply
            .check("5.9", "an empty page", hidden.messages.is_empty())?;
        context
            .sleep_until(surely_after(&context, sent, secs))
            .await;
        for turn in 0..4 {
            let claim = queue.claim(3_600, 10).await?;
            still_before(&context, claim.reply.sent, deadline)?;
            let ready: Value = (0..10).map(|step| first + 2 * (turn * 10 + step)).collect();
            let expected = format!("ten whose delay is over: {ready}");
            claim
                .reply
                .check("5.9", &expected, bodies(&claim.messages) == ready)?;
        }
        let terms = json!({ "ttl": 60, "grace": 60 });
        let nothing = queue.claiming(&terms, 20).send().await?;
        still_before(&context, nothing.sent, deadline)?;
        nothing.expect("5.9", &[204])?;
    }
    Ok(())
}

/// One of my messages, and behind it many of another client.
async fn own_before_others(context: Context) -> CaseResult {
    let mine = Queue::new(&context, "q");
    let theirs = mine.seen_by(&context.other_client());
    mine.post(&numbered(0..1, 300)).await?;
    theirs.post(&numbered(1..80, 300)).await?;
    let all = mine.pass("?limit=20").await?;
    let wanted: Value = (1..80).collect();
    let page = mine.list("?limit=20").await?;
    page.reply.check(
        "5.4",
        "a pass with all messages of the other client",
        bodies(&all) == wanted,
    )
}
