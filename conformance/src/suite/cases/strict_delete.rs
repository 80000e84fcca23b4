//! Contract 5.8 with `message_delete_with_claim_id`: deleting by ids takes the claims that hold them.

use serde_json::json;

use crate::suite::capability::Capability::{self, Bulk, BulkDeleteNeedsClaims, Pop};
use crate::suite::steps::{EVERYTHING, Page, Queue, bodies, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, Request, Stop, case};

const NEEDS: &[Capability] = &[Bulk, BulkDeleteNeedsClaims];

pub(super) const CASES: &[Case] = &[
    case!(Must, "strict-delete/ids-need-claim-ids", "5.8", both_needed)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "strict-delete/claimed-messages-are-deleted",
        "5.8",
        deletes
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "strict-delete/several-claims-delete-together",
        "5.8",
        several
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "strict-delete/other-claim-deletes-nothing",
        "5.8",
        other_claim
    )
    .guarantee("G6")
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "strict-delete/released-claim-deletes-nothing",
        "5.8",
        released
    )
    .guarantee("G7")
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "strict-delete/unclaimed-message-is-refused",
        "5.8",
        unclaimed
    )
    .needs(NEEDS)
    .disputed("400 and nothing deleted; one driver fails, another one deletes")
    .since(2),
    case!(Should, "strict-delete/refusal-is-400", "5.8", refusal)
        .needs(NEEDS)
        .disputed("400; one driver answers 503")
        .since(2),
    case!(Must, "strict-delete/pop-needs-no-claim", "5.8", pop)
        .needs(&[BulkDeleteNeedsClaims, Pop])
        .since(2),
    case!(
        Must,
        "strict-delete/single-message-needs-none",
        "5.7",
        single
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "strict-delete/each-needs-the-other", "5.8", paired)
        .needs(&[Bulk, BulkDeleteNeedsClaims, Pop])
        .since(4),
];

fn deleting(context: &Context, queue: &Queue, (ids, claims): (&[&str], &[&str])) -> Request {
    let (ids, claims) = (ids.join(","), claims.join(","));
    context.delete(queue.at(&format!("/messages?ids={ids}&claim_ids={claims}")))
}

/// All that is still there, claimed or not.
async fn remaining(queue: &Queue, count: usize) -> Result<Page, Stop> {
    queue
        .whole(&format!("{EVERYTHING}&include_claimed=true"), count)
        .await
}

/// Demands a refusal of whatever kind, and that all messages are there.
async fn refuses(
    request: Request,
    (queue, count): (&Queue, usize),
) -> Result<crate::suite::Reply, Stop> {
    let reply = request.send().await?;
    let refused = reply.status().is_client_error() || reply.status().is_server_error();
    reply.check("5.8", "a refusal", refused)?;
    let page = remaining(queue, count).await?;
    let expected = format!("{count} messages");
    page.reply
        .check("5.8", &expected, page.messages.len() == count)?;
    Ok(reply)
}

async fn both_needed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let id = &posted.ids[0];
    let requests = vec![
        context.delete(queue.at(&format!("/messages?ids={id}"))),
        context.delete(queue.at(&format!("/messages?claim_ids={}", claim.id))),
    ];
    expect_each("5.8", &[400], requests).await?;
    let page = remaining(&queue, 2).await?;
    page.reply
        .check("5.8", "both messages", page.messages.len() == 2)
}

/// Whatever the ids are, and whatever the claims are given for.
async fn paired(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let unknown = super::claims::UNKNOWN;
    let requests = vec![
        context.delete(queue.at(&format!("/messages?ids={unknown}"))),
        context.delete(queue.at("/messages?ids=malformed")),
        context.delete(queue.at(&format!("/messages?pop=1&claim_ids={}", claim.id))),
    ];
    expect_each("5.8", &[400], requests).await?;
    let page = remaining(&queue, 2).await?;
    page.reply
        .check("5.8", "both messages", page.messages.len() == 2)
}

/// Of three messages the first two are gone.
async fn expect_third_alone(queue: &Queue) -> CaseResult {
    let page = remaining(queue, 1).await?;
    let rest = bodies(&page.messages) == json!([2]);
    page.reply.check("5.8", "the third message alone", rest)
}

async fn deletes(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    let ids = [posted.ids[0].as_str(), posted.ids[1].as_str()];
    let delete = deleting(&context, &queue, (&ids, &[&claim.id]))
        .send()
        .await?;
    delete.expect("5.8", &[204])?;
    expect_third_alone(&queue).await
}

async fn several(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let (one, two) = (queue.claim(300, 1).await?, queue.claim(300, 1).await?);
    let ids = [posted.ids[0].as_str(), posted.ids[1].as_str()];
    let delete = deleting(&context, &queue, (&ids, &[&one.id, &two.id]))
        .send()
        .await?;
    delete.expect("5.8", &[204])?;
    expect_third_alone(&queue).await
}

async fn other_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let (one, _two) = (queue.claim(300, 1).await?, queue.claim(300, 1).await?);
    let (first, second) = (posted.ids[0].as_str(), posted.ids[1].as_str());
    for ids in [&[second][..], &[first, second]] {
        let request = deleting(&context, &queue, (ids, &[&one.id]));
        refuses(request, (&queue, 2)).await?;
    }
    Ok(())
}

async fn released(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let request = deleting(&context, &queue, (&[&id], &[&claim.id]));
    refuses(request, (&queue, 1)).await.map(drop)
}

async fn unclaimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let ids = [posted.ids[0].as_str(), posted.ids[1].as_str()];
    let request = deleting(&context, &queue, (&ids, &[&claim.id]));
    refuses(request, (&queue, 2)).await.map(drop)
}

async fn refusal(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let request = deleting(&context, &queue, (&[&id], &[super::claims::UNKNOWN]));
    refuses(request, (&queue, 1))
        .await?
        .expect("5.8", &[400])
        .map(drop)
}

async fn pop(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let (popped, reply) = queue.pop(1).await?;
    reply.check("5.8", "the oldest message", bodies(&popped) == json!([0]))
}

async fn single(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.expect_gone("5.7", &id).await
}
