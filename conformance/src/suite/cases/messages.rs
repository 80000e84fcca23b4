//! Contract 5.1 to 5.6: post, get, get by ids.

use futures_util::future::join_all;
use serde_json::json;

use crate::href::is_same;
use crate::suite::capability::Capability::{Bulk, Metadata};
use crate::suite::steps::{self, EVERYTHING, Queue, bodies, expect_each, ids, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "messages/accepted-messages-are-there",
        "5.2",
        accepted_messages_are_there
    )
    .guarantee("G1"),
    case!(
        Must,
        "messages/ids-are-in-request-order",
        "5.2",
        ids_are_in_request_order
    )
    .needs(&[Bulk])
    .guarantee("G3"),
    case!(Must, "messages/bodies-round-trip", "5.1", bodies_round_trip).guarantee("G1"),
    case!(
        Should,
        "messages/location-leads-to-the-batch",
        "5.2",
        location_leads_to_the_batch
    )
    .needs(&[Bulk])
    .provenance(Provenance::Observed),
    case!(
        Should,
        "messages/shown-as-documented",
        "5.1",
        shown_as_documented
    )
    .needs(&[Metadata]),
    case!(Must, "messages/ttl-is-60-to-1209600", "5.2", ttl_range),
    case!(
        Should,
        "messages/ttl-is-an-integer",
        "5.2",
        ttl_is_an_integer
    )
    .provenance(Provenance::Observed),
    case!(
        Should,
        "messages/ttl-is-an-hour-by-default",
        "5.2",
        ttl_default
    )
    .disputed("3600 seconds, as in the code; the documents say the longest ttl"),
    case!(Must, "messages/body-is-required", "5.2", body_is_required),
    case!(
        Must,
        "messages/bad-message-rejects-the-batch",
        "5.2",
        bad_message_rejects_batch
    )
    .provenance(Provenance::Documents)
    .guarantee("G2"),
    case!(
        Must,
        "messages/empty-batch-is-refused",
        "5.2",
        empty_batch_is_refused
    ),
    case!(
        Should,
        "messages/message-is-an-object",
        "5.2",
        message_is_an_object
    )
    .disputed("400, where the code answers 500"),
    case!(Must, "messages/post-has-at-most-256-kib", "5.2", post_size),
    case!(
        Should,
        "messages/batch-has-any-number",
        "5.2",
        batch_has_any_number
    )
    .disputed("no limit but the size of the body, where the documents say ten")
    .guarantee("G2"),
    case!(
        Should,
        "messages/unknown-members-are-dropped",
        "5.2",
        unknown_members_are_dropped
    ),
    case!(
        Must,
        "messages/unknown-message-is-404",
        "5.6",
        unknown_message_is_404
    ),
    case!(
        Must,
        "messages/message-belongs-to-its-queue",
        "5.6",
        message_belongs_to_its_queue
    )
    .needs(&[Bulk])
    .guarantee("G14"),
    case!(
        Must,
        "messages/claimed-message-can-be-read-by-id",
        "5.6",
        claimed_can_be_read
    )
    .needs(&[Bulk]),
    case!(
        Must,
        "messages/get-by-ids-skips-unknown-ones",
        "5.5",
        get_by_ids
    )
    .needs(&[Bulk]),
    case!(
        Must,
        "messages/get-by-ids-takes-1-to-20",
        "5.5",
        get_by_ids_limits
    )
    .needs(&[Bulk]),
    case!(
        Must,
        "messages/concurrent-batches-stay-whole",
        "5.3",
        concurrent_batches
    )
    .provenance(Provenance::Documents)
    .guarantee("G2"),
];

async fn accepted_messages_are_there(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    for (id, number) in posted.ids.iter().zip(0..) {
        let body = queue.get(id).await?.body;
        let expected = format!("body {number}");
        posted.reply.check("5.6", &expected, body == number)?;
    }
    // A second look, for whoever answers the first one from a cache.
    let everything = queue.pass(EVERYTHING).await?;
    let each_once = ids(&everything) == posted.ids;
    posted
        .reply
        .check("5.4", "each id listed exactly once afterwards", each_once)
}

async fn ids_are_in_request_order(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..20, 300)).await?;
    let mut distinct = posted.ids.clone();
    distinct.sort();
    distinct.dedup();
    posted
        .reply
        .check("5.2", "20 different ids", distinct.len() == 20)?;
    let request = context.get(queue.at(&format!("/messages?ids={}", posted.ids.join(","))));
    let reply = request.send().await?.expect("5.5", &[200])?;
    let found = steps::messages(&reply, "5.5")?;
    reply.check("5.5", "20 messages", found.len() == 20)?;
    for message in found {
        let place = posted.ids.iter().position(|id| *id == message.id);
        let holds = place.is_some() && message.body.as_u64() == place.map(|place| place as u64);
        reply.check("5.2", "the id at place n has the body n", holds)?;
    }
    Ok(())
}

async fn bodies_round_trip(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let wanted = json!([
        null, false, true, 0, -1, 1.5, 1e300, i64::MAX, "", "text", [], {}, [[[]]],
        "\u{0}\u{1f}\"\\/", "ä€😀", "\u{2028}", "  spaces  ", "<&>%2F+",
        { "": "", "ttl": 1, "body": { "messages": [] }, "null": null },
        "12345678901234567890",
    ]);
    let entries = wanted.as_array().into_iter().flatten();
    let messages = entries
        .map(|body| json!({ "ttl": 300, "body": body }))
        .collect();
    let posted = queue.post(&messages).await?;
    let page = queue.whole(EVERYTHING, posted.ids.len()).await?;
    let listed = bodies(&page.messages);
    page.reply
        .check("5.1", "the bodies as they were posted", listed == wanted)?;
    let claimed = queue.claim(60, 20).await?;
    let holds = bodies(&claimed.messages) == wanted;
    claimed
        .reply
        .check("5.1", "the bodies as they were posted", holds)?;
    for (id, body) in posted
        .ids
        .iter()
        .zip(wanted.as_array().into_iter().flatten())
    {
        let same = queue.get(id).await?.body == *body;
        claimed
            .reply
            .check("5.1", &format!("body {body} of {id}"), same)?;
    }
    Ok(())
}

async fn location_leads_to_the_batch(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..2, 300)).await?;
    let Some(path) = steps::legal_path(posted.reply.header("location")) else {
        return Err(posted
            .reply
            .refuse("5.2", "a Location that is a relative path"));
    };
    let reply = context.get(path).send().await?.expect("5.5", &[200])?;
    let shown = steps::messages(&reply, "5.5")?;
    // In any order.
    let (mut shown, mut posted) = (ids(&shown), posted.ids);
    shown.sort_unstable();
    posted.sort_unstable();
    reply.check("5.5", "the two messages of the batch", shown == posted)
}

async fn shown_as_documented(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    let reply = queue.getting(&id).send().await?.expect("5.6", &[200])?;
    let message = reply.json("5.6")?;
    let href = message["href"].as_str().unwrap_or_default();
    let holds = message["id"] == *id && is_same(href, &queue.at(&format!("/messages/{id}")));
    reply.check("5.1", "its `id`, and a relative `href`", holds)?;
    let fresh = message["age"].as_u64().is_some_and(|age| age <= 60);
    reply.check("5.1", "an integer `age` of a new message", fresh)?;
    reply.check("5.1", "ttl 300", message["ttl"] == 300)?;
    let inner = ["claim_count", "delay", "client_id", "created", "project"];
    let leaks = inner.iter().any(|name| message.get(name).is_some());
    reply.check("5.1", &format!("none of {inner:?}"), !leaks)
}

async fn ttl_range(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for ttl in [json!(59), json!(1_209_601), json!(0), json!(-60)] {
        let request = queue.posting(&json!([{ "ttl": ttl, "body": 1 }]));
        request.send().await?.expect("5.2", &[400])?;
    }
    let bounds = json!([{ "ttl": 60, "body": 60 }, { "ttl": 1_209_600, "body": 1_209_600 }]);
    queue.post(&bounds).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let whole = page.messages.len() == 2;
    let own = page
        .messages
        .iter()
        .all(|message| message.ttl == message.body);
    page.reply
        .check("5.2", "two messages, ttl 60 and 1209600", whole && own)
}

async fn ttl_is_an_integer(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for ttl in [
        "60.0", "60.5", "6e1", "\"60\"", "\"\"", "null", "true", "[60]", "{}",
    ] {
        let text = format!(r#"{{"messages": [{{"ttl": {ttl}, "body": 1}}]}}"#);
        queue
            .posting_text(text)
            .send()
            .await?
            .expect("5.2", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.2", "nothing is stored", page.messages.is_empty())
}

async fn ttl_default(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.post(&json!([{ "body": 1 }])).await?;
    let page = queue.list(EVERYTHING).await?;
    let holds = page.messages.iter().all(|message| message.ttl == 3_600);
    page.reply
        .check("5.2", "ttl 3600", holds && page.messages.len() == 1)
}

async fn body_is_required(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let request = queue.posting(&json!([{ "ttl": 300 }]));
    request.send().await?.expect("5.2", &[400])?;
    // Falsy is not missing.
    let falsy = json!([null, false, "", 0, [], {}]);
    let entries = falsy.as_array().into_iter().flatten();
    let messages = entries
        .map(|body| json!({ "ttl": 300, "body": body }))
        .collect();
    queue.post(&messages).await?;
    let page = queue.whole(EVERYTHING, 6).await?;
    page.reply
        .check("5.2", "the falsy bodies", bodies(&page.messages) == falsy)
}

async fn bad_message_rejects_batch(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let good = json!({ "ttl": 300, "body": 1 });
    for bad in [json!({ "ttl": 59, "body": 2 }), json!({ "ttl": 300 })] {
        for messages in [
            json!([good, bad]),
            json!([bad, good]),
            json!([good, bad, good]),
        ] {
            let reply = queue.posting(&messages).send().await?;
            reply.expect("5.2", &[400])?;
        }
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.2", "nothing is stored", page.messages.is_empty())?;
    queue.expect_nothing_to_claim("5.2").await
}

async fn empty_batch_is_refused(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let text = |text: &'static str| queue.posting_text(text);
    let requests = vec![
        text(r#"{"messages": []}"#),
        text("{}"),
        text(r#"{"messages": null}"#),
        text(r#"{"messages": {"ttl": 300, "body": 1}}"#),
        text(r#"{"messages": "body"}"#),
        text(r#"{"message": [{"ttl": 300, "body": 1}]}"#),
        text(""),
    ];
    expect_each("5.2", &[400], requests).await?;
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.2", "nothing is stored", page.messages.is_empty())
}

async fn message_is_an_object(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    for messages in [
        json!([5]),
        json!(["body"]),
        json!([null]),
        json!([[]]),
        json!([true]),
    ] {
        let reply = queue.posting(&messages).send().await?;
        reply.expect("5.2", &[400])?;
    }
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.2", "nothing is stored", page.messages.is_empty())
}

/// The whole request body counts, white space included.
async fn post_size(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let sized = |size: usize, filler: char| {
        let frame = r#"{"messages": [{"ttl": 300, "body": ""}]}"#.len();
        let filling = filler.to_string().repeat(size - frame);
        let (body, space) = if filler == ' ' {
            ("", &*filling)
        } else {
            (&*filling, "")
        };
        queue.posting_text(format!(
            r#"{{"messages": [{{"ttl": 300, "body": "{body}"}}]{space}}}"#
        ))
    };
    expect_each(
        "5.2",
        &[400],
        vec![sized(262_145, 'b'), sized(262_145, ' ')],
    )
    .await?;
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("5.2", "nothing is stored", page.messages.is_empty())?;
    sized(262_144, 'b').send().await?.expect("5.2", &[201])?;
    let page = queue.list(EVERYTHING).await?;
    let whole = page.messages.iter().all(|message| {
        let length = message.body.as_str().map_or(0, str::len);
        length > 262_000 && page.messages.len() == 1
    });
    page.reply.check(
        "5.2",
        "the long message",
        whole && !page.messages.is_empty(),
    )
}

/// The documents say ten, the code has no limit but the bytes.
async fn batch_has_any_number(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..205, 300)).await?;
    let all = queue.pass(EVERYTHING).await?;
    let in_order = ids(&all) == posted.ids;
    posted.reply.check(
        "5.3",
        "205 messages listed in the order of the batch",
        in_order,
    )
}

async fn unknown_members_are_dropped(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let text =
        r#"{"messages": [{"ttl": 300, "body": 1, "id": "mine", "age": 86400, "x": 1}], "y": 1}"#;
    let reply = queue.posting_text(text).send().await?;
    reply.expect("5.2", &[201])?;
    let reply = context.get(queue.at("/messages?echo=true")).send().await?;
    let message = reply.json("5.4")?["messages"][0].clone();
    let holds = message["body"] == 1
        && message.get("x").is_none()
        && message["id"] != "mine"
        && message["age"].as_f64().is_some_and(|age| age < 86_400.0);
    reply.check("5.2", "the message without what it brought along", holds)
}

async fn unknown_message_is_404(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let nowhere = Queue::new(&context, "nowhere");
    let (id, _) = queue.post_one(300).await?;
    let unknown = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";
    let requests = vec![
        queue.getting(unknown),
        queue.getting("malformed"),
        queue.getting(&"0".repeat(200)),
        queue.getting("%00"),
        nowhere.getting(&id),
    ];
    expect_each("5.6", &[404], requests).await?;
    queue.get(&id).await.map(drop)
}

async fn message_belongs_to_its_queue(context: Context) -> CaseResult {
    let (queue, other) = (Queue::new(&context, "q"), Queue::new(&context, "other"));
    let (id, _) = queue.post_one(300).await?;
    other.post_one(300).await?;
    other.getting(&id).send().await?.expect("5.6", &[404])?;
    other
        .deleting(&id, "")
        .send()
        .await?
        .expect("5.7", &[204])?;
    let by_ids = context.delete(other.at(&format!("/messages?ids={id}")));
    by_ids.send().await?.expect("5.8", &[204])?;
    queue.get(&id).await.map(drop)
}

async fn claimed_can_be_read(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let (id, _) = queue.post_one(300).await?;
    queue.claim(60, 1).await?.only()?;
    queue.get(&id).await?;
    let request = context.get(queue.at(&format!("/messages?ids={id}")));
    let reply = request.send().await?.expect("5.5", &[200])?;
    let holds = ids(&steps::messages(&reply, "5.5")?) == [id];
    reply.check("5.5", "the claimed message", holds)
}

async fn get_by_ids(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..3, 300)).await?;
    let [first, _, third] = posted.ids.as_slice() else {
        return Err(posted.reply.refuse("5.2", "3 ids"));
    };
    let unknown = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";
    let path = queue.at(&format!(
        "/messages?ids={first},{unknown},malformed&ids={third}"
    ));
    let reply = context.get(path).send().await?.expect("5.5", &[200])?;
    let found = steps::messages(&reply, "5.5")?;
    // In whatever order: the storage drivers disagree.
    let both = found.len() == 2
        && [first, third]
            .iter()
            .all(|id| ids(&found).contains(&id.as_str()));
    reply.check("5.5", "the first and the third message", both)?;
    let none = vec![
        context.get(queue.at(&format!("/messages?ids={unknown}"))),
        context.get(queue.at("/messages?ids=malformed")),
        context.get(format!("/v2/queues/nowhere/messages?ids={first}")),
    ];
    expect_each("5.5", &[404], none).await
}

async fn get_by_ids_limits(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let posted = queue.post(&numbered(0..21, 300)).await?;
    let some = |count| {
        posted
            .ids
            .iter()
            .take(count)
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    let get = |count| context.get(queue.at(&format!("/messages?ids={}", some(count).join(","))));
    get(21).send().await?.expect("5.5", &[400])?;
    let reply = get(20).send().await?.expect("5.5", &[200])?;
    let found = steps::messages(&reply, "5.5")?;
    reply.check("5.5", "20 messages", found.len() == 20)
}

/// Several producers at once: each batch is listed without a stranger in its midst.
async fn concurrent_batches(context: Context) -> CaseResult {
    const PRODUCERS: u64 = 8;
    const BATCH: u64 = 5;
    let queue = Queue::new(&context, "q");
    let posts = (0..PRODUCERS).map(|producer| {
        let (queue, first) = (queue.clone(), producer * BATCH);
        async move { queue.post(&numbered(first..first + BATCH, 300)).await }
    });
    let mut batches = Vec::new();
    for outcome in join_all(posts).await {
        batches.push(outcome?);
    }
    let page = queue.list(EVERYTHING).await?;
    let all = queue.pass(EVERYTHING).await?;
    let listed = ids(&all);
    let everything = listed.len() == batches.iter().map(|batch| batch.ids.len()).sum::<usize>();
    page.reply
        .check("5.3", "every accepted message once", everything)?;
    for batch in batches {
        let whole = listed
            .windows(batch.ids.len())
            .any(|window| window == batch.ids);
        batch
            .reply
            .check("5.3", "this batch listed contiguously, in order", whole)?;
    }
    Ok(())
}
