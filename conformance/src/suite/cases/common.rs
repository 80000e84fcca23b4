//! Contract 1, 3 and 14.2: headers, the error document, versions, ping, and projects apart.

use http::Method;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{
    Discovery, Metadata, Patch, Pop, Projects, Purge, QueueLists, UuidClients,
};
use crate::suite::steps::{EVERYTHING, Page, Queue, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    // Headers.
    case!(
        Must,
        "common/missing-client-id-is-refused",
        "1.3",
        missing_client_id_is_refused
    )
    .needs(&[QueueLists]),
    case!(
        Must,
        "common/too-short-client-id-is-refused",
        "1.3",
        too_short_client_id_is_refused
    )
    .needs(&[QueueLists]),
    case!(
        Should,
        "common/client-id-must-be-a-uuid",
        "1.3",
        client_id_must_be_a_uuid
    )
    .needs(&[QueueLists, UuidClients]),
    case!(
        Should,
        "common/client-id-spellings-are-one-client",
        "1.3",
        client_id_spellings
    )
    .disputed("every spelling of a UUID is accepted, and is one client"),
    case!(
        Must,
        "common/missing-project-is-refused",
        "1.3",
        missing_project_is_refused
    )
    .needs(&[Projects, QueueLists]),
    case!(
        Should,
        "common/project-has-at-most-256-characters",
        "1.3",
        project_length
    )
    .needs(&[Projects]),
    case!(
        Must,
        "common/accept-without-json-is-406",
        "1.3",
        accept_without_json
    ),
    case!(
        Should,
        "common/accept-with-wildcard-is-served",
        "1.3",
        accept_with_wildcard
    )
    .needs(&[Metadata])
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/url-encoded-body-is-refused",
        "1.2",
        url_encoded_body_is_refused
    )
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/answers-carry-a-request-id",
        "1.4",
        answers_carry_a_request_id
    )
    .needs(&[QueueLists])
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/locations-are-relative-paths",
        "1.4",
        locations_are_relative_paths
    )
    .provenance(Provenance::Observed),
    case!(
        Should,
        "common/errors-are-documents-with-a-title",
        "1.5",
        errors_have_a_title
    )
    .needs(&[Patch, QueueLists])
    .provenance(Provenance::Observed),
    // Versions and ping.
    case!(
        Should,
        "common/version-list-needs-no-headers",
        "3.1",
        version_list
    )
    .needs(&[Discovery]),
    case!(
        Should,
        "common/home-document-names-the-resources",
        "3.2",
        home_document
    )
    .needs(&[Discovery]),
    case!(Must, "common/ping-answers-204", "3.3", ping),
    case!(May, "common/head-of-ping-answers-204", "3.3", head_of_ping)
        .needs(&[Discovery, QueueLists])
        .provenance(Provenance::Observed),
    case!(May, "common/options-are-answered", "1.4", options)
        .needs(&[Discovery, QueueLists])
        .provenance(Provenance::Observed),
    // Projects.
    case!(
        Must,
        "common/projects-are-isolated",
        "14.2",
        projects_are_isolated
    )
    .needs(&[Projects, Purge, Pop])
    .guarantee("G14"),
    case!(
        Must,
        "common/dots-never-join-project-and-queue",
        "14.2",
        dots_never_join_project_and_queue
    )
    .needs(&[Projects, Metadata])
    .guarantee("G14"),
];

async fn missing_client_id_is_refused(context: Context) -> CaseResult {
    let request = context.get("/v2/queues").without("client-id");
    let reply = request.send().await?.expect("1.3", &[400])?;
    reply.expect_error_document()
}

/// Too short for the free-form mode as well, so this holds however the target is configured.
async fn too_short_client_id_is_refused(context: Context) -> CaseResult {
    let with = |id| context.get("/v2/queues").header("client-id", id);
    expect_each("1.3", &[400], vec![with(""), with("x")]).await?;
    context
        .get("/v2/queues")
        .send()
        .await?
        .expect("1.3", &[200, 204])
        .map(drop)
}

async fn client_id_must_be_a_uuid(context: Context) -> CaseResult {
    let with = |id| context.get("/v2/queues").header("client-id", id);
    let almost = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e1g";
    let requests = vec![with("a-client-of-mine"), with(almost)];
    expect_each("1.3", &[400], requests).await
}

async fn client_id_spellings(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let bare = context.client_id().replace('-', "").to_uppercase();
    let request = queue
        .posting(&numbered(0..1, 300))
        .header("client-id", &bare);
    request.send().await?.expect("1.3", &[201])?;
    let own = queue.list("").await?;
    own.reply
        .check("1.3", "own messages stay hidden", own.messages.is_empty())?;
    let others = queue.seen_by(&context.other_client()).list("").await?;
    others
        .reply
        .check("1.3", "another client sees it", others.messages.len() == 1)
}

async fn missing_project_is_refused(context: Context) -> CaseResult {
    let absent = context.get("/v2/queues").without("x-project-id");
    let empty = context.get("/v2/queues").header("x-project-id", "");
    expect_each("1.3", &[400], vec![absent, empty]).await
}

async fn project_length(context: Context) -> CaseResult {
    let with = |length: usize| {
        let project = format!("{:p<length$}", context.project());
        context.put("/v2/queues/q").header("x-project-id", &project)
    };
    with(256).send().await?.expect("1.3", &[201])?;
    with(257).send().await?.expect("1.3", &[400]).map(drop)
}

async fn accept_without_json(context: Context) -> CaseResult {
    let with = |accept| context.put("/v2/queues/q").header("accept", accept);
    expect_each("1.3", &[406], vec![with("text/html"), with("text/*")]).await?;
    // Refused means that nothing was done.
    with("application/json")
        .send()
        .await?
        .expect("1.3", &[201])
        .map(drop)
}

async fn accept_with_wildcard(context: Context) -> CaseResult {
    let with = |accept| context.get("/v2/queues/q").header("accept", accept);
    let absent = context.get("/v2/queues/q").without("accept");
    let requests = vec![absent, with("*/*"), with("application/*")];
    expect_each("1.3", &[200], requests).await?;
    let refused = with("application/json;q=0").send().await?;
    refused.expect("1.3", &[406]).map(drop)
}

async fn url_encoded_body_is_refused(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let form = "application/x-www-form-urlencoded";
    let request = queue
        .posting(&numbered(0..1, 300))
        .header("content-type", form);
    request.send().await?.expect("1.2", &[400])?;
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("1.2", "nothing is stored", page.messages.is_empty())
}

async fn answers_carry_a_request_id(context: Context) -> CaseResult {
    let first = context.get("/v2/queues").send().await?;
    let second = context.get("/v2/queues/q/messages/none").send().await?;
    let id = "x-openstack-request-id";
    for reply in [&first, &second] {
        let holds = reply.header(id).starts_with("req-");
        reply.check(
            "1.4",
            "an X-OpenStack-Request-Id that begins with req-",
            holds,
        )?;
    }
    let differ = first.header(id) != second.header(id);
    second.check("1.4", "a request id of its own", differ)
}

async fn locations_are_relative_paths(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let created = context.put("/v2/queues/q").send().await?;
    let posted = queue.post(&numbered(0..1, 300)).await?.reply;
    let claimed = queue.claim(60, 1).await?.reply;
    for reply in [created, posted, claimed] {
        let holds = reply.header("location").starts_with("/v2/queues/q");
        reply.check("1.4", "a Location that begins with /v2/queues/q", holds)?;
    }
    Ok(())
}

async fn errors_have_a_title(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    queue.claim(60, 1).await?;
    for (request, status) in [
        (context.get("/v2/queues?limit=0"), 400),
        (queue.posting_text("{"), 400),
        (queue.deleting(&id, ""), 403),
        (queue.getting("none"), 404),
        (context.get("/v2/queues/q/claims/none"), 404),
        (
            queue.patch(&json!([{ "op": "remove", "path": "/metadata/none" }])),
            409,
        ),
    ] {
        let reply = request.send().await?.expect("1.5", &[status])?;
        reply.expect_error_document()?;
    }
    Ok(())
}

async fn version_list(context: Context) -> CaseResult {
    let request = context
        .get("/")
        .without("client-id")
        .without("x-project-id");
    let reply = request.send().await?.expect("3.1", &[300])?;
    let document = reply.json("3.1")?;
    let is_v2 = |version: &Value| {
        let links = version["links"].as_array();
        let is_self = |link: &Value| link["rel"] == "self" && link["href"] == "/v2/";
        version["id"] == "2" && links.is_some_and(|links| links.iter().any(is_self))
    };
    let versions = document["versions"].as_array();
    let holds = versions.is_some_and(|versions| versions.iter().any(is_v2));
    reply.check("3.1", "a version `2` whose self link is /v2/", holds)
}

async fn home_document(context: Context) -> CaseResult {
    let reply = context.get("/v2/").send().await?.expect("3.2", &[200])?;
    let document = reply.json("3.2")?;
    for relation in ["queues", "queue", "messages", "claim", "ping"] {
        let resource = &document["resources"][format!("rel/{relation}")];
        let leads = |member: &str| resource[member].is_string();
        let expected = format!("a resource rel/{relation} with href or href-template");
        reply.check("3.2", &expected, leads("href-template") || leads("href"))?;
    }
    let bare = context.get("/v2/").without("client-id").send().await?;
    bare.expect("3.2", &[400]).map(drop)
}

async fn ping(context: Context) -> CaseResult {
    let reply = context
        .get("/v2/ping")
        .send()
        .await?
        .expect("3.3", &[204])?;
    reply.check("3.3", "no body", reply.body().is_empty())
}

async fn head_of_ping(context: Context) -> CaseResult {
    let head = |path| context.request(Method::HEAD, path);
    head("/v2/ping").send().await?.expect("3.3", &[204])?;
    head("/v2/queues")
        .send()
        .await?
        .expect("1.4", &[405])
        .map(drop)
}

async fn options(context: Context) -> CaseResult {
    let request = context.request(Method::OPTIONS, "/v2/queues");
    let reply = request.send().await?.expect("1.4", &[200, 204])?;
    reply.check("1.4", "an Allow header", reply.has_header("allow"))
}

/// What another project knows, the identifiers included, gets it nowhere.
async fn projects_are_isolated(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let stranger = format!("{}-stranger", context.project());
    let theirs = |request: crate::suite::Request| request.header("x-project-id", &stranger);
    // A queue of the same name, or nothing but its absence would be seen.
    let created = theirs(context.put(queue.at(""))).send().await?;
    created.expect("4.3", &[201])?;
    let mut unknown = vec![
        theirs(context.get(claim.path.clone())),
        theirs(context.patch(claim.path.clone(), &json!({ "ttl": 60 }))),
    ];
    unknown.extend(posted.ids.iter().map(|id| theirs(queue.getting(id))));
    expect_each("14.2", &[404], unknown).await?;

    let popped = theirs(context.delete(queue.at("/messages?pop=20")));
    let popped = popped.send().await?;
    let nothing = popped.json("14.2")?["messages"] == json!([]);
    popped.check("14.2", "nothing to pop in another project", nothing)?;
    let mut harmless = vec![
        theirs(context.delete(claim.path.clone())),
        theirs(queue.claiming(&json!({}), 20)),
    ];
    harmless.extend(posted.ids.iter().map(|id| theirs(queue.deleting(id, ""))));
    harmless.push(theirs(context.request(Method::POST, queue.at("/purge"))));
    harmless.push(theirs(context.delete(queue.at(""))));
    expect_each("14.2", &[204], harmless).await?;

    for id in &posted.ids {
        queue.get(id).await?;
    }
    context
        .get(claim.path)
        .send()
        .await?
        .expect("14.2", &[200])
        .map(drop)
}

/// Project `P` with queue `a.b` and project `P.a` with queue `b` read alike once joined by a dot.
async fn dots_never_join_project_and_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "a.b");
    queue.create(&json!({ "colour": "red" })).await?;
    let (id, _) = queue.post_one(300).await?;
    let stranger = format!("{}.a", context.project());
    let look_alike = Queue::new(&context, "b");
    let theirs = |request: crate::suite::Request| request.header("x-project-id", &stranger);
    let create = context
        .put(look_alike.at(""))
        .json(&json!({ "colour": "blue" }));
    theirs(create).send().await?.expect("14.2", &[201])?;
    let listing = theirs(context.get(look_alike.at(&format!("/messages{EVERYTHING}"))));
    let page = Page::read(listing.send().await?)?;
    page.reply
        .check("14.2", "no messages", page.messages.is_empty())?;
    let delete = theirs(context.delete(look_alike.at("")));
    delete.send().await?.expect("4.6", &[204])?;
    queue.get(&id).await?;
    let kept = queue.metadata().await?["colour"] == "red";
    page.reply
        .check("14.2", "the first queue's metadata as it was", kept)
}
