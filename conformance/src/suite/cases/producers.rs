//! Contract 5.3, G4 in its strict reading: messages have one order, also those of different producers.
//!
//! Only what was posted surely before is older: each post ends before the next begins.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{Pop, TotalOrder};
use crate::suite::steps::{EVERYTHING, Queue, bodies, ids, numbered};
use crate::suite::{Case, CaseResult, Context, Stop, case};

/// What all of these decide.
const DECISION: &str =
    "one order for each queue; the guide promises one to a single producer alone";

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "listing/producers-share-one-order",
        "5.3",
        listed_in_order
    )
    .guarantee("G4")
    .needs(&[TotalOrder])
    .disputed(DECISION)
    .since(5),
    case!(
        Should,
        "claims/producers-share-one-order",
        "5.3",
        claimed_in_order
    )
    .guarantee("G4")
    .needs(&[TotalOrder])
    .disputed(DECISION)
    .since(5),
    case!(
        Should,
        "messages/producers-share-one-order-of-pops",
        "5.3",
        popped_in_order
    )
    .guarantee("G4")
    .needs(&[TotalOrder, Pop])
    .disputed(DECISION)
    .since(5),
    case!(
        Should,
        "claims/order-is-that-of-the-listing",
        "5.3",
        claimed_as_listed
    )
    .guarantee("G4")
    .needs(&[TotalOrder])
    .disputed(DECISION)
    .since(5),
];

/// Two producers post in turn, one or two messages at a time; in the end there are twelve, numbered as they came.
async fn posted_in_turn(context: &Context) -> Result<Queue, Stop> {
    let mine = Queue::new(context, "q");
    let theirs = mine.seen_by(&context.other_client());
    // Neither order of the producers, nor turns of equal length, put these as they came.
    for (queue, from, to) in [
        (&theirs, 0, 1),
        (&mine, 1, 3),
        (&theirs, 3, 4),
        (&mine, 4, 5),
        (&theirs, 5, 7),
        (&theirs, 7, 8),
        (&mine, 8, 9),
        (&theirs, 9, 11),
        (&mine, 11, 12),
    ] {
        queue.post(&numbered(from..to, 600)).await?;
    }
    Ok(mine)
}

async fn listed_in_order(context: Context) -> CaseResult {
    let queue = posted_in_turn(&context).await?;
    let all: Value = (0..12).collect();
    for query in [EVERYTHING, "?echo=true&limit=5"] {
        let listed = bodies(&queue.pass(query).await?);
        if listed != all {
            let expected = "both producers' messages in the order of their posts";
            return Err(context.failure("5.3", expected, listed.to_string()));
        }
    }
    Ok(())
}

/// The oldest come first, whoever posted them, and what is released goes back to its place.
async fn claimed_in_order(context: Context) -> CaseResult {
    let queue = posted_in_turn(&context).await?;
    let first = queue.claim(300, 5).await?;
    let oldest = bodies(&first.messages) == json!([0, 1, 2, 3, 4]);
    first
        .reply
        .check("5.3", "the five oldest of both producers, in order", oldest)?;
    let second = queue.claim(300, 4).await?;
    let next = bodies(&second.messages) == json!([5, 6, 7, 8]);
    second.reply.check("5.3", "the next four, in order", next)?;
    let release = context.delete(first.path).send().await?;
    release.expect("6.6", &[204])?;
    let third = queue.claim(300, 20).await?;
    let free = bodies(&third.messages) == json!([0, 1, 2, 3, 4, 9, 10, 11]);
    third
        .reply
        .check("5.3", "the released ones before those behind", free)
}

async fn popped_in_order(context: Context) -> CaseResult {
    let queue = posted_in_turn(&context).await?;
    for (from, to) in [(0, 1), (1, 6), (6, 12)] {
        let (popped, reply) = queue.pop(to - from).await?;
        let wanted: Value = (from..to).collect();
        let expected = format!("the oldest of both producers, in order: {wanted}");
        reply.check("5.3", &expected, bodies(&popped) == wanted)?;
    }
    Ok(())
}

/// What is posted at the same time has any order, but one: that of a listing is that of the claims.
async fn claimed_as_listed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let other = queue.seen_by(&context.other_client());
    let posts = (0..12_u64).map(|number| {
        let queue = if number % 2 == 0 { &queue } else { &other };
        async move { queue.post(&numbered(2 * number..2 * number + 2, 600)).await }
    });
    for posted in join_all(posts).await {
        posted?;
    }
    let listed = queue.pass(EVERYTHING).await?;
    let listed = ids(&listed);
    let mut claimed = Vec::new();
    for _ in 0..24 {
        if claimed.len() >= listed.len() {
            break;
        }
        let claim = queue.claim(300, 7).await?;
        claimed.extend(claim.messages.into_iter().map(|message| message.id));
    }
    if claimed == listed {
        return Ok(());
    }
    let expected = format!("the order of the listing, {listed:?}");
    Err(context.failure("5.3", expected, format!("{claimed:?}")))
}
