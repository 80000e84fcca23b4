//! Contract 4.5: JSON patch of a queue's metadata.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::suite::capability::Capability::{Metadata, Patch};
use crate::suite::steps::{EVERYTHING, Queue, bodies, ids, numbered};
use crate::suite::{Case, CaseResult, Context, Provenance, Request, case};

pub(super) const CASES: &[Case] = &[
    case!(
        Must,
        "metadata/patch-adds-replaces-removes",
        "4.5",
        patch_adds_replaces_removes
    )
    .needs(&[Metadata, Patch])
    .guarantee("G15"),
    case!(
        Must,
        "metadata/patch-applies-in-order",
        "4.5",
        patch_applies_in_order
    )
    .needs(&[Metadata, Patch])
    .guarantee("G15"),
    case!(
        Must,
        "metadata/patch-is-all-or-nothing",
        "4.5",
        patch_is_all_or_nothing
    )
    .needs(&[Metadata, Patch])
    .guarantee("G15"),
    case!(
        Must,
        "metadata/patch-of-an-absent-member-is-409",
        "4.5",
        patch_of_absent_member
    )
    .needs(&[Metadata, Patch])
    .guarantee("G15"),
    case!(
        Must,
        "metadata/removed-reserved-member-has-its-default",
        "4.5",
        removed_reserved
    )
    .needs(&[Metadata, Patch])
    .guarantee("G15"),
    case!(
        Should,
        "metadata/shown-reserved-member-can-be-replaced",
        "4.5",
        replaced_reserved
    )
    .needs(&[Metadata, Patch])
    .provenance(Provenance::Observed),
    case!(
        Must,
        "metadata/patched-default-is-for-later-messages",
        "4.5",
        patched_default
    )
    .needs(&[Metadata, Patch])
    .guarantee("G15"),
    case!(
        Must,
        "metadata/patch-has-its-media-type",
        "4.5",
        patch_media_type
    )
    .needs(&[Metadata, Patch]),
    case!(
        Must,
        "metadata/patch-of-an-unknown-queue-is-404",
        "4.5",
        patch_of_unknown_queue
    )
    .needs(&[Metadata, Patch]),
    case!(
        Must,
        "metadata/patch-result-is-validated",
        "4.5",
        patch_result_is_validated
    )
    .needs(&[Metadata, Patch]),
    case!(
        Should,
        "metadata/empty-patch-changes-nothing",
        "4.5",
        empty_patch
    )
    .needs(&[Metadata, Patch])
    .provenance(Provenance::Observed),
    case!(
        Should,
        "metadata/unsupported-patch-operation-is-refused",
        "4.5",
        unsupported_operation
    )
    .needs(&[Metadata, Patch]),
    case!(
        Should,
        "metadata/patch-path-names-one-member",
        "4.5",
        patch_path
    )
    .needs(&[Metadata, Patch]),
    case!(
        Should,
        "metadata/patch-path-begins-with-metadata",
        "4.5",
        patch_root
    )
    .needs(&[Metadata, Patch])
    .disputed("400 for `remove` as well, which the code does not check"),
    case!(
        Should,
        "metadata/malformed-patch-is-refused",
        "4.5",
        malformed_patch
    )
    .needs(&[Metadata, Patch])
    .disputed("400, where the code answers 503"),
    case!(
        Should,
        "metadata/patch-path-decodes-escapes",
        "4.5",
        patch_escapes
    )
    .needs(&[Metadata, Patch]),
    case!(
        Should,
        "metadata/concurrent-patches-are-not-lost",
        "4.5",
        concurrent_patches
    )
    .needs(&[Metadata, Patch])
    .disputed("patches of a queue come one after the other"),
];

async fn patch_adds_replaces_removes(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "a": 1, "b": 1, "c": 1, "d": 1 }))
        .await?;
    let operations = json!([
        { "op": "add", "path": "/metadata/new", "value": { "deep": [1] } },
        { "op": "add", "path": "/metadata/a", "value": 2 },
        { "op": "replace", "path": "/metadata/b", "value": null },
        { "op": "remove", "path": "/metadata/c" },
    ]);
    let reply = queue
        .patch(&operations)
        .send()
        .await?
        .expect("4.5", &[200])?;
    let wanted = |metadata: &Value| {
        metadata["new"] == json!({ "deep": [1] })
            && metadata["a"] == 2
            && metadata.get("b") == Some(&Value::Null)
            && metadata.get("c").is_none()
            && metadata["d"] == 1
    };
    let expected = "a is 2, b is null, c is gone, d is 1, new is there";
    reply.check("4.5", expected, wanted(&reply.json("4.5")?))?;
    reply.check(
        "4.5",
        "the same when read again",
        wanted(&queue.metadata().await?),
    )
}

async fn patch_applies_in_order(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let operations = json!([
        { "op": "add", "path": "/metadata/k", "value": 1 },
        { "op": "replace", "path": "/metadata/k", "value": 2 },
        { "op": "remove", "path": "/metadata/k" },
        { "op": "add", "path": "/metadata/k", "value": 3 },
        { "op": "add", "path": "/metadata/k", "value": 4 },
    ]);
    let reply = queue
        .patch(&operations)
        .send()
        .await?
        .expect("4.5", &[200])?;
    reply.check("4.5", "k is 4", queue.metadata().await?["k"] == 4)
}

async fn patch_is_all_or_nothing(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "k": 1 })).await?;
    let first = json!({ "op": "replace", "path": "/metadata/k", "value": 2 });
    for (second, status) in [
        (json!({ "op": "remove", "path": "/metadata/none" }), 409),
        (
            json!({ "op": "replace", "path": "/metadata/none", "value": 1 }),
            409,
        ),
        (
            json!({ "op": "add", "path": "/metadata/_default_message_ttl", "value": 1 }),
            400,
        ),
        (json!({ "op": "add", "path": "/metadata/x" }), 400),
    ] {
        let request = queue.patch(&json!([first, second]));
        let reply = request.send().await?.expect("4.5", &[status])?;
        let metadata = queue.metadata().await?;
        let kept = metadata["k"] == 1 && metadata.get("x").is_none();
        reply.check("4.5", "metadata as before", kept)?;
    }
    Ok(())
}

async fn patch_of_absent_member(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    for operation in [
        json!({ "op": "replace", "path": "/metadata/none", "value": 1 }),
        json!({ "op": "remove", "path": "/metadata/none" }),
    ] {
        let request = queue.patch(&json!([operation]));
        let reply = request.send().await?.expect("4.5", &[409])?;
        let absent = queue.metadata().await?.get("none").is_none();
        reply.check("4.5", "the member still absent", absent)?;
    }
    Ok(())
}

async fn removed_reserved(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let fresh = Queue::new(&context, "fresh").metadata().await?;
    queue
        .create(&json!({ "_default_message_ttl": 777 }))
        .await?;
    let remove = json!([{ "op": "remove", "path": "/metadata/_default_message_ttl" }]);
    let reply = queue.patch(&remove).send().await?.expect("4.5", &[200])?;
    reply.check("4.5", "the defaults", queue.metadata().await? == fresh)?;
    // It is not stored any more, yet removing it again is no conflict.
    queue
        .patch(&remove)
        .send()
        .await?
        .expect("4.5", &[200])
        .map(drop)
}

async fn replaced_reserved(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let operations =
        json!([{ "op": "replace", "path": "/metadata/_default_message_ttl", "value": 777 }]);
    let reply = queue
        .patch(&operations)
        .send()
        .await?
        .expect("4.5", &[200])?;
    let replaced = queue.metadata().await?["_default_message_ttl"] == 777;
    reply.check("4.5", "a default ttl of 777", replaced)
}

async fn patched_default(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_ttl": 300 }))
        .await?;
    let old = queue.post(&json!([{ "body": 0 }])).await?;
    let operations =
        json!([{ "op": "replace", "path": "/metadata/_default_message_ttl", "value": 777 }]);
    queue
        .patch(&operations)
        .send()
        .await?
        .expect("4.5", &[200])?;
    let new = queue.post(&json!([{ "body": 1 }])).await?;
    let page = queue.whole(EVERYTHING, 2).await?;
    let ttls: Value = page
        .messages
        .iter()
        .map(|message| message.ttl.clone())
        .collect();
    let order = ids(&page.messages) == [old.ids, new.ids].concat();
    page.reply.check("4.5", "both messages", order)?;
    page.reply
        .check("4.5", "ttl 300, then 777", ttls == json!([300, 777]))
}

async fn patch_media_type(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let operations = json!([{ "op": "add", "path": "/metadata/k", "value": 1 }]);
    for media_type in [
        "application/json",
        "application/json-patch+json",
        "text/plain",
    ] {
        let request = queue.patch(&operations).header("content-type", media_type);
        request.send().await?.expect("4.5", &[415])?;
    }
    let bare = queue.patch(&operations).without("content-type");
    let reply = bare.send().await?.expect("4.5", &[415])?;
    let kept = queue.metadata().await?.get("k").is_none();
    reply.check("4.5", "metadata as before", kept)
}

async fn patch_of_unknown_queue(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    let operations = json!([{ "op": "add", "path": "/metadata/k", "value": 1 }]);
    queue
        .patch(&operations)
        .send()
        .await?
        .expect("4.5", &[404])?;
    // Nor does the patch create it.
    queue.create(&json!({})).await?;
    queue.post(&numbered(0..1, 300)).await?;
    let page = queue.list(EVERYTHING).await?;
    page.reply.check(
        "4.5",
        "a queue that works",
        bodies(&page.messages) == json!([0]),
    )
}

async fn patch_result_is_validated(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue
        .create(&json!({ "_default_message_ttl": 300 }))
        .await?;
    for (name, value) in [
        ("_default_message_ttl", json!(59)),
        ("_default_message_ttl", json!(1_209_601)),
        ("_default_message_delay", json!(901)),
        ("_max_messages_post_size", json!(262_145)),
    ] {
        let path = format!("/metadata/{name}");
        let request = queue.patch(&json!([{ "op": "add", "path": path, "value": value }]));
        let reply = request.send().await?.expect("4.5", &[400])?;
        let kept = queue.metadata().await?["_default_message_ttl"] == 300;
        reply.check("4.5", "metadata as before", kept)?;
    }
    Ok(())
}

async fn empty_patch(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({ "k": 1 })).await?;
    let before = queue.metadata().await?;
    let reply = queue
        .patch(&json!([]))
        .send()
        .await?
        .expect("4.5", &[200])?;
    reply.check("4.5", "the whole metadata", reply.json("4.5")? == before)
}

/// Demands that each of `requests` is refused with 400 and leaves `k` alone.
async fn refuses(queue: &Queue, requests: Vec<Request>) -> CaseResult {
    for request in requests {
        let reply = request.send().await?.expect("4.5", &[400])?;
        let kept = queue.metadata().await?["k"] == 1;
        reply.check("4.5", "metadata as before", kept)?;
    }
    Ok(())
}

async fn queue_with_k(context: &Context) -> Result<Queue, crate::suite::Stop> {
    let queue = Queue::new(context, "q");
    queue.create(&json!({ "k": 1 })).await?;
    Ok(queue)
}

async fn unsupported_operation(context: Context) -> CaseResult {
    let queue = queue_with_k(&context).await?;
    let operations = [
        json!({ "op": "test", "path": "/metadata/k", "value": 1 }),
        json!({ "op": "move", "from": "/metadata/k", "path": "/metadata/l" }),
        json!({ "op": "copy", "from": "/metadata/k", "path": "/metadata/l" }),
        json!({ "op": "delete", "path": "/metadata/k" }),
        json!({ "path": "/metadata/k", "value": 2 }),
        json!({ "op": "replace", "value": 2 }),
        json!({ "op": "replace", "path": "/metadata/k" }),
    ];
    let requests = operations.map(|operation| queue.patch(&json!([operation])));
    refuses(&queue, requests.into()).await
}

async fn patch_path(context: Context) -> CaseResult {
    let queue = queue_with_k(&context).await?;
    let mut requests = Vec::new();
    for path in [
        "",
        "k",
        "metadata/k",
        "/metadata",
        "/metadata/",
        "/metadata/k/",
        "/metadata/k/deeper",
        "/metadata//k",
        "/metadata/~2",
    ] {
        let replace = json!([{ "op": "replace", "path": path, "value": 2 }]);
        let remove = json!([{ "op": "remove", "path": path }]);
        requests.extend([queue.patch(&replace), queue.patch(&remove)]);
    }
    refuses(&queue, requests).await
}

async fn patch_root(context: Context) -> CaseResult {
    let queue = queue_with_k(&context).await?;
    let operations = [
        json!({ "op": "add", "path": "/meta/k", "value": 2 }),
        json!({ "op": "replace", "path": "/meta/k", "value": 2 }),
        json!({ "op": "remove", "path": "/meta/k" }),
    ];
    let requests = operations.map(|operation| queue.patch(&json!([operation])));
    refuses(&queue, requests.into()).await
}

async fn malformed_patch(context: Context) -> CaseResult {
    let queue = queue_with_k(&context).await?;
    let text = |text: &'static str| queue.patch(&Value::Null).body(text);
    let requests = vec![
        text(""),
        text("{"),
        text("5"),
        text("[5]"),
        text("[[]]"),
        text("[null]"),
        text(r#"{"op": "remove", "path": "/metadata/k"}"#),
        text(r#"[{"op": "remove", "path": 5}]"#),
        text(r#"[{"op": ["remove"], "path": "/metadata/k"}]"#),
    ];
    refuses(&queue, requests).await
}

async fn patch_escapes(context: Context) -> CaseResult {
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    let operations = json!([
        { "op": "add", "path": "/metadata/a~1b", "value": 1 },
        { "op": "add", "path": "/metadata/a~0b", "value": 2 },
    ]);
    let reply = queue
        .patch(&operations)
        .send()
        .await?
        .expect("4.5", &[200])?;
    let metadata = queue.metadata().await?;
    let holds = metadata["a/b"] == 1 && metadata["a~b"] == 2;
    reply.check("4.5", "the members `a/b` and `a~b`", holds)
}

/// A server that reads, changes and writes without a lock loses some of these; several rounds, so
/// that it cannot be lucky every time.
async fn concurrent_patches(context: Context) -> CaseResult {
    const ROUNDS: u64 = 12;
    const PATCHES: u64 = 8;
    let queue = Queue::new(&context, "q");
    queue.create(&json!({})).await?;
    for round in 0..ROUNDS {
        let patches = (0..PATCHES).map(|number| {
            let path = format!("/metadata/k{round}-{number}");
            let request = queue.patch(&json!([{ "op": "add", "path": path, "value": number }]));
            async { request.send().await?.expect("4.5", &[200]) }
        });
        for outcome in join_all(patches).await {
            outcome?;
        }
        let reply = context.get(queue.at("")).send().await?;
        let reply = reply.expect("4.4", &[200])?;
        let metadata = reply.json("4.4")?;
        let present = |number| metadata[format!("k{round}-{number}")] == number;
        let expected = format!("all of k{round}-0 to k{round}-{}", PATCHES - 1);
        reply.check("4.5", &expected, (0..PATCHES).all(present))?;
    }
    Ok(())
}
