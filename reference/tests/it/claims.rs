//! Claims: exclusivity, their ends, lifetime extension, dead letters.

use serde_json::json;

use crate::support::{World, id};

#[test]
fn a_claim_takes_the_oldest_and_excludes_other_claims() {
    let world = World::new();
    world.post("q", 600, &[1, 2, 3]);
    let line = "POST /v2/queues/q/claims?limit=2";
    assert_eq!(world.send(line, "").bodies(), [json!(1), json!(2)]);
    assert_eq!(world.send(line, "").bodies(), [json!(3)]);
    let none = world.send(line, "");
    assert_eq!((none.status.as_u16(), none.header("location")), (204, None));
    assert_eq!(world.status("POST /v2/queues/unknown/claims"), 204);
    for query in ["limit=0", "limit=21", "limit=x"] {
        assert_eq!(
            world.status(&format!("POST /v2/queues/q/claims?{query}")),
            400,
            "{query}"
        );
    }
    for body in [
        "[]",
        "{\"ttl\":59}",
        "{\"ttl\":43201}",
        "{\"grace\":59}",
        "{\"ttl\":60.0}",
        "x",
    ] {
        assert_eq!(
            world.send("POST /v2/queues/q/claims", body).status,
            400,
            "{body}"
        );
    }
}

#[test]
fn released_messages_are_active_at_their_old_rank() {
    let world = World::new();
    world.post("q", 600, &[1, 2, 3]);
    let claim = world.claim("q", 2, (60, 60));
    assert_eq!(world.status(&format!("DELETE {claim}")), 204);
    assert_eq!(world.status(&format!("DELETE {claim}")), 204);
    assert_eq!(world.status(&format!("GET {claim}")), 404);
    assert_eq!(world.send("POST /v2/queues/q/claims", "").bodies().len(), 3);
    assert_eq!(world.everything("q"), [json!(1), json!(2), json!(3)]);
    assert_eq!(world.status("DELETE /v2/queues/q/claims/nonsense"), 204);
}

#[test]
fn a_claim_ends_exactly_when_its_ttl_is_over() {
    let world = World::new();
    let start = 5_000_000_000_000_000_000;
    world.set_nanos(start);
    world.post("q", 600, &[1, 2]);
    let claim = world.claim("q", 1, (60, 60));
    world.set_nanos(start + 59_999_999_999);
    let read = world.send(&format!("GET {claim}"), "").json();
    assert_eq!((&read["age"], &read["ttl"]), (&json!(59), &json!(60)));
    world.set_nanos(start + 60_000_000_000);
    assert_eq!(world.status(&format!("GET {claim}")), 404);
    assert_eq!(world.send(&format!("PATCH {claim}"), "{}").status, 404);
    assert_eq!(
        world.send("POST /v2/queues/q/claims", "").bodies(),
        [json!(1), json!(2)]
    );
}

#[test]
fn a_renewal_starts_the_lease_anew() {
    let world = World::new();
    world.post("q", 600, &[1]);
    let claim = world.claim("q", 1, (60, 60));
    world.advance_secs(59);
    let renewed = world.send(&format!("PATCH {claim}"), r#"{"ttl":100}"#);
    assert_eq!(
        (renewed.status.as_u16(), renewed.header("location")),
        (204, None)
    );
    world.advance_secs(99);
    let read = world.send(&format!("GET {claim}"), "").json();
    assert_eq!((&read["age"], &read["ttl"]), (&json!(99), &json!(100)));
    assert_eq!(world.send(&format!("PATCH {claim}"), "{}").status, 204);
    assert_eq!(world.send(&format!("GET {claim}"), "").json()["ttl"], 300);
    for body in [
        "",
        "[]",
        "{\"ttl\":1}",
        "{\"grace\":1}",
        "{\"grace\":43201}",
    ] {
        assert_eq!(
            world.send(&format!("PATCH {claim}"), body).status,
            400,
            "{body}"
        );
    }
    let elsewhere = claim.replace("/q/", "/r/");
    assert_eq!(world.send(&format!("PATCH {elsewhere}"), "{}").status, 404);
    assert_eq!(
        world
            .send(&format!("PATCH {elsewhere}"), "{\"ttl\":1}")
            .status,
        400
    );
}

#[test]
fn a_message_that_outlives_its_claim_is_not_extended() {
    let world = World::new();
    let path = world.post("q", 100, &[1]).remove(0);
    world.claim("q", 1, (60, 60));
    assert_eq!(world.send(&format!("GET {path}"), "").json()["ttl"], 100);
    world.advance_secs(99);
    assert_eq!(world.status(&format!("GET {path}")), 200);
    world.advance_secs(1);
    assert_eq!(
        world.status(&format!("GET {path}")),
        404,
        "before claim end and grace"
    );
}

#[test]
fn a_message_that_would_die_before_its_claim_lives_until_its_end_and_grace() {
    let world = World::new();
    let path = world.post("q", 60, &[1]).remove(0);
    world.advance_secs(10);
    world.claim("q", 1, (61, 60));
    let read = world.send(&format!("GET {path}"), "").json();
    assert_eq!((&read["ttl"], &read["age"]), (&json!(121), &json!(10)));
    world.advance_secs(120);
    assert_eq!(world.send(&format!("GET {path}"), "").json()["age"], 130);
    world.advance_secs(1);
    assert_eq!(world.status(&format!("GET {path}")), 404);
}

#[test]
fn a_message_that_ends_with_its_claim_is_not_extended() {
    let world = World::new();
    let path = world.post("q", 60, &[1]).remove(0);
    let claim = world.claim("q", 1, (60, 60));
    assert_eq!(world.send(&format!("GET {path}"), "").json()["ttl"], 60);
    world.advance_secs(1);
    assert_eq!(
        world
            .send(&format!("PATCH {claim}"), r#"{"ttl":60,"grace":70}"#)
            .status,
        204
    );
    assert_eq!(world.send(&format!("GET {path}"), "").json()["ttl"], 130);
    world.advance_secs(129);
    assert_eq!(world.status(&format!("GET {path}")), 200);
    world.advance_secs(1);
    assert_eq!(world.status(&format!("GET {path}")), 404);
}

#[test]
fn a_message_that_is_claimed_too_often_goes_to_the_dead_letters() {
    let world = World::new();
    let metadata = r#"{"_max_claim_count":2,"_dead_letter_queue":"dead",
        "_dead_letter_queue_messages_ttl":90}"#;
    world.send("PUT /v2/queues/q", metadata);
    world.post("dead", 600, &[0]);
    let path = world.post("q", 3600, &[1]).remove(0);
    for _ in 0..2 {
        let claim = world.claim("q", 1, (60, 60));
        world.send(&format!("DELETE {claim}"), "");
    }
    world.advance_secs(5);
    assert_eq!(world.status("POST /v2/queues/q/claims"), 204);
    assert_eq!(world.status(&format!("GET {path}")), 404);
    let moved = world
        .send(&format!("GET {}", path.replace("/q/", "/dead/")), "")
        .json();
    assert_eq!(
        (&moved["ttl"], &moved["age"], &moved["id"]),
        (&json!(90), &json!(5), &json!(id(&path)))
    );
    assert_eq!(world.everything("dead"), [json!(0), json!(1)]);
    world.advance_secs(89);
    let popped = world
        .send("DELETE /v2/queues/dead/messages?pop=2", "")
        .json();
    assert_eq!(popped["messages"][1]["claim_count"], 2);
}

#[test]
fn diverted_messages_are_not_replaced_and_the_target_is_created() {
    let world = World::new();
    world.send(
        "PUT /v2/queues/q",
        r#"{"_max_claim_count":0,"_dead_letter_queue":"dead"}"#,
    );
    world.post("q", 600, &[1, 2, 3]);
    assert_eq!(world.status("POST /v2/queues/q/claims?limit=2"), 204);
    assert_eq!(world.everything("q"), [json!(3)]);
    assert_eq!(world.everything("dead"), [json!(1), json!(2)]);
    assert_eq!(
        world.send("POST /v2/queues/dead/claims", "").bodies().len(),
        2
    );
}

#[test]
fn a_queue_may_be_its_own_dead_letter_queue() {
    let world = World::new();
    world.send(
        "PUT /v2/queues/q",
        r#"{"_max_claim_count":0,"_dead_letter_queue":"q"}"#,
    );
    world.post("q", 600, &[1, 2, 3]);
    assert_eq!(world.status("POST /v2/queues/q/claims?limit=2"), 204);
    assert_eq!(world.everything("q"), [json!(3), json!(1), json!(2)]);
}

#[test]
fn claims_are_not_counted_where_there_are_no_dead_letters() {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"_max_claim_count":1}"#);
    world.post("q", 600, &[1]);
    for _ in 0..3 {
        let claim = world.claim("q", 1, (60, 60));
        world.send(&format!("DELETE {claim}"), "");
    }
    let popped = world.send("DELETE /v2/queues/q/messages?pop=1", "").json();
    assert_eq!(popped["messages"][0]["claim_count"], 0);
}
