//! Contract 4.7 and 4.8: stats and purge.

use http::Method;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{Metadata, Purge, Stats};
use crate::suite::steps::{EVERYTHING, Queue, counts, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

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
    .disputed("claimed ones too, as the documents say; who keeps them keeps them whole"),
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

async fn stats_count(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let zeros = |stats: &Value| counts(stats, (0, 0));
    queue
        .expect_stats("4.7", "zeros for an empty queue", zeros)
        .await?;
    queue.post(&numbered(0..5, 300)).await?;
    queue.claim(300, 2).await?;
    let counted = |stats: &Value| counts(stats, (2, 3));
    let expected = "3 free, 2 claimed, 5 in total";
    queue.expect_stats("4.7", expected, counted).await.map(drop)
}

async fn stats_ends(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let bare = |stats: &Value| {
        stats.is_object() && stats.get("oldest").is_none() && stats.get("newest").is_none()
    };
    let expected = "neither `oldest` nor `newest` in an empty queue";
    queue.expect_stats("4.7", expected, bare).await?;
    let posted = queue.post(&numbered(0..3, 300)).await?;
    for (end, id) in [
        ("oldest", posted.ids.first()),
        ("newest", posted.ids.last()),
    ] {
        let id = id.map(String::as_str).unwrap_or_default();
        let text_ends = |value: &Value, end: &str| {
            let text = value.as_str();
            text.is_some_and(|text| text.ends_with(end))
        };
        let holds = |stats: &Value| {
            let one = &stats[end];
            text_ends(&one["href"], id) && one["age"].is_number() && text_ends(&one["created"], "Z")
        };
        let expected = format!("`{end}` with `age`, `created` in UTC, and `href` of {id}");
        queue.expect_stats("4.7", &expected, holds).await?;
    }
    Ok(())
}

async fn stats_show_no_bodies(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .post(&json!([{ "ttl": 300, "body": "a secret" }]))
        .await?;
    let one = |stats: &Value| stats["total"] == 1;
    let reply = queue.expect_stats("4.7", "a total of one", one).await?;
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

/// The documents promise that everything goes; the contract forgives who keeps what is claimed. Then it is kept
/// whole: for its holder alone as long as he has it, and for others when he gives it back.
async fn purge_removes_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    // One that nobody holds goes in any case.
    let (free, _) = queue.post_one(300).await?;
    purge(&context, &queue)
        .send()
        .await?
        .expect("4.8", &[204])?;
    queue.expect_gone("4.8", &free).await?;
    let held = queue.getting(&id).send().await?;
    let is_kept = held.expect("4.8", &[200, 404])?.status() == 200;
    if !is_kept {
        queue.expect_gone("4.8", &id).await?;
    }
    queue.expect_nothing_to_claim("4.8").await?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    if !is_kept {
        return queue.expect_nothing_to_claim("4.8").await;
    }
    let again = queue.claim(300, 20).await?;
    let same = again.only()?.id == id;
    again.reply.check("4.8", "the message that was kept", same)
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
