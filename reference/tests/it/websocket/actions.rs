//! Every action in both encodings.

use nanshe_reference::broker::{Outcome, SocketId, Subscriber};
use nanshe_reference::wire::Dispatch;
use nanshe_reference::wire::websocket::Encoding;
use serde_json::{Value, json};

use super::{BOTH, Client, SOCKET};
use crate::support::{World, text};

#[test]
fn every_action_on_queues_does_what_the_table_says() {
    for encoding in BOTH {
        let world = World::new();
        let client = Client::new(&world, encoding);
        let named = json!({"queue_name": "q"});
        let metadata = json!({"_default_message_ttl": 90, "colour": {"a": [1.5, -1, null]}});
        let body = json!({"queue_name": "q", "metadata": metadata});
        assert_eq!(client.ok(200, "queue_get", &named), json!({}), "unknown");
        let stats = json!({"messages": {"claimed": 0, "free": 0, "total": 0}});
        assert_eq!(client.ok(404, "queue_get_stats", &named), stats);
        assert_eq!(client.ok(201, "queue_create", &body), json!({}));
        assert_eq!(client.ok(204, "queue_create", &named), json!({}));
        // Without the defaults.
        assert_eq!(client.ok(200, "queue_get", &named), metadata);
        assert_eq!(client.ok(200, "queue_get_stats", &named), stats);
        client.ok(201, "queue_create", &json!({"queue_name": "r"}));
        let listed = client.ok(200, "queue_list", &json!({}));
        assert_eq!(listed, json!({"queues": [{"name": "q"}, {"name": "r"}]}));
        let page = json!({"limit": 1, "detailed": true});
        let listed = client.ok(200, "queue_list", &page);
        let expected = json!({"queues": [{"name": "q", "metadata": metadata}]});
        assert_eq!(listed, expected);
        let rest = client.ok(200, "queue_list", &json!({"marker": "q"}));
        assert_eq!(rest, json!({"queues": [{"name": "r"}]}));

        let messages = json!({"queue_name": "q", "messages": [{"body": 1}]});
        client.ok(201, "message_post", &messages);
        let purge = json!({"queue_name": "q", "resource_types": ["subscriptions"]});
        assert_eq!(client.ok(204, "queue_purge", &purge), json!({}));
        let counted = client.ok(200, "queue_get_stats", &named);
        assert_eq!(counted["messages"]["free"], 1);
        assert!(counted["messages"]["oldest"]["created"].is_string());
        client.ok(204, "queue_purge", &named);
        let counted = client.ok(200, "queue_get_stats", &named);
        assert_eq!(counted["messages"]["total"], 0);
        assert_eq!(client.ok(204, "queue_delete", &named), json!({}));
        client.ok(404, "queue_get_stats", &named);
    }
}

#[test]
fn every_action_on_messages_does_what_the_table_says() {
    for encoding in BOTH {
        let world = World::new();
        let client = Client::new(&world, encoding);
        let bodies = [
            json!({"k": [1, -7_000_000_000_i64, 1.5, 1e300, null, true], "é": "\u{1F600}\0"}),
            json!(i64::MIN),
            json!(""),
        ];
        let messages: Vec<Value> = bodies
            .iter()
            .map(|body| json!({"ttl": 60, "body": body}))
            .collect();
        let post = json!({"queue_name": "q", "messages": messages});
        let posted = client.ok(201, "message_post", &post);
        let ids: Vec<String> = posted["message_ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        assert_eq!(ids.len(), 3);

        let shown = |index: usize| {
            let id = &ids[index];
            json!({"id": id, "claim_id": null, "ttl": 60, "age": 0, "body": bodies[index]})
        };
        // One's own messages are shown to those who ask for them.
        let unseen = client.ok(200, "message_list", &json!({"queue_name": "q"}));
        assert_eq!(unseen, json!({"messages": []}));
        let page = json!({"queue_name": "q", "echo": true, "limit": 2});
        let page = client.ok(200, "message_list", &page);
        assert_eq!(page["messages"], json!([shown(0), shown(1)]));
        let next = json!({"queue_name": "q", "echo": true, "marker": page["marker"]});
        let next = client.ok(200, "message_list", &next);
        assert_eq!(next["messages"], json!([shown(2)]));

        let one = json!({"queue_name": "q", "message_id": ids[1]});
        assert_eq!(
            client.ok(200, "message_get", &one),
            json!({"messages": shown(1)})
        );
        let many = json!({"queue_name": "q", "message_ids": [ids[2], "none", ids[0]]});
        let many = client.ok(200, "message_get_many", &many);
        assert_eq!(many, json!({"messages": [shown(2), shown(0)]}));
        let none = json!({"queue_name": "q", "message_ids": ["none"]});
        assert_eq!(
            client.ok(200, "message_get_many", &none),
            json!({"messages": []})
        );

        assert_eq!(client.ok(204, "message_delete", &one), json!({}));
        let gone = client.refused(404, "message_get", &one);
        assert_eq!(gone["exception"], "NotFound");
        let many = json!({"queue_name": "q", "message_ids": [ids[0]]});
        assert_eq!(client.ok(204, "message_delete_many", &many), json!({}));
        let pop = json!({"queue_name": "q", "pop": 5});
        let popped = client.ok(200, "message_delete_many", &pop);
        assert_eq!(popped, json!({"messages": [shown(2)]}));
        assert_eq!(
            client.ok(200, "message_delete_many", &pop),
            json!({"messages": []})
        );
    }
}

#[test]
fn every_action_on_claims_does_what_the_table_says() {
    for encoding in BOTH {
        let world = World::new();
        let client = Client::new(&world, encoding);
        let named = json!({"queue_name": "q"});
        assert_eq!(
            client.ok(204, "claim_create", &named),
            json!({"claim_id": null})
        );
        let ids = world.post("q", 600, &[1, 2]);
        let terms = json!({"queue_name": "q", "ttl": 60, "grace": 60, "limit": 1});
        let claimed = client.ok(201, "claim_create", &terms);
        let claim = text(&claimed["claim_id"]);
        assert_eq!(claimed["messages"].as_array().unwrap().len(), 1);
        assert_eq!(claimed["messages"][0]["claim_id"], claim.as_str());
        let message = text(&claimed["messages"][0]["id"]);
        assert!(ids[0].ends_with(&message));

        world.advance_secs(50);
        let it = json!({"queue_name": "q", "claim_id": claim});
        let shown = client.ok(200, "claim_get", &it);
        assert_eq!((&shown["age"], &shown["ttl"]), (&json!(50), &json!(60)));
        assert_eq!(shown["messages"][0]["body"], 1);
        assert_eq!(shown.as_object().unwrap().len(), 3);
        let renewal = json!({"queue_name": "q", "claim_id": claim, "ttl": 100});
        assert_eq!(client.ok(204, "claim_update", &renewal), json!({}));
        assert_eq!(client.ok(200, "claim_get", &it)["ttl"], 100);

        // The table of deletions is that of HTTP.
        let unfenced = json!({"queue_name": "q", "message_id": message});
        let refusal = client.refused(403, "message_delete", &unfenced);
        assert_eq!(refusal["exception"], "Forbidden");
        let fenced =
            |claim: Value| json!({"queue_name": "q", "message_id": message, "claim_id": claim});
        client.refused(403, "message_delete", &fenced(json!(null)));
        client.refused(400, "message_delete", &fenced(json!("none")));
        client.ok(204, "message_delete", &fenced(json!(claim)));
        assert_eq!(client.ok(200, "claim_get", &it)["messages"], json!([]));
        assert_eq!(client.ok(204, "claim_delete", &it), json!({}));
        client.refused(404, "claim_get", &it);
        client.refused(404, "claim_update", &renewal);
    }
}

#[test]
fn every_action_on_subscriptions_does_what_the_table_says() {
    for encoding in BOTH {
        let world = World::new();
        let client = Client::new(&world, encoding);
        let body = json!({"queue_name": "q", "subscriber": "http://h/", "ttl": 90, "options": {}});
        let made = client.ok(201, "subscription_create", &body);
        let id = text(&made["subscription_id"]);
        assert!(made["message"].is_string());
        let it = json!({"queue_name": "q", "subscription_id": id});
        let shown = json!({
            "id": id, "source": "q", "subscriber": "http://h/", "ttl": 90, "age": 0,
            "options": {}, "confirmed": false,
        });
        assert_eq!(client.ok(200, "subscription_get", &it), shown);
        let named = json!({"queue_name": "q"});
        let listed = client.ok(200, "subscription_list", &named);
        assert_eq!(listed, json!({"subscriptions": [shown]}));
        let behind = json!({"queue_name": "q", "marker": id, "limit": 5});
        let listed = client.ok(200, "subscription_list", &behind);
        assert_eq!(listed, json!({"subscriptions": []}));

        // Whoever confirmed may not ask again.
        client.ok(201, "subscription_create", &body);
        let confirm = format!("PUT /v2/queues/q/subscriptions/{id}/confirm");
        assert_eq!(world.send(&confirm, r#"{"confirmed":true}"#).status, 204);
        let again = client.refused(409, "subscription_create", &body);
        assert_eq!(again["exception"], "Conflict");

        assert_eq!(client.ok(204, "subscription_delete", &it), json!({}));
        client.refused(404, "subscription_get", &it);
    }
}

#[test]
fn a_socket_subscribes_itself_until_it_closes() {
    for encoding in BOTH {
        let world = World::new();
        let client = Client::new(&world, encoding);
        let body = json!({"queue_name": "q", "options": {"post_data": "no template"}});
        let made = client.ok(201, "subscription_create", &body);
        // As for every subscriber: whoever has not confirmed may ask again.
        assert_eq!(client.ok(201, "subscription_create", &body), made);
        let other = Client {
            socket: SocketId(2),
            ..Client::new(&world, encoding)
        };
        assert_ne!(other.ok(201, "subscription_create", &body), made);
        client.ok(201, "subscription_create", &json!({"queue_name": "r"}));
        world.post("q", 60, &[1]);
        let mut sockets = Vec::new();
        while let Some(notification) = world.service.next_notification() {
            let dispatch = world.service.dispatch(&notification);
            let Some(Dispatch::Frame { document, .. }) = dispatch else {
                panic!("it is for the socket: {dispatch:?}")
            };
            let document: Value = serde_json::from_str(&document).unwrap();
            assert_eq!(
                document,
                json!({"ttl": 60, "body": 1, "Message_Type": "Notification", "queue_name": "q"})
            );
            sockets.push(notification.subscriber);
            let attempt = notification.attempt;
            world.service.conclude(attempt, Outcome::Delivered);
        }
        sockets.sort();
        assert_eq!(sockets, [1, 2].map(|id| Subscriber::Socket(SocketId(id))));

        world.service.close_socket(SOCKET);
        for (queue, left) in [("q", 1), ("r", 0)] {
            let listed = client.ok(200, "subscription_list", &json!({"queue_name": queue}));
            assert_eq!(listed["subscriptions"].as_array().unwrap().len(), left);
        }
        // Nobody else can subscribe a socket, whatever its name.
        let listed = world.send("GET /v2/queues/q/subscriptions", "").json();
        let shown = text(&listed["subscriptions"][0]["subscriber"]);
        let body = json!({"queue_name": "r", "subscriber": shown});
        client.refused(400, "subscription_create", &body);
    }
}

#[test]
fn a_socket_with_many_subscriptions_leaves_none_behind() {
    let world = World::new();
    let client = Client::new(&world, Encoding::Json);
    for queue in 0..200 {
        client.ok(
            201,
            "subscription_create",
            &json!({"queue_name": format!("q{queue}")}),
        );
    }
    world.service.close_socket(SOCKET);
    for queue in 0..200 {
        let named = json!({"queue_name": format!("q{queue}")});
        let listed = client.ok(200, "subscription_list", &named);
        assert_eq!(listed, json!({"subscriptions": []}));
    }
}

#[test]
fn delays_are_not_read_but_those_of_the_queue_hold() {
    let world = World::new();
    let client = Client::new(&world, Encoding::Json);
    let metadata = json!({"_default_message_delay": 30});
    client.ok(
        201,
        "queue_create",
        &json!({"queue_name": "q", "metadata": metadata}),
    );
    let messages = json!([{"body": 1, "delay": "what"}, {"body": 2, "delay": 0}]);
    client.ok(
        201,
        "message_post",
        &json!({"queue_name": "q", "messages": messages}),
    );
    let named = json!({"queue_name": "q"});
    client.ok(204, "claim_create", &named);
    world.advance_secs(30);
    let claimed = client.ok(201, "claim_create", &named);
    assert_eq!(claimed["messages"].as_array().unwrap().len(), 2);
}
