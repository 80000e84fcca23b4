//! Much at once: the largest batch, many expired messages, many claims that end, filters that skip pages,
//! and markers whose messages are gone.

use serde_json::{Value, json};

use crate::suite::capability::Capability::{Delay, Metadata, Pop, Purge, Stats};
use crate::suite::steps::{EVERYTHING, Queue, bodies, numbered, surely_after, surely_gone};
use crate::suite::{Case, CaseResult, Context, Sent, Stop, case};

/// Bytes that the body of a post may have.
const POST_BYTES_MAX: usize = 262_144;

/// Expired messages in front of one that is active.
const EXPIRED: u64 = 500;

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "messages/largest-batch-is-stored-whole",
        "5.2",
        largest_batch
    )
    .guarantee("G2")
    .since(2),
    case!(
        Must,
        "messages/batch-that-is-too-large-stores-nothing",
        "5.2",
        too_large
    )
    .guarantee("G2")
    .since(2),
    case!(
        Must,
        "messages/largest-message-is-stored-whole",
        "5.2",
        largest_message
    )
    .guarantee("G1")
    .since(2),
    case!(
        Must,
        "lifetimes/claim-looks-past-many-expired-messages",
        "5.10",
        claim_past_expired
    )
    .guarantee("G10")
    .waits(125)
    .since(2),
    case!(
        Must,
        "lifetimes/claim-looks-past-ten-thousand-expired-messages",
        "5.10",
        claim_past_ten_thousand
    )
    .guarantee("G10")
    .waits(125)
    .since(3),
    case!(
        Must,
        "lifetimes/pop-looks-past-many-expired-messages",
        "5.10",
        pop_past_expired
    )
    .guarantee("G10")
    .needs(&[Pop])
    .waits(125)
    .since(2),
    case!(
        Should,
        "lifetimes/page-looks-past-many-expired-messages",
        "5.4",
        list_past_expired
    )
    .disputed("a page is empty only if nothing qualifies behind its marker")
    .guarantee("G9")
    .waits(125)
    .since(2),
    case!(
        Must,
        "lifetimes/stats-forget-many-expired-messages",
        "4.7",
        stats_past_expired
    )
    .guarantee("G10")
    .needs(&[Stats])
    .waits(125)
    .since(2),
    case!(Must, "lifetimes/many-claims-end-at-once", "6.3", many_ends)
        .guarantee("G5")
        .waits(66)
        .since(2),
    case!(
        Should,
        "listing/page-looks-past-delayed-messages",
        "5.4",
        list_past_delayed
    )
    .disputed("a page is empty only if nothing qualifies behind its marker")
    .guarantee("G9")
    .needs(&[Delay, Metadata])
    .since(2),
    case!(
        Should,
        "listing/page-looks-past-all-kinds-of-hidden-messages",
        "5.4",
        list_past_all
    )
    .disputed("a page is empty only if nothing qualifies behind its marker")
    .guarantee("G9")
    .since(2),
    case!(
        Must,
        "listing/new-messages-come-behind-the-last-marker",
        "1.9",
        new_behind_marker
    )
    .guarantee("G9")
    .since(2),
    case!(
        Must,
        "listing/marker-outlives-its-popped-message",
        "5.4",
        popped_marker
    )
    .guarantee("G9")
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "listing/marker-outlives-all-messages",
        "5.4",
        purged_marker
    )
    .guarantee("G9")
    .needs(&[Purge])
    .since(2),
    case!(
        Must,
        "listing/deletions-behind-a-marker-skip-nothing",
        "1.9",
        deletions_on_the_way
    )
    .guarantee("G9")
    .since(2),
    case!(
        Must,
        "listing/clients-see-each-other-in-turn",
        "5.4",
        interleaved
    )
    .since(2),
];

/// A post of `count` messages whose body has exactly `bytes`.
fn batch_text(count: usize, bytes: usize) -> String {
    let message =
        |number: usize, filling: &str| format!(r#"{{"ttl":300,"body":[{number},"{filling}"]}}"#);
    let frame = r#"{"messages":[]}"#.len() + count - 1;
    let bare: usize = (0..count).map(|number| message(number, "").len()).sum();
    let filling = bytes - frame - bare;
    let mut messages: Vec<String> = Vec::with_capacity(count);
    for number in 0..count {
        let share = filling / count + usize::from(number < filling % count);
        messages.push(message(number, &"x".repeat(share)));
    }
    format!(r#"{{"messages":[{}]}}"#, messages.join(","))
}

/// Thousands of messages. Whether a Location of a hundred kilobytes is worth it is left open.
async fn largest_batch(context: Context) -> CaseResult {
    const COUNT: usize = 3_000;
    let queue = Queue::new(&context, "q");
    let text = batch_text(COUNT, POST_BYTES_MAX);
    let reply = queue
        .posting_text(text)
        .send()
        .await?
        .expect("5.2", &[201])?;
    let document = reply.json("5.2")?;
    let told = document["resources"].as_array().map_or(0, Vec::len);
    reply.check(
        "5.2",
        &format!("{COUNT} entries in `resources`"),
        told == COUNT,
    )?;
    let all = queue.pass(EVERYTHING).await?;
    let numbers = all.iter().map(|message| message.body[0].as_u64());
    let whole = numbers.eq((0..).map(Some).take(COUNT));
    let last = document["resources"][COUNT - 1]
        .as_str()
        .unwrap_or_default();
    let same = all
        .last()
        .is_some_and(|message| last.ends_with(&message.id));
    reply.check(
        "5.2",
        "all of them, in order, under the ids given out",
        whole && same,
    )
}

async fn too_large(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for text in [
        batch_text(1_000, POST_BYTES_MAX + 1),
        // The whole body counts, blanks included.
        batch_text(10, POST_BYTES_MAX) + " ",
    ] {
        queue
            .posting_text(text)
            .send()
            .await?
            .expect("5.2", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.2", "nothing stored", page.messages.is_empty())
}

async fn largest_message(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let text = batch_text(1, POST_BYTES_MAX);
    let expected: Value = serde_json::from_str(&text).unwrap_or_default();
    queue
        .posting_text(text)
        .send()
        .await?
        .expect("5.2", &[201])?;
    let claim = queue.claim(60, 1).await?;
    let same = claim.only()?.body == expected["messages"][0]["body"];
    claim.reply.check("5.2", "the body as it was posted", same)
}

/// Many messages that are over, and behind them one that is not.
async fn expired_in_front(context: &Context) -> Result<Queue, Stop> {
    let queue = Queue::new(context, "q");
    let sent = post_short_lived(&queue, 1).await?;
    queue.post(&numbered(EXPIRED..EXPIRED + 1, 3_600)).await?;
    context.sleep_until(surely_gone(context, sent, 60)).await;
    Ok(queue)
}

/// Posts so many batches, one at least, that live for a minute: when the last one was sent.
async fn post_short_lived(queue: &Queue, batches: u64) -> Result<Sent, Stop> {
    let batch = numbered(0..EXPIRED, 60);
    let mut last = queue.post(&batch).await?;
    for _ in 1..batches {
        last = queue.post(&batch).await?;
    }
    Ok(last.reply.sent)
}

/// As many as a backlog that nobody took over night leaves, and then one is posted that somebody wants.
async fn claim_past_ten_thousand(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let sent = post_short_lived(&queue, 10_000 / EXPIRED).await?;
    context.sleep_until(surely_gone(&context, sent, 60)).await;
    queue.post(&numbered(EXPIRED..EXPIRED + 1, 3_600)).await?;
    claim_what_lives(&queue).await
}

async fn claim_past_expired(context: Context) -> CaseResult {
    let queue = expired_in_front(&context).await?;
    claim_what_lives(&queue).await
}

async fn claim_what_lives(queue: &Queue) -> CaseResult {
    let claim = queue.claim(60, 20).await?;
    let live = bodies(&claim.messages) == json!([EXPIRED]);
    claim
        .reply
        .check("5.10", "the message that is not over", live)
}

async fn pop_past_expired(context: Context) -> CaseResult {
    let queue = expired_in_front(&context).await?;
    let (popped, reply) = queue.pop(20).await?;
    reply.check(
        "5.10",
        "the message that is not over",
        bodies(&popped) == json!([EXPIRED]),
    )
}

async fn list_past_expired(context: Context) -> CaseResult {
    let queue = expired_in_front(&context).await?;
    let page = queue.list("?echo=true&limit=5").await?;
    let live = bodies(&page.messages) == json!([EXPIRED]);
    page.reply
        .check("5.10", "the message that is not over", live)
}

async fn stats_past_expired(context: Context) -> CaseResult {
    let queue = expired_in_front(&context).await?;
    let one = |stats: &Value| stats["total"] == 1;
    queue
        .expect_stats("4.7", "a total of one", one)
        .await
        .map(drop)
}

async fn many_ends(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..40, 3_600)).await?;
    let mut last = None;
    for _ in 0..40 {
        last = Some(queue.claim(60, 1).await?.reply.sent);
    }
    queue.expect_nothing_to_claim("6.1").await?;
    let Some(sent) = last else { return Ok(()) };
    context.sleep_until(surely_after(&context, sent, 60)).await;
    for start in [0_u64, 20] {
        let claim = queue.claim(60, 20).await?;
        let expected: Value = (start..start + 20).collect();
        let all = bodies(&claim.messages) == expected;
        claim
            .reply
            .check("6.3", "the next twenty messages, in order", all)?;
    }
    Ok(())
}

async fn list_past_delayed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 900 }))
        .await?;
    queue.post(&numbered(0..45, 3_600)).await?;
    queue
        .post(&json!([{ "ttl": 3_600, "body": 45, "delay": 0 }]))
        .await?;
    let page = queue.list("?echo=true&limit=10").await?;
    let live = bodies(&page.messages) == json!([45]);
    page.reply
        .check("5.4", "the message that is not delayed", live)
}

async fn list_past_all(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let other = queue.seen_by(&context.other_client());
    // Claimed ones of another client, own ones, and one of the other client that is free.
    other.post(&numbered(0..40, 3_600)).await?;
    for _ in 0..2 {
        queue.claim(3_600, 20).await?;
    }
    queue.post(&numbered(40..80, 3_600)).await?;
    other.post(&numbered(80..81, 3_600)).await?;
    let page = queue.list("?limit=10").await?;
    let live = bodies(&page.messages) == json!([80]);
    page.reply
        .check("5.4", "the free message of the other client", live)
}

async fn new_behind_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let page = queue.whole("?echo=true&limit=20", 3).await?;
    for _ in 0..3 {
        let empty = queue.follow(&page).await?;
        empty.reply.check(
            "1.9",
            "an empty page behind the end",
            empty.messages.is_empty(),
        )?;
    }
    queue.post(&numbered(3..6, 300)).await?;
    let later = queue.rest(&page, 3).await?;
    let new = bodies(&later.messages) == json!([3, 4, 5]);
    later.reply.check("1.9", "the new messages alone", new)
}

/// The first message is held meanwhile: a reader who starts again at the head would see it twice.
async fn popped_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..6, 300)).await?;
    let page = queue.first("echo=true", 3).await?;
    let claim = queue.claim(300, 1).await?;
    queue.pop(2).await?;
    let release = context.delete(claim.path).send().await?;
    release.expect("6.6", &[204])?;
    let next = queue.rest(&page, 3).await?;
    let rest = bodies(&next.messages) == json!([3, 4, 5]);
    next.reply
        .check("5.4", "the three messages behind the marker", rest)
}

async fn purged_marker(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..6, 300)).await?;
    let page = queue.first("echo=true", 3).await?;
    let purge = context.post(
        queue.at("/purge"),
        &json!({ "resource_types": ["messages"] }),
    );
    purge.send().await?.expect("4.8", &[204])?;
    queue.post(&numbered(6..8, 300)).await?;
    let next = queue.rest(&page, 2).await?;
    let new = bodies(&next.messages) == json!([6, 7]);
    next.reply.check("5.4", "the messages posted since", new)
}

/// A reader deletes what it has read, page by page.
async fn deletions_on_the_way(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..24, 300)).await?;
    let mut page = queue.list("?echo=true&limit=5").await?;
    let mut seen = Vec::new();
    for _ in 0..=24 {
        if page.messages.is_empty() {
            break;
        }
        for message in &page.messages {
            queue
                .deleting(&message.id, "")
                .send()
                .await?
                .expect("5.7", &[204])?;
            seen.push(message.body.clone());
        }
        page = queue.follow(&page).await?;
    }
    let expected: Vec<Value> = (0..24).map(|number| json!(number)).collect();
    if seen == expected {
        return Ok(());
    }
    Err(context.failure("1.9", "each message once, in order", format!("{seen:?}")))
}

async fn interleaved(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let other = queue.seen_by(&context.other_client());
    for number in 0..6 {
        let poster = if number % 2 == 0 { &queue } else { &other };
        poster.post(&numbered(number..number + 1, 300)).await?;
    }
    for (reader, expected) in [(&queue, [1, 3, 5]), (&other, [0, 2, 4])] {
        let all = reader.whole("?limit=20", 3).await?.messages;
        let came = bodies(&all);
        if came != json!(expected) {
            let expected = format!("the messages of the other client, {expected:?}");
            return Err(context.failure("5.4", expected, came.to_string()));
        }
    }
    Ok(())
}
