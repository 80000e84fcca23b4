//! Contract 8.1 and 8.2: who can be subscribed, on which terms, and how a subscription is shown.

use serde_json::{Value, json};

use super::queues::expect_queues;
use crate::suite::capability::Capability::{self, Metadata, QueueLists, Subscriptions};
use crate::suite::steps::{Queue, expect_each};
use crate::suite::subscriber::{
    Subscribed, confirming, listed, shown, subscribe_uri, subscribe_with, subscribing,
};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

const NEEDS: &[Capability] = &[Subscriptions];

/// Where nobody listens: cases about the API alone post no message.
pub(super) const NOWHERE: &str = "http://127.0.0.1:9/nobody";

pub(super) const CASES: &[Case] = &[
    case!(Must, "subscriptions/granted-one-has-an-id", "8.2", granted)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "subscriptions/shown-as-documented",
        "8.1",
        shown_as_documented
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/subscriber-is-required",
        "8.2",
        subscriber_is_required
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/subscriber-has-a-known-scheme",
        "8.2",
        known_scheme
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "subscriptions/subscriber-is-a-uri",
        "8.2",
        subscriber_is_a_uri
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/subscriber-is-kept-as-it-is",
        "8.1",
        odd_subscribers
    )
    .needs(NEEDS)
    .since(2),
    case!(Must, "subscriptions/ttl-is-at-least-60", "8.2", ttl_range)
        .needs(NEEDS)
        .since(2),
    case!(
        Must,
        "subscriptions/ttl-ends-before-the-year-10000",
        "8.2",
        far_ttl
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "subscriptions/ttl-is-an-integer",
        "8.2",
        ttl_is_an_integer
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "subscriptions/ttl-is-an-hour-by-default",
        "2",
        default_ttl
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/options-are-an-object",
        "8.2",
        options_are_an_object
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "subscriptions/options-are-no-falsy-value",
        "8.2",
        options_are_not_falsy
    )
    .needs(NEEDS)
    .disputed("400; the code lets empty values of other types pass")
    .since(2),
    case!(
        Should,
        "subscriptions/retry-policy-is-validated",
        "8.6",
        retry_policies
    )
    .needs(&[Subscriptions, Metadata])
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Should,
        "subscriptions/body-is-an-object",
        "8.2",
        body_is_an_object
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "subscriptions/unknown-members-are-dropped",
        "1.7",
        unknown_members
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Must,
        "subscriptions/subscriber-has-one-subscription",
        "8.2",
        one_subscription
    )
    .guarantee("G16")
    .needs(NEEDS)
    .since(2),
    case!(
        Should,
        "subscriptions/subscribing-again-changes-nothing",
        "8.2",
        again
    )
    .needs(NEEDS)
    .provenance(Provenance::Observed)
    .since(2),
    case!(
        Must,
        "subscriptions/confirmed-subscriber-is-refused-again",
        "8.2",
        confirmed_again
    )
    .guarantee("G16")
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/subscriber-may-have-many-queues",
        "8.1",
        many_queues
    )
    .needs(NEEDS)
    .since(2),
    case!(
        Must,
        "subscriptions/subscribing-creates-the-queue",
        "4.1",
        creates_the_queue
    )
    .needs(&[Subscriptions, QueueLists])
    .since(2),
    case!(
        Should,
        "subscriptions/refused-one-creates-no-queue",
        "8.2",
        refusal_creates_nothing
    )
    .needs(&[Subscriptions, QueueLists])
    .disputed("only a success creates the queue; the code creates it before it looks")
    .since(2),
];

/// Demands that each body is refused, and then that nobody is subscribed.
async fn refuses(context: &Context, bodies: &[Value]) -> CaseResult {
    let queue = Queue::new(context, "q");
    let requests = bodies.iter().map(|body| subscribing(context, &queue, body));
    expect_each("8.2", &[400], requests.collect()).await?;
    let (all, reply) = listed(context, &queue).await?;
    reply.check("8.2", "no subscription", all.is_empty())
}

/// What is asked for, with this member in place of its own.
fn with(member: &str, value: &Value) -> Value {
    let mut body = json!({ "subscriber": NOWHERE, "ttl": 600, "options": {} });
    body[member] = value.clone();
    body
}

async fn granted(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_uri(&context, &queue, NOWHERE).await?;
    let location = subscribed.reply.header("location");
    let leads = location.starts_with(&queue.at("/subscriptions"));
    let expected = "a Location that is a path of the queue's subscriptions";
    subscribed.reply.check("8.2", expected, leads)?;
    let id = shown(&context, &subscribed).await?["id"] == *subscribed.id;
    subscribed
        .reply
        .check("8.1", "a subscription with the id given out", id)
}

async fn shown_as_documented(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let options = json!({ "post_headers": { "X-Colour": "red" }, "anything": [1, null] });
    let body = json!({ "subscriber": NOWHERE, "ttl": 120, "options": options });
    let subscribed = subscribe_with(&context, &queue, &body).await?;
    let reply = context
        .get(subscribed.path)
        .send()
        .await?
        .expect("8.3", &[200])?;
    let document = reply.json("8.1")?;
    let (all, listing) = listed(&context, &queue).await?;
    let first = all.into_iter().next().unwrap_or_default();
    for (document, reply) in [(&document, &reply), (&first, &listing)] {
        let says = |member: &str, value: Value| document[member] == value;
        let same = says("id", json!(subscribed.id))
            && says("subscriber", json!(NOWHERE))
            && says("ttl", json!(120))
            && says("options", options.clone());
        reply.check("8.1", "id, subscriber, ttl and options as given", same)?;
        let source = document["source"].as_str().unwrap_or_default();
        reply.check("8.1", "the queue as `source`", source.ends_with('q'))?;
        let young = document["age"]
            .as_f64()
            .is_some_and(|age| (0.0..60.0).contains(&age));
        reply.check("8.1", "an `age` in seconds", young)?;
        let flag = document["confirmed"].is_boolean();
        reply.check("8.1", "`confirmed`: a boolean", flag)?;
    }
    Ok(())
}

async fn subscriber_is_required(context: Context) -> CaseResult {
    refuses(
        &context,
        &[json!({}), json!({ "ttl": 600 }), json!({ "options": {} })],
    )
    .await
}

async fn known_scheme(context: Context) -> CaseResult {
    let uris = [
        "ftp://127.0.0.1/x",
        "file:///etc/hosts",
        "gopher://127.0.0.1",
        "127.0.0.1:9",
    ];
    refuses(&context, &uris.map(|uri| with("subscriber", &json!(uri)))).await
}

async fn subscriber_is_a_uri(context: Context) -> CaseResult {
    let wrong = [
        json!(""),
        json!(null),
        json!(5),
        json!([NOWHERE]),
        json!({}),
        json!(true),
    ];
    refuses(&context, &wrong.map(|value| with("subscriber", &value))).await
}

async fn odd_subscribers(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for uri in [
        "http://127.0.0.1:9/?a=1&b=%20x&a=2",
        "http://127.0.0.1:9/UPPER/lower/%C3%A9",
        "http://127.0.0.1:9/a.b-c_d~e/",
        "http://127.0.0.1:9/a.b-c_d~e",
    ] {
        let subscribed = subscribe_uri(&context, &queue, uri).await?;
        let same = shown(&context, &subscribed).await?["subscriber"] == uri;
        subscribed
            .reply
            .check("8.1", &format!("the subscriber {uri}"), same)?;
    }
    let (all, reply) = listed(&context, &queue).await?;
    reply.check(
        "8.1",
        "four subscribers, for all URIs differ",
        all.len() == 4,
    )
}

async fn ttl_range(context: Context) -> CaseResult {
    refuses(
        &context,
        &[59, 1, -1, -60].map(|ttl| with("ttl", &json!(ttl))),
    )
    .await?;
    let queue = Queue::new(&context, "ok");
    for (number, ttl) in [60, 61, 315_360_000].into_iter().enumerate() {
        let uri = format!("{NOWHERE}/{number}");
        let body = json!({ "subscriber": uri, "ttl": ttl });
        let subscribed = subscribe_with(&context, &queue, &body).await?;
        let same = shown(&context, &subscribed).await?["ttl"] == ttl;
        subscribed
            .reply
            .check("8.2", &format!("a ttl of {ttl}"), same)?;
    }
    Ok(())
}

async fn far_ttl(context: Context) -> CaseResult {
    let far = [1_000_000_000_000_i64, i64::MAX / 1_000, i64::MAX];
    refuses(&context, &far.map(|ttl| with("ttl", &json!(ttl)))).await
}

async fn ttl_is_an_integer(context: Context) -> CaseResult {
    let wrong = [
        json!("600"),
        json!(600.5),
        json!(null),
        json!(true),
        json!([600]),
        json!(0),
        json!(""),
    ];
    refuses(&context, &wrong.map(|value| with("ttl", &value))).await
}

async fn default_ttl(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let subscribed = subscribe_with(&context, &queue, &json!({ "subscriber": NOWHERE })).await?;
    let document = shown(&context, &subscribed).await?;
    subscribed
        .reply
        .check("2", "a ttl of 3600", document["ttl"] == 3_600)?;
    subscribed
        .reply
        .check("8.2", "empty options", document["options"] == json!({}))
}

async fn options_are_an_object(context: Context) -> CaseResult {
    let wrong = [json!("x"), json!(5), json!([1]), json!(true)];
    refuses(&context, &wrong.map(|value| with("options", &value))).await
}

async fn options_are_not_falsy(context: Context) -> CaseResult {
    let wrong = [json!(""), json!(0), json!([]), json!(false)];
    refuses(&context, &wrong.map(|value| with("options", &value))).await
}

/// As metadata of a queue, and as an option of a subscription.
async fn retry_policies(context: Context) -> CaseResult {
    let wrong = [
        json!({ "retry_backoff_function": "quadratic" }),
        json!({ "retries_with_no_delay": "3" }),
        json!({ "minimum_delay": 2.5 }),
        json!({ "minimum_delay": 30, "maximum_delay": 5 }),
        json!({ "minimum_delay": 5, "maximum_delay": 14 }),
        json!({ "ignore_subscription_override": "yes" }),
    ];
    let bodies: Vec<Value> = wrong
        .iter()
        .map(|policy| with("options", &json!({ "_retry_policy": policy })))
        .collect();
    refuses(&context, &bodies).await?;
    let queue = Queue::new(&context, "q2");
    let puts = wrong.iter().map(|policy| {
        context
            .put(queue.at(""))
            .json(&json!({ "_retry_policy": policy }))
    });
    expect_each("8.6", &[400], puts.collect()).await?;
    let right = json!({
        "retries_with_no_delay": 1, "minimum_delay_retries": 2, "minimum_delay": 5,
        "maximum_delay": 15, "maximum_delay_retries": 1, "retry_backoff_function": "geometric",
        "ignore_subscription_override": false,
    });
    queue.create(&json!({ "_retry_policy": right })).await?;
    let body = with("options", &json!({ "_retry_policy": right }));
    subscribe_with(&context, &queue, &body).await.map(drop)
}

async fn body_is_an_object(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let path = queue.at("/subscriptions");
    let texts = ["", "{", "[]", "[1]", "null", "5", "\"subscriber\"", "true"];
    let requests = texts.map(|text| context.post(path.clone(), &Value::Null).body(text));
    expect_each("8.2", &[400], requests.into()).await?;
    let (all, reply) = listed(&context, &queue).await?;
    reply.check("8.2", "no subscription", all.is_empty())
}

async fn unknown_members(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = json!({ "subscriber": NOWHERE, "ttl": 600, "colour": "red" });
    let subscribed = subscribe_with(&context, &queue, &body).await?;
    let document = shown(&context, &subscribed).await?;
    let dropped = document.get("colour").is_none();
    subscribed
        .reply
        .check("1.7", "no member that the API does not know", dropped)
}

/// 409, or 201 with the id that it has: either way there is one subscription.
async fn one_subscription(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = json!({ "subscriber": NOWHERE, "ttl": 600 });
    let first = subscribe_with(&context, &queue, &body).await?;
    for _ in 0..2 {
        let reply = subscribing(&context, &queue, &body).send().await?;
        let reply = reply.expect("8.2", &[201, 409])?;
        if reply.status() == 201 {
            let again = Subscribed::read(&queue, reply)?;
            again
                .reply
                .check("8.2", "the id that it has", again.id == first.id)?;
        }
    }
    let (all, reply) = listed(&context, &queue).await?;
    reply.check("8.1", "one subscription", all.len() == 1)
}

async fn again(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let body = json!({ "subscriber": NOWHERE, "ttl": 600, "options": { "a": 1 } });
    let first = subscribe_with(&context, &queue, &body).await?;
    let body = json!({ "subscriber": NOWHERE, "ttl": 6_000, "options": { "a": 2 } });
    let reply = subscribing(&context, &queue, &body).send().await?;
    reply.expect("8.2", &[201, 409])?;
    let document = shown(&context, &first).await?;
    let same = document["ttl"] == 600 && document["options"] == json!({ "a": 1 });
    first
        .reply
        .check("8.2", "the ttl and the options of the first time", same)
}

async fn confirmed_again(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let first = subscribe_uri(&context, &queue, NOWHERE).await?;
    let confirm = confirming(&context, &first, &json!({ "confirmed": true }));
    confirm.send().await?.expect("8.4", &[204])?;
    let body = json!({ "subscriber": NOWHERE, "ttl": 600 });
    let reply = subscribing(&context, &queue, &body).send().await?;
    reply.expect("8.2", &[409])?;
    let (all, reply) = listed(&context, &queue).await?;
    reply.check("8.1", "one subscription", all.len() == 1)
}

async fn many_queues(context: Context) -> CaseResult {
    let (one, other) = (Queue::new(&context, "q"), Queue::new(&context, "q2"));
    let first = subscribe_uri(&context, &one, NOWHERE).await?;
    let second = subscribe_uri(&context, &other, NOWHERE).await?;
    second
        .reply
        .check("8.1", "an id of its own", first.id != second.id)?;
    for (queue, subscribed) in [(&one, &first), (&other, &second)] {
        let (all, reply) = listed(&context, queue).await?;
        let own = matches!(all.as_slice(), [only] if only["id"] == *subscribed.id);
        reply.check("8.1", "the queue's own subscription alone", own)?;
    }
    Ok(())
}

async fn creates_the_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    subscribe_uri(&context, &queue, NOWHERE).await?;
    expect_queues(&context, "4.1", &["q"]).await
}

async fn refusal_creates_nothing(context: Context) -> CaseResult {
    refuses(&context, &[json!({ "subscriber": "ftp://127.0.0.1" })]).await?;
    expect_queues(&context, "8.2", &[]).await
}
