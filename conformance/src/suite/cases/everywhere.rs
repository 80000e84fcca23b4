//! Contract 1, 4.7 and 5.1, asked of every path: what holds for requests and answers whatever they are about.

use http::Method;
use serde_json::{Value, json};

use super::details::say_that_they_are_json;
use super::queues::expect_queues;
use super::subscriptions::NOWHERE;
use crate::href::is_same;
use crate::suite::capability::Capability::{
    self, Bulk, Discovery, Metadata, Patch, Pop, PreSigned, Projects, Purge, QueueLists, Stats,
    Subscriptions,
};
use crate::suite::steps::{Message, Queue, expect_each, messages, numbered};
use crate::suite::subscriber::{confirming, listed, subscribe_uri, subscribing};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Request, case};

/// What all these paths are there with.
const NEEDS: &[Capability] = &[
    QueueLists,
    Metadata,
    Patch,
    Stats,
    Purge,
    Bulk,
    Subscriptions,
];

pub(super) const CASES: &[Case] = &[
    case!(
        Should,
        "common/wrong-method-is-told-the-allowed-ones-everywhere",
        "1.4",
        allowed_methods
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(5),
    case!(
        Must,
        "common/headers-are-needed-everywhere",
        "1.3",
        needed_headers
    )
    .needs(&[
        QueueLists,
        Metadata,
        Patch,
        Stats,
        Purge,
        Bulk,
        Subscriptions,
        Projects,
    ])
    .since(5),
    case!(
        Must,
        "common/malformed-json-is-refused-everywhere",
        "1.7",
        malformed_bodies
    )
    .needs(NEEDS)
    .since(5),
    case!(
        Should,
        "common/scalars-are-refused-everywhere",
        "1.7",
        scalar_bodies
    )
    .needs(NEEDS)
    .since(5),
    case!(
        Should,
        "common/json-answers-of-every-path-say-that-they-are",
        "1.4",
        media_types
    )
    .needs(&[
        Discovery,
        QueueLists,
        Metadata,
        Patch,
        Stats,
        Bulk,
        Pop,
        Subscriptions,
    ])
    .since(5),
    case!(
        Must,
        "messages/every-answer-shows-the-same",
        "5.1",
        shown_alike
    )
    .needs(&[Bulk, Pop])
    .since(5),
    case!(
        Should,
        "queues/stats-lead-to-messages-without-their-claim",
        "4.7",
        stats_of_claimed
    )
    .needs(&[Stats])
    .since(5),
];

/// A path, the methods that it has, and one that it lacks.
type Route = (String, &'static [&'static str], Method);

/// All paths of queues.
fn routes(context: &Context, queue: &Queue) -> Vec<Route> {
    let route = |rest: &str, methods: &'static [&'static str], wrong: Method| -> Route {
        (queue.at(rest), methods, wrong)
    };
    let mut routes = vec![
        route("", &["GET", "PUT", "PATCH", "DELETE"], Method::POST),
        route("/stats", &["GET"], Method::PUT),
        route("/purge", &["POST"], Method::GET),
        route("/messages", &["GET", "POST", "DELETE"], Method::PUT),
        route("/messages/none", &["GET", "DELETE"], Method::PUT),
        route("/claims", &["POST"], Method::GET),
        route("/claims/none", &["GET", "PATCH", "DELETE"], Method::PUT),
        route("/subscriptions", &["GET", "POST"], Method::DELETE),
        route(
            "/subscriptions/none",
            &["GET", "PATCH", "DELETE"],
            Method::PUT,
        ),
        route("/subscriptions/none/confirm", &["PUT"], Method::GET),
        ("/v2/queues".to_owned(), &["GET"], Method::POST),
    ];
    if context.offers(PreSigned) {
        routes.push(route("/share", &["POST"], Method::GET));
    }
    routes
}

async fn allowed_methods(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for (path, methods, wrong) in routes(&context, &queue) {
        let reply = context.request(wrong.clone(), path).send().await?;
        let reply = reply.expect("1.4", &[405])?;
        let allowed = reply.header_list("allow");
        let names = |method: &str| allowed.iter().any(|word| word == method);
        let told = methods.iter().copied().all(names) && !names(wrong.as_str());
        let expected = format!("an Allow header with {methods:?} and without {wrong}");
        reply.check("1.4", &expected, told)?;
    }
    Ok(())
}

/// One request for each thing that can be done. With the headers that they have, each is fine, or is about what is
/// not there.
fn requests(context: &Context, queue: &Queue) -> Vec<Request> {
    let post = |rest: &str| context.request(Method::POST, queue.at(rest));
    let mut requests = vec![
        context.get("/v2/queues"),
        context.put(queue.at("")),
        context.get(queue.at("")),
        queue.patch(&json!([])),
        context.get(queue.at("/stats")),
        post("/purge"),
        queue.posting(&numbered(0..1, 300)),
        context.get(queue.at("/messages")),
        context.get(queue.at("/messages?ids=none")),
        context.delete(queue.at("/messages?ids=none")),
        queue.getting("none"),
        queue.deleting("none", ""),
        queue.claiming(&json!({}), 1),
        context.get(queue.at("/claims/none")),
        context.patch(queue.at("/claims/none"), &json!({ "ttl": 60 })),
        context.delete(queue.at("/claims/none")),
        subscribing(
            context,
            queue,
            &json!({ "subscriber": NOWHERE, "ttl": 300 }),
        ),
        context.get(queue.at("/subscriptions")),
        context.get(queue.at("/subscriptions/none")),
        context.patch(queue.at("/subscriptions/none"), &json!({ "ttl": 60 })),
        context.delete(queue.at("/subscriptions/none")),
        context
            .put(queue.at("/subscriptions/none/confirm"))
            .json(&json!({ "confirmed": true })),
        context.delete(queue.at("")),
    ];
    if context.offers(PreSigned) {
        requests.push(post("/share").json(&json!({})));
    }
    requests
}

/// Refused for what the headers lack, and before anything else.
async fn needed_headers(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let all = || requests(&context, &queue).into_iter();
    let anonymous = all().map(|request| request.without("client-id"));
    expect_each("1.3", &[400], anonymous.collect()).await?;
    let short = all().map(|request| request.header("client-id", "7"));
    expect_each("1.3", &[400], short.collect()).await?;
    let homeless = all().map(|request| request.without("x-project-id"));
    expect_each("1.3", &[400], homeless.collect()).await?;
    let picky = all().map(|request| request.header("accept", "text/html"));
    expect_each("1.3", &[406], picky.collect()).await?;
    expect_queues(&context, "1.3", &[]).await
}

async fn malformed_bodies(context: Context) -> CaseResult {
    refuse_everywhere(&context, &["{", "{} {}", "{'a': 1}", "\u{feff}{}"]).await
}

/// They are JSON, and nothing can be made of them.
async fn scalar_bodies(context: Context) -> CaseResult {
    refuse_everywhere(&context, &["null", "5", "true", "\"text\""]).await
}

/// Demands that each of these texts is refused wherever a document is expected, and that all stays as it was.
async fn refuse_everywhere(context: &Context, texts: &[&'static str]) -> CaseResult {
    let queue = Queue::new(context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let subscribed = subscribe_uri(context, &queue, NOWHERE).await?;
    let other = Queue::new(context, "other");
    for &text in texts {
        let mut requests = vec![
            context.put(other.at("")),
            other.posting(&Value::Null),
            queue.patch(&Value::Null),
            queue.claiming(&Value::Null, 20),
            context.patch(claim.path.clone(), &Value::Null),
            context.post(queue.at("/purge"), &Value::Null),
            subscribing(context, &other, &Value::Null),
            context.patch(subscribed.path.clone(), &Value::Null),
            confirming(context, &subscribed, &Value::Null),
        ];
        if context.offers(PreSigned) {
            requests.push(context.post(queue.at("/share"), &Value::Null));
        }
        let bad = requests.into_iter().map(|request| request.body(text));
        expect_each("1.7", &[400], bad.collect()).await?;
    }
    let kept = queue.metadata().await?["colour"] == "red";
    let held = context.get(claim.path.clone()).send().await?;
    let held = messages(&held.expect("6.4", &[200])?, "6.4")?;
    let page = queue.list("?echo=true").await?;
    let free = queue.claim(60, 20).await?;
    let (subscriptions, _) = listed(context, &queue).await?;
    let same = kept
        && held.len() == 1
        && page.messages.len() == 1
        && free.messages.len() == 1
        && subscriptions.len() == 1
        && subscriptions[0]["ttl"] == 600;
    page.reply.check("1.7", "everything as it was", same)
}

async fn media_types(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "colour": "red" })).await?;
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let claim = queue.claim(300, 1).await?;
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let ids = posted.ids.join(",");
    let mut requests = vec![
        (context.get("/"), 300),
        (context.get("/v2/queues"), 200),
        (context.get("/v2/queues?detailed=true"), 200),
        (queue.patch(&json!([])), 200),
        (context.get(queue.at("/stats")), 200),
        (context.get(queue.at(&format!("/messages?ids={ids}"))), 200),
        (queue.getting(&posted.ids[0]), 200),
        (context.get(claim.path.clone()), 200),
        (context.delete(queue.at("/messages?pop=1")), 200),
        (context.get(queue.at("/subscriptions")), 200),
        (context.get(subscribed.path.clone()), 200),
        (context.get(queue.at("/subscriptions/none")), 404),
        (context.get(queue.at("/claims/none")), 404),
        (context.get(queue.at("/subscriptions?limit=0")), 400),
        (context.get("/v2/queues?limit=0"), 400),
    ];
    if context.offers(PreSigned) {
        let share = context.post(queue.at("/share"), &json!({}));
        requests.push((share, 200));
    }
    let mut replies = vec![subscribed.reply];
    for (request, status) in requests {
        replies.push(request.send().await?.expect("1.4", &[status])?);
    }
    say_that_they_are_json(&replies)
}

/// What every answer shows of a message: its id, href and body.
type Wanted<'a> = (&'a str, &'a str, &'a Value);

/// Demands that this is the message alone.
fn expect_alike(reply: &Reply, shown: &[Message], (id, href, body): Wanted<'_>) -> CaseResult {
    let same = |message: &Message| {
        message.id == id
            && is_same(&message.href, href)
            && message.ttl == 300
            && (0.0..60.0).contains(&message.age)
            && message.body == *body
    };
    let expected = format!("{id} alone, with ttl 300, a small age, its body and the href {href}");
    reply.check("5.1", &expected, shown.len() == 1 && shown.iter().all(same))
}

/// Demands the message in the answers to requests for it and for a list of ids.
async fn expect_answers(context: &Context, queue: &Queue, wanted: Wanted<'_>) -> CaseResult {
    let list = context.get(queue.at(&format!("/messages?ids={}", wanted.0)));
    let reply = list.send().await?.expect("5.5", &[200])?;
    expect_alike(&reply, &messages(&reply, "5.5")?, wanted)?;
    let reply = queue.getting(wanted.0).send().await?;
    let reply = reply.expect("5.6", &[200])?;
    expect_alike(&reply, &[queue.get(wanted.0).await?], wanted)
}

async fn shown_alike(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = json!({ "a": [1, null, "x"] });
    let posted = queue.post(&json!([{ "ttl": 300, "body": body }])).await?;
    let id = posted.ids.first().map(String::as_str).unwrap_or_default();
    let free = queue.at(&format!("/messages/{id}"));
    let page = queue.list("?echo=true").await?;
    expect_alike(&page.reply, &page.messages, (id, &free, &body))?;
    expect_answers(&context, &queue, (id, &free, &body)).await?;
    let claim = queue.claim(120, 1).await?;
    let held = format!("{free}?claim_id={}", claim.id);
    expect_alike(&claim.reply, &claim.messages, (id, &held, &body))?;
    let reply = context.get(claim.path.clone()).send().await?;
    let reply = reply.expect("6.4", &[200])?;
    expect_alike(&reply, &messages(&reply, "6.4")?, (id, &held, &body))?;
    expect_answers(&context, &queue, (id, &held, &body)).await?;
    let release = context.delete(claim.path).send().await?;
    release.expect("6.6", &[204])?;
    // An answer to a pop has no href.
    let (popped, reply) = queue.pop(1).await?;
    let same = popped.len() == 1
        && popped[0].id == id
        && popped[0].ttl == 300
        && (0.0..60.0).contains(&popped[0].age)
        && popped[0].body == body;
    reply.check("5.8", "the same id, ttl and body, and a small age", same)
}

/// Whether this reads like 2026-11-22T07:18:51Z.
fn is_utc(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:ddZ";
    let fits = |(is, wanted): (char, char)| match wanted {
        'd' => is.is_ascii_digit(),
        sign => is == sign,
    };
    text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(fits)
}

/// They may come late, for nobody promises that they are exact.
async fn stats_of_claimed(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    queue.claim(120, 1).await?;
    let href = queue.at(&format!("/messages/{id}"));
    let one = |stats: &Value| stats["claimed"] == 1;
    let reply = queue
        .expect_stats("4.7", "one claimed message", one)
        .await?;
    let stats = &reply.json("4.7")?["messages"];
    let exact = ["oldest", "newest"].iter().all(|end| {
        let one = &stats[*end];
        let young = one["age"].as_f64().is_some_and(|age| age < 60.0);
        let leads = one["href"]
            .as_str()
            .is_some_and(|there| is_same(there, &href));
        leads && young && one["created"].as_str().is_some_and(is_utc)
    });
    let expected = format!("`oldest` and `newest`: {href} with `created` in UTC and `age`");
    reply.check("4.7", &expected, exact)
}
