//! Contract 9: sharing access to a queue, and what a signature is good for.

use super::queues::expect_queues;
use crate::suite::capability::Capability::{self, PreSigned, QueueLists, Subscriptions};
use crate::suite::steps::{EVERYTHING, Queue, expect_each, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, Reply, Request, Stop, case};
use serde_json::{Value, json};

pub(super) const NEEDS: &[Capability] = &[PreSigned];

pub(super) const CASES: &[Case] = &[
    case!(Must, "signing/share-says-what-it-allows", "9.1", share_says)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "signing/same-share-has-the-same-signature",
        "9.2",
        deterministic
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "signing/share-has-defaults", "9.1", defaults)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "signing/one-instant-has-many-spellings",
        "9.1",
        spellings
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "signing/seconds-may-be-missing-or-have-fractions",
        "9.1",
        fractions
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "signing/dates-that-are-none-are-refused",
        "9.1",
        no_dates
    )
    .needs(NEEDS)
    .since(3),
    case!(
        Should,
        "signing/every-day-that-there-is-can-be-an-expiry",
        "9.1",
        last_days
    )
    .needs(NEEDS)
    .since(4),
    case!(
        Should,
        "signing/almost-dates-are-refused",
        "9.1",
        almost_dates
    )
    .needs(NEEDS)
    .disputed("what is not quite a date is none, be it that a lenient reader makes one of it")
    .since(4),
    case!(Must, "signing/bad-share-is-refused", "9.1", bad_shares)
        .needs(NEEDS)
        .since(2),
    case!(
        Should,
        "signing/share-is-an-object-of-strings",
        "9.1",
        bad_types
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "signing/sharing-creates-no-queue",
        "4.1",
        creates_nothing
    )
    .needs(&[PreSigned, QueueLists])
    .provenance(Provenance::Observed)
    .since(2),
    case!(Must, "signing/signed-requests-are-served", "9.3", served)
        .needs(NEEDS)
        .since(2),
    case!(Must, "signing/signature-covers-what-is-below", "9.3", below)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "signing/each-resource-can-be-shared",
        "9.1",
        resources
    )
    .needs(&[PreSigned, Subscriptions])
    .since(2),
];

/// What was shared, with its signature.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) paths: Vec<String>,
    pub(super) methods: Vec<String>,
    pub(super) expires: String,
    pub(super) signature: String,
}

impl Grant {
    pub(super) fn read(reply: &Reply) -> Result<Self, Stop> {
        let document = reply.json("9.1")?;
        let words = |name: &str| {
            let all = document[name].as_array()?;
            all.iter()
                .map(|one| Some(one.as_str()?.to_owned()))
                .collect::<Option<Vec<_>>>()
        };
        let text = |name: &str| document[name].as_str().map(str::to_owned);
        match (
            words("paths"),
            words("methods"),
            text("expires"),
            text("signature"),
        ) {
            (Some(paths), Some(methods), Some(expires), Some(signature)) => Ok(Self {
                paths,
                methods,
                expires,
                signature,
            }),
            _ => Err(reply.refuse("9.1", "paths, methods, expires and signature")),
        }
    }

    /// `request` with the grant in its headers.
    pub(super) fn sign(&self, request: Request) -> Request {
        request
            .header("url-signature", &self.signature)
            .header("url-expires", &self.expires)
            .header("url-methods", &self.methods.join(","))
            .header("url-paths", &self.paths.join(","))
    }
}

pub(super) fn sharing(context: &Context, queue: &Queue, body: &Value) -> Request {
    context.post(queue.at("/share"), body)
}

pub(super) async fn share(context: &Context, queue: &Queue, body: &Value) -> Result<Grant, Stop> {
    let reply = sharing(context, queue, body).send().await?;
    Grant::read(&reply.expect("9.1", &[200])?)
}

/// A grant to read and write the messages of a queue with one message.
pub(super) async fn messages(context: &Context) -> Result<(Queue, Grant), Stop> {
    let queue = Queue::new(context, "q");
    queue.post_one(300).await?;
    let body = json!({ "paths": ["messages"], "methods": ["GET", "POST"] });
    let grant = share(context, &queue, &body).await?;
    Ok((queue, grant))
}

async fn share_says(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = json!({
        "paths": ["subscriptions", "messages"], "methods": ["POST", "GET"],
        "expires": "2999-12-31T23:59:59",
    });
    let reply = sharing(&context, &queue, &body)
        .send()
        .await?
        .expect("9.1", &[200])?;
    let grant = Grant::read(&reply)?;
    let paths = ["messages", "subscriptions"].map(|path| queue.at(&format!("/{path}")));
    reply.check("9.1", "the sorted full paths", grant.paths == paths)?;
    reply.check(
        "9.1",
        "the sorted methods",
        grant.methods == ["GET", "POST"],
    )?;
    let expires = grant.expires == "2999-12-31T23:59:59";
    reply.check("9.1", "the expiry as it was given", expires)?;
    let project = reply.json("9.1")?["project"] == context.project();
    reply.check("9.1", "the project", project)?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let signature = grant.signature.len() == 64 && grant.signature.bytes().all(hex);
    reply.check(
        "9.2",
        "a signature of 64 lower-case hexadecimal digits",
        signature,
    )
}

async fn deterministic(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = |expires: &str, methods: Value| json!({ "paths": ["messages"], "methods": methods, "expires": expires });
    let one = share(
        &context,
        &queue,
        &body("2999-01-01T00:00:00", json!(["GET", "PUT"])),
    )
    .await?;
    let request = sharing(
        &context,
        &queue,
        &body("2999-01-01T01:00:00+01:00", json!(["PUT", "GET"])),
    );
    let reply = request.send().await?.expect("9.1", &[200])?;
    let same = Grant::read(&reply)?.signature == one.signature;
    reply.check(
        "9.2",
        "the signature of the same grant, said otherwise",
        same,
    )?;
    let request = sharing(
        &context,
        &queue,
        &body("2999-01-01T00:00:01", json!(["GET", "PUT"])),
    );
    let reply = request.send().await?.expect("9.1", &[200])?;
    let other = Grant::read(&reply)?.signature != one.signature;
    reply.check("9.2", "another signature for another expiry", other)
}

async fn defaults(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let reply = sharing(&context, &queue, &json!({}))
        .send()
        .await?
        .expect("9.1", &[200])?;
    let grant = Grant::read(&reply)?;
    let sane = !grant.paths.is_empty() && !grant.methods.is_empty();
    reply.check("9.1", "paths and methods", sane)?;
    let listing = grant.sign(context.get(queue.at("/messages?echo=true")));
    let may_list = grant.paths.contains(&queue.at("/messages"))
        && grant.methods.iter().any(|method| method == "GET");
    let expected: &[u16] = if may_list { &[200] } else { &[404] };
    listing.send().await?.expect("9.3", expected).map(drop)
}

/// Demands that each expiry is granted, and shown so.
async fn expect_shown(context: &Context, expiries: &[(&str, &str)]) -> CaseResult {
    let queue = Queue::new(context, "q");
    for (given, shown) in expiries {
        let body = json!({ "paths": ["messages"], "methods": ["GET"], "expires": given });
        let reply = sharing(context, &queue, &body).send().await?;
        let reply = reply.expect("9.1", &[200])?;
        let grant = Grant::read(&reply)?;
        let expected = format!("the expiry as {shown}");
        reply.check("9.1", &expected, grant.expires == *shown)?;
    }
    Ok(())
}

/// ISO 8601: offsets to either side and in each of their forms, across midnight, leap days and the ends
/// of years; a date alone is its first instant.
async fn spellings(context: Context) -> CaseResult {
    let expiries = [
        ("2104-02-28T23:30:00-01:00", "2104-02-29T00:30:00"),
        ("2104-03-01T00:15:00+00:30", "2104-02-29T23:45:00"),
        ("2100-02-28T23:59:59-0001", "2100-03-01T00:00:59"),
        ("2099-12-31T22:00:00-02", "2100-01-01T00:00:00"),
        ("2101-01-01T05:29:59+05:30", "2100-12-31T23:59:59"),
        ("2104-02-29", "2104-02-29T00:00:00"),
        ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59"),
    ];
    expect_shown(&context, &expiries).await
}

/// The expiry is shown in whole seconds: it must not be later than what was asked for.
async fn fractions(context: Context) -> CaseResult {
    let expiries = [
        ("2999-07-31T12:30", "2999-07-31T12:30:00"),
        ("2999-07-31T12:30:05.999", "2999-07-31T12:30:05"),
        ("2999-07-31T23:59:59.5+00:30", "2999-07-31T23:29:59"),
    ];
    expect_shown(&context, &expiries).await
}

async fn no_dates(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let texts = [
        "2999-13-01T00:00:00",
        "2999-00-01T00:00:00",
        "2999-04-31T00:00:00",
        "2999-02-29T00:00:00",
        "2999-01-00T00:00:00",
        "2999-01-01T24:30:00",
        "2999-01-01T00:60:00",
        "2999-01-01T00:00:00.x",
        "2999-01-01T00:00:00+25:00",
        "2999-01-01T00:00:00 and more",
        "",
    ];
    let bodies = texts.map(|text| json!({ "expires": text }));
    let requests = bodies.iter().map(|body| sharing(&context, &queue, body));
    expect_each("9.1", &[400], requests.collect()).await
}

/// The calendar repeats after 400 years, whose last day is a leap day. Years have four digits.
async fn last_days(context: Context) -> CaseResult {
    let expiries = [
        ("2399-12-31T23:59:59", "2399-12-31T23:59:59"),
        ("2400-02-29T12:00:00", "2400-02-29T12:00:00"),
        ("2400-03-01T00:30:00+01:00", "2400-02-29T23:30:00"),
        ("2999-06-30", "2999-06-30T00:00:00"),
        ("2999-09-01T21:43:50,25", "2999-09-01T21:43:50"),
        ("9999-12-31T23:59:59", "9999-12-31T23:59:59"),
    ];
    expect_shown(&context, &expiries).await
}

async fn almost_dates(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let texts = [
        "2999-02-30",
        "2999-01-32T00:00:00",
        "2999-01-01-01",
        "2999-01-01T1:30:00",
        "2999-01-01T00:00:61",
        "2999-01-01T00:00:00:00",
        "2999-01-01T00:00:00.",
        "2999-01-01T00:00:00+24:00",
        "2999-01-01T00:00:00+00:60",
        "2999-01-01T00:00:00+05:",
        "2999-01-01T00:00:00+",
    ];
    let bodies = texts.map(|text| json!({ "expires": text }));
    let requests = bodies.iter().map(|body| sharing(&context, &queue, body));
    expect_each("9.1", &[400], requests.collect()).await
}

async fn bad_shares(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let bodies = [
        json!({ "paths": ["queues"] }),
        json!({ "paths": ["messages", "stats"] }),
        json!({ "methods": "GET" }),
        json!({ "expires": 3_600 }),
        json!({ "expires": "3600" }),
        json!({ "expires": "2001-01-01T00:00:00" }),
        json!({ "expires": "tomorrow" }),
        json!({ "colour": "red" }),
    ];
    let requests = bodies.iter().map(|body| sharing(&context, &queue, body));
    expect_each("9.1", &[400], requests.collect()).await
}

async fn bad_types(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let bodies = [
        json!([]),
        json!("x"),
        json!(null),
        json!({ "methods": [5] }),
        json!({ "paths": "messages" }),
        json!({ "expires": true }),
    ];
    let mut requests: Vec<Request> = bodies
        .iter()
        .map(|body| sharing(&context, &queue, body))
        .collect();
    requests.extend(["", "{"].map(|text| sharing(&context, &queue, &Value::Null).body(text)));
    expect_each("9.1", &[400], requests).await
}

async fn creates_nothing(context: Context) -> CaseResult {
    share(&context, &Queue::new(&context, "q"), &json!({})).await?;
    expect_queues(&context, "4.1", &[]).await
}

async fn served(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let post = grant
        .sign(queue.posting(&numbered(1..2, 300)))
        .send()
        .await?;
    post.expect("9.3", &[201])?;
    let listing = context.get(queue.at(&format!("/messages{EVERYTHING}")));
    let listing = grant.sign(listing).send().await?.expect("9.3", &[200])?;
    let all = crate::suite::steps::messages(&listing, "5.4")?;
    // A page may be short.
    let some = (1..=2).contains(&all.len());
    listing.check("9.3", "two messages, or one of them", some)?;
    let page = queue.whole(EVERYTHING, 2).await?;
    page.reply
        .check("9.3", "both messages", page.messages.len() == 2)
}

async fn below(context: Context) -> CaseResult {
    let (queue, grant) = messages(&context).await?;
    let posted = queue.post(&numbered(1..2, 300)).await?;
    for id in &posted.ids {
        grant
            .sign(queue.getting(id))
            .send()
            .await?
            .expect("9.3", &[200])?;
    }
    let unknown = queue.getting(super::claims::UNKNOWN);
    grant
        .sign(unknown)
        .send()
        .await?
        .expect("9.3", &[404])
        .map(drop)
}

async fn resources(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post_one(300).await?;
    let methods = ["GET", "POST", "DELETE", "PATCH"];
    for (path, request) in [
        (
            "claims",
            queue.claiming(&json!({ "ttl": 60, "grace": 60 }), 1),
        ),
        ("subscriptions", context.get(queue.at("/subscriptions"))),
        ("messages", context.get(queue.at("/messages"))),
    ] {
        let body = json!({ "paths": [path], "methods": methods });
        let grant = share(&context, &queue, &body).await?;
        grant
            .sign(request)
            .send()
            .await?
            .expect("9.3", &[200, 201])?;
    }
    Ok(())
}
