//! State after an error, and after deletion and re-creation; odd but legal names.

use super::queues::expect_queues;
use crate::suite::capability::Capability::{Bulk, Pop, QueueLists, Stats};
use crate::suite::steps::{EVERYTHING, Queue, bodies, expect_each, messages, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use futures_util::future::join_all;
use serde_json::{Value, json};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "claims/refused-renewal-keeps-the-claim",
        "6.5",
        refused_renewal
    )
    .since(2),
    case!(
        Must,
        "claims/refused-delete-keeps-the-claim",
        "5.7",
        refused_delete
    )
    .guarantee("G6")
    .since(2),
    case!(
        Must,
        "claims/refused-claim-takes-nothing",
        "6.1",
        refused_claim
    )
    .since(2),
    case!(
        Must,
        "messages/refused-pop-removes-nothing",
        "5.8",
        refused_pop
    )
    .needs(&[Pop])
    .since(2),
    case!(
        Must,
        "messages/refused-bulk-delete-removes-nothing",
        "5.8",
        refused_bulk_delete
    )
    .needs(&[Bulk, Pop])
    .since(2),
    case!(
        Must,
        "messages/refused-batches-leave-no-trace",
        "5.2",
        refused_batches
    )
    .guarantee("G2")
    .needs(&[Stats])
    .since(2),
    case!(
        Must,
        "queues/concurrent-creations-make-one",
        "4.3",
        concurrent_creations
    )
    .needs(&[QueueLists])
    .since(2),
    case!(
        Must,
        "queues/concurrent-first-posts-lose-nothing",
        "5.2",
        concurrent_first_posts
    )
    .guarantee("G1")
    .since(2),
];

async fn refused_renewal(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(120, 1).await?;
    for terms in [
        json!({ "ttl": 59 }),
        json!({ "ttl": 43_201 }),
        json!({ "ttl": "300" }),
    ] {
        let renew = context.patch(claim.path.clone(), &terms).send().await?;
        renew.expect("6.5", &[400])?;
    }
    let same = super::claims::claim_ttl(&context, &claim).await? == 120;
    claim.reply.check("6.5", "the claim with its ttl", same)?;
    queue.expect_nothing_to_claim("6.5").await?;
    let query = format!("?claim_id={}", claim.id);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[204])
        .map(drop)
}

async fn refused_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(120, 1).await?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[403])?;
    let query = format!("?claim_id={}", super::claims::UNKNOWN);
    queue
        .deleting(&id, &query)
        .send()
        .await?
        .expect("5.7", &[400])?;
    queue.expect_nothing_to_claim("6.1").await?;
    let reply = context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("6.4", &[200])?;
    let held = messages(&reply, "6.4")?.len() == 1;
    reply.check("6.4", "the message, still held", held)?;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[204]).map(drop)
}

async fn refused_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let good = json!({ "ttl": 60, "grace": 60 });
    let requests = vec![
        queue.claiming(&good, 21),
        queue.claiming(&good, 0),
        queue.claiming(&json!({ "ttl": 60, "grace": 59 }), 3),
        queue.claiming(&json!({ "ttl": 43_201, "grace": 60 }), 3),
        queue.claiming(&good, 3).body("{"),
    ];
    expect_each("6.1", &[400], requests).await?;
    let claim = queue.claim(60, 3).await?;
    let all = bodies(&claim.messages) == json!([0, 1, 2]);
    claim.reply.check("6.1", "all three messages", all)
}

async fn refused_pop(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let bad = ["0", "21", "-1", "x"];
    let requests = bad.map(|count| context.delete(queue.at(&format!("/messages?pop={count}"))));
    expect_each("5.8", &[400], requests.into()).await?;
    let page = queue.whole(EVERYTHING, 3).await?;
    let all = bodies(&page.messages) == json!([0, 1, 2]);
    page.reply.check("5.8", "all three messages", all)
}

async fn refused_bulk_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..21, 300)).await?;
    let all = posted.ids.join(",");
    let requests = vec![
        context.delete(queue.at(&format!("/messages?ids={all}"))),
        context.delete(queue.at(&format!("/messages?ids={}&pop=1", posted.ids[0]))),
        context.delete(queue.at("/messages")),
    ];
    expect_each("5.8", &[400], requests).await?;
    let all = queue.pass(EVERYTHING).await?;
    posted
        .reply
        .check("5.8", "all 21 messages", all.len() == 21)
}

async fn refused_batches(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..1, 300)).await?;
    let bad = [
        json!([{ "ttl": 300, "body": 9 }, { "ttl": 300 }]),
        json!([{ "ttl": 300, "body": 9 }, { "ttl": 59, "body": 9 }]),
        json!([{ "ttl": 300, "body": 9 }, { "ttl": 1_209_601, "body": 9 }]),
    ];
    let requests = bad.iter().map(|batch| queue.posting(batch));
    expect_each("5.2", &[400], requests.collect()).await?;
    queue.post(&numbered(1..2, 300)).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let good = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("5.2", "the two accepted messages", good)?;
    let two = |stats: &Value| stats["total"] == 2;
    queue
        .expect_stats("4.7", "a total of two", two)
        .await
        .map(drop)
}

/// Who made it is told by 201; nobody is told anything but 201 and 204.
async fn concurrent_creations(context: Context) -> CaseResult {
    let puts = (0..8).map(|_| context.put("/v2/queues/q").send());
    let mut made = 0;
    for reply in join_all(puts).await {
        made += usize::from(reply?.expect("4.3", &[201, 204])?.status() == 201);
    }
    if made == 0 {
        let came = "204 for each of 8 requests";
        return Err(context.failure("4.3", "201 for the one that made the queue", came));
    }
    expect_queues(&context, "4.3", &["q"]).await
}

async fn concurrent_first_posts(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posts = (0..8).map(|number| {
        queue
            .posting(&numbered(number * 2..number * 2 + 2, 300))
            .send()
    });
    for reply in join_all(posts).await {
        reply?.expect("5.2", &[201])?;
    }
    let all = queue.pass(EVERYTHING).await?;
    let mut found: Vec<u64> = all
        .iter()
        .filter_map(|message| message.body.as_u64())
        .collect();
    found.sort_unstable();
    if found == (0..16).collect::<Vec<u64>>() {
        return Ok(());
    }
    Err(context.failure("5.2", "all sixteen messages", format!("{found:?}")))
}
