//! Who may ask for what.

use nanshe_reference::wire::websocket::Encoding;
use nanshe_reference::{Settings, SigningKey};
use serde_json::{Value, json};

use super::{BOTH, Client};
use crate::support::{ALICE, BOB, World};

#[test]
fn nobody_authenticates_and_nobody_needs_to() {
    let world = World::new();
    for encoding in BOTH {
        let mut client = Client::new(&world, encoding);
        client.headers = json!({"X-Project-ID": "p", "X-Auth-Token": "t"});
        let error = client.refused(403, "authenticate", &json!({}));
        assert_eq!(error["exception"], Value::Null);
        client.headers = json!({"X-Project-ID": "p"});
        client.refused(400, "authenticate", &json!({}));
        client.headers = json!({"Client-ID": ALICE, "X-Project-ID": "p"});
        client.ok(200, "queue_list", &json!({}));
    }
}

#[test]
fn clients_and_projects_are_those_of_http() {
    let world = World::new();
    let mut client = Client::new(&world, Encoding::Json);
    world.post("q", 60, &[1]);
    // Another spelling of the one who posted.
    client.headers = json!({"Client-ID": ALICE.replace('-', ""), "X-Project-ID": "p"});
    let named = json!({"queue_name": "q"});
    let own = client.ok(200, "message_list", &named);
    assert_eq!(own, json!({"messages": []}));
    client.headers = json!({"Client-ID": BOB, "X-Project-ID": "p"});
    let seen = client.ok(200, "message_list", &named);
    assert_eq!(seen["messages"][0]["body"], 1);
    client.headers = json!({"Client-ID": BOB, "X-Project-ID": "other"});
    client.ok(404, "queue_get_stats", &named);
    client.headers = json!({"Client-ID": "me", "X-Project-ID": "p"});
    client.refused(400, "queue_list", &json!({}));
    client.headers = json!({"Client-ID": BOB, "X-Project-ID": ""});
    client.refused(400, "queue_list", &json!({}));
    // The length of a project matters where a queue is named.
    client.headers = json!({"Client-ID": BOB, "X-Project-ID": "x".repeat(257)});
    client.ok(200, "queue_list", &json!({}));
    client.refused(400, "queue_get", &named);
    // Not only what ASCII can say.
    client.headers = json!({"Client-ID": BOB, "X-Project-ID": "é"});
    client.ok(201, "queue_create", &named);
    let listed = world.send_as((BOB, "é"), "GET /v2/queues", "").json();
    assert_eq!(listed["queues"][0]["name"], "q");
}

#[test]
fn a_signature_opens_the_messages_of_its_queue_and_nothing_else() {
    let world = World::with_settings(Settings {
        signing_key: SigningKey::new("secret".to_owned()),
        ..Settings::default()
    });
    let share = |body: &str| world.send("POST /v2/queues/q/share", body).json();
    let shared = share(r#"{"paths":["messages"],"methods":["POST","GET"]}"#);
    let headers = |share: &Value| {
        json!({
            "Client-ID": BOB, "X-Project-ID": "p", "URL-Signature": share["signature"],
            "URL-Expires": share["expires"], "URL-Methods": share["methods"],
            "URL-Paths": share["paths"],
        })
    };
    let mut client = Client::new(&world, Encoding::Json);
    client.headers = headers(&shared);
    let messages = json!({"queue_name": "q", "messages": [{"body": 1}]});
    let ids = client.ok(201, "message_post", &messages)["message_ids"].clone();
    client.ok(200, "message_list", &json!({"queue_name": "q"}));
    let one = json!({"queue_name": "q", "message_id": ids[0]});
    client.ok(200, "message_get", &one);
    client.ok(
        200,
        "message_get_many",
        &json!({"queue_name": "q", "message_ids": ids}),
    );
    // Another method, another queue, and all that is not about messages.
    client.refused(403, "message_delete", &one);
    client.refused(
        403,
        "message_delete_many",
        &json!({"queue_name": "q", "pop": 1}),
    );
    client.refused(403, "message_list", &json!({"queue_name": "r"}));
    client.refused(403, "queue_list", &json!({}));
    client.refused(403, "queue_get", &json!({"queue_name": "q"}));
    client.refused(403, "claim_create", &json!({"queue_name": "q"}));
    client.refused(403, "subscription_create", &json!({"queue_name": "q"}));

    let named = json!({"queue_name": "q"});
    let claims = share(r#"{"paths":["claims"],"methods":["GET","POST"]}"#);
    client.headers = headers(&claims);
    client.refused(403, "message_list", &named);
    client.refused(403, "claim_create", &named);
    for (header, value) in [
        ("URL-Signature", json!("0".repeat(64))),
        ("URL-Methods", json!(["GET"])),
        ("URL-Expires", json!("2030-01-01T00:00:00")),
        ("X-Project-ID", json!("other")),
        (
            "URL-Paths",
            json!(["/v2/queues/q/messages", "/v2/queues/r/messages"]),
        ),
    ] {
        client.headers = headers(&shared);
        client.headers[header] = value;
        client.refused(403, "message_list", &named);
    }
    // As in HTTP, they would be one text; here they are arrays.
    client.headers = headers(&shared);
    client.headers["URL-Methods"] = json!("GET,POST");
    client.refused(400, "message_list", &named);
    client.headers["URL-Methods"] = json!(["GET,POST"]);
    client.refused(400, "message_list", &named);

    client.headers = headers(&shared);
    world.advance_secs(24 * 60 * 60);
    client.refused(403, "message_list", &named);
}
