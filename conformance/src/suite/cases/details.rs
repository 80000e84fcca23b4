//! Contract 1 to 7: smaller rules, a case for each.

use http::Method;
use serde_json::{Value, json};

use super::claims::UNKNOWN;
use super::queues::{create_all, expect_queues, names};
use crate::suite::capability::Capability::{
    Bulk, Delay, Encryption, Metadata, Patch, Projects, Purge, QueueLists, Stats,
};
use crate::suite::steps::{EVERYTHING, Queue, bodies, counts, expect_each, next_link, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "common/version-path-needs-its-slash",
        "1.1",
        version_path
    )
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "common/encoded-slash-is-no-part-of-a-name",
        "1.1",
        encoded_slash
    )
    .needs(&[QueueLists])
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "common/content-type-of-a-post-is-ignored",
        "1.3",
        content_type_is_ignored
    )
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "common/json-answers-say-that-they-are",
        "1.4",
        json_answers
    )
    .needs(&[Metadata])
    .since(2),
    case!(
        May,
        "queues/next-link-keeps-the-filters",
        "4.2",
        next_link_keeps_filters
    )
    .needs(&[Metadata, QueueLists, Projects])
    .disputed("next links keep all filters; the code forgets some")
    .since(2),
    case!(
        Should,
        "metadata/patch-has-at-most-64-kib",
        "4.5",
        patch_size
    )
    .needs(&[Metadata, Patch])
    .since(2),
    case!(
        Should,
        "queues/stats-count-delayed-messages-as-free",
        "4.7",
        delayed_are_free
    )
    .needs(&[Metadata, Delay, Stats])
    .provenance(Provenance::Observed)
    .guarantee("G19")
    .since(2),
    case!(
        Should,
        "queues/purge-of-no-types-removes-nothing",
        "4.8",
        purge_of_no_types
    )
    .needs(&[Purge])
    .provenance(Provenance::Observed)
    .since(2),
    case!(Should, "listing/blank-ids-are-absent", "5.5", blank_ids)
        .needs(&[Bulk])
        .provenance(Provenance::Observed)
        .since(2),
    case!(
        Should,
        "delays/delayed-message-lives-no-longer",
        "5.9",
        delayed_lives_no_longer
    )
    .needs(&[Metadata, Delay])
    .guarantee("G10")
    .waits(125)
    .since(2),
    case!(
        Should,
        "claims/renewal-is-checked-before-its-claim",
        "6.5",
        renewal_checked_first
    )
    .since(2),
    case!(
        May,
        "metadata/encrypting-queue-shows-plain-bodies",
        "7.4",
        encrypting_queue
    )
    .needs(&[Metadata, Encryption])
    .since(2),
];

async fn version_path(context: Context) -> CaseResult {
    let request = context.get("/v2");
    request.send().await?.expect("1.1", &[404]).map(drop)
}

/// Whichever way it is refused, it must not be a queue afterwards.
async fn encoded_slash(context: Context) -> CaseResult {
    let requests = vec![
        context.put("/v2/queues/a%2Fb"),
        context.put("/v2/queues/%2F"),
    ];
    expect_each("1.1", &[400, 404], requests).await?;
    expect_queues(&context, "1.1", &[]).await
}

async fn content_type_is_ignored(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let requests = vec![
        queue.posting(&numbered(0..1, 300)).without("content-type"),
        queue
            .posting(&numbered(1..2, 300))
            .header("content-type", "text/plain"),
        queue
            .posting(&numbered(2..3, 300))
            .header("content-type", "application/xml"),
    ];
    expect_each("1.3", &[201], requests).await?;
    let page = queue.whole(EVERYTHING, 3).await?;
    let all = bodies(&page.messages) == json!([0, 1, 2]);
    page.reply.check("1.3", "all three messages", all)
}

async fn json_answers(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..1, 300)).await?;
    let mut replies = vec![posted.reply];
    for (request, status) in [
        (context.get(queue.at("")), 200),
        (context.get(queue.at("/messages?echo=true")), 200),
        (queue.claiming(&json!({}), 1), 201),
        (context.get(queue.at("/messages?limit=0")), 400),
        (queue.getting(UNKNOWN), 404),
    ] {
        replies.push(request.send().await?.expect("1.4", &[status])?);
    }
    say_that_they_are_json(&replies)
}

/// Demands that each answer says so.
pub(super) fn say_that_they_are_json(replies: &[Reply]) -> CaseResult {
    for reply in replies {
        let kind = reply.header("content-type").split(';').next();
        let holds = kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        reply.check("1.4", "the Content-Type application/json", holds)?;
    }
    Ok(())
}

/// A link that forgets a filter shows, from the second page on, what nobody asked for.
async fn next_link_keeps_filters(context: Context) -> CaseResult {
    for (name, colour) in [
        ("0", "red"),
        ("a-0", "blue"),
        ("a-1", "red"),
        ("a-2", "blue"),
        ("a-3", "red"),
        ("b", "red"),
    ] {
        let queue = Queue::new(&context, name);
        queue.create(&json!({ "colour": colour })).await?;
    }
    let path = "/v2/queues?limit=1&name=a-&colour=red";
    let mut page = context.get(path).send().await?.expect("4.2", &[200])?;
    let mut seen = Vec::new();
    // One page more than needed ends it.
    for _ in 0..7 {
        let present = names(&page)?;
        if present.is_empty() {
            break;
        }
        seen.extend(present);
        let Some(next) = next_link(&page)? else {
            return Err(page.refuse("1.9", "a next link on a non-empty page"));
        };
        page = context.get(next).send().await?.expect("4.2", &[200])?;
    }
    // Each filter counts on all pages, or it is ignored on all.
    let lawful: [&[&str]; 4] = [
        &["a-1", "a-3"],
        &["a-0", "a-1", "a-2", "a-3"],
        &["0", "a-1", "a-3", "b"],
        &["0", "a-0", "a-1", "a-2", "a-3", "b"],
    ];
    if lawful.iter().any(|lawful| seen == *lawful) {
        return Ok(());
    }
    let expected =
        "pages that show what the first one's filters select: a-1 and a-3 if it has both";
    Err(context.failure("4.2", expected, format!("{seen:?}")))
}

async fn patch_size(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    create_all(&context, &["q"]).await?;
    let sized = |size: usize| {
        let frame = r#"[{"op":"add","path":"/metadata/k","value":""}]"#.len();
        let value = "v".repeat(size - frame);
        let text = format!(r#"[{{"op":"add","path":"/metadata/k","value":"{value}"}}]"#);
        queue.patch(&Value::Null).body(text)
    };
    let reply = sized(65_537).send().await?.expect("4.5", &[400])?;
    let kept = queue.metadata().await?.get("k").is_none();
    reply.check("4.5", "metadata as before", kept)?;
    let reply = sized(65_536).send().await?.expect("4.5", &[200])?;
    let set = queue.metadata().await?["k"].is_string();
    reply.check("4.5", "the long member", set)
}

async fn delayed_are_free(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 600 }))
        .await?;
    queue.post(&numbered(0..2, 900)).await?;
    let holds = |stats: &Value| counts(stats, (0, 2));
    let expected = "2 free, none claimed, 2 in total";
    queue.expect_stats("4.7", expected, holds).await.map(drop)
}

async fn purge_of_no_types(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let purge = context.request(Method::POST, queue.at("/purge"));
    let purge = purge.json(&json!({ "resource_types": [] }));
    purge.send().await?.expect("4.8", &[204])?;
    queue.get(&id).await.map(drop)
}

async fn blank_ids(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let page = queue.whole("?echo=true&ids=", 2).await?;
    let both = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("5.5", "both messages", both)
}

/// Delayed for longer than it lives: it is never handed out, and does not stay for ever either.
async fn delayed_lives_no_longer(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 600 }))
        .await?;
    let (id, sent) = queue.post_one(60).await?;
    queue.get(&id).await?;
    queue.await_gone(&id, sent, 60).await
}

async fn renewal_checked_first(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let path = queue.at(&format!("/claims/{UNKNOWN}"));
    let renewal = |terms: &'static str| context.patch(path.clone(), &Value::Null).body(terms);
    let bad = ["{", "[]", r#"{"ttl": 59}"#, r#"{"ttl": "60"}"#].map(renewal);
    expect_each("6.5", &[400], bad.into()).await?;
    let good = renewal(r#"{"ttl": 60, "grace": 60}"#);
    good.send().await?.expect("6.5", &[404]).map(drop)
}

async fn encrypting_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_enable_encrypt_messages": true }))
        .await?;
    let wanted = json!(["a secret", { "deep": [1, null] }, ""]);
    let entries = wanted.as_array().into_iter().flatten();
    let messages = entries
        .map(|body| json!({ "ttl": 300, "body": body }))
        .collect();
    queue.post(&messages).await?;
    let page = queue.whole(EVERYTHING, 3).await?;
    let plain = bodies(&page.messages) == wanted;
    page.reply.check("7.4", "the bodies as posted", plain)?;
    let claim = queue.claim(60, 20).await?;
    let plain = bodies(&claim.messages) == wanted;
    claim.reply.check("7.4", "the bodies as posted", plain)
}
