//! The wire examples of the contract's appendix.

use serde_json::json;

use crate::support::{World, id, text};

#[test]
fn the_examples_of_the_contract_answer_as_written() {
    let world = World::new();
    let posted = world.send(
        "POST /v2/queues/q1/messages",
        r#"{"messages":[{"ttl":60,"body":1},{"body":{"k":"v"}}]}"#,
    );
    assert_eq!(posted.status, 201);
    let paths: Vec<String> = posted.json()["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let (id1, id2) = (id(&paths[0]), id(&paths[1]));
    let location = format!("/v2/queues/q1/messages?ids={id1},{id2}");
    assert_eq!(posted.header("location"), Some(location.as_str()));

    let page = world.send("GET /v2/queues/q1/messages?echo=true&limit=2", "");
    assert_eq!(
        page.json()["messages"],
        json!([
            {"id": id1, "href": paths[0], "ttl": 60, "age": 0, "body": 1},
            {"id": id2, "href": paths[1], "ttl": 3600, "age": 0, "body": {"k": "v"}},
        ])
    );
    let next = page.next().unwrap();
    let prefix = "/v2/queues/q1/messages?limit=2&echo=true&include_delayed=true&marker=";
    assert!(next.starts_with(prefix), "{next}");

    let claimed = world.send(
        "POST /v2/queues/q1/claims?limit=1",
        r#"{"ttl":300,"grace":60}"#,
    );
    assert_eq!(claimed.status, 201);
    let claim = claimed.header("location").unwrap();
    let href = format!("{}?claim_id={}", paths[0], id(claim));
    let message = json!({"id": id1, "href": href, "ttl": 360, "age": 0, "body": 1});
    assert_eq!(claimed.json(), json!({"messages": [message]}));

    let read = world.send(&format!("GET {claim}"), "");
    let expected = json!({"age": 0, "ttl": 300, "messages": [message], "href": claim});
    assert_eq!((read.status.as_u16(), read.json()), (200, expected));

    world.advance_secs(3);
    let popped = world.send("DELETE /v2/queues/q1/messages?pop=1", "").json();
    let gone = &popped["messages"][0];
    assert_eq!(
        (&gone["id"], &gone["age"], &gone["ttl"]),
        (&json!(id2), &json!(3), &json!(3600))
    );
    assert_eq!(
        (&gone["body"], &gone["claim_count"]),
        (&json!({"k": "v"}), &json!(0))
    );

    let end = json!({"age": 3, "created": "2026-11-22T07:18:51Z", "href": paths[0]});
    let stats = json!({"claimed": 1, "free": 0, "total": 1, "oldest": end, "newest": end});
    assert_eq!(
        world.send("GET /v2/queues/q1/stats", "").json(),
        json!({"messages": stats})
    );

    let defaults = json!({
        "_max_messages_post_size": 262_144, "_default_message_ttl": 3600,
        "_default_message_delay": 0, "_dead_letter_queue": null,
        "_dead_letter_queue_messages_ttl": null, "_max_claim_count": null,
        "_enable_encrypt_messages": false,
    });
    assert_eq!(world.send("GET /v2/queues/q1", "").json(), defaults);
}

#[test]
fn the_service_introduces_itself() {
    let world = World::new();
    let versions = world.send_raw("GET /", &[], "");
    assert_eq!(versions.status, 300);
    assert_eq!(versions.json()["versions"][0]["id"], "2");
    let home = world.send("GET /v2/", "");
    assert_eq!(home.header("content-type"), Some("application/json-home"));
    assert!(home.json()["resources"]["rel/queues"].is_object());
    assert_eq!(world.status("GET /v2/ping"), 204);
    assert_eq!(world.status("HEAD /v2/ping"), 204);
}

#[test]
fn two_services_of_one_seed_answer_byte_for_byte_alike() {
    let worlds = [World::new(), World::new()];
    for line in [
        "PUT /v2/queues/q",
        "POST /v2/queues/q/messages",
        "POST /v2/queues/q/claims",
        "GET /v2/queues/q/messages?echo=1&include_claimed=1",
        "GET /v2/nowhere",
    ] {
        let body = if line.ends_with("/messages") {
            r#"{"messages":[{"body":1}]}"#
        } else {
            ""
        };
        let [first, second] = worlds.each_ref().map(|world| world.send(line, body));
        assert_eq!(
            (first.status, first.headers),
            (second.status, second.headers),
            "{line}"
        );
        assert_eq!(first.body, second.body, "{line}");
    }
}
