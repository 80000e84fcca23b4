//! No bytes whatever go unanswered, and none of them is our fault.

use nanshe_reference::wire::websocket::Encoding;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{BOTH, Client, pack};
use crate::support::{ALICE, World};

const ACTIONS: [&str; 23] = [
    "queue_list",
    "queue_create",
    "queue_get",
    "queue_delete",
    "queue_get_stats",
    "queue_purge",
    "message_post",
    "message_list",
    "message_get",
    "message_get_many",
    "message_delete",
    "message_delete_many",
    "claim_create",
    "claim_get",
    "claim_update",
    "claim_delete",
    "subscription_create",
    "subscription_list",
    "subscription_get",
    "subscription_delete",
    "authenticate",
    "ping",
    "none",
];
const MEMBERS: [&str; 18] = [
    "queue_name",
    "metadata",
    "limit",
    "detailed",
    "marker",
    "messages",
    "message_id",
    "message_ids",
    "claim_id",
    "claim_ids",
    "pop",
    "ttl",
    "grace",
    "subscriber",
    "options",
    "subscription_id",
    "resource_types",
    "echo",
];
/// Requests with members that are now and then what an action wants.
fn request_like() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        4 => Just(json!("q")),
        1 => Just(json!("3381af92-2b9e-11e3-b191-71861300734c")),
        2 => any::<i64>().prop_map(Value::from),
        2 => (0..100_i64).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!(1.5)),
        2 => Just(json!({})),
        2 => Just(json!([{"body": 1}])),
        1 => Just(json!(["messages"])),
    ];
    let body =
        prop::collection::btree_map(prop::sample::select(MEMBERS.to_vec()), value.clone(), 0..6);
    let headers = prop_oneof![
        8 => Just(json!({"Client-ID": ALICE, "X-Project-ID": "p"})),
        1 => Just(json!({"Client-ID": ALICE, "X-Project-ID": "p", "URL-Signature": "x"})),
        1 => value,
    ];
    (prop::sample::select(ACTIONS.to_vec()), headers, body).prop_map(|(action, headers, body)| {
        let mut body = json!(body);
        if action != "queue_list" && body.get("queue_name").is_none() {
            body["queue_name"] = json!("q");
        }
        json!({"action": action, "headers": headers, "body": body})
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Bytes that are no request at all: each gets an answer, and it says 400.
    #[test]
    fn any_bytes_are_answered(
        bytes in prop::collection::vec(any::<u8>(), 0..100), packed in any::<bool>(),
    ) {
        let world = World::new();
        let client = Client::new(&world, BOTH[usize::from(packed)]);
        let (status, body, _) = client.raw(bytes);
        prop_assert_eq!(status, 400);
        prop_assert!(body["error"].is_string());
    }

    /// Requests that nearly are some: whatever is wrong is the client's fault, and said so.
    #[test]
    fn requests_like_those_that_are_meant_are_answered(
        requests in prop::collection::vec(request_like(), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let world = World::new();
        for encoding in BOTH {
            let client = Client::new(&world, encoding);
            for request in &requests {
                let (status, body, _) = client.send(request);
                prop_assert!((200..300).contains(&status) || (400..500).contains(&status));
                let stats = body["messages"].is_object();
                prop_assert_eq!(status >= 400 && !stats, body["error"].is_string());
            }
            // The same, broken off or with a byte turned over.
            let whole = match encoding {
                Encoding::Json => requests[0].to_string().into_bytes(),
                Encoding::MessagePack => pack(&requests[0]),
            };
            let at = cut.index(whole.len());
            prop_assert_eq!(client.raw(whole[..at].to_vec()).0, 400);
            let mut turned = whole;
            turned[at] ^= 0x11;
            let (status, ..) = client.raw(turned);
            prop_assert!((200..300).contains(&status) || (400..500).contains(&status));
        }
    }
}
