//! Contract 5.7 and 5.8: delete one message, with or without a claim; delete by ids; pop.

use serde_json::{Value, json};

use crate::suite::capability::Capability::{Bulk, BulkDeleteIgnoresClaims, Pop};
use crate::suite::steps::{EVERYTHING, Queue, bodies, expect_each, ids, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "messages/deleted-message-is-gone",
        "5.7",
        deleted_message_is_gone
    )
    .guarantee("G13"),
    case!(
        Must,
        "messages/deleting-an-absent-message-is-204",
        "5.7",
        deleting_absent
    ),
    // The decision table of 5.7, a case for each refusal.
    case!(
        Must,
        "messages/claimed-message-needs-its-claim",
        "5.7",
        claimed_needs_its_claim
    )
    .guarantee("G6"),
    case!(
        Must,
        "messages/claimed-message-is-deleted-with-its-claim",
        "5.7",
        own_claim
    ),
    case!(
        Must,
        "messages/other-live-claim-does-not-delete",
        "5.7",
        other_live_claim
    )
    .guarantee("G6"),
    case!(
        Must,
        "messages/unknown-claim-does-not-delete",
        "5.7",
        unknown_claim
    )
    .guarantee("G7"),
    case!(
        Should,
        "messages/malformed-claim-does-not-delete",
        "5.7",
        malformed_claim
    ),
    case!(
        Must,
        "messages/released-claim-does-not-delete",
        "5.7",
        released_claim
    )
    .guarantee("G7"),
    case!(
        Should,
        "messages/claim-of-another-queue-does-not-delete",
        "5.7",
        foreign_claim
    )
    .guarantee("G14"),
    case!(
        Should,
        "messages/absent-message-is-204-whatever-the-claim",
        "5.7",
        absent_any_claim
    )
    .disputed("204; one driver refuses a malformed claim first"),
    // Several at once.
    case!(
        Must,
        "messages/delete-by-ids-deletes-exactly-these",
        "5.8",
        delete_by_ids
    )
    .needs(&[Bulk])
    .guarantee("G13"),
    case!(
        Must,
        "messages/delete-by-ids-takes-1-to-20",
        "5.8",
        delete_by_ids_limits
    )
    .needs(&[Bulk]),
    case!(
        Should,
        "messages/delete-by-ids-ignores-claims",
        "5.8",
        delete_by_ids_ignores_claims
    )
    .needs(&[Bulk, BulkDeleteIgnoresClaims])
    .provenance(Provenance::Observed),
    case!(
        Must,
        "messages/bulk-delete-needs-ids-or-pop",
        "5.8",
        bulk_delete_needs_ids_or_pop
    )
    .needs(&[Bulk, Pop]),
    case!(
        Should,
        "messages/pop-takes-the-oldest",
        "5.8",
        pop_takes_the_oldest
    )
    .needs(&[Pop])
    .disputed("the oldest first; one driver has no order here")
    .guarantee("G4"),
    case!(
        Must,
        "messages/popped-message-is-gone",
        "5.8",
        popped_message_is_gone
    )
    .needs(&[Pop])
    .guarantee("G13"),
    case!(Must, "messages/pop-takes-1-to-20", "5.8", pop_limits).needs(&[Pop]),
    case!(
        Must,
        "messages/pop-skips-claimed-messages",
        "5.8",
        pop_skips_claimed
    )
    .needs(&[Pop])
    .guarantee("G6"),
];

async fn deleted_message_is_gone(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let [first, middle, last] = posted.ids.as_slice() else {
        return Err(posted.reply.refuse("5.2", "3 ids"));
    };
    let again = vec![queue.deleting(middle, ""), queue.deleting(middle, "")];
    expect_each("5.7", &[204], again).await?;
    queue.expect_gone("5.7", middle).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let others = ids(&page.messages) == [first, last];
    page.reply.check("5.7", "the other two messages", others)?;
    let claim = queue.claim(60, 20).await?;
    let others = ids(&claim.messages) == [first, last];
    claim.reply.check("5.7", "the other two messages", others)
}

async fn deleting_absent(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let unknown = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";
    queue
        .deleting(unknown, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.post_one(300).await?;
    let requests = vec![queue.deleting(unknown, ""), queue.deleting("malformed", "")];
    expect_each("5.7", &[204], requests).await?;
    let page = queue.list(EVERYTHING).await?;
    page.reply.check(
        "5.7",
        "the one message still there",
        page.messages.len() == 1,
    )
}

async fn claimed_needs_its_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let requests = vec![queue.deleting(&id, ""), queue.deleting(&id, "?claim_id=")];
    expect_each("5.7", &[403], requests).await?;
    let other = queue.seen_by(&context.other_client());
    other
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[403])?;
    queue.get(&id).await?;
    // Refused does not mean released.
    context
        .get(claim.path)
        .send()
        .await?
        .expect("6.4", &[200])?;
    queue.expect_nothing_to_claim("6.1").await
}

async fn own_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    let [first, second] = claim.messages.as_slice() else {
        return Err(claim.reply.refuse("6.1", "both messages"));
    };
    // Whoever holds the claim may delete, whatever its client id; by hand, or by the href it got.
    let other = queue.seen_by(&context.other_client());
    let by_hand = other.deleting(&first.id, &format!("?claim_id={}", claim.id));
    by_hand.send().await?.expect("5.7", &[204])?;
    context
        .delete(second.href.clone())
        .send()
        .await?
        .expect("5.7", &[204])?;
    queue.expect_gone("5.7", &first.id).await?;
    queue.expect_gone("5.7", &second.id).await?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    queue.expect_nothing_to_claim("5.7").await
}

async fn other_live_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let first = queue.claim(300, 1).await?;
    let second = queue.claim(300, 1).await?;
    let id = &first.only()?.id;
    let request = queue.deleting(id, &format!("?claim_id={}", second.id));
    request.send().await?.expect("5.7", &[403])?;
    queue.get(id).await?;
    let request = queue.deleting(id, &format!("?claim_id={}", first.id));
    request.send().await?.expect("5.7", &[204]).map(drop)
}

async fn unknown_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    queue.claim(300, 1).await?;
    // The first is claimed, the second is not.
    for id in &posted.ids {
        let query = "?claim_id=6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";
        queue
            .deleting(id, query)
            .send()
            .await?
            .expect("5.7", &[400])?;
        queue.get(id).await?;
    }
    Ok(())
}

async fn malformed_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    for id in &posted.ids {
        let mut requests = vec![queue.deleting(id, "?claim_id=malformed")];
        // Where identifiers are counted, that of a message may be that of the claim as well.
        if *id != claim.id {
            requests.push(queue.deleting(id, &format!("?claim_id={id}")));
        }
        expect_each("5.7", &[400], requests).await?;
        queue.get(id).await?;
    }
    Ok(())
}

async fn released_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let stale = || queue.deleting(&id, &format!("?claim_id={}", claim.id));
    stale().send().await?.expect("5.7", &[400])?;
    // Nor while somebody else holds it.
    queue.claim(300, 1).await?.only()?;
    stale().send().await?.expect("5.7", &[400])?;
    queue.get(&id).await.map(drop)
}

async fn foreign_claim(context: Context) -> CaseResult {
    let (queue, other) = (Queue::new(&context, "q"), Queue::new(&context, "other"));
    let posted = queue.post(&numbered(0..2, 300)).await?;
    queue.claim(300, 1).await?;
    other.post_one(300).await?;
    let claim = other.claim(300, 1).await?;
    for id in &posted.ids {
        let request = queue.deleting(id, &format!("?claim_id={}", claim.id));
        request.send().await?.expect("5.7", &[400])?;
        queue.get(id).await?;
    }
    Ok(())
}

async fn absent_any_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let unknown = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";
    let requests = [&*claim.id, unknown, "malformed"]
        .map(|claim| queue.deleting(unknown, &format!("?claim_id={claim}")));
    expect_each("5.7", &[204], requests.into()).await
}

async fn delete_by_ids(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..4, 300)).await?;
    let [first, second, third, fourth] = posted.ids.as_slice() else {
        return Err(posted.reply.refuse("5.2", "4 ids"));
    };
    let unknown = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";
    let path = queue.at(&format!(
        "/messages?ids={first},{unknown},malformed,{third}"
    ));
    let delete = || context.delete(path.clone());
    let elsewhere = context.delete(format!("/v2/queues/nowhere/messages?ids={fourth}"));
    expect_each("5.8", &[204], vec![delete(), delete(), elsewhere]).await?;
    queue.expect_gone("5.8", first).await?;
    queue.expect_gone("5.8", third).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let rest = ids(&page.messages) == [second, fourth];
    page.reply.check("5.8", "the other two messages", rest)
}

async fn delete_by_ids_limits(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..21, 300)).await?;
    let some = |count| {
        posted
            .ids
            .iter()
            .take(count)
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    let delete =
        |count| context.delete(queue.at(&format!("/messages?ids={}", some(count).join(","))));
    delete(21).send().await?.expect("5.8", &[400])?;
    let all = queue.pass(EVERYTHING).await?;
    posted
        .reply
        .check("5.8", "21 messages after a refusal", all.len() == 21)?;
    delete(20).send().await?.expect("5.8", &[204])?;
    let page = queue.list(EVERYTHING).await?;
    page.reply.check(
        "5.8",
        "the last message",
        bodies(&page.messages) == json!([20]),
    )
}

/// Unless the operator turned the strict option on; hence no *must*.
async fn delete_by_ids_ignores_claims(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let claim = queue.claim(300, 1).await?;
    let request = context.delete(queue.at(&format!("/messages?ids={id}")));
    request.send().await?.expect("5.8", &[204])?;
    queue.expect_gone("5.8", &id).await?;
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    queue.expect_nothing_to_claim("5.8").await
}

async fn bulk_delete_needs_ids_or_pop(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let delete = |query: String| context.delete(queue.at(&format!("/messages{query}")));
    let both = delete(format!("?ids={id}&pop=1"));
    expect_each("5.8", &[400], vec![delete(String::new()), both]).await?;
    queue.get(&id).await.map(drop)
}

async fn pop_takes_the_oldest(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let mut popped = Vec::new();
    let first = queue.post(&numbered(0..3, 300)).await?;
    let second = queue.post(&numbered(3..5, 300)).await?;
    for (count, wanted) in [(1, json!([0])), (3, json!([1, 2, 3])), (20, json!([4]))] {
        let (messages, reply) = queue.pop(count).await?;
        let holds = bodies(&messages) == wanted;
        reply.check("5.8", &format!("the bodies {wanted}"), holds)?;
        popped.extend(messages);
    }
    let same = ids(&popped) == [first.ids, second.ids].concat();
    second
        .reply
        .check("5.8", "the ids that the posts answered", same)?;
    let (rest, reply) = queue.pop(20).await?;
    reply.check("5.8", "an empty array", rest.is_empty())
}

async fn popped_message_is_gone(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let (popped, reply) = queue.pop(1).await?;
    let [message] = popped.as_slice() else {
        return Err(reply.refuse("5.8", "one message"));
    };
    let whole = message.ttl == 300 && message.age <= 60.0;
    reply.check("5.8", "its ttl and age", whole)?;
    queue.expect_gone("5.8", &message.id).await?;
    let claim = queue.claim(60, 20).await?;
    let holds = ids(&claim.messages) == posted.ids.get(1..).unwrap_or_default();
    claim.reply.check("5.8", "the other message alone", holds)
}

async fn pop_limits(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..21, 300)).await?;
    let pop = |count: &str| context.delete(queue.at(&format!("/messages?pop={count}")));
    expect_each("5.8", &[400], ["0", "21", "-1", "x"].map(pop).into()).await?;
    let (popped, reply) = queue.pop(20).await?;
    let wanted: Value = (0..20).collect();
    reply.check("5.8", "the 20 oldest messages", bodies(&popped) == wanted)
}

async fn pop_skips_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..3, 300)).await?;
    let claim = queue.claim(300, 2).await?;
    let (popped, reply) = queue.pop(20).await?;
    reply.check(
        "5.8",
        "the third message alone",
        bodies(&popped) == json!([2]),
    )?;
    // The claimed ones were not touched.
    for message in &claim.messages {
        queue.get(&message.id).await?;
    }
    context
        .delete(claim.path)
        .send()
        .await?
        .expect("6.6", &[204])?;
    let (popped, reply) = queue.pop(20).await?;
    reply.check(
        "5.8",
        "the released messages",
        bodies(&popped) == json!([0, 1]),
    )
}
