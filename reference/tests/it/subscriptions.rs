//! Subscriptions: making, reading, changing and ending them. Nothing is delivered in here.

use serde_json::{Value, json};

use crate::support::{ALICE, Answer, World, text};

const LINE: &str = "POST /v2/queues/q/subscriptions";

fn body(subscriber: &str) -> String {
    json!({"subscriber": subscriber}).to_string()
}

/// Subscribes to `q` for this long, and returns the path of the subscription.
fn subscribe(world: &World, subscriber: &str, ttl: u64) -> String {
    let document = json!({"subscriber": subscriber, "ttl": ttl}).to_string();
    let answer = world.send(LINE, &document);
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("location"),
        Some("/v2/queues/q/subscriptions")
    );
    format!(
        "/v2/queues/q/subscriptions/{}",
        text(&answer.json()["subscription_id"])
    )
}

fn read(world: &World, path: &str) -> Answer {
    world.send(&format!("GET {path}"), "")
}

fn patch(world: &World, path: &str, document: &str) -> Answer {
    world.send(&format!("PATCH {path}"), document)
}

fn ids(page: &Value) -> Vec<String> {
    let subscriptions = page["subscriptions"].as_array().unwrap();
    subscriptions
        .iter()
        .map(|subscription| text(&subscription["id"]))
        .collect()
}

/// Every subscription to `q`, page by page.
fn all(world: &World, limit: usize) -> Vec<String> {
    let mut path = format!("/v2/queues/q/subscriptions?limit={limit}");
    let mut found = Vec::new();
    loop {
        let page = read(world, &path);
        found.extend(ids(&page.json()));
        match page.next() {
            Some(next) => path = next,
            None => return found,
        }
    }
}

#[test]
fn a_subscription_is_shown_as_it_was_made() {
    let world = World::new();
    let options = json!({"post_data": "x", "more": [1]});
    let document = json!({"subscriber": "http://h/p", "ttl": 61, "options": options}).to_string();
    let made = world.send(LINE, &document);
    assert_eq!(
        (made.status.as_u16(), made.json().as_object().unwrap().len()),
        (201, 1)
    );
    let id = text(&made.json()["subscription_id"]);
    world.advance_secs(7);
    let shown = read(&world, &format!("/v2/queues/q/subscriptions/{id}"));
    let expected = json!({
        "id": id, "source": "q", "subscriber": "http://h/p", "ttl": 61, "age": 7,
        "options": options, "confirmed": false,
    });
    assert_eq!(
        (shown.status.as_u16(), shown.json()),
        (200, expected.clone())
    );
    let page = read(&world, "/v2/queues/q/subscriptions").json();
    assert_eq!(page["subscriptions"], json!([expected]));
    let other = subscribe(&world, "http://h/other", 60);
    assert_eq!(read(&world, &other).json()["options"], json!({}));
    let default = world.send(LINE, &body("http://h/default"));
    let id = text(&default.json()["subscription_id"]);
    let shown = read(&world, &format!("/v2/queues/q/subscriptions/{id}")).json();
    assert_eq!(shown["ttl"], 3_600);
}

#[test]
fn subscribing_creates_the_queue_only_if_it_succeeds() {
    let world = World::new();
    for document in [
        "",
        "[]",
        "{}",
        r#"{"subscriber":null}"#,
        r#"{"subscriber":5}"#,
        r#"{"subscriber":""}"#,
        r#"{"subscriber":"ftp://h"}"#,
        r#"{"subscriber":"mailto:a@h"}"#,
        r#"{"subscriber":"trust+http://h"}"#,
        r#"{"subscriber":"http://h","ttl":59}"#,
        r#"{"subscriber":"http://h","ttl":0}"#,
        r#"{"subscriber":"http://h","ttl":null}"#,
        r#"{"subscriber":"http://h","ttl":60.0}"#,
        r#"{"subscriber":"http://h","ttl":252000000000}"#,
        r#"{"subscriber":"http://h","options":[]}"#,
        r#"{"subscriber":"http://h","options":{"_retry_policy":{"minimum_delay":60}}}"#,
    ] {
        assert_eq!(world.send(LINE, document).status, 400, "{document}");
    }
    assert_eq!(world.send("GET /v2/queues", "").json()["queues"], json!([]));
    assert_eq!(all(&world, 10), Vec::<String>::new());
    // The longest that the calendar allows; the broker's own time ends before.
    subscribe(&world, "http://h", 251_600_000_000);
    assert_eq!(
        world.send("GET /v2/queues", "").json()["queues"][0]["name"],
        "q"
    );
}

#[test]
fn a_subscriber_that_has_confirmed_cannot_subscribe_again() {
    let world = World::new();
    let path = subscribe(&world, "http://h", 60);
    world.advance_secs(10);
    // Unconfirmed, it may: the same subscription, as it was.
    let again = json!({"subscriber": "http://h", "ttl": 900, "options": {"a": 1}}).to_string();
    let answer = world.send(LINE, &again);
    assert_eq!(answer.status, 201);
    assert!(path.ends_with(&text(&answer.json()["subscription_id"])));
    let shown = read(&world, &path).json();
    assert_eq!(
        (&shown["ttl"], &shown["age"], &shown["options"]),
        (&json!(60), &json!(10), &json!({}))
    );

    let confirm = format!("PUT {path}/confirm");
    let confirmed = world.send(&confirm, r#"{"confirmed":true}"#);
    assert_eq!(
        (confirmed.status.as_u16(), confirmed.header("location")),
        (204, Some(&*path))
    );
    assert_eq!(read(&world, &path).json()["confirmed"], true);
    let answer = world.send(LINE, &again);
    let location = Some("/v2/queues/q/subscriptions");
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (409, location)
    );
    assert_eq!(world.send(&confirm, r#"{"confirmed":false}"#).status, 204);
    assert_eq!(world.send(LINE, &again).status, 201);
    for document in ["", "{}", r#"{"confirmed":"true"}"#] {
        assert_eq!(world.send(&confirm, document).status, 400, "{document}");
    }
    let unknown = "PUT /v2/queues/r/subscriptions/x/confirm";
    assert_eq!(world.send(unknown, r#"{"confirmed":true}"#).status, 404);
    assert_eq!(
        world.send(&format!("POST {path}/confirm"), "{}").status,
        405
    );
}

/// H-22: subscriptions never expired. H-23: a patch of the ttl did not extend it.
#[test]
fn a_subscription_ends_after_its_ttl_unless_it_is_renewed() {
    let world = World::new();
    let (short, renewed) = (
        subscribe(&world, "http://a", 60),
        subscribe(&world, "http://b", 60),
    );
    world.advance_secs(59);
    assert_eq!(read(&world, &short).status, 200);
    let answer = patch(&world, &renewed, r#"{"ttl":70}"#);
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (204, Some(&*renewed))
    );
    world.advance_secs(1);
    for line in [format!("GET {short}"), format!("PATCH {short}")] {
        assert_eq!(world.send(&line, r#"{"ttl":60}"#).status, 404, "{line}");
    }
    assert_eq!(world.status(&format!("DELETE {short}")), 204);
    assert_eq!(all(&world, 10).len(), 1);
    // Whoever is gone may come back, as somebody new.
    assert_ne!(subscribe(&world, "http://a", 900), short);
    world.advance_secs(68);
    let shown = read(&world, &renewed).json();
    assert_eq!((&shown["ttl"], &shown["age"]), (&json!(70), &json!(69)));
    world.advance_secs(1);
    assert_eq!(read(&world, &renewed).status, 404);
    assert_eq!(all(&world, 10).len(), 1);
}

/// H-24: a patch could make duplicates. H-25: patching options corrupted the record.
#[test]
fn an_update_changes_what_it_names_and_makes_no_duplicates() {
    let world = World::new();
    let (a, b) = (
        subscribe(&world, "http://a", 60),
        subscribe(&world, "http://b", 60),
    );
    world.advance_secs(5);
    assert_eq!(
        patch(&world, &a, r#"{"subscriber":"http://b","ttl":90}"#).status,
        409
    );
    let unchanged = read(&world, &a).json();
    assert_eq!(
        (&unchanged["subscriber"], &unchanged["ttl"]),
        (&json!("http://a"), &json!(60))
    );
    assert_eq!(
        patch(
            &world,
            &a,
            r#"{"subscriber":"http://a","options":{"k":[1]}}"#
        )
        .status,
        204
    );
    let patched = read(&world, &a).json();
    assert_eq!(
        (&patched["options"], &patched["age"]),
        (&json!({"k": [1]}), &json!(5))
    );
    assert_eq!(
        patch(&world, &b, r#"{"subscriber":"http://c"}"#).status,
        204
    );
    // The old name is free again, the new one is not.
    assert_eq!(
        patch(&world, &a, r#"{"subscriber":"http://c"}"#).status,
        409
    );
    assert_eq!(
        patch(&world, &a, r#"{"subscriber":"http://b"}"#).status,
        204
    );
    for document in [
        "",
        "{}",
        r#"{"x":1}"#,
        r#"{"confirmed":true}"#,
        r#"{"ttl":252000000000}"#,
    ] {
        assert_eq!(patch(&world, &a, document).status, 400, "{document}");
    }
    assert_eq!(
        patch(&world, "/v2/queues/q/subscriptions/x", r#"{"ttl":60}"#).status,
        404
    );
    assert_eq!(all(&world, 10).len(), 2);
}

/// H-09: paging repeated the first item. H-27: a subscription was reachable through another queue.
#[test]
fn pages_show_every_subscription_once_and_in_order() {
    let world = World::new();
    let mut made: Vec<String> = (0..23)
        .map(|n| subscribe(&world, &format!("http://h/{n}"), 60))
        .map(|path| text(&json!(path.rsplit('/').next().unwrap())))
        .collect();
    made.sort();
    for limit in [1, 7, 20] {
        assert_eq!(all(&world, limit), made, "{limit}");
    }
    let first = ids(&read(&world, "/v2/queues/q/subscriptions").json());
    assert_eq!(first, made[..10]);
    // A marker is a position, whether there is a subscription at it or not.
    let after = format!("/v2/queues/q/subscriptions?marker={}", made[4]);
    assert_eq!(
        world.status(&format!("DELETE /v2/queues/q/subscriptions/{}", made[4])),
        204
    );
    assert_eq!(ids(&read(&world, &after).json())[0], made[5]);
    for path in [
        "/v2/queues/q/subscriptions?marker=x",
        "/v2/queues/nowhere/subscriptions",
    ] {
        let empty = read(&world, path);
        assert_eq!(
            empty.json(),
            json!({"subscriptions": [], "links": []}),
            "{path}"
        );
    }
    for limit in ["0", "21", "x"] {
        let path = format!("/v2/queues/q/subscriptions?limit={limit}");
        assert_eq!(read(&world, &path).status, 400, "{limit}");
    }

    let elsewhere = format!("/v2/queues/r/subscriptions/{}", made[0]);
    assert_eq!(read(&world, &elsewhere).status, 404);
    assert_eq!(world.status(&format!("DELETE {elsewhere}")), 204);
    let line = format!("GET /v2/queues/q/subscriptions/{}", made[0]);
    assert_eq!(world.send_as((ALICE, "other"), &line, "").status, 404);
    assert_eq!(world.status(&line), 200);
}

#[test]
fn subscriptions_survive_their_queue_but_not_a_purge() {
    let world = World::new();
    let path = subscribe(&world, "http://a", 60);
    assert_eq!(world.status("DELETE /v2/queues/q"), 204);
    assert_eq!(world.send("GET /v2/queues", "").json()["queues"], json!([]));
    assert_eq!(read(&world, &path).status, 200);
    let purge = |types: &str| {
        let document = format!("{{\"resource_types\":[{types}]}}");
        assert_eq!(world.send("POST /v2/queues/q/purge", &document).status, 204);
    };
    purge("\"messages\"");
    assert_eq!(read(&world, &path).status, 200);
    purge("\"subscriptions\"");
    assert_eq!(read(&world, &path).status, 404);
    let path = subscribe(&world, "http://a", 60);
    assert_eq!(world.status("POST /v2/queues/q/purge"), 204);
    assert_eq!(read(&world, &path).status, 404);
    assert_eq!(all(&world, 10), Vec::<String>::new());
}
