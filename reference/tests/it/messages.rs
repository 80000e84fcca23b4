//! Posting, listing, reading, delay, expiry.

use nanshe_reference::Settings;
use serde_json::json;

use crate::support::{ALICE, Answer, BOB, World, id, text};

/// The flag for encryption is kept and changes nothing that anybody sees.
#[test]
fn encryption_is_transparent() {
    let world = World::new();
    let made = world.send("PUT /v2/queues/q", r#"{"_enable_encrypt_messages":true}"#);
    assert_eq!(made.status, 201);
    let paths = world.post("q", 60, &[7]);
    assert_eq!(
        world.send(&format!("GET {}", paths[0]), "").json()["body"],
        7
    );
    let metadata = world.send("GET /v2/queues/q", "").json();
    assert_eq!(metadata["_enable_encrypt_messages"], true);
}

#[test]
fn checksums_are_shown_where_they_are_wanted() {
    let world = World::with_settings(Settings {
        checksums: true,
        ..Settings::default()
    });
    let body = r#"{"messages":[{"body":{"a" :"\u00e9"}},{"body":null}]}"#;
    world.send("POST /v2/queues/q/messages", body);
    let sums = |answer: &Answer| {
        let messages = answer.json()["messages"].as_array().unwrap().clone();
        messages
            .iter()
            .map(|message| message["checksum"].clone())
            .collect::<Vec<_>>()
    };
    let expected = ["MD5:b61e59fffb433d9dc2a6f1fa17ca206d", ""];
    let listed = world.send("GET /v2/queues/q/messages?echo=true", "");
    assert_eq!(sums(&listed), expected);
    let item = text(&listed.json()["messages"][0]["href"]);
    assert_eq!(
        world.send(&format!("GET {item}"), "").json()["checksum"],
        expected[0]
    );
    assert_eq!(sums(&world.send("POST /v2/queues/q/claims", "")), expected);
    // By default there are none.
    let world = World::new();
    world.post("q", 60, &[1]);
    let listed = world.send("GET /v2/queues/q/messages?echo=true", "").json();
    assert!(listed["messages"][0].get("checksum").is_none());
}

#[test]
fn a_batch_is_stored_completely_or_not_at_all() {
    let world = World::new();
    let bad = r#"{"messages":[{"body":1},{"ttl":60}]}"#;
    assert_eq!(world.send("POST /v2/queues/q/messages", bad).status, 400);
    assert!(world.everything("q").is_empty());
    world.post("q", 60, &[1, 2, 3, 4, 5, 6, 7]);
    let all = world.everything("q");
    assert_eq!(all, [1, 2, 3, 4, 5, 6, 7].map(|body| json!(body)));
}

#[test]
fn the_size_of_a_post_is_bounded_by_the_service_and_by_the_queue() {
    let world = World::new();
    let sized = |bytes: usize| {
        let frame = r#"{"messages":[{"body":""}]}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len())))
    };
    let post = |bytes| {
        world
            .send("POST /v2/queues/q/messages", &sized(bytes))
            .status
            .as_u16()
    };
    assert_eq!(
        (post(262_144), post(262_145), post(400_000)),
        (201, 400, 400)
    );
    world.send(
        "PATCH /v2/queues/q",
        r#"[{"op":"add","path":"/metadata/_max_messages_post_size","value":50}]"#,
    );
    assert_eq!((post(50), post(51)), (201, 400));
}

#[test]
fn a_long_location_is_left_out() {
    let world = World::new();
    let body = format!("{{\"messages\":[{}]}}", vec!["{\"body\":0}"; 300].join(","));
    let answer = world.send("POST /v2/queues/q/messages", &body);
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (201, None)
    );
    assert_eq!(answer.json()["resources"].as_array().unwrap().len(), 300);
}

#[test]
fn bodies_come_back_as_they_went_in() {
    let world = World::new();
    for body in [
        "null",
        "false",
        "\"\"",
        "0",
        "\"\\u0000\u{1F600}\"",
        "1.5e3",
        "{\"a\":{\"b\":[]}}",
    ] {
        let document = format!("{{\"messages\":[{{\"body\":{body}}}]}}");
        let posted = world.send("POST /v2/queues/q/messages", &document).json();
        let path = posted["resources"][0].as_str().unwrap();
        let read = world.send(&format!("GET {path}"), "");
        let expected: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(read.json()["body"], expected);
    }
}

#[test]
fn own_messages_are_listed_only_with_echo() {
    let world = World::new();
    for turn in 0..6 {
        let client = if turn % 3 == 0 { BOB } else { ALICE };
        let body = format!("{{\"messages\":[{{\"body\":{turn}}}]}}");
        world.send_as((client, "p"), "POST /v2/queues/q/messages", &body);
    }
    let first = world.send("GET /v2/queues/q/messages?limit=1", "");
    assert_eq!(first.bodies(), [json!(0)]);
    let second = world.send(&format!("GET {}", first.next().unwrap()), "");
    assert_eq!(second.bodies(), [json!(3)]);
    let third = world.send(&format!("GET {}", second.next().unwrap()), "");
    assert_eq!((third.bodies().len(), third.next()), (0, None));
    let all = world.send("GET /v2/queues/q/messages?echo=1", "");
    assert_eq!(all.bodies().len(), 6);
}

#[test]
fn a_marker_stays_valid_after_its_message_is_gone() {
    let world = World::new();
    let paths = world.post("q", 60, &[1, 2, 3]);
    let page = world.send("GET /v2/queues/q/messages?echo=true&limit=2", "");
    let next = page.next().unwrap();
    for path in &paths[..2] {
        assert!(
            !next.contains(id(path)),
            "a marker is not derived from an id"
        );
        world.send(&format!("DELETE {path}"), "");
    }
    assert_eq!(world.send(&format!("GET {next}"), "").bodies(), [json!(3)]);
    for marker in ["x", "0", id(&paths[2]), "ffffffffffffffffffffffff"] {
        let line = format!("GET /v2/queues/q/messages?echo=true&marker={marker}");
        let answer = world.send(&line, "");
        assert_eq!(
            (answer.status.as_u16(), answer.bodies().len()),
            (200, 0),
            "{marker}"
        );
    }
}

/// openstacksdk pages by the id of the last message that it saw.
#[test]
fn the_id_of_a_message_that_is_there_is_taken_for_its_place() {
    let world = World::new();
    let paths = world.post("q", 60, &[1, 2, 3]);
    world.post("r", 60, &[4]);
    let after = |queue: &str, path: &str| {
        let marker = id(path);
        let line = format!("GET /v2/queues/{queue}/messages?echo=true&marker={marker}");
        world.send(&line, "").bodies()
    };
    assert_eq!(after("q", &paths[0]), [json!(2), json!(3)]);
    assert_eq!(
        after("r", &paths[0]).len(),
        0,
        "it is no message of that queue"
    );
    world.send(&format!("DELETE {}", paths[0]), "");
    assert_eq!(
        after("q", &paths[0]).len(),
        0,
        "nobody knows its place any more"
    );
}

#[test]
fn claimed_messages_are_listed_only_on_request() {
    let world = World::new();
    let paths = world.post("q", 60, &[1, 2]);
    let claim = world.claim("q", 1, (60, 60));
    assert_eq!(
        world
            .send("GET /v2/queues/q/messages?echo=true", "")
            .bodies(),
        [json!(2)]
    );
    let line = "GET /v2/queues/q/messages?echo=true&include_claimed=true";
    let all = world.send(line, "").json();
    assert_eq!(
        all["messages"][0]["href"],
        format!("{}?claim_id={}", paths[0], id(&claim))
    );
    assert_eq!(all["messages"][1]["href"], paths[1]);
}

#[test]
fn messages_are_read_by_id_in_the_order_asked() {
    let world = World::new();
    let paths = world.post("q", 60, &[1, 2, 3]);
    world.claim("q", 1, (60, 60));
    let ids = format!(
        "{},nonsense,{},{}",
        id(&paths[2]),
        id(&paths[0]),
        id(&paths[2])
    );
    let read = world.send(&format!("GET /v2/queues/q/messages?ids={ids}"), "");
    assert_eq!(read.bodies(), [json!(3), json!(1)]);
    assert!(read.json().get("links").is_none());
    assert_eq!(world.status("GET /v2/queues/q/messages?ids=nonsense"), 404);
    assert_eq!(world.status("GET /v2/queues/q/messages?ids=,"), 400);
    assert_eq!(world.status("GET /v2/queues/q/messages?ids="), 200);
    let many = vec!["x"; 21].join(",");
    assert_eq!(
        world.status(&format!("GET /v2/queues/q/messages?ids={many}")),
        400
    );
    assert_eq!(
        world.status(&format!("GET /v2/queues/r/messages/{}", id(&paths[0]))),
        404
    );
    let elsewhere = world.send_as((ALICE, "other"), &format!("GET {}", paths[0]), "");
    assert_eq!(elsewhere.status, 404);
}

#[test]
fn a_message_is_gone_exactly_when_its_ttl_is_over() {
    let world = World::new();
    let start = 5_000_000_000_000_000_000;
    world.set_nanos(start);
    let path = world.post("q", 60, &[1]).remove(0);
    world.set_nanos(start + 59_999_999_999);
    let last = world.send(&format!("GET {path}"), "");
    assert_eq!(last.json()["age"], 59);
    world.set_nanos(start + 60_000_000_000);
    assert_eq!(world.status(&format!("GET {path}")), 404);
    assert!(world.everything("q").is_empty());
    assert_eq!(world.status("POST /v2/queues/q/claims"), 204);
    assert_eq!(
        world
            .send("DELETE /v2/queues/q/messages?pop=1", "")
            .bodies()
            .len(),
        0
    );
}

#[test]
fn a_clock_that_goes_backwards_is_held() {
    let world = World::new();
    world.set_nanos(5_000_000_000_000_000_000);
    let path = world.post("q", 60, &[1]).remove(0);
    world.set_nanos(1);
    assert_eq!(world.send(&format!("GET {path}"), "").json()["age"], 0);
}

#[test]
fn a_delay_counts_only_in_a_queue_that_delays() {
    let world = World::new();
    let body = r#"{"messages":[{"body":1,"delay":5000},{"body":2,"delay":"x"}]}"#;
    assert_eq!(
        world.send("POST /v2/queues/plain/messages", body).status,
        201
    );
    assert_eq!(
        world
            .send("POST /v2/queues/plain/claims", "")
            .bodies()
            .len(),
        2
    );
    world.send("PUT /v2/queues/q", r#"{"_default_message_delay":10}"#);
    for delay in ["-1", "901", "\"x\"", "1.0", "null", "true"] {
        let body = format!("{{\"messages\":[{{\"body\":1,\"delay\":{delay}}}]}}");
        assert_eq!(
            world.send("POST /v2/queues/q/messages", &body).status,
            400,
            "{delay}"
        );
    }
}

#[test]
fn a_delayed_message_is_hidden_until_its_delay_ends() {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"_default_message_delay":10}"#);
    let body = r#"{"messages":[{"body":1},{"body":2,"delay":0},{"body":3,"delay":20}]}"#;
    let posted = world.send("POST /v2/queues/q/messages", body).json();
    let list = |more: &str| {
        world
            .send(&format!("GET /v2/queues/q/messages?echo=1{more}"), "")
            .bodies()
    };
    assert_eq!(list(""), [json!(2)]);
    assert_eq!(list("&include_delayed=1"), [json!(1), json!(2), json!(3)]);
    assert_eq!(
        world.status(&format!("GET {}", posted["resources"][0].as_str().unwrap())),
        200
    );
    assert_eq!(
        world
            .send("DELETE /v2/queues/q/messages?pop=9", "")
            .bodies(),
        [json!(2)]
    );
    world.advance_secs(9);
    assert_eq!(world.status("POST /v2/queues/q/claims"), 204);
    world.advance_secs(1);
    assert_eq!(
        world.send("POST /v2/queues/q/claims", "").bodies(),
        [json!(1)]
    );
    let remove = r#"[{"op":"remove","path":"/metadata/_default_message_delay"}]"#;
    world.send("PATCH /v2/queues/q", remove);
    assert_eq!(list(""), [json!(3)], "such a queue lists delayed messages");
    assert_eq!(
        world.status("POST /v2/queues/q/claims"),
        204,
        "the stamped delay still applies"
    );
}
