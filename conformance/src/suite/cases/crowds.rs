//! Queues of hundreds and thousands of messages answer as small ones do, whatever happened to them on the
//! way: no answer depends on how many messages a server keeps together.

use serde_json::{Value, json};

use super::mixed::release;
use crate::suite::capability::Capability::{Bulk, Delay, Metadata, Pop, Stats};
use crate::suite::steps::{
    Claim, EVERYTHING, Queue, bodies, messages, numbered, still_before, surely_after, surely_gone,
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
        Must,
        "messages/scattered-deletes-leave-the-others",
        "5.7",
        scattered_deletes
    )
    .guarantee("G13")
    .since(4),
    case!(
        Must,
        "listing/every-page-of-a-thinned-queue-is-full",
        "1.9",
        thinned_pages
    )
    .guarantee("G9")
    .since(4),
    case!(
        Must,
        "claims/many-renewals-keep-their-messages",
        "6.5",
        many_renewals
    )
    .guarantee("G6")
    .waits(130)
    .since(4),
    case!(
        Must,
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
        "listing/messages-of-others-are-found-among-many-own-ones",
        "5.4",
        others_among_own
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
    case!(
        Must,
        "lifetimes/long-lived-messages-survive-among-many-short-lived",
        "5.10",
        survivors
    )
    .guarantee("G10")
    .waits(125)
    .since(4),
    case!(
        Must,
        "messages/many-pops-empty-a-queue-in-order",
        "5.8",
        many_pops
    )
    .guarantee("G4")
    .needs(&[Pop])
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

async fn claim_all(queue: &Queue, ttl: u64) -> Result<Vec<Claim>, Stop> {
    let mut claims = Vec::new();
    for first in (0..MANY).step_by(20) {
        let claim = queue.claim(ttl, 20).await?;
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
    let claims = claim_all(&queue, 43_200).await?;
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
    claim_all(&queue, 60).await.map(drop)
}

/// Of every eleven messages one stays.
async fn scattered_deletes(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let ids = post_many(&queue, MANY).await?;
    let stays = |number: usize| number.is_multiple_of(11);
    let doomed: Vec<&str> = scattered(ids.len())
        .filter(|number| !stays(*number))
        .map(|number| ids[number].as_str())
        .collect();
    for some in doomed.chunks(20) {
        if context.offers(Bulk) {
            let path = queue.at(&format!("/messages?ids={}", some.join(",")));
            let delete = context.delete(path).send().await?;
            delete.expect("5.8", &[204])?;
            continue;
        }
        for id in some {
            let delete = queue.deleting(id, "").send().await?;
            delete.expect("5.7", &[204])?;
        }
    }
    let wanted: Vec<u64> = (0..MANY).step_by(11).collect();
    expect_all(&queue, "5.7", &wanted).await?;
    // What is posted now comes behind them, and is claimed behind them.
    queue.post(&numbered(MANY..MANY + 1, 3_600)).await?;
    let mut claimed = Vec::new();
    for _ in 0..=wanted.len() / 20 {
        let claim = queue.claim(3_600, 20).await?;
        claimed.extend(claim.messages.into_iter().map(|message| message.body));
    }
    let wanted: Vec<Value> = wanted.into_iter().chain([MANY]).map(Value::from).collect();
    if claimed == wanted {
        return Ok(());
    }
    let expected = "claims of all that is left, oldest first";
    Err(context.failure("6.1", expected, json!(claimed).to_string()))
}

/// A reader is on its way while whole stretches before and behind it are deleted.
async fn thinned_pages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let ids = post_many(&queue, MANY).await?;
    let mut page = queue.list(EVERYTHING).await?;
    let doomed = (0..20_usize).map(|stretch| 10 + stretch * 60);
    let doomed = doomed.flat_map(|first| first..first + 50);
    for number in doomed.clone() {
        let delete = queue.deleting(&ids[number], "").send().await?;
        delete.expect("5.7", &[204])?;
    }
    let doomed: Vec<usize> = doomed.collect();
    // It has the first twenty.
    let left = (20..ids.len()).filter(|number| !doomed.contains(number));
    let left: Vec<Value> = left.map(|number| json!(number)).collect();
    for wanted in left.chunks(20) {
        page = queue.follow(&page).await?;
        let whole = bodies(&page.messages) == json!(wanted);
        let expected = format!("{} messages from {} on", wanted.len(), wanted[0]);
        page.reply.check("1.9", &expected, whole)?;
    }
    page = queue.follow(&page).await?;
    page.reply
        .check("1.9", "an empty page", page.messages.is_empty())
}

/// Every second claim is renewed; when the others end, their messages alone are free.
async fn many_renewals(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    post_many(&queue, MANY).await?;
    let claims = claim_all(&queue, 120).await?;
    let (mut renewed, mut left) = (Vec::new(), Vec::new());
    for (index, claim) in claims.into_iter().enumerate() {
        let half = if index % 2 == 0 {
            &mut renewed
        } else {
            &mut left
        };
        half.push(claim);
    }
    let (Some(first), Some(last)) = (renewed.first(), left.last()) else {
        return Ok(());
    };
    let (first, last) = (first.reply.sent, last.reply.sent);
    for claim in &renewed {
        let terms = json!({ "ttl": 3_600, "grace": 60 });
        let renew = context.patch(claim.path.clone(), &terms).send().await?;
        still_before(&context, renew.sent, surely_until(&context, first, 120))?;
        renew.expect("6.5", &[204])?;
    }
    context.sleep_until(surely_after(&context, last, 120)).await;
    for old in &left {
        let claim = queue.claim(3_600, 20).await?;
        let same = bodies(&claim.messages) == bodies(&old.messages);
        claim
            .reply
            .check("6.3", "the messages of a claim that ended", same)?;
    }
    queue.expect_nothing_to_claim("6.5").await?;
    for claim in &renewed {
        let reply = context.get(claim.path.clone()).send().await?;
        let reply = reply.expect("6.4", &[200])?;
        let held = bodies(&messages(&reply, "6.4")?) == bodies(&claim.messages);
        reply.check("6.5", "the messages that it had before", held)?;
    }
    Ok(())
}

async fn expect_stats(
    (context, queue): (&Context, &Queue),
    (claimed, free): (u64, u64),
    (oldest, newest): (&str, &str),
) -> Result<crate::suite::Sent, Stop> {
    let reply = context.get(queue.at("/stats")).send().await?;
    let reply = reply.expect("4.7", &[200])?;
    let stats = reply.json("4.7")?["messages"].clone();
    let same =
        stats["claimed"] == claimed && stats["free"] == free && stats["total"] == claimed + free;
    reply.check("4.7", &format!("{claimed} claimed and {free} free"), same)?;
    for (end, id) in [("oldest", oldest), ("newest", newest)] {
        let href = stats[end]["href"].as_str().unwrap_or_default();
        reply.check("4.7", &format!("`{end}`: {id}"), href.ends_with(id))?;
    }
    Ok(reply.sent)
}

/// In turn twenty that live for a minute and twenty that live on; of the latter some are claimed, for
/// shorter and for longer.
async fn mixed_stats(context: Context) -> CaseResult {
    const TURNS: u64 = 15;
    let queue = Queue::new(&context, "q");
    let here = (&context, &queue);
    let mut ids = Vec::new();
    for turn in 0..TURNS {
        ids.extend(
            queue
                .post(&numbered(turn * 20..turn * 20 + 20, 43_200))
                .await?
                .ids,
        );
    }
    let (oldest, newest) = (ids[0].as_str(), ids[ids.len() - 1].as_str());
    expect_stats(here, (0, 300), (oldest, newest)).await?;
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for turn in 0..10 {
        let terms = if turn % 3 == 0 { 60 } else { 3_600 };
        let claim = queue.claim(terms, 20).await?;
        if terms == 60 {
            short.push(claim)
        } else {
            long.push(claim)
        }
    }
    let (Some(first), Some(last)) = (short.first(), short.last()) else {
        return Ok(());
    };
    let sent = expect_stats(here, (200, 100), (oldest, newest)).await?;
    still_before(&context, sent, surely_until(&context, first.reply.sent, 60))?;
    context
        .sleep_until(surely_after(&context, last.reply.sent, 60))
        .await;
    expect_stats(here, (120, 180), (oldest, newest)).await?;
    // Now some that end soon, before and behind which others lie.
    let brief = queue.post(&numbered(0..200, 60)).await?;
    let last = brief.ids.last().map(String::as_str).unwrap_or_default();
    let sent = expect_stats(here, (120, 380), (oldest, last)).await?;
    still_before(&context, sent, surely_until(&context, brief.reply.sent, 60))?;
    context
        .sleep_until(surely_gone(&context, brief.reply.sent, 60))
        .await;
    expect_stats(here, (120, 180), (oldest, newest)).await?;
    // The first twenty are free by now, and are deleted: what is claimed counts too.
    for id in &ids[..20] {
        let delete = queue.deleting(id, "").send().await?;
        delete.expect("5.7", &[204])?;
    }
    expect_stats(here, (120, 160), (&ids[20], newest))
        .await
        .map(drop)
}

/// One message of another client in every hundred.
async fn others_among_own(context: Context) -> CaseResult {
    let mine = Queue::new(&context, "q");
    let theirs = mine.seen_by(&context.other_client());
    for turn in 0..14 {
        mine.post(&numbered(turn * 100..turn * 100 + 99, 3_600))
            .await?;
        theirs
            .post(&numbered(turn * 100 + 99..turn * 100 + 100, 3_600))
            .await?;
    }
    let wanted: Vec<Value> = (0..14).map(|turn| json!(turn * 100 + 99)).collect();
    let mut page = mine.list("?limit=5").await?;
    for wanted in wanted.chunks(5) {
        let found = bodies(&page.messages) == json!(wanted);
        let expected = format!("the messages of the other client from {} on", wanted[0]);
        page.reply.check("5.4", &expected, found)?;
        page = mine.follow(&page).await?;
    }
    page.reply
        .check("1.9", "an empty page", page.messages.is_empty())?;
    let page = theirs.list("?limit=20").await?;
    let own: Value = (0..20).collect();
    page.reply
        .check("5.4", "twenty of mine", bodies(&page.messages) == own)
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
    for (secs, first) in [(60, 0), (120, 1)] {
        let hidden = queue.list("?echo=true").await?;
        hidden
            .reply
            .check("5.9", "an empty page", hidden.messages.is_empty())?;
        still_before(
            &context,
            hidden.reply.sent,
            surely_until(&context, sent, secs),
        )?;
        context
            .sleep_until(surely_after(&context, sent, secs))
            .await;
        for turn in 0..4 {
            let claim = queue.claim(3_600, 10).await?;
            let ready: Value = (0..10).map(|step| first + 2 * (turn * 10 + step)).collect();
            let expected = format!("ten whose delay is over: {ready}");
            claim
                .reply
                .check("5.9", &expected, bodies(&claim.messages) == ready)?;
        }
        queue.expect_nothing_to_claim("5.9").await?;
    }
    Ok(())
}

/// Every third message lives for hours, the others for a minute.
async fn survivors(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let ttl = |number: u64| if number.is_multiple_of(3) { 43_200 } else { 60 };
    let mut last = None;
    for first in (0..MANY).step_by(300) {
        let batch =
            (first..first + 300).map(|number| json!({ "ttl": ttl(number), "body": number }));
        let batch: Value = batch.collect();
        last = Some(queue.post(&batch).await?.reply.sent);
    }
    let Some(sent) = last else { return Ok(()) };
    context.sleep_until(surely_gone(&context, sent, 60)).await;
    let left: Vec<u64> = (0..MANY).step_by(3).collect();
    expect_all(&queue, "5.10", &left).await?;
    let claim = queue.claim(60, 20).await?;
    let oldest = bodies(&claim.messages) == json!(left[..20]);
    claim.reply.check("5.10", "the twenty oldest", oldest)
}

async fn many_pops(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    post_many(&queue, MANY).await?;
    for first in (0..MANY).step_by(20) {
        let (popped, reply) = queue.pop(20).await?;
        let oldest: Value = (first..first + 20).collect();
        let expected = format!("the twenty messages from {first} on");
        reply.check("5.8", &expected, bodies(&popped) == oldest)?;
    }
    let (popped, reply) = queue.pop(20).await?;
    reply.check("5.8", "nothing", popped.is_empty())
}
