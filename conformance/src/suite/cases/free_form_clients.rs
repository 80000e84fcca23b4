//! Contract 1.3 with `client_id_uuid_safe = off`: clients are called anything of a legal length.

use serde_json::json;

use crate::suite::capability::Capability::{self, FreeFormClients, Pop, QueueLists};
use crate::suite::steps::{Claim, Page, Queue, bodies, expect_each, messages, numbered};
use crate::suite::{Case, CaseResult, Context, case};

const NEEDS: &[Capability] = &[FreeFormClients];

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "free-form-clients/have-10-to-36-characters",
        "1.3",
        length
    )
    .needs(&[FreeFormClients, QueueLists])
    .since(2),
    case!(
        Must,
        "free-form-clients/missing-one-is-refused",
        "1.3",
        missing
    )
    .needs(&[FreeFormClients, QueueLists])
    .since(2),
    case!(
        Must,
        "free-form-clients/can-do-everything",
        "1.3",
        everything
    )
    .needs(&[FreeFormClients, Pop])
    .since(2),
    case!(
        Must,
        "free-form-clients/do-not-see-their-own-messages",
        "1.3",
        echo
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "free-form-clients/are-compared-as-text",
        "1.3",
        as_text
    )
    .needs(NEEDS)
    .since(2),
];

async fn length(context: Context) -> CaseResult {
    let get = |id: &str| context.get("/v2/queues").header("client-id", id);
    let legal = [10, 11, 35, 36].map(|count| get(&"x".repeat(count)));
    expect_each("1.3", &[200, 204], legal.into()).await?;
    let illegal = [1, 9, 37, 300].map(|count| get(&"x".repeat(count)));
    expect_each("1.3", &[400], illegal.into()).await?;
    // A UUID is a name as good as any.
    get(context.client_id())
        .send()
        .await?
        .expect("1.3", &[200, 204])
        .map(drop)
}

async fn missing(context: Context) -> CaseResult {
    let get = || context.get("/v2/queues");
    let requests = vec![get().without("client-id"), get().header("client-id", "")];
    expect_each("1.3", &[400], requests).await
}

async fn everything(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for name in [
        "worker #1 of (2)",
        "not-a-uuid-at-all",
        "6b2e4f0a-27a1-4a5e-8f3c",
    ] {
        let as_client = |request: crate::suite::Request| request.header("client-id", name);
        let post = as_client(queue.posting(&numbered(0..2, 300)))
            .send()
            .await?;
        post.expect("5.2", &[201])?;
        let terms = json!({ "ttl": 60, "grace": 60 });
        let claim = as_client(queue.claiming(&terms, 1)).send().await?;
        let claim = Claim::read(claim)?;
        let delete = as_client(context.delete(claim.only()?.href.clone()));
        delete.send().await?.expect("5.7", &[204])?;
        let pop = as_client(context.delete(queue.at("/messages?pop=1")))
            .send()
            .await?;
        let popped = messages(&pop.expect("5.8", &[200])?, "5.8")?;
        claim
            .reply
            .check("5.8", "the second message", bodies(&popped) == json!([1]))?;
    }
    Ok(())
}

async fn echo(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let as_client = |request: crate::suite::Request, name: &str| request.header("client-id", name);
    let post = queue.posting(&numbered(0..1, 300));
    as_client(post, "worker-number-1")
        .send()
        .await?
        .expect("5.2", &[201])?;
    for (name, seen) in [
        ("worker-number-1", 0),
        ("worker-number-2", 1),
        ("worker-number-10", 1),
    ] {
        let listing = as_client(context.get(queue.at("/messages")), name)
            .send()
            .await?;
        let page = Page::read(listing)?;
        let expected = format!("{seen} messages for {name}");
        page.reply
            .check("5.4", &expected, page.messages.len() == seen)?;
    }
    Ok(())
}

/// Spellings of one UUID are one client where clients are UUIDs, and several where they are text.
async fn as_text(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let post = queue
        .posting(&numbered(0..1, 300))
        .header("client-id", "WORKER-NUMBER-1");
    post.send().await?.expect("5.2", &[201])?;
    let listing = context
        .get(queue.at("/messages"))
        .header("client-id", "worker-number-1");
    let page = Page::read(listing.send().await?)?;
    page.reply.check(
        "5.4",
        "the message of another client",
        page.messages.len() == 1,
    )
}
