//! The order of checks, and what headers do.

use nanshe_reference::Limits;
use nanshe_reference::broker::ClientIdRule;

use crate::support::{ALICE, BOB, World};

/// Every request has all faults of the later ones, so the earlier check must win.
#[test]
fn the_earlier_check_wins() {
    let world = World::new();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let length = ("content-length", "0");
    let html = ("accept", "text/html");
    let client = ("client-id", ALICE);
    let project = ("x-project-id", "p");
    let long = "x".repeat(257);
    let long_project = ("x-project-id", long.as_str());
    for (line, headers, status, title) in [
        (
            "POST /v2/nowhere",
            vec![form, length, html],
            404,
            "Not found",
        ),
        (
            "POST /v2/queues/!/stats",
            vec![form, length, html],
            400,
            "Invalid header",
        ),
        ("POST /v2/queues/!/stats", vec![form, html], 406, ""),
        ("POST /v2/queues/!/stats", vec![html], 406, ""),
        ("POST /v2/queues/!/stats", vec![], 400, "Invalid header"),
        (
            "POST /v2/queues/!/stats",
            vec![client],
            400,
            "Invalid header",
        ),
        (
            "POST /v2/queues/!/stats",
            vec![client, project],
            400,
            "Invalid queue identification",
        ),
        (
            "POST /v2/queues/q/stats",
            vec![client, long_project],
            400,
            "Invalid queue identification",
        ),
        (
            "POST /v2/queues/q/stats",
            vec![client, project],
            405,
            "Method not allowed",
        ),
        ("GET /v2/queues", vec![client, long_project], 200, ""),
        ("POST /v2/ping", vec![project], 400, "Invalid header"),
        ("POST /", vec![], 405, "Method not allowed"),
        ("GET /", vec![html], 406, ""),
    ] {
        let answer = world.send_raw(line, &headers, "");
        assert_eq!(answer.status, status, "{line} {headers:?}");
        let request_id = answer.header("x-openstack-request-id").unwrap();
        assert_eq!((request_id.len(), &request_id[..4]), (40, "req-"));
        if !title.is_empty() {
            let error = answer.json();
            assert_eq!(error["title"], title, "{line} {headers:?}");
            assert!(error["description"].is_string());
            assert_eq!(answer.header("vary"), Some("accept"));
        }
    }
}

#[test]
fn wrong_methods_are_told_the_right_ones() {
    let world = World::new();
    for (line, allow) in [
        ("GET /v2/queues/q/claims", "OPTIONS, POST"),
        ("HEAD /v2/queues", "GET, OPTIONS"),
        ("PUT /v2/queues/q/messages", "DELETE, GET, OPTIONS, POST"),
        ("BREW /v2/queues/q", "DELETE, GET, OPTIONS, PATCH, PUT"),
    ] {
        let answer = world.send(line, "");
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, Some(allow)),
            "{line}"
        );
    }
    let options = world.send("OPTIONS /v2/queues/q", "");
    assert_eq!(options.status, 200);
    assert_eq!(
        options.header("allow"),
        Some("DELETE, GET, OPTIONS, PATCH, PUT")
    );
    assert!(options.body.is_empty());
}

#[test]
fn paths_that_are_gone_or_switched_off_do_not_exist() {
    let world = World::new();
    for path in ["/v1/queues", "/v2", "/v2/health", "/v2/pools"] {
        assert_eq!(world.status(&format!("GET {path}")), 404, "{path}");
    }
}

#[test]
fn names_outside_of_the_class_are_no_queues() {
    let world = World::new();
    let long = "x".repeat(65);
    for name in ["", "a%20b", "a%0A", "%C3%A9", "a!", long.as_str()] {
        assert_eq!(
            world.status(&format!("GET /v2/queues/{name}")),
            400,
            "{name}"
        );
    }
    for name in ["a", "A-b_c.9", "%61", &long[1..]] {
        assert_eq!(
            world.status(&format!("GET /v2/queues/{name}")),
            200,
            "{name}"
        );
    }
}

#[test]
fn clients_and_projects_must_be_named() {
    let world = World::new();
    for headers in [
        vec![("client-id", ""), ("x-project-id", "p")],
        vec![("client-id", "nobody"), ("x-project-id", "p")],
        vec![
            ("client-id", ALICE),
            ("client-id", BOB),
            ("x-project-id", "p"),
        ],
        vec![("client-id", ALICE), ("x-project-id", "")],
        vec![("client-id", ALICE)],
    ] {
        assert_eq!(
            world.send_raw("GET /v2/queues", &headers, "").status,
            400,
            "{headers:?}"
        );
    }
}

#[test]
fn every_spelling_of_a_client_id_is_the_same_client() {
    let world = World::new();
    world.post("q", 60, &[1]);
    let plain = ALICE.replace('-', "").to_uppercase();
    let line = "GET /v2/queues/q/messages";
    assert_eq!(world.send_as((&plain, "p"), line, "").bodies().len(), 0);
    assert_eq!(world.send_as((BOB, "p"), line, "").bodies().len(), 1);
}

#[test]
fn free_form_clients_work_where_they_are_allowed() {
    let rule = ClientIdRule::FreeForm {
        chars_min: 10,
        chars_max: 36,
    };
    let world = World::with_limits(Limits {
        client_id_rule: rule,
        ..Limits::default()
    });
    assert_eq!(
        world.send_as(("short", "p"), "GET /v2/queues", "").status,
        400
    );
    let body = r#"{"messages":[{"body":1}]}"#;
    let line = "/v2/queues/q/messages";
    assert_eq!(
        world
            .send_as(("worker-number-1", "p"), &format!("POST {line}"), body)
            .status,
        201
    );
    let list = |client| {
        world
            .send_as((client, "p"), &format!("GET {line}"), "")
            .bodies()
            .len()
    };
    assert_eq!((list("worker-number-1"), list("worker-number-2")), (0, 1));
}

#[test]
fn documents_we_do_not_accept_are_refused_everywhere() {
    let world = World::new();
    let deep = "[".repeat(2_000) + &"]".repeat(2_000);
    for body in [
        "1e400",
        "NaN",
        "Infinity",
        "9223372036854775808",
        r#""\ud800""#,
        "\u{feff}1",
        deep.as_str(),
        "01",
        "{\"a\":}",
    ] {
        let document = format!("{{\"messages\":[{{\"body\":{body}}}]}}");
        assert_eq!(
            world.send("POST /v2/queues/q/messages", &document).status,
            400,
            "{body}"
        );
        let document = format!("{{\"k\":{body}}}");
        assert_eq!(
            world.send("PUT /v2/queues/q", &document).status,
            400,
            "{body}"
        );
        assert_eq!(
            world.send("POST /v2/queues/q/claims", &document).status,
            400,
            "{body}"
        );
    }
    assert_eq!(
        world.send("GET /v2/queues", "").json()["queues"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}
