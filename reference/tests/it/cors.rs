//! Cross-origin requests: what browsers are told.

use nanshe_reference::Settings;

use crate::support::{ALICE, Answer, World};

const ORIGIN: &str = "https://h:8";

fn world() -> World {
    World::with_settings(Settings {
        cors_origins: [ORIGIN.to_owned()].into(),
        ..Settings::default()
    })
}

fn get(world: &World, origin: &str) -> Answer {
    let headers = [
        ("client-id", ALICE),
        ("x-project-id", "p"),
        ("origin", origin),
    ];
    world.send_raw("GET /v2/queues", &headers, "")
}

fn preflight(world: &World, method: &str, headers: &str) -> Answer {
    let headers = [
        ("origin", ORIGIN),
        ("access-control-request-method", method),
        ("access-control-request-headers", headers),
    ];
    world.send_raw("OPTIONS /v2/queues/q", &headers, "")
}

fn says_anything(answer: &Answer) -> bool {
    answer
        .headers
        .keys()
        .any(|name| name.as_str().starts_with("access-control-"))
}

#[test]
fn pages_of_an_allowed_origin_see_responses() {
    let answer = get(&world(), ORIGIN);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("X-OpenStack-Request-ID"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    // Errors too, or a page could not tell why.
    let headers = [("origin", ORIGIN)];
    let refused = world().send_raw("GET /v2/queues", &headers, "");
    assert_eq!(refused.status, 400);
    assert!(says_anything(&refused));
}

#[test]
fn other_origins_are_served_without_a_word() {
    let world = world();
    for origin in ["https://h", "https://h:8.evil", "HTTPS://H:8", "null", ""] {
        let answer = get(&world, origin);
        assert_eq!(
            (answer.status.as_u16(), says_anything(&answer)),
            (200, false),
            "{origin}"
        );
    }
    assert!(!says_anything(&world.send("GET /v2/queues", "")));
    // Nobody is allowed by default.
    assert!(!says_anything(&get(&World::new(), ORIGIN)));
}

#[test]
fn preflights_are_told_what_a_request_may_have() {
    let world = world();
    let granted = preflight(&world, "PUT", "client-id, X-AUTH-TOKEN,accept");
    assert_eq!(granted.status, 200);
    assert_eq!(granted.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(granted.header("access-control-max-age"), Some("3600"));
    let methods = granted.header("access-control-allow-methods");
    assert_eq!(methods, Some("GET, PUT, POST, DELETE, PATCH, HEAD"));
    assert!(
        granted
            .header("access-control-allow-headers")
            .unwrap()
            .contains("Client-id")
    );
    for (method, headers) in [
        ("TRACE", ""),
        ("PUT", "content-type"),
        ("PUT", "url-signature"),
    ] {
        let answer = preflight(&world, method, headers);
        assert_eq!(
            (answer.status.as_u16(), says_anything(&answer)),
            (200, false),
            "{method} {headers}"
        );
    }
}
