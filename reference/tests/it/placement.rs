//! Which pool a queue is in, and how pools are emptied: Zaqar v2, "Placement", and G18.

use nanshe_reference::broker::{PoolingRule, VirtualPoolRule};
use nanshe_reference::{Limits, Settings};
use serde_json::{Value, json};

use crate::admin::{add_pool, operate, pooled};
use crate::support::{BOB, World};

fn status(world: &World, line: &str, body: &Value) -> u16 {
    operate(world, line, &body.to_string()).status.as_u16()
}

fn set_weight(world: &World, pool: &str, weight: u32) {
    let line = format!("PATCH /v2/pools/{pool}");
    assert_eq!(status(world, &line, &json!({"weight": weight})), 200);
}

/// What a drain answers: how many it moved, and how many are left.
fn drain(world: &World, pool: &str, query: &str) -> (u64, u64) {
    let answer = operate(world, &format!("POST /v2/pools/{pool}/drain{query}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let count = |name| answer.json()[name].as_u64().unwrap();
    (count("moved"), count("left"))
}

fn refuses_to_drain(world: &World, pool: &str) -> bool {
    operate(world, &format!("POST /v2/pools/{pool}/drain"), "").status == 409
}

/// How many queues are in a pool. Counted by emptying it into another.
fn count(world: &World, pool: &str, into: &str) -> u64 {
    set_weight(world, pool, 0);
    add_pool(world, into, 1);
    let (moved, left) = drain(world, pool, "");
    assert_eq!(left, 0);
    moved
}

#[test]
fn without_a_pool_no_queue_is_created() {
    let world = pooled();
    add_pool(&world, "idle", 0);
    let post = r#"{"messages":[{"body":1}]}"#;
    let subscribe = r#"{"subscriber":"http://h"}"#;
    for (line, body) in [
        ("PUT /v2/queues/q", ""),
        ("POST /v2/queues/q/messages", post),
        ("POST /v2/queues/q/subscriptions", subscribe),
    ] {
        let answer = world.send(line, body);
        assert_eq!(answer.status, 503, "{line}");
        assert!(answer.json()["description"].is_string());
    }
    let none = json!({"queues": [], "links": []});
    assert_eq!(world.send("GET /v2/queues", "").json(), none);
    let subscriptions = world.send("GET /v2/queues/q/subscriptions", "").json();
    assert_eq!(subscriptions["subscriptions"], json!([]));
    // What needs no queue is as ever.
    assert_eq!(world.status("GET /v2/queues/q"), 200);
    assert_eq!(world.status("POST /v2/queues/q/claims"), 204);
    // A pool joins, and no restart is needed.
    set_weight(&world, "idle", 1);
    assert_eq!(world.status("PUT /v2/queues/q"), 201);
    assert_eq!(world.send("POST /v2/queues/r/messages", post).status, 201);
    let line = "POST /v2/queues/s/subscriptions";
    assert_eq!(world.send(line, subscribe).status, 201);
    assert_eq!(count(&world, "idle", "idle-2"), 3);
}

#[test]
fn a_virtual_pool_takes_what_no_pool_takes() {
    let world = World::with_settings(Settings {
        admin_mode: true,
        ..Settings::from(Limits {
            pooling_rule: PoolingRule::Pools,
            virtual_pool_rule: VirtualPoolRule::Enabled,
            ..Limits::default()
        })
    });
    world.post("outside", 60, &[1]);
    add_pool(&world, "p", 1);
    world.post("inside", 60, &[2]);
    world.post("outside", 60, &[3]);
    assert_eq!(count(&world, "p", "q"), 1);
    assert_eq!(world.everything("outside"), [1, 3]);
    assert_eq!(world.everything("inside"), [2]);
    assert_eq!(world.status("DELETE /v2/queues/outside"), 204);
}

/// Pearson's test over HTTP: with 2 degrees of freedom, chance alone exceeds 13.82 once in 1,000
/// times. The seed is fixed.
#[test]
fn queues_are_placed_in_proportion_to_weights() {
    let world = pooled();
    let weights = [("a", 1_u32), ("b", 3), ("c", 6), ("d", 0)];
    for (name, weight) in weights {
        add_pool(&world, name, weight);
    }
    for number in 0..2_000 {
        // Half of them by a put, half by a post.
        if number % 2 == 0 {
            assert_eq!(world.status(&format!("PUT /v2/queues/q{number}")), 201);
        } else {
            world.post(&format!("q{number}"), 60, &[1]);
        }
    }
    add_pool(&world, "rest", 0);
    let mut chi_square = 0.0;
    for (name, weight) in weights {
        let found = f64::from(u32::try_from(drained(&world, name)).unwrap());
        let expected = f64::from(weight) * 200.0;
        if weight == 0 {
            assert!(found == 0.0, "weight 0 takes nothing");
        } else {
            chi_square += (found - expected) * (found - expected) / expected;
        }
    }
    assert!(chi_square < 13.82, "{chi_square}");
}

/// How many queues are in a pool, when all others but `rest` are without weight or drained.
fn drained(world: &World, pool: &str) -> u64 {
    for other in ["a", "b", "c", "d"] {
        set_weight(world, other, 0);
    }
    set_weight(world, "rest", 1);
    let mut all = 0;
    loop {
        let (moved, left) = drain(world, pool, "");
        all += moved;
        if left == 0 {
            return all;
        }
    }
}

#[test]
fn weights_steer_only_queues_to_come() {
    let world = pooled();
    add_pool(&world, "old", 1);
    for number in 0..10 {
        world.post(&format!("q{number}"), 60, &[number]);
    }
    set_weight(&world, "old", 0);
    add_pool(&world, "new", 5);
    for number in 5..20 {
        world.post(&format!("q{number}"), 60, &[number]);
    }
    // The old queues are where they were, though they were posted to.
    assert_eq!(count(&world, "old", "new"), 10);
    assert_eq!(count(&world, "new", "old"), 20);
    assert_eq!(world.everything("q7"), [7, 7]);
}

#[test]
fn a_flavor_selects_the_pools_of_a_queue() {
    let world = pooled();
    add_pool(&world, "plain", 1);
    add_pool(&world, "fast", 1);
    let flavor = json!({"pool_list": ["fast"]});
    assert_eq!(status(&world, "PUT /v2/flavors/f", &flavor), 201);
    let put = |name: &str, metadata: &str| {
        let line = format!("PUT /v2/queues/{name}");
        world.send(&line, metadata).status.as_u16()
    };
    for number in 0..4 {
        assert_eq!(put(&format!("f{number}"), r#"{"_flavor":"f"}"#), 201);
        assert_eq!(put(&format!("n{number}"), r#"{"_flavor":null}"#), 201);
        world.post(&format!("l{number}"), 60, &[1]);
    }
    for metadata in [
        r#"{"_flavor":"nobody"}"#,
        r#"{"_flavor":""}"#,
        r#"{"_flavor":5}"#,
        r#"{"_flavor":{}}"#,
        r#"{"_flavor":"no name"}"#,
    ] {
        // It is checked, though not used, for a queue that exists.
        assert_eq!((put("new", metadata), put("f0", metadata)), (400, 400));
    }
    let queues = world.send("GET /v2/queues?with_count=true", "").json();
    assert_eq!(queues["count"], 12, "what was refused is not there");
    // Without weight in the flavor nothing is placed, whatever others have.
    set_weight(&world, "fast", 0);
    assert_eq!(put("late", r#"{"_flavor":"f"}"#), 503);
    assert!(
        refuses_to_drain(&world, "fast"),
        "no other pool of the flavor"
    );
    add_pool(&world, "faster", 1);
    assert!(refuses_to_drain(&world, "fast"), "still none");
    let flavor = json!({"pool_list": ["fast", "faster"]});
    assert_eq!(status(&world, "PATCH /v2/flavors/f", &flavor), 200);
    assert_eq!(drain(&world, "fast", ""), (4, 0));
    add_pool(&world, "plainer", 1);
    assert_eq!(count(&world, "plain", "plainer"), 8);
}

/// A queue keeps the flavor that it was created with, whatever becomes of its pool.
#[test]
fn draining_keeps_flavors() {
    let world = pooled();
    add_pool(&world, "p", 1);
    assert_eq!(world.status("PUT /v2/queues/plain"), 201);
    let flavor = json!({"pool_list": ["p"]});
    assert_eq!(status(&world, "PUT /v2/flavors/f", &flavor), 201);
    let line = "PUT /v2/queues/flavored";
    assert_eq!(world.send(line, r#"{"_flavor":"f"}"#).status, 201);
    set_weight(&world, "p", 0);
    add_pool(&world, "q", 1);
    // Only the queue without a flavor may go to a pool without one.
    assert_eq!(drain(&world, "p", ""), (1, 1));
    assert!(refuses_to_drain(&world, "p"));
    assert_eq!(operate(&world, "DELETE /v2/pools/p", "").status, 403);
    // Once the flavor is gone, so is what it asked for.
    assert_eq!(operate(&world, "DELETE /v2/flavors/f", "").status, 204);
    assert_eq!(drain(&world, "p", ""), (1, 0));
    assert_eq!(operate(&world, "DELETE /v2/pools/p", "").status, 204);
    let patch = r#"[{"op":"add","path":"/metadata/k","value":1}]"#;
    let line = "PATCH /v2/queues/flavored";
    assert_eq!(
        world.send(line, patch).status,
        200,
        "it names no flavor anew"
    );
    let patch = r#"[{"op":"add","path":"/metadata/_flavor","value":"g"}]"#;
    assert_eq!(world.send(line, patch).status, 400);
    let patch = r#"[{"op":"remove","path":"/metadata/_flavor"}]"#;
    assert_eq!(world.send(line, patch).status, 200);
}

#[test]
fn a_pool_with_queues_is_emptied_before_it_is_removed() {
    let world = pooled();
    add_pool(&world, "old", 1);
    for number in 0..5 {
        assert_eq!(world.status(&format!("PUT /v2/queues/q{number}")), 201);
    }
    let remove = || operate(&world, "DELETE /v2/pools/old", "").status.as_u16();
    assert_eq!(remove(), 403);
    assert!(refuses_to_drain(&world, "old"), "it has weight");
    set_weight(&world, "old", 0);
    assert!(refuses_to_drain(&world, "old"), "there is no other");
    assert_eq!(remove(), 403);
    add_pool(&world, "idle", 0);
    assert!(refuses_to_drain(&world, "old"), "the other takes nothing");
    add_pool(&world, "new", 1);
    for query in ["?limit=0", "?limit=1001", "?limit=x"] {
        let line = format!("POST /v2/pools/old/drain{query}");
        assert_eq!(operate(&world, &line, "").status, 400);
    }
    let line = "POST /v2/pools/nobody/drain";
    assert_eq!(operate(&world, line, "").status, 404);
    assert_eq!(drain(&world, "old", "?limit=2"), (2, 3));
    assert_eq!(remove(), 403);
    assert_eq!(world.status("DELETE /v2/queues/q4"), 204);
    assert_eq!(drain(&world, "old", ""), (2, 0));
    for _ in 0..2 {
        assert_eq!(drain(&world, "old", ""), (0, 0));
    }
    assert_eq!((remove(), remove()), (204, 204));
    assert_eq!(count(&world, "new", "idle"), 4);
}

#[test]
fn clients_cannot_tell_that_their_queue_moves() {
    let world = pooled();
    add_pool(&world, "old", 1);
    let delays = r#"{"_default_message_delay":30,"k":1}"#;
    assert_eq!(world.send("PUT /v2/queues/q", delays).status, 201);
    world.post("q", 300, &[1, 2, 3]);
    world.advance_secs(30);
    world.post("q", 300, &[4, 5]);
    let claim = world.claim("q", 2, (60, 60));
    let subscribe = r#"{"subscriber":"http://h","ttl":90}"#;
    let line = "POST /v2/queues/q/subscriptions";
    assert_eq!(world.send(line, subscribe).status, 201);
    let all = "/v2/queues/q/messages?echo=true&include_claimed=true&include_delayed=true&limit=2";
    let paths = [
        all.to_owned(),
        world.send(&format!("GET {all}"), "").next().unwrap(),
        claim.clone(),
        "/v2/queues/q/subscriptions".to_owned(),
        "/v2/queues/q/stats".to_owned(),
        "/v2/queues/q".to_owned(),
        "/v2/queues?detailed=true&with_count=true".to_owned(),
    ];
    let seen = || {
        let ask = |path: &String| world.send_as((BOB, "p"), &format!("GET {path}"), "").body;
        paths.iter().map(ask).collect::<Vec<_>>()
    };
    let before = seen();
    set_weight(&world, "old", 0);
    add_pool(&world, "new", 1);
    assert_eq!(drain(&world, "old", ""), (1, 0));
    assert_eq!(operate(&world, "DELETE /v2/pools/old", "").status, 204);
    assert_eq!(seen(), before);
    // And what is under way goes on: the delay and the claim end when they would have ended.
    world.advance_secs(29);
    assert_eq!(
        world
            .send("GET /v2/queues/q/messages?echo=true", "")
            .bodies(),
        [3]
    );
    world.advance_secs(1);
    let visible = || {
        world
            .send("GET /v2/queues/q/messages?echo=true", "")
            .bodies()
    };
    assert_eq!(visible(), [3, 4, 5]);
    world.advance_secs(30);
    assert_eq!(visible(), [1, 2, 3, 4, 5]);
}

/// What is handed out too often goes to a queue that is created for it; if no pool takes that one,
/// nothing is handed out, counted or moved.
#[test]
fn dead_letters_wait_for_a_pool() {
    let world = pooled();
    add_pool(&world, "p", 1);
    let metadata = r#"{"_max_claim_count":1,"_dead_letter_queue":"dead"}"#;
    assert_eq!(world.send("PUT /v2/queues/q", metadata).status, 201);
    world.post("q", 600, &[1]);
    let claim = world.claim("q", 1, (60, 60));
    assert_eq!(world.status(&format!("DELETE {claim}")), 204);
    world.post("q", 600, &[2]);
    set_weight(&world, "p", 0);
    for _ in 0..2 {
        assert_eq!(world.status("POST /v2/queues/q/claims"), 503);
        assert_eq!(world.everything("q"), [1, 2]);
    }
    set_weight(&world, "p", 1);
    let claimed = world.send("POST /v2/queues/q/claims", "");
    assert_eq!(
        (claimed.status.as_u16(), claimed.bodies()),
        (201, vec![json!(2)])
    );
    assert_eq!(world.everything("dead"), [1]);
    assert_eq!(count(&world, "p", "p-2"), 2);
}

/// However many queues a pool has, a request moves a bounded number of them.
#[test]
fn a_large_pool_is_drained_piece_by_piece() {
    let world = pooled();
    add_pool(&world, "old", 1);
    for number in 0..2_500 {
        assert_eq!(world.status(&format!("PUT /v2/queues/q{number}")), 201);
    }
    set_weight(&world, "old", 0);
    add_pool(&world, "new", 1);
    assert_eq!(drain(&world, "old", ""), (1_000, 1_500));
    // Queues that are there can be used, and those that are deleted need not be moved.
    world.post("q1", 60, &[1]);
    world.post("q2499", 60, &[1]);
    assert_eq!(drain(&world, "old", ""), (1_000, 500));
    assert_eq!(drain(&world, "old", ""), (500, 0));
    assert_eq!(world.everything("q2499"), [1]);
}
