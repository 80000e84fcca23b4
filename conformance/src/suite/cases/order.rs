//! Contract 1.2 and 1.8: which of several errors wins, and query parameters.

use http::Method;
use serde_json::json;

use crate::suite::capability::Capability::{Projects, Purge, QueueLists, Stats};
use crate::suite::steps::{Queue, bodies, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    // Which of several errors wins.
    case!(
        Should,
        "common/unknown-path-is-404-whatever-the-headers",
        "1.2",
        unknown_path
    )
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/old-versions-are-gone",
        "1.1",
        old_versions_are_gone
    )
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/accept-is-checked-before-client-id",
        "1.2",
        accept_before_client_id
    )
    .needs(&[QueueLists])
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/headers-are-checked-before-method",
        "1.2",
        headers_before_method
    )
    .needs(&[Projects])
    .provenance(Provenance::Observed),
    case!(Must, "common/wrong-method-is-405", "1.2", wrong_method)
        .needs(&[QueueLists, Stats, Purge]),
    case!(
        Should,
        "common/wrong-method-is-told-the-allowed-ones",
        "1.4",
        allowed_methods
    )
    .provenance(Provenance::Observed),
    // Query parameters.
    case!(
        Should,
        "common/blank-parameters-are-absent",
        "1.8",
        blank_parameters
    )
    .provenance(Provenance::Observed),
    case!(
        Must,
        "common/limit-that-is-no-integer-is-refused",
        "1.8",
        limit_is_an_integer
    )
    .needs(&[QueueLists]),
    case!(
        Should,
        "common/boolean-parameters-have-many-spellings",
        "1.8",
        booleans
    )
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/unknown-parameters-are-ignored",
        "1.8",
        unknown_parameters
    )
    .provenance(Provenance::Observed),
];

async fn unknown_path(context: Context) -> CaseResult {
    let paths = ["/v2/nowhere", "/v2/queues/q/nowhere", "/nowhere"];
    let bare = |path| {
        context
            .get(path)
            .without("client-id")
            .without("x-project-id")
    };
    let requests = paths.into_iter().map(bare).collect();
    expect_each("1.2", &[404], requests).await
}

async fn old_versions_are_gone(context: Context) -> CaseResult {
    let requests = vec![context.get("/v1/queues"), context.get("/v1.1/queues")];
    expect_each("1.1", &[404], requests).await
}

async fn accept_before_client_id(context: Context) -> CaseResult {
    let request = context.get("/v2/queues").without("client-id");
    let reply = request.header("accept", "text/html").send().await?;
    reply.expect("1.2", &[406]).map(drop)
}

async fn headers_before_method(context: Context) -> CaseResult {
    let post = |path: &str| context.request(Method::POST, path);
    let name = "n".repeat(65);
    let requests = vec![
        post("/v2/ping").without("client-id"),
        post("/v2/ping").without("x-project-id"),
        post(&format!("/v2/queues/{name}")),
    ];
    expect_each("1.2", &[400], requests).await
}

async fn wrong_method(context: Context) -> CaseResult {
    let requests = vec![
        context.request(Method::POST, "/v2/ping"),
        context.request(Method::POST, "/v2/queues/q"),
        context.delete("/v2/queues"),
        context.put("/v2/queues/q/messages"),
        context.get("/v2/queues/q/claims"),
        context.get("/v2/queues/q/purge"),
        context.request(Method::POST, "/v2/queues/q/stats"),
    ];
    expect_each("1.2", &[405], requests).await
}

async fn allowed_methods(context: Context) -> CaseResult {
    let reply = context.get("/v2/queues/q/claims").send().await?;
    let reply = reply.expect("1.4", &[405])?;
    let allows = |method| {
        reply
            .header("allow")
            .split(',')
            .any(|word| word.trim() == method)
    };
    let holds = allows("POST") && !allows("GET");
    reply.check("1.4", "an Allow header with POST and without GET", holds)
}

async fn blank_parameters(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&numbered(0..2, 300)).await?;
    let page = queue.whole("?echo=true&limit=&marker=", 2).await?;
    let holds = bodies(&page.messages) == json!([0, 1]);
    page.reply.check("1.8", "both messages", holds)
}

async fn limit_is_an_integer(context: Context) -> CaseResult {
    let queues = |limit| context.get(format!("/v2/queues?limit={limit}"));
    let messages = |limit| context.get(format!("/v2/queues/q/messages?limit={limit}"));
    let mut requests = Vec::new();
    for limit in ["x", "1.5", "-1", "99999999999999999999"] {
        requests.extend([queues(limit), messages(limit)]);
    }
    expect_each("1.8", &[400], requests).await
}

async fn booleans(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    for (word, seen) in [
        ("true", 1),
        ("True", 1),
        ("1", 1),
        ("yes", 1),
        ("on", 1),
        ("false", 0),
        ("False", 0),
        ("0", 0),
        ("no", 0),
        ("off", 0),
    ] {
        let page = queue.list(&format!("?echo={word}")).await?;
        let expected = format!("{seen} messages");
        page.reply
            .check("1.8", &expected, page.messages.len() == seen)?;
    }
    let reply = context
        .get(queue.at("/messages?echo=perhaps"))
        .send()
        .await?;
    reply.expect("1.8", &[400]).map(drop)
}

async fn unknown_parameters(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let page = queue.list("?echo=true&nonsense=1&limits=0").await?;
    page.reply
        .check("1.8", "the message", page.messages.len() == 1)
}
