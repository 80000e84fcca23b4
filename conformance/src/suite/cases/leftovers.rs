//! What is left where a purge or a patch took away what it hung on: claims without messages, delays without a
//! default.

use serde_json::json;

use super::delays::expect_no_delay_queue;
use super::mixed::release;
use crate::suite::capability::Capability::{Delay, Metadata, Patch, Purge};
use crate::suite::steps::{EVERYTHING, Message, Queue, bodies, messages, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        May,
        "claims/purged-messages-leave-their-claim",
        "4.8",
        purged_claim
    )
    .guarantee("G13")
    .needs(&[Purge])
    .disputed("claimed ones go too, as the documents say; who keeps them keeps them whole")
    .since(4),
    case!(
        Should,
        "listing/without-a-default-delay-nothing-is-hidden-as-delayed",
        "5.4",
        nothing_delayed
    )
    .needs(&[Delay, Metadata, Patch])
    .provenance(Provenance::Observed)
    .since(4),
    case!(
        May,
        "delays/default-of-zero-makes-no-delay-queue",
        "5.9",
        zero_default
    )
    .needs(&[Delay, Metadata])
    .disputed("no delay without a default, as in the code; the documents imply otherwise")
    .since(4),
    case!(
        Should,
        "metadata/falsy-dead-letter-queue-reads-as-none",
        "4.4",
        falsy_target
    )
    .needs(&[Metadata])
    .since(4),
];

/// Whether a claim that holds nothing is still there is left open.
async fn purged_claim(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..40, 300)).await?;
    let (read, renewed) = (queue.claim(300, 20).await?, queue.claim(300, 20).await?);
    let body = json!({ "resource_types": ["messages"] });
    let purge = context.post(queue.at("/purge"), &body).send().await?;
    purge.expect("4.8", &[204])?;
    queue.post(&numbered(40..60, 300)).await?;
    let reply = context.get(read.path.clone()).send().await?;
    let reply = reply.expect("6.4", &[200, 404])?;
    let mut kept = Vec::new();
    if reply.status() == http::StatusCode::OK {
        kept = numbers(&messages(&reply, "6.4")?);
        kept.sort_unstable();
        let own = kept.iter().all(|number| *number < 20);
        reply.check("4.8", "a claim with no messages but its own", own)?;
    }
    let terms = json!({ "ttl": 600, "grace": 60 });
    let renew = context.patch(renewed.path.clone(), &terms).send().await?;
    renew.expect("6.5", &[204, 404])?;
    for claim in [&read, &renewed] {
        release(&context, &claim.path).await?;
    }
    // Neither took anything of what came after the purge, or gave anything back that had gone: of the other claim,
    // which nobody looked at, that is all or nothing.
    let shown = numbers(&queue.pass(EVERYTHING).await?);
    let with = |renewed: std::ops::Range<u64>| {
        let kept = kept.iter().copied();
        kept.chain(renewed).chain(40..60).eq(shown.iter().copied())
    };
    if with(20..20) || with(20..40) {
        return Ok(());
    }
    let expected = format!(
        "the {} messages that a claim kept, all or none of the other's, and the twenty that came after the purge",
        kept.len()
    );
    Err(context.failure("4.8", expected, format!("the bodies {shown:?}")))
}

/// The bodies of `messages`, which are numbers.
fn numbers(messages: &[Message]) -> Vec<u64> {
    let number = |message: &Message| message.body.as_u64().unwrap_or(u64::MAX);
    messages.iter().map(number).collect()
}

/// Asked for or not, in the first page and behind its link.
async fn nothing_delayed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 900 }))
        .await?;
    queue.post(&numbered(0..4, 3_600)).await?;
    let hidden = queue.list("?echo=true").await?;
    hidden
        .reply
        .check("5.4", "no delayed message", hidden.messages.is_empty())?;
    let remove = json!([{ "op": "remove", "path": "/metadata/_default_message_delay" }]);
    queue.patch(&remove).send().await?.expect("4.5", &[200])?;
    for asked in ["", "&include_delayed=true", "&include_delayed=false"] {
        let all = queue.pass(&format!("?echo=true&limit=2{asked}")).await?;
        if bodies(&all) != json!([0, 1, 2, 3]) {
            let expected = format!("the four delayed messages, with `{asked}`");
            return Err(context.failure("5.4", expected, bodies(&all).to_string()));
        }
    }
    Ok(())
}

/// Zero counts as unset, and the delay of a message is not even looked at, unless it is on any queue.
async fn zero_default(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_delay": 0 }))
        .await?;
    expect_no_delay_queue(&queue).await
}

/// Of the reserved members this one alone takes any value; an unset `_enable_encrypt_messages` is false.
async fn falsy_target(context: Context) -> CaseResult {
    let falsy = [
        json!(""),
        json!(0),
        json!(0.0),
        json!(false),
        json!([]),
        json!({}),
    ];
    for (number, value) in falsy.into_iter().enumerate() {
        let queue = Queue::new(&context, &format!("q{number}"));
        queue
            .create(&json!({ "_dead_letter_queue": value }))
            .await?;
        let reply = context.get(queue.at("")).send().await?;
        let reply = reply.expect("4.4", &[200])?;
        let metadata = reply.json("4.4")?;
        let unset = metadata.get("_dead_letter_queue") == Some(&serde_json::Value::Null)
            && metadata["_enable_encrypt_messages"] == false;
        let expected = "`_dead_letter_queue`: null, and `_enable_encrypt_messages`: false";
        reply.check("4.4", expected, unset)?;
    }
    Ok(())
}
