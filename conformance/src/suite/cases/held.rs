//! Contract 6.4 to 6.6: a claim that was granted is looked at, renewed and released.

use serde_json::{Value, json};

use super::claims::{UNKNOWN, claim_ttl};
use crate::suite::capability::Capability::Pop;
use crate::suite::steps::{Queue, bodies, expect_each, ids, messages, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    // A claim that exists.
    case!(
        Must,
        "claims/claim-shows-its-messages",
        "6.4",
        claim_shows_its_messages
    ),
    case!(
        Must,
        "claims/deleted-messages-leave-the-claim",
        "6.4",
        deleted_messages_leave
    ),
    case!(
        Should,
        "claims/claim-may-outlive-its-messages",
        "6.4",
        empty_claim
    )
    .disputed("200 with an empty list until its end, or 404"),
    case!(Must, "claims/unknown-claim-is-404", "6.4", unknown_claim),
    case!(
        Must,
        "claims/claim-belongs-to-its-queue",
        "6.4",
        claim_belongs_to_its_queue
    )
    .guarantee("G14"),
    case!(
        Must,
        "claims/renewal-applies-its-ttl",
        "6.5",
        renewal_applies_its_ttl
    )
    .guarantee("G7"),
    case!(
        Should,
        "claims/renewal-has-defaults",
        "6.5",
        renewal_defaults
    )
    .provenance(Provenance::Observed),
    case!(
        Must,
        "claims/renewal-ttl-is-60-to-43200",
        "6.5",
        renewal_ttl_range
    ),
    case!(
        Should,
        "claims/renewal-grace-is-60-to-43200",
        "6.5",
        renewal_grace_range
    )
    .disputed("400, as for a new claim; the code does not check"),
    case!(
        Should,
        "claims/renewal-needs-an-object",
        "6.5",
        renewal_needs_an_object
    ),
    // Release.
    case!(
        Must,
        "claims/release-frees-messages",
        "6.6",
        release_frees_messages
    )
    .guarantee("G7"),
    case!(
        Must,
        "claims/released-messages-keep-their-place",
        "6.6",
        released_keep_place
    )
    .needs(&[Pop])
    .guarantee("G4"),
    case!(
        Must,
        "claims/releasing-is-idempotent",
        "6.6",
        releasing_is_idempotent
    ),
    case!(
        Must,
        "claims/deleted-message-does-not-come-back",
        "6.6",
        deleted_does_not_come_back
    )
    .guarantee("G13"),
    case!(
        Must,
        "claims/release-of-an-old-claim-frees-nothing",
        "6.6",
        old_release
    )
    .guarantee("G6"),
];

async fn claim_shows_its_messages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(120, 2).await?;
    let reply = context.get(claim.path.clone()).send().await?;
    let reply = reply.expect("6.4", &[200])?;
    let document = reply.json("6.4")?;
    let terms = document["ttl"] == 120 && document["age"].as_f64().is_some_and(|age| age <= 60.0);
    reply.check("6.4", "ttl 120 and the age of a new claim", terms)?;
    let own = document["href"] == *claim.path;
    reply.check("6.4", "its own href", own)?;
    let shown = messages(&reply, "6.4")?;
    let mut bodies: Vec<Option<u64>> = shown.iter().map(|m| m.body.as_u64()).collect();
    bodies.sort_unstable();
    let both = bodies == [Some(0), Some(1)];
    reply.check("6.4", "the two claimed messages", both)?;
    let fenced = shown
        .iter()
        .all(|message| message.href.ends_with(&claim.id));
    reply.check("6.4", "hrefs with the claim id", fenced)
}

async fn deleted_messages_leave(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(300, 3).await?;
    if let Some(message) = claim.messages.get(1) {
        let delete = context.delete(message.href.clone());
        delete.send().await?.expect("5.7", &[204])?;
    }
    let reply = context
        .get(claim.path)
        .send()
        .await?
        .expect("6.4", &[200])?;
    let mut left: Vec<Option<u64>> = messages(&reply, "6.4")?
        .iter()
        .map(|m| m.body.as_u64())
        .collect();
    left.sort_unstable();
    reply.check("6.4", "the other two messages", left == [Some(0), Some(2)])
}

/// The storage drivers disagree, so both answers are right; a third is not.
async fn empty_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[204])?;
    let reply = context
        .get(claim.path)
        .send()
        .await?
        .expect("6.4", &[200, 404])?;
    if reply.status() == 200 {
        let none = messages(&reply, "6.4")?.is_empty();
        reply.check("6.4", "no messages", none)?;
    }
    Ok(())
}

async fn unknown_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let renewal = json!({ "ttl": 60, "grace": 60 });
    for path in [
        queue.at(&format!("/claims/{UNKNOWN}")),
        queue.at("/claims/malformed"),
        format!("/v2/queues/nowhere/claims/{UNKNOWN}"),
    ] {
        context
            .get(path.clone())
            .send()
            .await?
            .expect("6.4", &[404])?;
        context
            .patch(path.clone(), &renewal)
            .send()
            .await?
            .expect("6.5", &[404])?;
        context.delete(path).send().await?.expect("6.6", &[204])?;
    }
    queue.claim(60, 1).await?.only().map(drop)
}

async fn claim_belongs_to_its_queue(context: Context) -> CaseResult {
    let (queue, other) = (Queue::new(&context, "q"), Queue::new(&context, "other"));
    queue.post_one(300).await?;
    other.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let path = other.at(&format!("/claims/{}", claim.id));
    context
        .get(path.clone())
        .send()
        .await?
        .expect("6.4", &[404])?;
    let renewal = context.patch(path.clone(), &json!({ "ttl": 60 }));
    renewal.send().await?.expect("6.5", &[404])?;
    context.delete(path).send().await?.expect("6.6", &[204])?;
    // None of it reached the claim.
    let untouched = claim_ttl(&context, &claim).await? == 300;
    claim.reply.check("6.4", "the claim as it was", untouched)?;
    queue.expect_nothing_to_claim("6.6").await
}

async fn renewal_applies_its_ttl(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(3_600).await?;
    let claim = queue.claim(60, 1).await?;
    for ttl in [43_200, 60, 600] {
        let terms = json!({ "ttl": ttl, "grace": 60 });
        let reply = context.patch(claim.path.clone(), &terms).send().await?;
        reply.expect("6.5", &[204])?;
        let applied = claim_ttl(&context, &claim).await? == ttl;
        claim
            .reply
            .check("6.5", &format!("a claim with ttl {ttl}"), applied)?;
    }
    queue.expect_nothing_to_claim("6.5").await
}

async fn renewal_defaults(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(3_600).await?;
    let claim = queue.claim(600, 1).await?;
    let reply = context.patch(claim.path.clone(), &json!({})).send().await?;
    let reply = reply.expect("6.5", &[204])?;
    let five_minutes = claim_ttl(&context, &claim).await? == 300;
    reply.check("6.5", "a claim with ttl 300", five_minutes)
}

/// Demands that each renewal is refused and leaves the claim alone.
async fn refuses_renewals(context: &Context, terms: &[&str]) -> CaseResult {
    let queue = Queue::new(context, "q");
    queue.post_one(3_600).await?;
    let claim = queue.claim(600, 1).await?;
    for terms in terms {
        let request = context
            .patch(claim.path.clone(), &Value::Null)
            .body(terms.to_string());
        let reply = request.send().await?.expect("6.5", &[400])?;
        let kept = claim_ttl(context, &claim).await? == 600;
        reply.check("6.5", "the claim as it was", kept)?;
    }
    Ok(())
}

async fn renewal_ttl_range(context: Context) -> CaseResult {
    let bad = [
        r#"{"ttl": 59}"#,
        r#"{"ttl": 43201}"#,
        r#"{"ttl": 0}"#,
        r#"{"ttl": -60}"#,
    ];
    refuses_renewals(&context, &bad).await
}

async fn renewal_grace_range(context: Context) -> CaseResult {
    let bad = [
        r#"{"ttl": 300, "grace": 59}"#,
        r#"{"ttl": 300, "grace": 43201}"#,
        r#"{"ttl": 300, "grace": -1}"#,
    ];
    refuses_renewals(&context, &bad).await
}

async fn renewal_needs_an_object(context: Context) -> CaseResult {
    let bad = [
        "",
        "{",
        "[]",
        "5",
        "null",
        r#"{"ttl": "300"}"#,
        r#"{"ttl": 300.0}"#,
    ];
    refuses_renewals(&context, &bad).await
}

async fn release_frees_messages(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(43_200, 2).await?;
    context
        .delete(claim.path.clone())
        .send()
        .await?
        .expect("6.6", &[204])?;
    context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("6.4", &[404])?;
    let renewal = context.patch(claim.path, &json!({ "ttl": 60 }));
    renewal.send().await?.expect("6.5", &[404])?;
    let other = queue.seen_by(&context.other_client());
    let again = other.claim(60, 20).await?;
    let both = ids(&again.messages) == posted.ids;
    again.reply.check("6.6", "both messages at once", both)
}

async fn released_keep_place(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let first = queue.claim(300, 1).await?;
    queue.post(&numbered(3..4, 300)).await?;
    context
        .delete(first.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let page = queue.whole("?echo=true", 4).await?;
    let listed = bodies(&page.messages) == json!([0, 1, 2, 3]);
    page.reply.check("5.3", "the order of the posts", listed)?;
    let second = queue.claim(300, 2).await?;
    let claimed = bodies(&second.messages) == json!([0, 1]);
    second
        .reply
        .check("5.3", "the two oldest messages", claimed)?;
    context
        .delete(second.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let (popped, reply) = queue.pop(20).await?;
    let in_order = bodies(&popped) == json!([0, 1, 2, 3]);
    reply.check("5.3", "the order of the posts", in_order)
}

async fn releasing_is_idempotent(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let release = || context.delete(claim.path.clone());
    expect_each("6.6", &[204], vec![release(), release(), release()]).await?;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn deleted_does_not_come_back(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    if let Some(message) = claim.messages.first() {
        let delete = context.delete(message.href.clone());
        delete.send().await?.expect("5.7", &[204])?;
    }
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let again = queue.claim(300, 20).await?;
    let rest = bodies(&again.messages) == json!([1]);
    again
        .reply
        .check("6.6", "the message that was not deleted", rest)
}

/// Releasing twice must not free what somebody else holds meanwhile.
async fn old_release(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let old = queue.claim(300, 1).await?;
    context
        .delete(old.path.clone())
        .send()
        .await?
        .expect("6.6", &[204])?;
    let new = queue.claim(300, 1).await?;
    context
        .delete(old.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    queue.expect_nothing_to_claim("6.6").await?;
    let request = context.delete(new.only()?.href.clone());
    request.send().await?.expect("5.7", &[204]).map(drop)
}
