//! Contract 4.1: a queue's metadata and its reserved members.

use serde_json::{Value, json};

use crate::suite::capability::Capability::{DeadLetters, Delay, Metadata};
use crate::suite::steps::{EVERYTHING, Queue};
use crate::suite::{Case, CaseResult, Context, Provenance, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "metadata/any-json-object-round-trips",
        "4.3",
        any_json_object_round_trips
    )
    .needs(&[Metadata]),
    // Reserved members.
    case!(
        Must,
        "metadata/reserved-members-have-defaults",
        "4.1",
        reserved_defaults
    )
    .needs(&[Metadata]),
    case!(
        Must,
        "metadata/reserved-members-are-within-range",
        "4.1",
        reserved_ranges
    )
    .needs(&[Metadata, Delay, DeadLetters]),
    case!(
        Should,
        "metadata/reserved-members-have-types",
        "4.1",
        reserved_types
    )
    .needs(&[Metadata, DeadLetters]),
    case!(
        Should,
        "metadata/reserved-members-are-no-falsy-values",
        "4.1",
        reserved_falsy
    )
    .needs(&[Metadata, Delay, DeadLetters])
    .disputed("400, where the code answers 500"),
    case!(
        Should,
        "metadata/null-of-a-reserved-member-is-its-default",
        "4.1",
        reserved_null
    )
    .needs(&[Metadata])
    .provenance(Provenance::Observed),
    case!(
        Must,
        "metadata/default-ttl-is-for-messages-without",
        "4.1",
        default_ttl
    )
    .needs(&[Metadata]),
    case!(
        Must,
        "metadata/post-size-limit-is-per-queue",
        "4.1",
        post_size_limit
    )
    .needs(&[Metadata]),
];

async fn any_json_object_round_trips(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let own = json!({
        "text": "ä\u{0}😀", "number": -1.5, "null": null, "flag": false,
        "nested": { "list": [1, { "a": [] }], "": "" },
    });
    queue.create(&own).await?;
    let reply = context
        .get(queue.at(""))
        .send()
        .await?
        .expect("4.4", &[200])?;
    let metadata = reply.json("4.4")?;
    let members = own.as_object().into_iter().flatten();
    for (name, value) in members {
        let expected = format!("the member `{name}`: {value}");
        reply.check("4.4", &expected, metadata.get(name) == Some(value))?;
    }
    Ok(())
}

async fn reserved_defaults(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let reply = context
        .get(queue.at(""))
        .send()
        .await?
        .expect("4.4", &[200])?;
    let metadata = reply.json("4.4")?;
    // The first two are configurable; the documents and the code disagree about the second.
    for name in ["_max_messages_post_size", "_default_message_ttl"] {
        let positive = metadata[name].as_i64().is_some_and(|value| value >= 60);
        reply.check("4.1", &format!("`{name}`: a number"), positive)?;
    }
    let none = metadata["_default_message_delay"] == 0;
    reply.check("4.1", "`_default_message_delay`: 0", none)?;
    for name in [
        "_dead_letter_queue",
        "_dead_letter_queue_messages_ttl",
        "_max_claim_count",
    ] {
        let null = metadata.get(name) == Some(&Value::Null);
        reply.check("4.1", &format!("`{name}`: null"), null)?;
    }
    Ok(())
}

/// Tries each value on a queue of its own and demands `status`.
async fn create_each(context: &Context, values: &[(&str, Value)], status: u16) -> CaseResult {
    for (number, (name, value)) in values.iter().enumerate() {
        let path = format!("/v2/queues/s{status}-{number}");
        let request = context.put(path).json(&json!({ *name: value }));
        request.send().await?.expect("4.1", &[status])?;
    }
    Ok(())
}

async fn reserved_ranges(context: Context) -> CaseResult {
    let within = [
        ("_max_messages_post_size", json!(1)),
        ("_max_messages_post_size", json!(262_144)),
        ("_default_message_ttl", json!(60)),
        ("_default_message_ttl", json!(1_209_600)),
        ("_default_message_delay", json!(0)),
        ("_default_message_delay", json!(900)),
        ("_dead_letter_queue_messages_ttl", json!(60)),
        ("_dead_letter_queue_messages_ttl", json!(1_209_600)),
        ("_max_claim_count", json!(0)),
        ("_max_claim_count", json!(1_000)),
    ];
    create_each(&context, &within, 201).await?;
    let outside = [
        ("_max_messages_post_size", json!(-1)),
        ("_max_messages_post_size", json!(262_145)),
        ("_default_message_ttl", json!(59)),
        ("_default_message_ttl", json!(1_209_601)),
        ("_default_message_delay", json!(-1)),
        ("_default_message_delay", json!(901)),
        ("_dead_letter_queue_messages_ttl", json!(59)),
        ("_dead_letter_queue_messages_ttl", json!(1_209_601)),
    ];
    create_each(&context, &outside, 400).await
}

async fn reserved_types(context: Context) -> CaseResult {
    let wrong = [
        ("_max_messages_post_size", json!("100")),
        ("_default_message_ttl", json!("60")),
        ("_default_message_ttl", json!(60.5)),
        ("_dead_letter_queue_messages_ttl", json!([60])),
        ("_max_claim_count", json!("3")),
        ("_max_claim_count", json!(1.5)),
        ("_enable_encrypt_messages", json!("yes")),
    ];
    create_each(&context, &wrong, 400).await
}

/// In some languages these are false, and so slip past a check meant for null.
async fn reserved_falsy(context: Context) -> CaseResult {
    let wrong = [
        ("_max_messages_post_size", json!(0)),
        ("_max_messages_post_size", json!(false)),
        ("_default_message_ttl", json!("")),
        ("_default_message_ttl", json!(0)),
        ("_default_message_delay", json!({})),
        ("_dead_letter_queue_messages_ttl", json!([])),
        ("_max_claim_count", json!("")),
    ];
    create_each(&context, &wrong, 400).await
}

async fn reserved_null(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let fresh = Queue::new(&context, "fresh").metadata().await?;
    queue
        .create(&json!({ "_default_message_ttl": null, "_max_messages_post_size": null }))
        .await?;
    let reply = context
        .get(queue.at(""))
        .send()
        .await?
        .expect("4.4", &[200])?;
    reply.check("4.1", "the defaults", reply.json("4.4")? == fresh)
}

async fn default_ttl(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_ttl": 777 }))
        .await?;
    let messages = json!([{ "body": 0 }, { "ttl": 300, "body": 1 }]);
    queue.post(&messages).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let ttls: Value = page
        .messages
        .iter()
        .map(|message| message.ttl.clone())
        .collect();
    page.reply
        .check("4.1", "ttl 777, then 300", ttls == json!([777, 300]))
}

async fn post_size_limit(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_max_messages_post_size": 100 }))
        .await?;
    let sized = |size: usize| {
        let frame = r#"{"messages": [{"ttl": 300, "body": ""}]}"#.len();
        let body = "b".repeat(size - frame);
        queue.posting_text(format!(
            r#"{{"messages": [{{"ttl": 300, "body": "{body}"}}]}}"#
        ))
    };
    sized(100).send().await?.expect("4.1", &[201])?;
    sized(101).send().await?.expect("4.1", &[400])?;
    let page = queue.list(EVERYTHING).await?;
    page.reply
        .check("4.1", "the smaller post alone", page.messages.len() == 1)
}
