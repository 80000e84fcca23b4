//! Contract 1.1, 1.2 and 3: what `common` leaves out of the root, the home document, ping and odd paths.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use crate::suite::capability::Capability::{
    self, Bulk, Discovery, Metadata, Pop, Projects, QueueLists, Stats,
};
use crate::suite::steps::{EVERYTHING, Queue, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

const NEEDS: &[Capability] = &[Discovery];

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "root/version-has-the-documented-members",
        "3.1",
        version_members
    )
    .needs(NEEDS)
    .since(2),
    case!(Should, "root/only-get-is-allowed", "3.1", only_get)
        .needs(NEEDS)
        .provenance(Provenance::Observed)
        .since(2),
    case!(Should, "root/version-list-is-json-only", "1.3", json_only)
        .needs(NEEDS)
        .provenance(Provenance::Observed)
        .since(2),
    case!(
        Should,
        "root/home-document-has-its-media-type",
        "1.4",
        home_type
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(Should, "root/home-document-is-whole", "3.2", home_is_whole)
        .needs(NEEDS)
        .since(2),
    case!(Must, "root/home-document-leads-into-v2", "3.2", home_leads)
        .needs(NEEDS)
        .since(2),
    case!(
        Should,
        "root/home-document-explains-its-templates",
        "3.2",
        home_templates
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Must,
        "root/home-document-needs-headers",
        "3.2",
        home_headers
    )
    .needs(&[Discovery, Projects])
    .since(2),
    case!(Must, "root/ping-needs-headers", "3.3", ping_headers)
        .needs(&[Projects])
        .since(2),
    case!(Must, "root/ping-is-read-only", "3.3", ping_methods).since(2),
    case!(Should, "root/head-is-for-ping-alone", "1.4", head)
        .needs(&[Stats])
        .provenance(Provenance::Observed)
        .since(2),
    case!(
        Should,
        "root/options-are-answered-everywhere",
        "1.4",
        options
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "root/trailing-slash-is-another-path",
        "1.1",
        trailing_slash
    )
    .needs(&[Metadata])
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "root/encoded-slash-is-no-name",
        "1.1",
        encoded_slash
    )
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "root/odd-paths-are-no-server-errors",
        "1.6",
        odd_paths
    )
    .needs(&[Discovery, Metadata])
    .since(2),
    case!(
        Should,
        "root/odd-queries-are-no-server-errors",
        "1.6",
        odd_queries
    )
    .needs(&[Bulk, Pop])
    .since(2),
    case!(
        Should,
        "root/odd-headers-are-no-server-errors",
        "1.6",
        odd_headers
    )
    .needs(&[Projects, QueueLists])
    .since(2),
    case!(
        Must,
        "root/accept-is-checked-before-the-project",
        "1.2",
        accept_first
    )
    .needs(&[QueueLists])
    .since(2),
    case!(
        Should,
        "root/client-is-checked-before-the-queue-name",
        "1.2",
        client_first
    )
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Must,
        "root/refusals-store-nothing",
        "1.2",
        refusals_store_nothing
    )
    .needs(&[Projects])
    .since(2),
];

async fn version_members(context: Context) -> CaseResult {
    let reply = context.get("/").send().await?.expect("3.1", &[300])?;
    let document = reply.json("3.1")?;
    let versions = document["versions"].as_array().cloned().unwrap_or_default();
    let whole = versions.iter().any(|version| {
        let types = version["media-types"].as_array();
        let typed = |one: &Value| one["base"].is_string() && one["type"].is_string();
        version["id"] == "2"
            && version["status"] == "CURRENT"
            && version["updated"].is_string()
            && types.is_some_and(|types| !types.is_empty() && types.iter().all(typed))
    });
    reply.check(
        "3.1",
        "id, status, updated and media-types of version 2",
        whole,
    )
}

async fn only_get(context: Context) -> CaseResult {
    let methods = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let requests = methods.map(|method| context.request(method, "/"));
    expect_each("3.1", &[405], requests.into()).await
}

async fn json_only(context: Context) -> CaseResult {
    let get = || {
        context
            .get("/")
            .without("client-id")
            .without("x-project-id")
    };
    get()
        .header("accept", "text/html")
        .send()
        .await?
        .expect("1.3", &[406])?;
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.1"] {
        get()
            .header("accept", accept)
            .send()
            .await?
            .expect("1.3", &[300])?;
    }
    get()
        .without("accept")
        .send()
        .await?
        .expect("1.3", &[300])
        .map(drop)
}

async fn home_type(context: Context) -> CaseResult {
    let reply = context.get("/v2/").send().await?.expect("3.2", &[200])?;
    let kind = reply
        .header("content-type")
        .to_ascii_lowercase()
        .starts_with("application/json-home");
    reply.check("1.4", "Content-Type application/json-home", kind)?;
    let cached = reply.header("cache-control").to_ascii_lowercase();
    let cached = cached.contains("max-age=86400");
    reply.check("1.4", "a Cache-Control of a day", cached)
}

/// Relation and what it may be asked.
const RELATIONS: [(&str, &[&str]); 19] = [
    ("queues", &["GET"]),
    ("queue", &["PUT", "DELETE"]),
    ("queue_stats", &["GET"]),
    ("queue_share", &["POST"]),
    ("queue_purge", &["POST"]),
    ("messages", &["GET"]),
    ("post_messages", &["POST"]),
    ("messages_delete", &["DELETE"]),
    ("message_delete", &["DELETE"]),
    ("message_get", &["GET"]),
    ("claim", &["GET"]),
    ("post_claim", &["POST"]),
    ("patch_claim", &["PATCH"]),
    ("delete_claim", &["DELETE"]),
    ("subscriptions_get", &["GET"]),
    ("subscriptions_post", &["POST"]),
    ("subscription", &["GET", "DELETE"]),
    ("subscription_patch", &["PATCH"]),
    ("ping", &["GET"]),
];

async fn home_is_whole(context: Context) -> CaseResult {
    let reply = context.get("/v2/").send().await?.expect("3.2", &[200])?;
    let document = reply.json("3.2")?;
    for (relation, methods) in RELATIONS {
        let allowed = &document["resources"][format!("rel/{relation}")]["hints"]["allow"];
        let allowed = allowed.as_array().cloned().unwrap_or_default();
        let all = methods
            .iter()
            .all(|method| allowed.iter().any(|one| one == method));
        reply.check(
            "3.2",
            &format!("rel/{relation} with hints to {methods:?}"),
            all,
        )?;
    }
    Ok(())
}

async fn home_leads(context: Context) -> CaseResult {
    let reply = context.get("/v2/").send().await?.expect("3.2", &[200])?;
    let document = reply.json("3.2")?;
    let Some(resources) = document["resources"].as_object() else {
        return Err(reply.refuse("3.2", "`resources`: an object"));
    };
    for (relation, resource) in resources {
        let href = resource["href"]
            .as_str()
            .or(resource["href-template"].as_str());
        let leads = href.is_some_and(|href| href.starts_with("/v2/"));
        reply.check("3.2", &format!("a path below /v2/ for {relation}"), leads)?;
    }
    reply.check("3.2", "at least one resource", !resources.is_empty())
}

/// What stands in the braces of a template is explained; what has no braces needs no explanation.
async fn home_templates(context: Context) -> CaseResult {
    let reply = context.get("/v2/").send().await?.expect("3.2", &[200])?;
    let document = reply.json("3.2")?;
    for (relation, resource) in document["resources"].as_object().into_iter().flatten() {
        let plain = resource["href"].as_str().unwrap_or_default();
        let expected = format!("an href without braces for {relation}");
        reply.check("3.2", &expected, !plain.contains('{'))?;
        let template = resource["href-template"].as_str().unwrap_or_default();
        let inner = template.split('{').skip(1);
        let inner = inner.filter_map(|rest| rest.split('}').next());
        // RFC 6570: an operator before the names, a modifier behind each.
        let operators = ['?', '&', '+', '#', '/', ';', '.'];
        let mut names = inner.flat_map(|names| names.trim_start_matches(operators).split(','));
        let explained = names.all(|name| {
            let name = name.split([':', '*']).next().unwrap_or_default();
            resource["href-vars"].get(name).is_some()
        });
        let expected = format!("href-vars with all that is in {template}");
        reply.check("3.2", &expected, explained)?;
    }
    Ok(())
}

async fn home_headers(context: Context) -> CaseResult {
    let get = || context.get("/v2/");
    let requests = vec![get().without("client-id"), get().without("x-project-id")];
    expect_each("3.2", &[400], requests).await
}

async fn ping_headers(context: Context) -> CaseResult {
    let get = || context.get("/v2/ping");
    let requests = vec![get().without("client-id"), get().without("x-project-id")];
    expect_each("3.3", &[400], requests).await
}

async fn ping_methods(context: Context) -> CaseResult {
    let methods = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let requests = methods.map(|method| context.request(method, "/v2/ping"));
    expect_each("1.2", &[405], requests.into()).await
}

async fn head(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let paths = [
        queue.at(""),
        queue.at("/stats"),
        queue.at("/messages"),
        queue.at(&format!("/messages/{id}")),
    ];
    let requests = paths.map(|path| context.request(Method::HEAD, path));
    expect_each("1.4", &[405], requests.into()).await
}

async fn options(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for path in [
        queue.at(""),
        queue.at("/messages"),
        queue.at("/claims"),
        "/v2/ping".to_owned(),
    ] {
        let reply = context.request(Method::OPTIONS, path).send().await?;
        let reply = reply.expect("1.4", &[200, 204])?;
        reply.check("1.4", "an Allow header", reply.has_header("allow"))?;
    }
    Ok(())
}

/// Which refusal it is is left open.
/// The names of the members of `document`.
fn members(document: &Value) -> BTreeSet<String> {
    let members = document.as_object().map(|all| all.keys().cloned());
    members.into_iter().flatten().collect()
}

async fn trailing_slash(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let paths = [
        "/v2/queues/".to_owned(),
        queue.at("/"),
        queue.at("/messages/"),
    ];
    for path in paths {
        let bare = path.trim_end_matches('/').to_owned();
        let reply = context.get(path).send().await?;
        let reply = reply.expect("1.1", &[200, 400, 404])?;
        if reply.status() == 200 {
            // The contract forgives who does not see the slash; but then it is the same place.
            let same = context.get(bare).send().await?.expect("1.1", &[200])?;
            let members = members(&reply.json("1.1")?) == members(&same.json("1.1")?);
            reply.check("1.1", "what is there without the slash", members)?;
        }
    }
    context
        .get("/v2")
        .send()
        .await?
        .expect("1.1", &[404])
        .map(drop)
}

async fn encoded_slash(context: Context) -> CaseResult {
    let put = context.put("/v2/queues/a%2Fb").send().await?;
    put.expect("1.1", &[400, 404]).map(drop)
}

/// Demands anything but a failure of the server.
async fn no_failures(requests: Vec<crate::suite::Request>) -> CaseResult {
    for request in requests {
        let reply = request.send().await?;
        let fine = !reply.status().is_server_error();
        reply.check("1.6", "an answer below 500", fine)?;
    }
    Ok(())
}

async fn odd_paths(context: Context) -> CaseResult {
    let long = "x".repeat(3_000);
    let paths = [
        "//".to_owned(),
        "/v2//queues".to_owned(),
        "/v2/queues//messages".to_owned(),
        "/v2/queues/%00".to_owned(),
        "/v2/queues/%FF/messages".to_owned(),
        "/v2/queues/q/messages/%00".to_owned(),
        "/v2/queues/q/messages/%FF".to_owned(),
        "/v2/queues/q/claims/%E2%82".to_owned(),
        "/v2/queues/q/claims/%0A".to_owned(),
        "/v2/queues/q/messages/a%20b".to_owned(),
        "/v2/queues/../queues".to_owned(),
        format!("/v2/queues/{long}"),
        format!("/v2/queues/q/messages/{long}"),
    ];
    no_failures(paths.map(|path| context.get(path)).into()).await
}

async fn odd_queries(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let queries = [
        "?",
        "?&&&",
        "?=",
        "?limit",
        "?limit=1&limit=2",
        "?limit=1,2",
        "?limit=%31",
        "?limit=1e1",
        "?limit=99999999999999999999",
        "?limit=%FF",
        "?marker=%00",
        "?marker=%FF%FE",
        "?marker=-1",
        "?marker=99999999999999999999",
        "?ids=,,",
        "?ids=%00",
        "?ids=%FF",
        "?echo=%FF",
        "?echo=true&echo=false",
    ];
    let requests = queries.map(|query| context.get(queue.at(&format!("/messages{query}"))));
    no_failures(requests.into()).await?;
    let requests = [
        "?pop=%FF",
        "?pop=",
        "?pop=1&ids=x",
        "?ids=%00",
        "?claim_ids=x",
        "?ids=%FF",
    ];
    let requests = requests.map(|query| context.delete(queue.at(&format!("/messages{query}"))));
    no_failures(requests.into()).await
}

async fn odd_headers(context: Context) -> CaseResult {
    let get = || context.get("/v2/queues");
    let long = "x".repeat(2_000);
    no_failures(vec![
        get().header("accept", ""),
        get().header("accept", ";;;"),
        get().header("accept", "application/json;q=x"),
        get().header("content-type", "%%%"),
        get().header("client-id", &long),
        get().header("x-project-id", "a b/c?d#e"),
        get().header("x-roles", ",,,"),
    ])
    .await
}

async fn accept_first(context: Context) -> CaseResult {
    let get = context
        .get("/v2/queues")
        .header("accept", "text/html")
        .without("x-project-id");
    get.send().await?.expect("1.2", &[406]).map(drop)
}

async fn client_first(context: Context) -> CaseResult {
    let long = "x".repeat(65);
    let get = context
        .get(format!("/v2/queues/{long}/messages"))
        .without("client-id");
    get.send().await?.expect("1.2", &[400])?;
    // A method that is not allowed is found out after the name.
    let post = context.request(Method::POST, format!("/v2/queues/{long}"));
    post.send().await?.expect("1.2", &[400]).map(drop)
}

async fn refusals_store_nothing(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let post = || queue.posting(&numbered(0..1, 300));
    let requests = vec![
        (post().header("accept", "text/html"), 406),
        (post().without("client-id"), 400),
        (post().without("x-project-id"), 400),
        (
            post().header("content-type", "application/x-www-form-urlencoded"),
            400,
        ),
    ];
    for (request, status) in requests {
        request.send().await?.expect("1.2", &[status])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("1.2", "no message", page.messages.is_empty())
}
