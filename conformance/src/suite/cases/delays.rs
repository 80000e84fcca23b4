//! Contract 5.9: delayed messages.
//!
//! A message can be delayed only on a queue that has the attribute; the cases set it.

use serde_json::{Value, json};

use crate::environment::Instant;

use crate::suite::capability::Capability::{Bulk, Delay, Metadata, Patch, Pop};
use crate::suite::steps::{
    Claim, EVERYTHING, Queue, bodies, expect_each, sleep_until_shortly_before, still_before,
    surely_after, surely_until,
};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "delays/delayed-message-is-claimed-later",
        "5.9",
        claimed_later
    )
    .needs(&[Metadata, Delay])
    .provenance(Provenance::Documents)
    .guarantee("G11")
    .waits(35),
    case!(
        Should,
        "delays/delayed-message-is-popped-later",
        "5.9",
        popped_later
    )
    .needs(&[Metadata, Pop, Delay])
    .disputed("delay is honoured by pop; drivers disagree")
    .guarantee("G11")
    .waits(35),
    case!(
        Must,
        "delays/delayed-message-is-listed-later",
        "5.9",
        listed_later
    )
    .needs(&[Metadata, Delay])
    .guarantee("G11")
    .waits(35),
    case!(
        Must,
        "delays/delayed-message-can-be-read-by-id",
        "5.9",
        read_by_id
    )
    .needs(&[Metadata, Bulk, Delay]),
    case!(
        Must,
        "delays/own-delay-overrides-a-longer-default",
        "5.9",
        own_shorter_delay
    )
    .needs(&[Metadata, Delay])
    .guarantee("G11")
    .waits(35),
    case!(
        Must,
        "delays/own-delay-overrides-a-shorter-default",
        "5.9",
        own_longer_delay
    )
    .needs(&[Metadata, Delay])
    .guarantee("G11")
    .waits(65),
    case!(
        Must,
        "delays/explicit-zero-is-no-delay",
        "5.9",
        explicit_zero
    )
    .needs(&[Metadata, Delay])
    .guarantee("G11")
    .waits(5),
    case!(Must, "delays/delay-is-0-to-900", "5.9", delay_range).needs(&[Metadata, Delay]),
    case!(
        Should,
        "delays/delay-is-an-integer",
        "5.9",
        delay_is_an_integer
    )
    .needs(&[Metadata, Delay]),
    case!(
        Must,
        "delays/delayed-message-is-not-claimed-along",
        "5.9",
        not_claimed_along
    )
    .needs(&[Metadata, Delay])
    .provenance(Provenance::Documents)
    .guarantee("G11")
    .waits(5),
    case!(
        Should,
        "delays/delayed-message-is-not-popped-along",
        "5.9",
        not_popped_along
    )
    .needs(&[Metadata, Pop, Delay])
    .disputed("delay is honoured by pop wherever a message stands; drivers disagree")
    .guarantee("G11")
    .waits(5),
    case!(
        Should,
        "delays/delayed-message-blocks-no-claim",
        "5.9",
        blocks_no_claim
    )
    .needs(&[Metadata, Delay])
    .guarantee("G11")
    .waits(5),
    case!(
        Should,
        "delays/delayed-message-blocks-no-pop",
        "5.9",
        blocks_no_pop
    )
    .needs(&[Metadata, Pop, Delay])
    .disputed("what is behind a delayed message is popped; drivers disagree")
    .guarantee("G11")
    .waits(5),
    case!(
        Should,
        "delays/delayed-message-keeps-its-place",
        "5.3",
        keeps_its_place
    )
    .needs(&[Metadata, Delay])
    .guarantee("G4")
    .waits(15),
    case!(
        Should,
        "delays/delay-outlives-the-default",
        "5.9",
        outlives_the_default
    )
    .needs(&[Metadata, Patch, Delay])
    .disputed("the delay of a message stays when the default goes; drivers disagree")
    .waits(35),
    case!(
        May,
        "delays/delay-needs-a-delay-queue",
        "5.9",
        needs_a_delay_queue
    )
    .needs(&[Metadata, Delay])
    .disputed("no delay without a default, as in the code; the documents imply otherwise"),
    case!(
        Should,
        "delays/longest-delay-is-a-quarter-of-an-hour",
        "2",
        longest_delay
    )
    .needs(&[Metadata, Delay])
    .guarantee("G11")
    .waits(905),
];

async fn delay_queue(context: &Context, delay: u64) -> Result<Queue, Stop> {
    let queue = Queue::new(context, "q");
    queue
        .create(&json!({ "_default_message_delay": delay }))
        .await?;
    Ok(queue)
}

/// Demands that nothing can be claimed, now and shortly before `deadline`.
async fn expect_early(context: &Context, queue: &Queue, deadline: Instant) -> CaseResult {
    for last in [false, true] {
        if last {
            sleep_until_shortly_before(context, deadline).await;
        }
        let terms = json!({ "ttl": 60, "grace": 60 });
        let reply = queue.claiming(&terms, 20).send().await?;
        still_before(context, reply.sent, deadline)?;
        reply.expect("5.9", &[204])?;
    }
    Ok(())
}

async fn post(queue: &Queue, messages: Value) -> Result<Reply, Stop> {
    Ok(queue.post(&messages).await?.reply)
}

async fn claimed_later(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 30).await?;
    let posted = post(&queue, json!([{ "ttl": 600, "body": 0 }])).await?;
    expect_early(&context, &queue, surely_until(&context, posted.sent, 30)).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 30))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn popped_later(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 30).await?;
    let posted = post(&queue, json!([{ "ttl": 600, "body": 0 }])).await?;
    let deadline = surely_until(&context, posted.sent, 30);
    sleep_until_shortly_before(&context, deadline).await;
    let (popped, reply) = queue.pop(20).await?;
    still_before(&context, reply.sent, deadline)?;
    reply.check("5.9", "nothing before the delay is over", popped.is_empty())?;
    context
        .sleep_until(surely_after(&context, posted.sent, 30))
        .await;
    let (popped, reply) = queue.pop(20).await?;
    reply.check("5.9", "the message", bodies(&popped) == json!([0]))
}

async fn listed_later(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 30).await?;
    let posted = post(&queue, json!([{ "ttl": 600, "body": 0 }])).await?;
    let deadline = surely_until(&context, posted.sent, 30);
    for (query, seen) in [("?echo=true", 0), ("?echo=true&include_delayed=true", 1)] {
        let page = queue.list(query).await?;
        still_before(&context, page.reply.sent, deadline)?;
        let expected = format!("{seen} messages");
        page.reply
            .check("5.9", &expected, page.messages.len() == seen)?;
    }
    context
        .sleep_until(surely_after(&context, posted.sent, 30))
        .await;
    let page = queue.list("?echo=true").await?;
    page.reply
        .check("5.9", "the message", bodies(&page.messages) == json!([0]))
}

async fn read_by_id(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 600).await?;
    let (id, _) = queue.post_one(900).await?;
    queue.get(&id).await?;
    let request = context.get(queue.at(&format!("/messages?ids={id}")));
    request.send().await?.expect("5.5", &[200])?;
    // Waiting for its time does not make it anybody's.
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.expect_gone("5.7", &id).await
}

async fn own_shorter_delay(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 600).await?;
    let messages = json!([{ "ttl": 900, "body": 0, "delay": 30 }]);
    let posted = post(&queue, messages).await?;
    expect_early(&context, &queue, surely_until(&context, posted.sent, 30)).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 30))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn own_longer_delay(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 1).await?;
    let messages = json!([{ "ttl": 900, "body": 0, "delay": 60 }]);
    let posted = post(&queue, messages).await?;
    expect_early(&context, &queue, surely_until(&context, posted.sent, 60)).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 60))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn explicit_zero(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 600).await?;
    let messages = json!([{ "ttl": 900, "body": 0, "delay": 0 }]);
    let posted = post(&queue, messages).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 0))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn delay_range(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 600).await?;
    let with = |delay: i64| queue.posting(&json!([{ "ttl": 900, "body": 0, "delay": delay }]));
    expect_each("5.9", &[400], vec![with(-1), with(901)]).await?;
    expect_each("5.9", &[201], vec![with(0), with(900)]).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    page.reply
        .check("5.9", "the two accepted messages", page.messages.len() == 2)
}

async fn delay_is_an_integer(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 600).await?;
    for delay in ["10.0", "\"10\"", "\"\"", "true", "[10]", "{}"] {
        let text = format!(r#"{{"messages": [{{"ttl": 900, "body": 0, "delay": {delay}}}]}}"#);
        queue
            .posting_text(text)
            .send()
            .await?
            .expect("5.9", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.9", "nothing is stored", page.messages.is_empty())
}

/// A message that is ready in front of one that is delayed.
async fn behind(context: &Context) -> Result<Queue, Stop> {
    let queue = delay_queue(context, 600).await?;
    let messages = json!([{ "ttl": 900, "body": 0, "delay": 0 }, { "ttl": 900, "body": 1 }]);
    let posted = post(&queue, messages).await?;
    context
        .sleep_until(surely_after(context, posted.sent, 0))
        .await;
    Ok(queue)
}

async fn not_claimed_along(context: Context) -> CaseResult {
    let queue = behind(&context).await?;
    let claim = queue.claim(60, 20).await?;
    let ready = bodies(&claim.messages) == json!([0]);
    claim
        .reply
        .check("5.9", "the message that is ready, alone", ready)
}

async fn not_popped_along(context: Context) -> CaseResult {
    let queue = behind(&context).await?;
    let (popped, reply) = queue.pop(20).await?;
    let ready = bodies(&popped) == json!([0]);
    reply.check("5.9", "the message that is ready, alone", ready)
}

/// A delayed message in front of one that is ready.
async fn blocked(context: &Context) -> Result<Queue, Stop> {
    let queue = delay_queue(context, 600).await?;
    let messages = json!([{ "ttl": 900, "body": 0 }, { "ttl": 900, "body": 1, "delay": 0 }]);
    let posted = post(&queue, messages).await?;
    context
        .sleep_until(surely_after(context, posted.sent, 0))
        .await;
    Ok(queue)
}

async fn blocks_no_claim(context: Context) -> CaseResult {
    let queue = blocked(&context).await?;
    let claim = queue.claim(60, 20).await?;
    let ready = bodies(&claim.messages) == json!([1]);
    claim
        .reply
        .check("5.9", "the message that is ready, alone", ready)
}

async fn blocks_no_pop(context: Context) -> CaseResult {
    let queue = blocked(&context).await?;
    let (popped, reply) = queue.pop(20).await?;
    let ready = bodies(&popped) == json!([1]);
    reply.check("5.9", "the message that is ready, alone", ready)
}

async fn keeps_its_place(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 10).await?;
    let messages = json!([{ "ttl": 900, "body": 0 }, { "ttl": 900, "body": 1, "delay": 0 }]);
    let posted = post(&queue, messages).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 10))
        .await;
    let claim = queue.claim(60, 20).await?;
    let in_order = bodies(&claim.messages) == json!([0, 1]);
    claim.reply.check("5.3", "the order of the posts", in_order)
}

/// A delay is stamped on the message when it is posted.
async fn outlives_the_default(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 30).await?;
    let posted = post(&queue, json!([{ "ttl": 600, "body": 0 }])).await?;
    let remove = json!([{ "op": "remove", "path": "/metadata/_default_message_delay" }]);
    queue.patch(&remove).send().await?.expect("4.5", &[200])?;
    expect_early(&context, &queue, surely_until(&context, posted.sent, 30)).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 30))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn needs_a_delay_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    expect_no_delay_queue(&queue).await
}

/// Without a default the delay of a message is dropped, even one that is out of range. The contract forgives who
/// looks at it on any queue: then one that is out of range is refused, and the other one may be honoured.
pub(super) async fn expect_no_delay_queue(queue: &Queue) -> CaseResult {
    let long = json!([{ "ttl": 900, "body": 1, "delay": 5_000 }]);
    let short = json!([{ "ttl": 900, "body": 0, "delay": 600 }]);
    let posted = queue.post(&short).await?;
    let looks = queue.posting(&long).send().await?;
    let looks = looks.expect("5.9", &[201, 400])?.status() == 400;
    let claiming = queue.claiming(&json!({ "ttl": 60, "grace": 60 }), 20);
    let reply = claiming.send().await?.expect("6.1", &[201, 204])?;
    if !looks {
        let claim = Claim::read(reply)?;
        let both = bodies(&claim.messages) == json!([0, 1]);
        return claim.reply.check("5.9", "both messages at once", both);
    }
    if reply.status() == 201 {
        let claim = Claim::read(reply)?;
        let one = bodies(&claim.messages) == json!([0]);
        return claim.reply.check("5.9", "the accepted message alone", one);
    }
    // It waits for its time, and is there.
    queue.get(&posted.ids[0]).await.map(drop)
}

async fn longest_delay(context: Context) -> CaseResult {
    let queue = delay_queue(&context, 900).await?;
    let posted = post(&queue, json!([{ "ttl": 3_600, "body": 0 }])).await?;
    expect_early(&context, &queue, surely_until(&context, posted.sent, 900)).await?;
    context
        .sleep_until(surely_after(&context, posted.sent, 900))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}
