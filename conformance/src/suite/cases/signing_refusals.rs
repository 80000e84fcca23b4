//! Contract 9.3: what a signature is not good for.

use super::signing::{Grant, NEEDS, messages, share, sharing};
use crate::suite::capability::Capability::{PreSigned, Projects};
use crate::suite::signed_time::{date_time, seconds};
use crate::suite::steps::{
    EVERYTHING, Queue, expect_each, numbered, still_before, surely_after, surely_until,
};
use crate::suite::{Case, CaseResult, Context, Provenance, Request, case};
use http::Method;
use serde_json::json;

pub(super) const CASES: &[Case] = &[
    case!(Must, "signing/signature-is-for-its-path", "9.3", other_path)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "signing/signature-is-for-its-methods",
        "9.3",
        other_method
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "signing/signature-is-for-its-project",
        "9.3",
        other_project
    )
    .guarantee("G14")
    .needs(&[PreSigned, Projects])
    .since(2),
    case!(
        Should,
        "signing/no-share-speaks-for-another-project",
        "9.3",
        look_alike
    )
    .guarantee("G14")
    .needs(&[PreSigned, Projects])
    .disputed("what is joined to be signed can be taken apart in one way only")
    .since(4),
    case!(Must, "signing/signature-ends", "9.3", ends)
        .needs(NEEDS)
        .waits(45)
        .since(2),
    case!(
        Must,
        "signing/altered-grant-is-worth-nothing",
        "9.3",
        altered
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "signing/incomplete-grant-is-worth-nothing",
        "9.3",
        incomplete
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "signing/empty-signature-is-worth-nothing",
        "14.4",
        empty
    )
    .needs(NEEDS)
    .since(2),
    case!(Should, "signing/order-of-lists-is-free", "9.3", order)
        .needs(NEEDS)
        .provenance(Provenance::Observed)
        .since(2),
    case!(
        Should,
        "signing/signature-is-lower-case",
        "9.3",
        case_matters
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "signing/signature-is-checked-before-the-client",
        "1.2",
        check_order
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Must,
        "signing/signed-request-needs-a-client-id",
        "9.3",
        client_needed
    )
    .needs(NEEDS)
    .since(2),
];

async fn other_path(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let others = ["q2", "q-2", "qq"].map(|name| Queue::new(&context, name));
    let mut requests: Vec<Request> = vec![
        context.get(queue.at("")),
        context.get(queue.at("/stats")),
        context.get(queue.at("/subscriptions")),
        queue.claiming(&json!({ "ttl": 60, "grace": 60 }), 1),
        context.post(queue.at("/share"), &json!({})),
        context.request(Method::POST, queue.at("/purge")),
        context.get("/v2/queues"),
    ];
    for other in &others {
        other.post_one(300).await?;
        requests.push(context.get(other.at("/messages?echo=true")));
        requests.push(other.posting(&numbered(1..2, 300)));
    }
    let requests = requests.into_iter().map(|request| grant.sign(request));
    expect_each("9.3", &[404], requests.collect()).await?;
    for queue in others.iter().chain([&queue]) {
        let page = queue.list(EVERYTHING).await?;
        page.reply
            .check("9.3", "the one message", page.messages.len() == 1)?;
    }
    queue.claim(60, 1).await?.only().map(drop)
}

async fn other_method(context: Context) -> CaseResult {
    let (queue, _) = messages(&context).await?;
    let body = json!({ "paths": ["messages"], "methods": ["GET"] });
    let grant = share(&context, &queue, &body).await?;
    let requests = [
        queue.posting(&numbered(1..2, 300)),
        context.delete(queue.at("/messages?pop=1")),
    ];
    let requests = requests.map(|request| grant.sign(request));
    expect_each("9.3", &[404], requests.into()).await?;
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("9.3", "the one message", page.messages.len() == 1)
}

async fn other_project(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let project = format!("{}-stranger", context.project());
    let theirs = |request: Request| request.header("x-project-id", &project);
    let post = theirs(queue.posting(&numbered(5..6, 300))).send().await?;
    post.expect("5.2", &[201])?;
    let listing = grant.sign(context.get(queue.at("/messages?echo=true")));
    theirs(listing)
        .send()
        .await?
        .expect("9.3", &[404])
        .map(drop)
}

/// The parts of what is signed are joined by a backslash and an `n`. A method that has them may end where
/// the name of another project begins.
async fn look_alike(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (own, other) = (context.project(), format!("x\\n{}", context.project()));
    let post = queue.posting(&numbered(5..6, 300));
    let post = post.header("x-project-id", &other).send().await?;
    post.expect("5.2", &[201])?;
    let body = json!({
        "paths": ["messages"], "methods": ["GET\\nx"], "expires": "2999-12-31T23:59:59",
    });
    let reply = sharing(&context, &queue, &body).send().await?;
    let reply = reply.expect("9.1", &[200, 400])?;
    if reply.status() == 400 {
        return Ok(());
    }
    let mut grant = Grant::read(&reply)?;
    grant.methods = vec!["GET".to_owned()];
    let listing = grant.sign(context.get(queue.at("/messages?echo=true")));
    let listing = listing.header("x-project-id", &other).send().await?;
    let expected = format!("404: {own} has shared nothing of the project {other}");
    listing.check("9.3", &expected, listing.status() == 404)
}

/// The server's own clock is what an expiry is measured by: a share by default says what that shows.
async fn ends(context: Context) -> CaseResult {
    let (queue, day) = messages(&context).await?;
    let Some(now) = seconds(&day.expires).map(|end| end - 24 * 60 * 60) else {
        let expected = "an expiry in the form YYYY-MM-DDTHH:MM:SS";
        return Err(context.failure("9.1", expected, day.expires));
    };
    let body = json!({
        "paths": ["messages"], "methods": ["GET"], "expires": date_time(now + 30),
    });
    let reply = sharing(&context, &queue, &body)
        .send()
        .await?
        .expect("9.1", &[200])?;
    let grant = Grant::read(&reply)?;
    let listing = || grant.sign(context.get(queue.at("/messages?echo=true")));
    let early = listing().send().await?;
    let deadline = surely_until(&context, reply.sent, 20);
    still_before(&context, early.sent, deadline)?;
    early.expect("9.3", &[200])?;
    context
        .sleep_until(surely_after(&context, reply.sent, 31))
        .await;
    listing().send().await?.expect("9.3", &[404]).map(drop)
}

async fn altered(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let mut other = grant.signature.clone().into_bytes();
    other[0] = if other[0] == b'0' { b'1' } else { b'0' };
    let other = String::from_utf8_lossy(&other).into_owned();
    let both = format!("{},{}", queue.at("/claims"), queue.at("/messages"));
    let get = || grant.sign(context.get(queue.at("/messages?echo=true")));
    let claim = || grant.sign(queue.claiming(&json!({ "ttl": 60, "grace": 60 }), 1));
    let requests = vec![
        get().header("url-signature", &other),
        get().header("url-signature", &grant.signature[..63]),
        get().header("url-signature", &format!("{}0", grant.signature)),
        get().header("url-expires", "2999-01-01T00:00:00"),
        get().header("url-methods", "GET"),
        get().header("url-methods", "DELETE,GET,POST"),
        claim().header("url-paths", &queue.at("/claims")),
        claim().header("url-paths", &both),
    ];
    expect_each("9.3", &[404], requests).await?;
    get().send().await?.expect("9.3", &[200]).map(drop)
}

/// Contract 9.3: in place of an expiry that is missing the default of this very second is tried. So the
/// grant has another one: with the default it may be right to serve the request.
async fn incomplete(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let body = json!({
        "paths": ["messages"], "methods": ["GET", "POST"], "expires": "2999-12-31T23:59:59",
    });
    let grant = share(&context, &queue, &body).await?;
    let names = ["url-expires", "url-methods", "url-paths"];
    let get = || grant.sign(context.get(queue.at("/messages?echo=true")));
    expect_each("9.3", &[404], names.map(|name| get().without(name)).into()).await
}

async fn empty(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let get = grant.sign(context.get(queue.at("/messages?echo=true")));
    get.header("url-signature", "")
        .send()
        .await?
        .expect("14.4", &[404])
        .map(drop)
}

async fn order(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let get = grant.sign(context.get(queue.at("/messages?echo=true")));
    let get = get.header("url-methods", "POST,GET");
    get.send().await?.expect("9.3", &[200])?;
    let get = grant.sign(context.get(queue.at("/messages?echo=true")));
    let zulu = get.header("url-expires", &format!("{}Z", grant.expires));
    zulu.send().await?.expect("9.3", &[200]).map(drop)
}

async fn case_matters(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let upper = grant.signature.to_uppercase();
    if upper == grant.signature {
        return Ok(());
    }
    let get = grant.sign(context.get(queue.at("/messages?echo=true")));
    get.header("url-signature", &upper)
        .send()
        .await?
        .expect("9.3", &[404])
        .map(drop)
}

async fn check_order(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let get = grant
        .sign(context.get(queue.at("/messages")))
        .header("url-methods", "DELETE");
    get.without("client-id")
        .send()
        .await?
        .expect("1.2", &[404])
        .map(drop)
}

async fn client_needed(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let get = grant.sign(context.get(queue.at("/messages")));
    get.without("client-id")
        .send()
        .await?
        .expect("9.3", &[400])
        .map(drop)
}
