//! Contract 6.3 and 6.5: claims end, are renewed, and fence off who held them before.

use std::time::Duration;

use serde_json::{Value, json};

use crate::environment::Instant;

use crate::suite::capability::Capability::{Pop, Stats};
use crate::suite::steps::{
    Claim, Queue, bodies, ids, numbered, sleep_until_shortly_before, still_before, surely_after,
    surely_until,
};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "lifetimes/expired-claim-frees-message",
        "6.3",
        expired_claim_frees_message
    )
    .guarantee("G5")
    .waits(65),
    case!(
        Must,
        "lifetimes/expired-claim-restores-order",
        "6.3",
        expired_claim_restores_order
    )
    .guarantee("G4")
    .waits(65),
    case!(
        Must,
        "lifetimes/expired-claim-shows-messages-again",
        "6.3",
        expired_claim_shows_again
    )
    .needs(&[Pop])
    .guarantee("G5")
    .waits(65),
    case!(
        Must,
        "lifetimes/stats-free-messages-of-expired-claims",
        "4.7",
        expired_claim_counts_free
    )
    .needs(&[Stats])
    .guarantee("G19")
    .waits(65),
    case!(
        Must,
        "lifetimes/expired-claim-cannot-delete",
        "5.7",
        expired_claim_cannot_delete
    )
    .provenance(Provenance::Documents)
    .guarantee("G7")
    .waits(65),
    case!(
        Must,
        "lifetimes/expired-claim-cannot-delete-from-its-heir",
        "5.7",
        heir_is_fenced_off
    )
    .provenance(Provenance::Documents)
    .guarantee("G7")
    .waits(65),
    case!(
        Must,
        "lifetimes/message-of-expired-claim-needs-no-claim",
        "5.7",
        needs_no_claim
    )
    .guarantee("G7")
    .waits(65),
    case!(
        Must,
        "lifetimes/expired-claim-is-404",
        "6.3",
        expired_claim_is_404
    )
    .guarantee("G7")
    .waits(65),
    case!(
        Must,
        "lifetimes/release-of-an-expired-claim-frees-nothing",
        "6.6",
        late_release
    )
    .guarantee("G6")
    .waits(120),
    case!(
        Must,
        "lifetimes/renewed-claim-holds-past-its-old-end",
        "6.5",
        renewed_claim_holds
    )
    .guarantee("G7")
    .waits(90),
    case!(
        Must,
        "lifetimes/renewed-claim-ends",
        "6.5",
        renewed_claim_ends
    )
    .guarantee("G7")
    .waits(95),
    case!(
        Must,
        "lifetimes/renewal-can-shorten-a-claim",
        "6.5",
        renewal_can_shorten
    )
    .guarantee("G7")
    .waits(65),
    case!(
        Must,
        "lifetimes/renewal-restarts-the-age",
        "6.5",
        renewal_restarts_age
    )
    .waits(15),
    case!(
        Should,
        "lifetimes/default-claim-lasts-five-minutes",
        "2",
        default_claim
    )
    .guarantee("G5")
    .waits(305),
    // Hours and days: for virtual time.
    case!(
        Should,
        "lifetimes/longest-claim-is-half-a-day",
        "2",
        longest_claim
    )
    .guarantee("G6")
    .waits(43_205),
    case!(
        Should,
        "lifetimes/renewed-claim-holds-for-days",
        "6.5",
        renewed_for_days
    )
    .guarantee("G6")
    .waits(302_500),
];

/// Demands that nobody gets anything from `queue` shortly before `deadline`.
async fn expect_held(context: &Context, queue: &Queue, deadline: Instant) -> CaseResult {
    sleep_until_shortly_before(context, deadline).await;
    let terms = json!({ "ttl": 60, "grace": 60 });
    let reply = queue.claiming(&terms, 20).send().await?;
    still_before(context, reply.sent, deadline)?;
    reply.expect("6.1", &[204]).map(drop)
}

async fn sleep_until_over(context: &Context, claim: &Claim, ttl: u64) {
    context
        .sleep_until(surely_after(context, claim.reply.sent, ttl))
        .await;
}

async fn expired_claim_frees_message(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    let deadline = surely_until(&context, claim.reply.sent, 60);
    let other = queue.seen_by(&context.other_client());
    expect_held(&context, &other, deadline).await?;
    sleep_until_over(&context, &claim, 60).await;
    let again = other.claim(60, 1).await?;
    again
        .reply
        .check("6.3", "the same message", again.only()?.id == id)
}

async fn expired_claim_restores_order(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 600)).await?;
    let claim = queue.claim(60, 2).await?;
    queue.post(&numbered(3..4, 600)).await?;
    sleep_until_over(&context, &claim, 60).await;
    let again = queue.claim(60, 20).await?;
    let in_order = bodies(&again.messages) == json!([0, 1, 2, 3]);
    again.reply.check("5.3", "the order of the posts", in_order)
}

async fn expired_claim_shows_again(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 600)).await?;
    let claim = queue.claim(60, 1).await?;
    let hidden = queue.list("?echo=true").await?;
    let rest = bodies(&hidden.messages) == json!([1]);
    hidden.reply.check("5.4", "the other message alone", rest)?;
    sleep_until_over(&context, &claim, 60).await;
    let shown = queue.whole("?echo=true", 2).await?;
    let both = bodies(&shown.messages) == json!([0, 1]);
    shown.reply.check("6.3", "both messages", both)?;
    let (popped, reply) = queue.pop(20).await?;
    reply.check("6.3", "both messages", bodies(&popped) == json!([0, 1]))
}

async fn expired_claim_counts_free(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 600)).await?;
    let claim = queue.claim(60, 1).await?;
    sleep_until_over(&context, &claim, 60).await;
    let holds = |stats: &Value| stats["free"] == 2 && stats["claimed"] == 0;
    let expected = "2 free, none claimed";
    queue.expect_stats("4.7", expected, holds).await.map(drop)
}

/// The worker lost the race, and must hear of it: what it did was in vain.
async fn expired_claim_cannot_delete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    sleep_until_over(&context, &claim, 60).await;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[400])?;
    queue.get(&id).await?;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn heir_is_fenced_off(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    sleep_until_over(&context, &claim, 60).await;
    let heir = queue.claim(60, 1).await?;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[400])?;
    let finish = context.delete(heir.only()?.href.clone()).send().await?;
    still_before(
        &context,
        finish.sent,
        surely_until(&context, heir.reply.sent, 60),
    )?;
    finish.expect("5.7", &[204])?;
    queue.expect_gone("5.7", &heir.only()?.id).await
}

async fn needs_no_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[403])?;
    sleep_until_over(&context, &claim, 60).await;
    queue
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.expect_gone("5.7", &id).await
}

async fn expired_claim_is_404(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("6.4", &[200])?;
    sleep_until_over(&context, &claim, 60).await;
    context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("6.3", &[404])?;
    let renewal = context.patch(claim.path.clone(), &json!({ "ttl": 60, "grace": 60 }));
    renewal.send().await?.expect("6.3", &[404])?;
    context
        .delete(claim.path.clone())
        .send()
        .await?
        .expect("6.6", &[204])?;
    // The late renewal did not take the message back.
    queue.claim(60, 1).await?.only().map(drop)
}

async fn late_release(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    sleep_until_over(&context, &claim, 60).await;
    let heir = queue.claim(60, 1).await?;
    heir.only()?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    expect_held(
        &context,
        &queue,
        surely_until(&context, heir.reply.sent, 60),
    )
    .await
}

/// Claims for 60 s and renews for as long after `after` seconds.
async fn renew_once(
    context: &Context,
    queue: &Queue,
    after: u64,
) -> Result<Claim, crate::suite::Stop> {
    queue.post_one(600).await?;
    let claim = queue.claim(60, 1).await?;
    let at = claim
        .reply
        .sent
        .answered_at
        .plus(Duration::from_secs(after));
    context.sleep_until(at).await;
    let terms = json!({ "ttl": 60, "grace": 60 });
    let reply = context.patch(claim.path.clone(), &terms).send().await?;
    still_before(
        context,
        reply.sent,
        surely_until(context, claim.reply.sent, 60),
    )?;
    let reply = reply.expect("6.5", &[204])?;
    Ok(Claim { reply, ..claim })
}

async fn renewed_claim_holds(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let claim = renew_once(&context, &queue, 30).await?;
    let deadline = surely_until(&context, claim.reply.sent, 60);
    expect_held(&context, &queue, deadline).await?;
    let delete = context.delete(claim.only()?.href.clone()).send().await?;
    still_before(&context, delete.sent, deadline)?;
    delete.expect("5.7", &[204]).map(drop)
}

async fn renewed_claim_ends(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let claim = renew_once(&context, &queue, 30).await?;
    sleep_until_over(&context, &claim, 60).await;
    context
        .get(claim.path.clone())
        .send()
        .await?
        .expect("6.3", &[404])?;
    let delete = context.delete(claim.only()?.href.clone());
    delete.send().await?.expect("5.7", &[400])?;
    queue.claim(60, 1).await?.only().map(drop)
}

async fn renewal_can_shorten(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(3_600).await?;
    let claim = queue.claim(43_200, 1).await?;
    let terms = json!({ "ttl": 60, "grace": 60 });
    let reply = context.patch(claim.path.clone(), &terms).send().await?;
    let reply = reply.expect("6.5", &[204])?;
    expect_held(&context, &queue, surely_until(&context, reply.sent, 60)).await?;
    context
        .sleep_until(surely_after(&context, reply.sent, 60))
        .await;
    queue.claim(60, 1).await?.only()?;
    context
        .get(claim.path)
        .send()
        .await?
        .expect("6.3", &[404])
        .map(drop)
}

async fn renewal_restarts_age(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let claim = renew_once(&context, &queue, 15).await?;
    let reply = context.get(claim.path.clone()).send().await?;
    let reply = reply.expect("6.4", &[200])?;
    let age = reply.json("6.4")?["age"].as_f64();
    let oldest = reply.sent.answered_at.since(claim.reply.sent.invoked_at) + context.slack();
    let expected = format!("an age of at most {oldest:?}");
    let restarted = age.is_some_and(|age| (0.0..=oldest.as_secs_f64()).contains(&age));
    reply.check("6.5", &expected, restarted)
}

/// Claims with `terms`, and demands that they hold for `ttl` seconds and no longer.
async fn expect_ttl(context: &Context, terms: &Value, ttl: u64) -> CaseResult {
    let queue = Queue::new(context, "q");
    let (id, _) = queue.post_one(1_209_600).await?;
    let claim = Claim::read(queue.claiming(terms, 1).send().await?)?;
    expect_held(
        context,
        &queue,
        surely_until(context, claim.reply.sent, ttl),
    )
    .await?;
    sleep_until_over(context, &claim, ttl).await;
    let again = queue.claim(60, 1).await?;
    again
        .reply
        .check("6.3", "the same message", ids(&again.messages) == [id])
}

async fn default_claim(context: Context) -> CaseResult {
    expect_ttl(&context, &json!({}), 300).await
}

async fn longest_claim(context: Context) -> CaseResult {
    expect_ttl(&context, &json!({ "ttl": 43_200, "grace": 60 }), 43_200).await
}

async fn renewed_for_days(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(1_209_600).await?;
    let claim = queue.claim(43_200, 1).await?;
    let mut last = claim.reply.sent;
    for _ in 0..6 {
        expect_held(&context, &queue, surely_until(&context, last, 43_200)).await?;
        let terms = json!({ "ttl": 43_200, "grace": 60 });
        let reply = context.patch(claim.path.clone(), &terms).send().await?;
        still_before(&context, reply.sent, surely_until(&context, last, 43_200))?;
        last = reply.expect("6.5", &[204])?.sent;
    }
    expect_held(&context, &queue, surely_until(&context, last, 43_200)).await?;
    context
        .sleep_until(surely_after(&context, last, 43_200))
        .await;
    queue.claim(60, 1).await?.only().map(drop)
}
