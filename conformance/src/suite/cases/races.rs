//! Clients that race: claims, pops and deletions at once.

use crate::suite::capability::Capability::Pop;
use crate::suite::steps::{Queue, messages, numbered};
use crate::suite::{Case, CaseResult, Context, case};
use futures_util::future::{join, join_all};
use serde_json::json;

pub(super) const CASES: &[Case] = &[
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
];

/// The ids in what claims and pops gave out.
async fn given_out(
    requests: Vec<crate::suite::Request>,
) -> Result<Vec<String>, crate::suite::Stop> {
    let sent = requests.into_iter().map(crate::suite::Request::send);
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
