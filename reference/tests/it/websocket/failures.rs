//! Every way to fail.

use nanshe_reference::Limits;
use nanshe_reference::wire::websocket::Encoding;
use serde_json::{Value, json};

use super::{BOTH, Client, to_other};
use crate::support::{ALICE, World};

#[test]
fn what_is_no_request_is_told_so() {
    let world = World::new();
    let client = Client::new(&world, Encoding::Json);
    let known = json!({"Client-ID": ALICE, "X-Project-ID": "p"});
    for bytes in [&b""[..], b"{", b"\xff", b"{\"action\":1e999}", b"{} {}"] {
        let (status, body, request) = client.raw(bytes.to_vec());
        assert_eq!(status, 400, "{bytes:?}");
        assert_eq!(body.as_object().unwrap().len(), 1);
        assert!(body["error"].is_string());
        let nothing = json!({"action": null, "body": {}, "headers": {}, "api": "v2"});
        assert_eq!(request, nothing);
    }
    for encoding in BOTH {
        let client = Client::new(&world, encoding);
        for document in [
            json!(null),
            json!([]),
            json!("queue_list"),
            json!({}),
            json!({"action": 5, "headers": known}),
            json!({"action": "queue_update", "headers": known, "body": {}}),
            json!({"action": "QUEUE_LIST", "headers": known, "body": {}}),
            json!({"action": "queue_list"}),
            json!({"action": "queue_list", "headers": []}),
            json!({"action": "queue_list", "headers": {}}),
            json!({"action": "queue_list", "headers": {"Client-ID": ALICE}}),
            json!({"action": "queue_list", "headers": {"X-Project-ID": "p"}}),
            json!({"action": "queue_list", "headers": {"Client-ID": 1, "X-Project-ID": "p"}}),
            json!({"action": "queue_list", "headers": {"Client-ID": ALICE, "X-Project-ID": "\n"}}),
            json!({"action": "queue_list", "headers": known, "body": []}),
            json!({"action": "queue_list", "headers": known, "body": null}),
        ] {
            let (status, body, _) = client.send(&document);
            assert_eq!(status, 400, "{document}");
            assert_eq!(body.as_object().unwrap().len(), 1, "{document}: {body}");
            assert!(body["error"].is_string(), "{document}");
        }
        // No body is an empty one.
        let (status, body, _) = client.send(&json!({"action": "queue_list", "headers": known}));
        assert_eq!((status, body), (200, json!({"queues": []})));
    }
}

#[test]
fn message_pack_that_json_cannot_say_is_refused() {
    let world = World::new();
    let client = Client::new(&world, Encoding::MessagePack);
    let with_body = |body: rmpv::Value| {
        let headers = to_other(&json!({"Client-ID": ALICE, "X-Project-ID": "p"}));
        let message = rmpv::Value::Map(vec![("body".into(), body)]);
        let request = rmpv::Value::Map(vec![
            ("action".into(), "message_post".into()),
            ("headers".into(), headers),
            (
                "body".into(),
                rmpv::Value::Map(vec![
                    ("queue_name".into(), "q".into()),
                    ("messages".into(), vec![message].into()),
                ]),
            ),
        ]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &request).unwrap();
        client.raw(bytes)
    };
    for body in [
        rmpv::Value::Binary(vec![1]),
        rmpv::Value::Ext(1, vec![1]),
        rmpv::Value::F64(f64::NAN),
        rmpv::Value::F32(f32::INFINITY),
        rmpv::Value::from(u64::MAX),
        rmpv::Value::Map(vec![(1.into(), 2.into())]),
        rmpv::Value::String(rmpv::Utf8String::from("x")).clone(),
    ] {
        let expected = if body.is_str() { 201 } else { 400 };
        assert_eq!(with_body(body.clone()).0, expected, "{body}");
    }
    assert_eq!(with_body(i64::MAX.into()).0, 201);
}

#[test]
fn what_does_not_fit_an_action_is_told_by_its_schema() {
    let world = World::new();
    for encoding in BOTH {
        let client = Client::new(&world, encoding);
        for (action, body) in [
            ("queue_create", json!({})),
            ("queue_create", json!({"queue_name": 1})),
            ("queue_create", json!({"queue_name": "q", "metadata": null})),
            ("queue_list", json!({"limit": "1"})),
            ("queue_list", json!({"limit": true})),
            ("queue_list", json!({"detailed": 1})),
            ("queue_list", json!({"marker": 1})),
            (
                "queue_purge",
                json!({"queue_name": "q", "resource_types": "messages"}),
            ),
            ("message_post", json!({"queue_name": "q"})),
            ("message_post", json!({"queue_name": "q", "messages": {}})),
            ("message_post", json!({"queue_name": "q", "messages": []})),
            ("message_post", json!({"queue_name": "q", "messages": [1]})),
            (
                "message_post",
                json!({"queue_name": "q", "messages": [{"ttl": 60}]}),
            ),
            ("message_get", json!({"queue_name": "q"})),
            ("message_get_many", json!({"queue_name": "q"})),
            (
                "message_get_many",
                json!({"queue_name": "q", "message_ids": [1]}),
            ),
            (
                "message_delete_many",
                json!({"queue_name": "q", "pop": "1"}),
            ),
            ("claim_create", json!({"queue_name": "q", "ttl": 60.5})),
            ("claim_create", json!({"queue_name": "q", "grace": null})),
            ("claim_get", json!({"queue_name": "q", "claim_id": null})),
            (
                "subscription_create",
                json!({"queue_name": "q", "options": []}),
            ),
            ("subscription_get", json!({"queue_name": "q"})),
        ] {
            let error = client.refused(400, action, &body);
            assert_eq!(error["exception"], Value::Null, "{action} {body}");
        }
    }
    assert_eq!(world.send("GET /v2/queues", "").json()["queues"], json!([]));
}

#[test]
fn what_is_out_of_bounds_is_told_by_a_handler() {
    let world = World::new();
    for encoding in BOTH {
        let client = Client::new(&world, encoding);
        let long = "x".repeat(Limits::default().messages_post_bytes_max);
        for (action, body) in [
            ("queue_create", json!({"queue_name": ""})),
            ("queue_create", json!({"queue_name": "a/b"})),
            ("queue_delete", json!({"queue_name": ""})),
            (
                "queue_create",
                json!({"queue_name": "q", "metadata": {"_default_message_ttl": 1}}),
            ),
            ("queue_list", json!({"limit": 0})),
            ("queue_list", json!({"limit": 21})),
            (
                "queue_purge",
                json!({"queue_name": "q", "resource_types": ["pools"]}),
            ),
            (
                "message_post",
                json!({"queue_name": "q", "messages": [{"ttl": 59, "body": 1}]}),
            ),
            (
                "message_post",
                json!({"queue_name": "q", "messages": [{"body": long}]}),
            ),
            ("message_list", json!({"queue_name": "q", "limit": -1})),
            (
                "message_get_many",
                json!({"queue_name": "q", "message_ids": []}),
            ),
            ("message_delete_many", json!({"queue_name": "q"})),
            ("message_delete_many", json!({"queue_name": "q", "pop": 0})),
            (
                "message_delete_many",
                json!({"queue_name": "q", "pop": 1, "message_ids": ["a"]}),
            ),
            ("claim_create", json!({"queue_name": "q", "ttl": 59})),
            ("claim_create", json!({"queue_name": "q", "grace": 43201})),
            ("claim_create", json!({"queue_name": "q", "limit": 21})),
            ("subscription_create", json!({"queue_name": "q", "ttl": 59})),
            (
                "subscription_create",
                json!({"queue_name": "q", "subscriber": null}),
            ),
            (
                "subscription_create",
                json!({"queue_name": "q", "subscriber": "ftp://h"}),
            ),
        ] {
            let error = client.refused(400, action, &body);
            assert_eq!(error["exception"], "ValidationFailed", "{action}");
        }
    }
    assert_eq!(world.send("GET /v2/queues", "").json()["queues"], json!([]));
}

#[test]
fn actions_without_an_implementation_yield_errors() {
    let world = World::new();
    for action in [
        "pool_list",
        "flavor_create",
        "health",
        "ping_get",
        "get_home_doc",
    ] {
        let client = Client::new(&world, Encoding::Json);
        let error = client.refused(400, action, &json!({}));
        assert_eq!(
            error["error"], "the action has no implementation",
            "{action}"
        );
    }
}
