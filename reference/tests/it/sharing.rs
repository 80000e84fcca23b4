//! Pre-signed URLs: what is signed, and what a signature opens.

use nanshe_reference::{Settings, SigningKey};
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, BOB, World, text};

const LINE: &str = "POST /v2/queues/q1/share";

fn world() -> World {
    World::with_settings(Settings {
        signing_key: SigningKey::new("secret".to_owned()),
        ..Settings::default()
    })
}

/// The headers of a share, in an order on which nothing depends.
fn headers(share: &Value) -> Vec<(&'static str, String)> {
    let list = |name: &str| {
        let items = share[name].as_array().unwrap().iter().rev().map(text);
        items.collect::<Vec<_>>().join(",")
    };
    vec![
        ("client-id", BOB.to_owned()),
        ("x-project-id", text(&share["project"])),
        ("url-signature", text(&share["signature"])),
        ("url-expires", text(&share["expires"])),
        ("url-methods", list("methods")),
        ("url-paths", list("paths")),
    ]
}

fn send(world: &World, headers: &[(&'static str, String)], line: &str) -> Answer {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    world.send_raw(line, &headers, r#"{"messages":[{"body":1}]}"#)
}

#[test]
fn a_share_is_what_the_contract_shows() {
    let world = world();
    let body =
        r#"{"paths":["messages"],"methods":["POST","GET"],"expires":"2026-11-23T07:21:38Z"}"#;
    let answer = world.send(LINE, body);
    let expected = json!({
        "paths": ["/v2/queues/q1/messages"], "methods": ["GET", "POST"], "project": "p",
        "expires": "2026-11-23T07:21:38", "signature": "cb659b2c8774955a19e09df015b41fd7376eff309f309876e94d996a841b457e",
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
    let defaults = world.send(LINE, "{}").json();
    assert_eq!(defaults["paths"], json!(["/v2/queues/q1/messages"]));
    assert_eq!(defaults["methods"], json!(["GET"]));
    assert_eq!(defaults["expires"], "2026-11-23T07:18:51");
    // Nothing was created.
    assert_eq!(world.send("GET /v2/queues", "").json()["queues"], json!([]));
}

#[test]
fn shares_that_cannot_be_signed_are_refused() {
    let world = world();
    for body in [
        "",
        "[]",
        r#"{"project":"q"}"#,
        r#"{"paths":["stats"]}"#,
        r#"{"paths":"messages"}"#,
        r#"{"methods":"GET"}"#,
        r#"{"methods":[1]}"#,
        r#"{"methods":["GET,POST"]}"#,
        r#"{"methods":["GET\\np"]}"#,
        r#"{"expires":3600}"#,
        r#"{"expires":"3600"}"#,
        r#"{"expires":"soon"}"#,
        r#"{"expires":"2026-11-22T07:18:51"}"#,
        r#"{"expires":"10000-01-01"}"#,
    ] {
        assert_eq!(world.send(LINE, body).status, 400, "{body}");
    }
    assert_eq!(world.send_as((ALICE, r"x\nvictim"), LINE, "{}").status, 400);
    assert_eq!(World::new().send(LINE, "{}").status, 400);
}

#[test]
fn a_signature_opens_its_paths_and_what_lies_below_them() {
    let world = world();
    let share = world.send(
        LINE,
        r#"{"paths":["messages","claims"],"methods":["GET","POST"]}"#,
    );
    let headers = headers(&share.json());
    let posted = send(&world, &headers, "POST /v2/queues/q1/messages");
    assert_eq!(posted.status, 201);
    let item = text(&posted.json()["resources"][0]);
    assert_eq!(send(&world, &headers, &format!("GET {item}")).status, 200);
    for line in [
        "DELETE /v2/queues/q1/messages?pop=1",
        "GET /v2/queues/q1",
        "GET /v2/queues/q2/messages",
        "POST /v2/queues/q1/messages-too",
        "GET /v2/queues/q1/stats",
        "POST /v2/queues/q1/share",
        "GET /",
    ] {
        assert_eq!(send(&world, &headers, line).status, 404, "{line}");
    }
    world.advance_secs(24 * 60 * 60 - 1);
    assert_eq!(
        send(&world, &headers, "GET /v2/queues/q1/messages").status,
        200
    );
    world.advance_secs(1);
    assert_eq!(
        send(&world, &headers, "GET /v2/queues/q1/messages").status,
        404
    );
}

#[test]
fn a_signature_that_does_not_fit_what_the_headers_say_opens_nothing() {
    let world = world();
    let share = world.send(LINE, r#"{"methods":["GET","POST"]}"#).json();
    let good = headers(&share);
    let line = "GET /v2/queues/q1/messages";
    assert_eq!(send(&world, &good, line).status, 200);
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers
            .iter_mut()
            .find(|(found, _)| *found == name)
            .unwrap()
            .1 = value.to_owned();
        headers
    };
    let signature = text(&share["signature"]);
    for (name, value) in [
        ("url-signature", ""),
        ("url-signature", "0"),
        ("url-signature", &signature.to_uppercase()),
        ("url-expires", "2026-11-23T07:18:52"),
        ("url-expires", "never"),
        ("url-methods", "GET"),
        ("url-methods", "GET, POST"),
        ("url-paths", "/v2/queues"),
        ("url-paths", ""),
        ("x-project-id", "other"),
    ] {
        assert_eq!(
            send(&world, &with(name, value), line).status,
            404,
            "{name}: {value}"
        );
    }
    let zoned = with("url-expires", "2026-11-23T07:18:51Z");
    assert_eq!(send(&world, &zoned, line).status, 200);
    for missing in ["url-expires", "url-methods", "url-paths", "x-project-id"] {
        let mut headers = good.clone();
        headers.retain(|(name, _)| *name != missing);
        assert_eq!(
            send(&world, &headers, line).status,
            404,
            "without {missing}"
        );
    }
    // Where nothing is signed, no signature is right.
    assert_eq!(send(&World::new(), &good, line).status, 404);
}

#[test]
fn a_signature_is_checked_after_the_path_and_before_the_other_headers() {
    let world = world();
    let good = headers(&world.send(LINE, "{}").json());
    let bad = [
        ("url-signature", "0".to_owned()),
        ("accept", "text/html".to_owned()),
    ];
    assert_eq!(send(&world, &bad, "GET /v2/ping").status, 404);
    assert_eq!(send(&world, &bad[1..], "GET /v2/ping").status, 406);
    let mut anonymous = good.clone();
    anonymous.retain(|(name, _)| *name != "client-id");
    assert_eq!(
        send(&world, &anonymous, "GET /v2/queues/q1/messages").status,
        400
    );
}
