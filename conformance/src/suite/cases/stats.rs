//! Contract 4.7 and 4.8: stats and purge.

use http::Method;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{Metadata, Purge, Stats};
use crate::suite::steps::{EVERYTHING, Queue, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "queues/stats-count-free-and-claimed",
        "4.7",
        stats_count
    )
    .needs(&[Stats])
    .guarantee("G19"),
    case!(
        Should,
        "queues/stats-show-oldest-and-newest",
        "4.7",
        stats_ends
    )
    .needs(&[Stats]),
    case!(
        Should,
        "queues/stats-show-no-bodies",
        "4.7",
        stats_show_no_bodies
    )
    .needs(&[Stats])
    .disputed("href, age and created only; one driver shows more"),
    case!(
        Must,
        "queues/purge-removes-messages",
        "4.8",
        purge_removes_messages
    )
    .needs(&[Purge])
    .guarantee("G13"),
    case!(
        May,
        "queues/purge-removes-claimed-messages",
        "4.8",
        purge_removes_claimed
    )
    .needs(&[Purge])
    .disputed("every message is removed, as the documents say"),
    case!(
        Must,
        "queues/purge-keeps-metadata",
        "4.8",
        purge_keeps_metadata
    )
    .needs(&[Metadata, Purge])
    .provenance(Provenance::Documents),
    case!(
        Must,
        "queues/bad-purge-removes-nothing",
        "4.8",
        bad_purge_removes_nothing
    )
    .needs(&[Purge]),
    case!(
        Should,
        "queues/purge-of-a-scalar-is-refused",
        "4.8",
        purge_of_a_scalar
    )
    .needs(&[Purge])
    .disputed("400, where the code answers 500"),
];

async fn stats(queue: &Queue, context: &Context) -> Result<(Reply, Value), Stop> {
    let reply = context.get(queue.at("/stats")).send().await?;
    let reply = reply.expect("4.7", &[200])?;
    let stats = reply.json("4.7")?["messages"].clone();
    Ok((reply, stats))
}

async fn stats_count(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let (reply, empty) = stats(&queue, &context).await?;
    let zeros = empty["free"] == 0 && empty["claimed"] == 0 && empty["total"] == 0;
    reply.check("4.7", "zeros for an empty queue", zeros)?;
    queue.post(&numbered(0..5, 300)).await?;
    queue.claim(300, 2).await?;
    let (reply, some) = stats(&queue, &context).await?;
    let counted = some["free"] == 3 && some["claimed"] == 2 && some["total"] == 5;
    reply.check("4.7", "3 free, 2 claimed, 5 in total", counted)
}

async fn stats_ends(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let (reply, empty) = stats(&queue, &context).await?;
    let bare = empty.get("oldest").is_none() && empty.get("newest").is_none();
    reply.check(
        "4.7",
        "neither `oldest` nor `newest` in an empty queue",
        bare,
    )?;
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let (reply, some) = stats(&queue, &context).await?;
    for (end, id) in [
        ("oldest", posted.ids.first()),
        ("newest", posted.ids.last()),
    ] {
        let id = id.map(String::as_str).unwrap_or_default();
        let leads = |href: &str| href.ends_with(id);
        let holds = some[end]["href"].as_str().is_some_and(leads)
            && some[end]["age"].is_number()
            && some[end]["created"]
                .as_str()
                .is_some_and(|text| text.ends_with('Z'));
        let expected = format!("`{end}` with `age`, `created` in UTC, and `href` of {id}");
        reply.check("4.7", &expected, holds)?;
    }
    Ok(())
}

async fn stats_show_no_bodies(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .post(&json!([{ "ttl": 300, "body": "a secret" }]))
        .await?;
    let reply = context
        .get(queue.at("/stats"))
        .send()
        .await?
        .expect("4.7", &[200])?;
    let told = String::from_utf8_lossy(reply.body()).contains("a secret");
    reply.check("4.7", "no message body", !told)
}

fn purge(context: &Context, queue: &Queue) -> crate::suite::Request {
    context.request(Method::POST, queue.at("/purge"))
}

async fn purge_removes_messages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for request in [
        purge(&context, &queue),
        purge(&context, &queue).json(&json!({ "resource_types": ["messages"] })),
    ] {
        // More than one batch of a server that removes a hundred at a time.
        let posted = queue.post(&numbered(0..120, 300)).await?;
        request.send().await?.expect("4.8", &[204])?;
        let page = queue.list(EVERYTHING).await?;
        page.reply
            .check("4.8", "an empty queue", page.messages.is_empty())?;
        for id in posted.ids.iter().step_by(40) {
            queue.expect_gone("4.8", id).await?;
        }
    }
    queue.expect_nothing_to_claim("4.8").await
}

/// The documents promise that everything goes; the contract forgives who keeps what is claimed.
async fn purge_removes_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    purge(&context, &queue)
        .send()
        .await?
        .expect("4.8", &[204])?;
    queue.expect_gone("4.8", &id).await?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    queue.expect_nothing_to_claim("4.8").await
}

async fn purge_keeps_metadata(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    let reply = purge(&context, &queue)
        .send()
        .await?
        .expect("4.8", &[204])?;
    let kept = queue.metadata().await?["colour"] == "red";
    reply.check("4.8", "metadata that survives", kept)
}

async fn bad_purge_removes_nothing(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    for body in [
        json!({}),
        json!(["messages"]),
        json!({ "resource_types": ["messages", "claims"] }),
    ] {
        let request = purge(&context, &queue).json(&body);
        request.send().await?.expect("4.8", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("4.8", "the message still there", page.messages.len() == 1)
}

async fn purge_of_a_scalar(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    for types in [json!(null), json!(5), json!(true), json!("messages")] {
        let body = json!({ "resource_types": types });
        let request = purge(&context, &queue).json(&body);
        request.send().await?.expect("4.8", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("4.8", "the message still there", page.messages.len() == 1)
}
