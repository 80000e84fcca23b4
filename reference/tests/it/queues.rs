//! Queues: creation, metadata, patches, listing, deletion, purge, statistics.

use serde_json::{Value, json};

use crate::support::{ALICE, PATCH_TYPE, World};

fn names(answer: &Value) -> Vec<&str> {
    let queues = answer["queues"].as_array().unwrap();
    queues
        .iter()
        .map(|queue| queue["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_queue_is_created_once_and_keeps_its_metadata() {
    let world = World::new();
    let created = world.send("PUT /v2/queues/q", r#"{"k":1,"_default_message_ttl":61}"#);
    assert_eq!(
        (created.status.as_u16(), created.header("location")),
        (201, Some("/v2/queues/q"))
    );
    let again = world.send("PUT /v2/queues/q", r#"{"k":2}"#);
    assert_eq!(
        (again.status.as_u16(), again.header("location")),
        (204, Some("/v2/queues/q"))
    );
    assert_eq!(
        world
            .send("PUT /v2/queues/q", r#"{"_max_claim_count":-1}"#)
            .status,
        400
    );
    let metadata = world.send("GET /v2/queues/q", "").json();
    assert_eq!(
        (&metadata["k"], &metadata["_default_message_ttl"]),
        (&json!(1), &json!(61))
    );
}

#[test]
fn reading_never_creates_a_queue() {
    let world = World::new();
    for line in [
        "GET /v2/queues/q",
        "GET /v2/queues/q/stats",
        "GET /v2/queues/q/messages",
        "POST /v2/queues/q/claims",
        "POST /v2/queues/q/purge",
        "DELETE /v2/queues/q",
        "DELETE /v2/queues/q/messages?pop=1",
        "POST /v2/queues/q/messages",
    ] {
        world.send(line, "");
    }
    let list = world.send("GET /v2/queues?with_count=true", "").json();
    assert_eq!(list, json!({"queues": [], "links": []}));
    world.post("q", 60, &[1]);
    let list = world.send("GET /v2/queues?with_count=true", "").json();
    assert_eq!((names(&list), &list["count"]), (vec!["q"], &json!(1)));
}

#[test]
fn queues_are_listed_by_name_in_pages() {
    let world = World::new();
    for name in ["a1", "B2", "10", "2"] {
        world.send(&format!("PUT /v2/queues/{name}"), "");
    }
    world.send_as((ALICE, "other"), "PUT /v2/queues/elsewhere", "");
    let first = world.send("GET /v2/queues?limit=3&detailed=true", "");
    assert_eq!(names(&first.json()), ["10", "2", "B2"]);
    assert_eq!(
        first.json()["queues"][0]["metadata"]["_default_message_ttl"],
        3600
    );
    let second = world.send(&format!("GET {}", first.next().unwrap()), "");
    assert_eq!(names(&second.json()), ["a1"]);
    let third = world.send(&format!("GET {}", second.next().unwrap()), "");
    assert_eq!(third.json(), json!({"queues": [], "links": []}));
    let absent = world.send("GET /v2/queues?marker=2zzz", "").json();
    assert_eq!(names(&absent), ["B2", "a1"]);
    for line in ["limit=0", "limit=21", "limit=x", "detailed=maybe"] {
        assert_eq!(
            world.status(&format!("GET /v2/queues?{line}")),
            400,
            "{line}"
        );
    }
}

#[test]
fn filters_select_queues_and_stay_in_the_links() {
    let world = World::new();
    world.send("PUT /v2/queues/red-1", r#"{"color":"red","n":1}"#);
    world.send("PUT /v2/queues/red-2", r#"{"color":"red","n":"1"}"#);
    world.send("PUT /v2/queues/blue", r#"{"color":"blue","n":1}"#);
    let list = |query: &str| world.send(&format!("GET /v2/queues?{query}"), "");
    assert_eq!(names(&list("name=ed-").json()), ["red-1", "red-2"]);
    assert_eq!(names(&list("name=r.d").json()), [""; 0]);
    assert_eq!(names(&list("n=1").json()), ["blue", "red-1"]);
    let page = list("color=red&limit=1");
    assert_eq!(names(&page.json()), ["red-1"]);
    let next = world.send(&format!("GET {}", page.next().unwrap()), "");
    assert_eq!(names(&next.json()), ["red-2"]);
}

#[test]
fn a_patch_changes_all_or_nothing() {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"k":1,"_default_message_ttl":61}"#);
    let patch = |body: &str| world.send("PATCH /v2/queues/q", body);
    let step = |op: &str, path: &str, value: &str| {
        format!(r#"{{"op":"{op}","path":"{path}","value":{value}}}"#)
    };
    let good = step("add", "/metadata/new", "[1]");
    for (bad, status) in [
        (step("replace", "/metadata/absent", "1"), 409),
        (step("remove", "/metadata/absent", "1"), 409),
        (step("replace", "/metadata/_flavor", "1"), 409),
        (step("replace", "/metadata/_default_message_ttl", "59"), 400),
        (step("test", "/metadata/k", "1"), 400),
        (step("remove", "/meta/k", "1"), 400),
    ] {
        assert_eq!(patch(&format!("[{good},{bad}]")).status, status, "{bad}");
        assert!(
            world
                .send("GET /v2/queues/q", "")
                .json()
                .get("new")
                .is_none()
        );
    }
    let patched = patch(&format!(
        "[{good},{},{},{}]",
        step("replace", "/metadata/k", "2"),
        step("remove", "/metadata/_default_message_ttl", "0"),
        step("remove", "/metadata/_max_claim_count", "0"),
    ));
    assert_eq!(patched.status, 200);
    let metadata = patched.json();
    assert_eq!((&metadata["new"], &metadata["k"]), (&json!([1]), &json!(2)));
    assert_eq!(metadata["_default_message_ttl"], 3600);
    assert_eq!(metadata, world.send("GET /v2/queues/q", "").json());
    assert_eq!(patch("[]").json(), metadata);
}

#[test]
fn a_patch_is_checked_before_the_queue_is_looked_up() {
    let world = World::new();
    assert_eq!(world.send("PATCH /v2/queues/q", "[]").status, 404);
    for body in ["", "{}", "5", r#"[{"op":"add","path":5,"value":1}]"#] {
        assert_eq!(world.send("PATCH /v2/queues/q", body).status, 400, "{body}");
    }
    let headers = [("client-id", ALICE), ("x-project-id", "p")];
    let untyped = world.send_raw("PATCH /v2/queues/q", &headers, "[]");
    assert_eq!(
        (untyped.status.as_u16(), untyped.header("accept-patch")),
        (415, Some(PATCH_TYPE))
    );
    let typed = format!("{PATCH_TYPE}; charset=utf-8");
    let headers = [headers[0], headers[1], ("content-type", typed.as_str())];
    assert_eq!(
        world.send_raw("PATCH /v2/queues/q", &headers, "[]").status,
        415
    );
}

#[test]
fn a_deleted_queue_leaves_nothing_to_its_successor() {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"k":1}"#);
    let paths = world.post("q", 60, &[1, 2]);
    let claim = world.claim("q", 1, (60, 60));
    let page = world.send(
        "GET /v2/queues/q/messages?echo=true&include_claimed=true",
        "",
    );
    assert_eq!(world.status("DELETE /v2/queues/q"), 204);
    assert_eq!(world.status("DELETE /v2/queues/q"), 204);
    world.post("q", 60, &[3]);
    assert!(world.send("GET /v2/queues/q", "").json().get("k").is_none());
    assert_eq!(world.status(&format!("GET {}", paths[1])), 404);
    assert_eq!(world.status(&format!("GET {claim}")), 404);
    assert_eq!(world.everything("q"), [json!(3)]);
    let behind = world.send(&format!("GET {}", page.next().unwrap()), "");
    assert_eq!(
        behind.bodies(),
        [json!(3)],
        "an old marker does not skip new messages"
    );
}

#[test]
fn a_purge_removes_all_messages_and_nothing_else() {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"k":1,"_default_message_delay":9}"#);
    let body = r#"{"messages":[{"body":1,"delay":0},{"body":2,"delay":0},{"body":3}]}"#;
    world.send("POST /v2/queues/q/messages", body);
    let claim = world.claim("q", 1, (60, 60));
    let purge = |body: &str| world.send("POST /v2/queues/q/purge", body).status.as_u16();
    assert_eq!(purge(r#"{"resource_types":["subscriptions"]}"#), 204);
    assert_eq!(world.everything("q").len(), 3);
    assert_eq!(purge(""), 204);
    assert!(world.everything("q").is_empty());
    let read = world.send(&format!("GET {claim}"), "");
    assert_eq!((read.status.as_u16(), read.bodies().len()), (200, 0));
    assert_eq!(world.send("GET /v2/queues/q", "").json()["k"], 1);
    world.advance_secs(100);
    assert_eq!(
        world.send("GET /v2/queues/q/stats", "").json()["messages"]["total"],
        0
    );
}

#[test]
fn statistics_count_delayed_messages_as_free_and_expired_ones_not() {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"_default_message_delay":100}"#);
    let body = r#"{"messages":[{"body":1,"delay":0},{"body":2,"ttl":60},{"body":3}]}"#;
    world.send("POST /v2/queues/q/messages", body);
    world.claim("q", 1, (300, 60));
    let stats = || world.send("GET /v2/queues/q/stats", "").json()["messages"].clone();
    let counts =
        |stats: &Value| [&stats["claimed"], &stats["free"], &stats["total"]].map(Value::as_u64);
    assert_eq!(counts(&stats()), [Some(1), Some(2), Some(3)]);
    world.advance_secs(60);
    assert_eq!(counts(&stats()), [Some(1), Some(1), Some(2)]);
    assert_eq!(stats()["oldest"]["age"], 60);
    let none = world.send("GET /v2/queues/none/stats", "").json();
    assert_eq!(
        none,
        json!({"messages": {"claimed": 0, "free": 0, "total": 0}})
    );
}

#[test]
fn patches_cannot_grow_the_metadata_beyond_what_a_request_may_carry() {
    let world = World::new();
    let value = "x".repeat(65_536 - r#"{"k":""}"#.len());
    assert_eq!(
        world
            .send("PUT /v2/queues/q", &format!("{{\"k\":\"{value}\"}}"))
            .status,
        201
    );
    let add = |name: &str| {
        let body = format!(r#"[{{"op":"add","path":"/metadata/{name}","value":"x"}}]"#);
        world.send("PATCH /v2/queues/q", &body).status.as_u16()
    };
    assert_eq!(world.send("PATCH /v2/queues/q", "[]").status, 200);
    assert_eq!((add("more"), add("k"), add("more")), (400, 200, 200));
}
