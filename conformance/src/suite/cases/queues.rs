//! Contract 4.1, 4.3, 4.4 and 4.6: queues are created, read and deleted.

use http::Method;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{Metadata, Pop, Projects, Purge, QueueLists, Stats};
use crate::suite::steps::{EVERYTHING, Queue, bodies, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Stop, case};

pub(super) const CASES: &[Case] = &[
    case!(Must, "queues/created-once", "4.3", created_once).needs(&[QueueLists]),
    case!(
        Must,
        "queues/creating-again-keeps-metadata",
        "4.3",
        creating_again_keeps_metadata
    )
    .needs(&[Metadata]),
    case!(
        Must,
        "queues/first-message-creates-queue",
        "4.1",
        first_message_creates_queue
    )
    .needs(&[QueueLists]),
    case!(
        Must,
        "queues/unknown-queue-is-empty",
        "16",
        unknown_queue_is_empty
    )
    .needs(&[Metadata, Stats, Pop]),
    case!(
        Must,
        "queues/reading-creates-nothing",
        "4.1",
        reading_creates_nothing
    )
    .needs(&[Metadata, QueueLists, Stats, Purge, Pop]),
    case!(Must, "queues/name-has-1-to-64-characters", "2", name_length)
        .needs(&[Projects, Metadata, QueueLists]),
    case!(
        Must,
        "queues/name-has-letters-digits-dash-underscore",
        "2",
        name_characters
    )
    .needs(&[QueueLists]),
    case!(Should, "queues/name-may-have-dots", "2", name_with_dots)
        .needs(&[QueueLists])
        .disputed("dots are allowed, as in the code"),
    case!(
        Should,
        "queues/name-ends-without-newline",
        "2",
        name_with_newline
    )
    .needs(&[QueueLists])
    .disputed("400, where the code lets one newline through"),
    case!(
        Must,
        "queues/names-are-case-sensitive",
        "2",
        names_are_case_sensitive
    ),
    case!(
        Must,
        "queues/bad-metadata-creates-nothing",
        "4.3",
        bad_metadata_creates_nothing
    )
    .needs(&[Metadata, QueueLists]),
    case!(
        Should,
        "queues/metadata-has-at-most-64-kib",
        "2",
        metadata_size
    )
    .needs(&[Metadata, QueueLists]),
    case!(
        Must,
        "queues/deleting-is-idempotent",
        "4.6",
        deleting_is_idempotent
    )
    .needs(&[QueueLists]),
    case!(
        Must,
        "queues/deleted-queue-leaves-nothing",
        "4.6",
        deleted_queue_leaves_nothing
    )
    .needs(&[Metadata])
    .provenance(Provenance::Documents)
    .guarantee("G13"),
];

/// Pages of twenty that a shared project may have.
const LISTING_PAGES_MAX: usize = 500;

/// The names on a page; none on a 204, which the documents promise and the code does not.
pub(super) fn names(reply: &Reply) -> Result<Vec<String>, Stop> {
    let document = reply.json("4.2")?;
    let names = document["queues"].as_array().and_then(|queues| {
        let name = |queue: &Value| queue["name"].as_str().map(str::to_owned);
        queues.iter().map(name).collect::<Option<Vec<_>>>()
    });
    names.ok_or_else(|| reply.refuse("4.2", "`queues`: an array of objects with `name`"))
}

pub(super) async fn create_all(context: &Context, names: &[&str]) -> CaseResult {
    for name in names {
        Queue::new(context, name).create(&json!({})).await?;
    }
    Ok(())
}

/// Demands that the case has exactly these queues: nobody else has any in its project, unless it
/// shares one, where the other names are those of others.
pub(super) async fn expect_queues(context: &Context, clause: &str, wanted: &[&str]) -> CaseResult {
    let expected = format!("exactly the queues {wanted:?}");
    let mut present = Vec::new();
    let mut next = Some("/v2/queues?limit=20".to_owned());
    for _ in 0..LISTING_PAGES_MAX {
        let Some(path) = next.take() else { break };
        let reply = context.get(path).send().await?;
        let reply = reply.expect(clause, &[200, 204])?;
        if reply.status() == 204 {
            break;
        }
        let page = names(&reply)?;
        if context.queue_prefix().is_empty() {
            return reply.check(clause, &expected, page == wanted);
        }
        if page.is_empty() {
            break;
        }
        present.extend(reply.own_queues());
        next = reply.next_listed();
    }
    if present == wanted {
        return Ok(());
    }
    Err(context.failure(clause, expected, format!("{present:?}")))
}

async fn created_once(context: Context) -> CaseResult {
    for status in [201, 204, 204] {
        let reply = context.put("/v2/queues/q").send().await?;
        let reply = reply.expect("4.3", &[status])?;
        let holds = reply.header("location").ends_with("/v2/queues/q");
        reply.check("4.3", "a Location that ends with /v2/queues/q", holds)?;
    }
    expect_queues(&context, "4.3", &["q"]).await
}

async fn creating_again_keeps_metadata(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    let again = context
        .put("/v2/queues/q")
        .json(&json!({ "colour": "blue", "size": 1 }));
    let reply = again.send().await?.expect("4.3", &[204])?;
    let metadata = queue.metadata().await?;
    let kept = metadata["colour"] == "red" && metadata.get("size").is_none();
    reply.check("4.3", "the metadata of the first time afterwards", kept)
}

async fn first_message_creates_queue(context: Context) -> CaseResult {
    Queue::new(&context, "q").post_one(300).await?;
    expect_queues(&context, "4.1", &["q"]).await?;
    context
        .put("/v2/queues/q")
        .send()
        .await?
        .expect("4.3", &[204])
        .map(drop)
}

/// Clients may read a queue before anybody wrote to it.
async fn unknown_queue_is_empty(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.metadata().await?;
    let page = queue.list("").await?;
    page.reply
        .check("5.4", "an empty page", page.messages.is_empty())?;
    queue.expect_nothing_to_claim("6.1").await?;
    let (popped, reply) = queue.pop(1).await?;
    reply.check("5.8", "nothing", popped.is_empty())?;
    let none = |stats: &Value| stats["total"] == 0;
    queue
        .expect_stats("4.7", "a total of 0", none)
        .await
        .map(drop)
}

async fn reading_creates_nothing(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let requests = vec![
        context.get(queue.at("")),
        context.get(queue.at("/stats")),
        context.get(queue.at("/messages")),
        queue.claiming(&json!({}), 1),
        context.delete(queue.at("/messages?pop=1")),
        queue.deleting("none", ""),
        context.request(Method::POST, queue.at("/purge")),
        context.delete(queue.at("")),
    ];
    expect_each("4.1", &[200, 204], requests).await?;
    expect_queues(&context, "4.1", &[]).await
}

async fn name_length(context: Context) -> CaseResult {
    let put = |length: usize| context.put(format!("/v2/queues/{}", "n".repeat(length)));
    expect_each("2", &[201], vec![put(1), put(64)]).await?;
    put(65).send().await?.expect("2", &[400])?;
    let name = "n".repeat(65);
    let others = vec![
        context.get(format!("/v2/queues/{name}")),
        Queue::new(&context, &name).posting(&numbered(0..1, 300)),
        context.get(format!("/v2/queues/{name}/messages")),
    ];
    expect_each("2", &[400], others).await?;
    expect_queues(&context, "2", &["n", &"n".repeat(64)]).await
}

async fn name_characters(context: Context) -> CaseResult {
    let put = |name: &str| context.put(format!("/v2/queues/{name}"));
    let bad = [
        "a%20b", "a$b", "a%25b", "%C3%A4", "a:b", "a%00b", "a*", "a,b",
    ];
    expect_each("2", &[400], bad.map(put).into()).await?;
    put("Az-_09").send().await?.expect("2", &[201])?;
    expect_queues(&context, "2", &["Az-_09"]).await
}

async fn name_with_dots(context: Context) -> CaseResult {
    context
        .put("/v2/queues/a.b.c")
        .send()
        .await?
        .expect("2", &[201])?;
    expect_queues(&context, "2", &["a.b.c"]).await
}

/// An end-of-line anchor in a pattern lets one newline through.
async fn name_with_newline(context: Context) -> CaseResult {
    context
        .put("/v2/queues/a%0A")
        .send()
        .await?
        .expect("2", &[400])?;
    expect_queues(&context, "2", &[]).await
}

async fn names_are_case_sensitive(context: Context) -> CaseResult {
    create_all(&context, &["name", "NAME"]).await?;
    Queue::new(&context, "name").post_one(300).await?;
    let page = Queue::new(&context, "NAME").list(EVERYTHING).await?;
    page.reply
        .check("2", "an empty page", page.messages.is_empty())
}

async fn bad_metadata_creates_nothing(context: Context) -> CaseResult {
    for text in ["{", "[]", "5", "\"x\"", r#"{"_default_message_ttl": 59}"#] {
        let request = context.put("/v2/queues/q").body(text);
        let reply = request
            .header("content-type", "application/json")
            .send()
            .await?;
        reply.expect("4.3", &[400])?;
    }
    expect_queues(&context, "4.3", &[]).await
}

async fn metadata_size(context: Context) -> CaseResult {
    let sized = |name: &str, size: usize| {
        let frame = r#"{"k": ""}"#.len();
        let text = format!(r#"{{"k": "{}"}}"#, "v".repeat(size - frame));
        let request = context.put(format!("/v2/queues/{name}")).body(text);
        request.header("content-type", "application/json")
    };
    sized("fits", 65_536).send().await?.expect("2", &[201])?;
    sized("over", 65_537).send().await?.expect("2", &[400])?;
    expect_queues(&context, "2", &["fits"]).await
}

async fn deleting_is_idempotent(context: Context) -> CaseResult {
    let delete = || context.delete("/v2/queues/q");
    delete().send().await?.expect("4.6", &[204])?;
    Queue::new(&context, "q").create(&json!({})).await?;
    expect_each("4.6", &[204], vec![delete(), delete()]).await?;
    expect_queues(&context, "4.6", &[]).await
}

/// A queue of the same name is a new one: without the messages, claims and metadata of the old.
async fn deleted_queue_leaves_nothing(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    context
        .delete(queue.at(""))
        .send()
        .await?
        .expect("4.6", &[204])?;
    for id in &posted.ids {
        queue.expect_gone("4.6", id).await?;
    }
    context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("4.6", &[404])?;
    queue.expect_nothing_to_claim("4.6").await?;

    queue.post(&numbered(7..8, 300)).await?;
    let page = queue.list(EVERYTHING).await?;
    let only_new = bodies(&page.messages) == json!([7]);
    page.reply.check("4.6", "the new message alone", only_new)?;
    let fresh = queue.metadata().await?.get("colour").is_none();
    page.reply
        .check("4.6", "a new queue without the old metadata", fresh)?;
    context
        .get(claim.path)
        .send()
        .await?
        .expect("4.6", &[404])
        .map(drop)
}
