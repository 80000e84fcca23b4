//! State after deletion and re-creation: a new queue of the name knows nothing of the old one.

use super::queues::expect_queues;
use crate::suite::capability::Capability::{Metadata, Patch, Projects, Purge, QueueLists, Stats};
use crate::suite::steps::{EVERYTHING, Queue, bodies, next_link, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use http::Method;
use serde_json::json;

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "queues/new-queue-of-the-name-has-no-metadata",
        "4.6",
        no_old_metadata
    )
    .needs(&[Metadata])
    .since(2),
    case!(
        Must,
        "queues/new-queue-of-the-name-has-no-old-limits",
        "4.6",
        no_old_limits
    )
    .needs(&[Metadata])
    .since(2),
    case!(Must, "queues/queue-can-come-and-go", "4.6", come_and_go)
        .guarantee("G13")
        .needs(&[Stats, QueueLists])
        .since(2),
    case!(
        Must,
        "queues/deleted-queue-is-listed-no-more",
        "4.6",
        listed_no_more
    )
    .needs(&[Projects, QueueLists])
    .since(2),
    case!(Must, "queues/purged-queue-works-on", "4.8", purged_works_on)
        .needs(&[Purge, Metadata, Stats])
        .since(2),
    case!(
        Must,
        "messages/id-of-a-deleted-queue-stays-unknown",
        "4.6",
        old_ids
    )
    .guarantee("G13")
    .since(2),
    case!(
        Must,
        "claims/claim-of-a-deleted-queue-holds-nothing",
        "4.6",
        old_claims
    )
    .guarantee("G13")
    .since(2),
    case!(
        Must,
        "metadata/deleted-queue-cannot-be-patched",
        "4.5",
        patch_after_delete
    )
    .needs(&[Metadata, Patch])
    .since(2),
];

async fn no_old_metadata(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "colour": "red", "_max_claim_count": 3 }))
        .await?;
    let fresh = Queue::new(&context, "fresh");
    fresh.create(&json!({})).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    queue.create(&json!({})).await?;
    let reply = context
        .get(queue.at(""))
        .send()
        .await?
        .expect("4.4", &[200])?;
    let same = reply.json("4.4")? == fresh.metadata().await?;
    reply.check("4.6", "the metadata of any new queue", same)
}

async fn no_old_limits(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let metadata = json!({
        "_default_message_ttl": 120, "_max_messages_post_size": 100, "_default_message_delay": 900,
    });
    queue.create(&metadata).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let long = json!([{ "body": "x".repeat(200) }]);
    let posted = queue.post(&long).await?;
    let message = queue.get(&posted.ids[0]).await?;
    posted
        .reply
        .check("4.6", "a ttl of 3600", message.ttl == 3_600)?;
    queue.claim(60, 1).await?.only().map(drop)
}

fn is_nothing(stats: &serde_json::Value) -> bool {
    stats["total"] == 0
}

async fn come_and_go(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for round in 0..4 {
        queue.create(&json!({})).await?;
        queue.post(&numbered(round..round + 2, 300)).await?;
        let page = queue.whole(EVERYTHING, 2).await?;
        let own = bodies(&page.messages) == json!([round, round + 1]);
        page.reply
            .check("4.6", "the messages of this life alone", own)?;
        queue.claim(300, 1).await?;
        context
            .delete(queue.at(""))
            .send()
            .await?
            .expect("4.6", &[204])?;
        let page = queue.list(EVERYTHING).await?;
        page.reply
            .check("4.6", "no messages", page.messages.is_empty())?;
        queue
            .expect_stats("4.6", "a total of nothing", is_nothing)
            .await?;
        expect_queues(&context, "4.6", &[]).await?;
    }
    Ok(())
}

async fn listed_no_more(context: Context) -> CaseResult {
    super::queues::create_all(&context, &["a", "b", "c", "d"]).await?;
    let reply = context
        .get("/v2/queues?limit=2")
        .send()
        .await?
        .expect("4.2", &[200])?;
    let Some(next) = next_link(&reply)? else {
        return Err(reply.refuse("1.9", "a next link on a non-empty page"));
    };
    context
        .delete("/v2/queues/c")
        .send()
        .await?
        .expect("4.6", &[204])?;
    let reply = context.get(next).send().await?.expect("4.2", &[200])?;
    let rest = super::queues::names(&reply)? == ["d"];
    reply.check("4.6", "the queue d alone", rest)?;
    expect_queues(&context, "4.6", &["a", "b", "d"]).await
}

async fn purged_works_on(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_ttl": 120 }))
        .await?;
    queue.post(&numbered(0..25, 300)).await?;
    context
        .request(Method::POST, queue.at("/purge"))
        .send()
        .await?
        .expect("4.8", &[204])?;
    queue
        .expect_stats("4.8", "a total of nothing", is_nothing)
        .await?;
    let posted = queue.post(&json!([{ "body": 25 }])).await?;
    let page = queue.list(EVERYTHING).await?;
    let own = matches!(page.messages.as_slice(), [one] if one.body == 25 && one.ttl == 120);
    page.reply
        .check("4.8", "the new message alone, with the queue's ttl", own)?;
    let claim = queue.claim(60, 20).await?;
    let same = claim.only()?.id == posted.ids[0];
    claim.reply.check("4.8", "the new message", same)
}

async fn old_ids(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    queue.expect_gone("4.6", &id).await?;
    let posted = queue.post(&numbered(1..2, 300)).await?;
    queue.expect_gone("4.6", &id).await?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.get(&posted.ids[0]).await.map(drop)
}

async fn old_claims(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let posted = queue.post(&numbered(2..4, 300)).await?;
    let query = format!("?claim_id={}", claim.id);
    queue
        .deleting(&posted.ids[0], &query)
        .send()
        .await?
        .expect("5.7", &[400])?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let new = queue.claim(300, 20).await?;
    let own = bodies(&new.messages) == json!([2, 3]);
    new.reply.check("4.6", "the two new messages", own)
}

async fn patch_after_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    let add = json!([{ "op": "add", "path": "/metadata/colour", "value": "blue" }]);
    queue.patch(&add).send().await?.expect("4.5", &[404])?;
    let none = queue.metadata().await?.get("colour").is_none();
    if none {
        return Ok(());
    }
    Err(context.failure("4.5", "no metadata of a queue that is gone", "a colour"))
}
