//! Contract 14.1: what pages of other origins may see.

use http::Method;

use crate::suite::capability::Capability::{self, Cors, Discovery, QueueLists};
use crate::suite::steps::{Queue, numbered, unknown};
use crate::suite::{Case, CaseResult, Context, Reply, Stop, case};

const NEEDS: &[Capability] = &[Cors];

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// An origin that nobody allows.
const STRANGER: &str = "https://stranger.invalid";

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "cors/allowed-origin-may-see-the-answer",
        "14.1",
        allowed
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "cors/other-origin-is-served-without-a-word",
        "14.1",
        other
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "cors/no-origin-no-headers", "14.1", none)
        .needs(&[Cors, QueueLists])
        .since(2),
    case!(
        Must,
        "cors/preflight-tells-what-is-allowed",
        "14.1",
        preflight
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "cors/preflight-of-another-origin-allows-nothing",
        "14.1",
        other_preflight
    )
    .needs(&[Cors, Discovery])
    .since(2),
    case!(
        Should,
        "cors/preflight-for-another-header-allows-nothing",
        "14.1",
        other_header
    )
    .needs(NEEDS)
    .since(2),
    case!(Should, "cors/errors-can-be-seen-too", "14.1", errors)
        .needs(NEEDS)
        .since(2),
];

fn origin(context: &Context) -> Result<String, Stop> {
    let origin = context.surroundings().cors_origin.clone();
    origin.ok_or_else(|| unknown(context, "the target does not name an origin that it allows"))
}

fn expect_silence(reply: &Reply) -> CaseResult {
    let silent = !reply.has_header(ALLOW_ORIGIN)
        && !reply.has_header("access-control-allow-methods")
        && !reply.has_header("access-control-allow-credentials");
    reply.check("14.1", "no Access-Control headers", silent)
}

async fn allowed(context: Context) -> CaseResult {
    let origin = origin(&context)?;
    let queue = Queue::new(&context, "q");
    let post = queue
        .posting(&numbered(0..1, 300))
        .header("origin", &origin)
        .send()
        .await?;
    let reply = post.expect("14.1", &[201])?;
    reply.check(
        "14.1",
        "the origin as allowed",
        reply.header(ALLOW_ORIGIN) == origin,
    )?;
    let credentials = reply.header("access-control-allow-credentials") == "true";
    reply.check("14.1", "allowed credentials", credentials)?;
    let exposed = reply
        .header("access-control-expose-headers")
        .to_ascii_lowercase();
    let id = exposed.contains("x-openstack-request-id");
    reply.check("14.1", "an exposed X-OpenStack-Request-ID", id)?;
    let varies = reply.header_list("vary");
    let varies = varies
        .iter()
        .any(|word| word.eq_ignore_ascii_case("origin"));
    reply.check("14.1", "Vary: Origin", varies)
}

async fn other(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let post = queue
        .posting(&numbered(0..1, 300))
        .header("origin", STRANGER)
        .send()
        .await?;
    expect_silence(&post.expect("14.1", &[201])?)?;
    let page = queue.list("?echo=true").await?;
    page.reply
        .check("14.1", "the message", page.messages.len() == 1)?;
    // One that only begins like the allowed one is another.
    for suffix in [".stranger.invalid", "0"] {
        let origin = format!("{}{suffix}", origin(&context)?);
        let reply = context
            .get("/v2/queues")
            .header("origin", &origin)
            .send()
            .await?;
        expect_silence(&reply.expect("14.1", &[200])?)?;
    }
    Ok(())
}

async fn none(context: Context) -> CaseResult {
    let reply = context
        .get("/v2/queues")
        .send()
        .await?
        .expect("14.1", &[200])?;
    expect_silence(&reply)
}

async fn ask(context: &Context, (origin, headers): (&str, &str)) -> Result<Reply, Stop> {
    let request = context
        .request(Method::OPTIONS, "/v2/queues/q/messages")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", headers);
    request.send().await?.expect("14.1", &[200, 204])
}

async fn preflight(context: Context) -> CaseResult {
    let origin = origin(&context)?;
    let reply = ask(&context, (&origin, "Client-ID, X-Auth-Token")).await?;
    reply.check(
        "14.1",
        "the origin as allowed",
        reply.header(ALLOW_ORIGIN) == origin,
    )?;
    let methods = reply.header_list("access-control-allow-methods");
    let all = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"];
    // A server may name the one method that was asked for.
    let asked = methods.iter().any(|method| method == "POST");
    let known = methods.iter().all(|method| all.contains(&method.as_str()));
    reply.check("14.1", "the allowed methods", asked && known)?;
    let headers = reply.header_list("access-control-allow-headers");
    let client = headers
        .iter()
        .any(|name| name.eq_ignore_ascii_case("client-id"));
    reply.check("14.1", "Client-ID as an allowed header", client)?;
    let age = reply.header("access-control-max-age") == "3600";
    reply.check("14.1", "an age of at most 3600", age)
}

async fn other_preflight(context: Context) -> CaseResult {
    expect_silence(&ask(&context, (STRANGER, "Client-ID")).await?)
}

async fn other_header(context: Context) -> CaseResult {
    let origin = origin(&context)?;
    let reply = ask(&context, (&origin, "X-Nobody-Knows")).await?;
    let headers = reply.header_list("access-control-allow-headers");
    let granted = headers
        .iter()
        .any(|name| name.eq_ignore_ascii_case("x-nobody-knows"));
    reply.check(
        "14.1",
        "no grant for a header that is not allowed",
        !granted,
    )
}

async fn errors(context: Context) -> CaseResult {
    let origin = origin(&context)?;
    let queue = Queue::new(&context, "q");
    let reply = queue
        .getting("none")
        .header("origin", &origin)
        .send()
        .await?;
    let reply = reply.expect("5.6", &[404])?;
    reply.check(
        "14.1",
        "the origin as allowed",
        reply.header(ALLOW_ORIGIN) == origin,
    )
}
