//! What is over is over at once, whether it was carried out or not: many more endings fall on one
//! instant than the requests right after it carry out, and every request answers as if all were.

use serde_json::{Value, json};

use crate::support::{World, id};

/// Enough that the last of them is not carried out by the few requests of a test.
const MANY: i64 = 60;

/// A queue with claims of one message each, all of which end at this very instant.
fn with_ended_claims() -> (World, Vec<String>, Vec<String>) {
    let world = World::new();
    let bodies: Vec<i64> = (0..MANY).collect();
    let messages = world.post("q", 600, &bodies);
    let claims = bodies.iter().map(|_| world.claim("q", 1, (60, 60)));
    let claims = claims.collect();
    world.advance_secs(60);
    (world, messages, claims)
}

/// A queue with messages of which all but the last ten expire at this very instant.
fn with_expired_messages() -> (World, Vec<String>) {
    let world = World::new();
    let mut messages = world.post("q", 60, &(0..MANY).collect::<Vec<_>>());
    messages.extend(world.post("q", 61, &(MANY..MANY + 10).collect::<Vec<_>>()));
    world.advance_secs(60);
    (world, messages)
}

/// A queue with messages whose delay ends at this very instant, but for the last ten.
fn with_ended_delays() -> (World, Vec<Value>) {
    let world = World::new();
    world.send("PUT /v2/queues/q", r#"{"_default_message_delay":60}"#);
    let bodies: Vec<Value> = (0..MANY).map(Value::from).collect();
    world.post("q", 600, &(0..MANY).collect::<Vec<_>>());
    let later = json!({"messages": vec![json!({"ttl": 600, "delay": 61, "body": "later"}); 10]});
    world.send("POST /v2/queues/q/messages", &later.to_string());
    world.advance_secs(60);
    (world, bodies)
}

fn last(list: &[String]) -> &str {
    list.last().unwrap()
}

#[test]
fn a_claim_that_is_over_is_unknown() {
    for (method, body, status) in [("GET", "", 404), ("PATCH", "{}", 404), ("DELETE", "", 204)] {
        let (world, messages, claims) = with_ended_claims();
        let answer = world.send(&format!("{method} {}", last(&claims)), body);
        assert_eq!(answer.status, status, "{method}");
        // Whatever was done to it, it holds nothing.
        let path = last(&messages);
        assert_eq!(
            world.status(&format!("DELETE {path}?claim_id={}", id(last(&claims)))),
            400
        );
        assert_eq!(world.status(&format!("DELETE {path}")), 204);
        assert_eq!(world.status(&format!("GET {path}")), 404);
    }
}

#[test]
fn messages_of_claims_that_are_over_are_free_in_their_old_order() {
    let (world, messages, _) = with_ended_claims();
    let stats = world.send("GET /v2/queues/q/stats", "").json();
    assert_eq!(stats["messages"]["claimed"], 0);
    assert_eq!(stats["messages"]["free"], MANY);
    let message = world.send(&format!("GET {}", last(&messages)), "").json();
    assert_eq!(message["href"], *last(&messages), "it is in no claim");
    let page = world.send("GET /v2/queues/q/messages?echo=true&limit=20", "");
    assert_eq!(page.bodies(), (0..20).map(Value::from).collect::<Vec<_>>());
    let popped = world.send("DELETE /v2/queues/q/messages?pop=5", "");
    assert_eq!(popped.bodies(), (0..5).map(Value::from).collect::<Vec<_>>());
    let claimed = world.send("POST /v2/queues/q/claims?limit=20", "");
    assert_eq!(
        claimed.bodies(),
        (5..25).map(Value::from).collect::<Vec<_>>()
    );
    let stats = world.send("GET /v2/queues/q/stats", "").json();
    assert_eq!(stats["messages"]["claimed"], 20);
    assert_eq!(stats["messages"]["free"], MANY - 25);
}

#[test]
fn nobody_sees_a_message_that_is_over() {
    let (world, messages) = with_expired_messages();
    let over = &messages[usize::try_from(MANY).unwrap() - 1];
    assert_eq!(world.status(&format!("GET {over}")), 404);
    assert_eq!(
        world.status(&format!("GET /v2/queues/q/messages?ids={}", id(over))),
        404
    );
    assert_eq!(
        world.status(&format!("DELETE {over}?claim_id=nonsense")),
        204
    );
    let left: Vec<Value> = (MANY..MANY + 10).map(Value::from).collect();
    assert_eq!(world.everything("q"), left);
    let stats = world.send("GET /v2/queues/q/stats", "").json();
    assert_eq!(stats["messages"]["total"], 10);
    assert_eq!(
        stats["messages"]["oldest"]["href"],
        messages[messages.len() - 10]
    );
    assert_eq!(stats["messages"]["newest"]["href"], *last(&messages));
    assert_eq!(
        world.send("POST /v2/queues/q/claims?limit=3", "").bodies(),
        left[..3]
    );
    assert_eq!(
        world
            .send("DELETE /v2/queues/q/messages?pop=3", "")
            .bodies(),
        left[3..6]
    );
    world.advance_secs(1);
    // The claimed ones live on, until the grace of their claim is over.
    assert_eq!(world.everything("q"), left[..3]);
    let stats = world.send("GET /v2/queues/q/stats", "").json();
    assert_eq!(
        (&stats["messages"]["claimed"], &stats["messages"]["free"]),
        (&json!(3), &json!(0))
    );
}

#[test]
fn a_delay_that_is_over_hides_nothing() {
    let (world, bodies) = with_ended_delays();
    let page = world.send("GET /v2/queues/q/messages?echo=true&limit=20", "");
    assert_eq!(page.bodies(), bodies[..20]);
    let popped = world.send("DELETE /v2/queues/q/messages?pop=15", "");
    assert_eq!(popped.bodies(), bodies[..15]);
    let claimed = world.send("POST /v2/queues/q/claims?limit=20", "");
    assert_eq!(claimed.bodies(), bodies[15..35]);
    let mut left = Vec::new();
    while let popped @ [_, ..] = &world
        .send("DELETE /v2/queues/q/messages?pop=20", "")
        .bodies()[..]
    {
        left.extend_from_slice(popped);
    }
    assert_eq!(
        left,
        bodies[35..],
        "and what is still delayed is not popped"
    );
}

#[test]
fn dead_letters_are_counted_by_hand_outs_that_are_over_too() {
    let world = World::new();
    let metadata = r#"{"_max_claim_count":1,"_dead_letter_queue":"dead"}"#;
    world.send("PUT /v2/queues/q", metadata);
    world.post("q", 600, &(0..MANY).collect::<Vec<_>>());
    for _ in 0..MANY / 20 {
        world.claim("q", 20, (60, 60));
    }
    world.advance_secs(60);
    for _ in 0..MANY / 20 {
        assert_eq!(world.status("POST /v2/queues/q/claims?limit=20"), 204);
    }
    assert_eq!(world.everything("q"), Vec::<Value>::new());
    assert_eq!(
        world.everything("dead").len(),
        usize::try_from(MANY).unwrap()
    );
}

#[test]
fn a_purge_and_a_deletion_take_what_is_over_along() {
    for clear in ["POST /v2/queues/q/purge", "DELETE /v2/queues/q"] {
        let (world, messages, claims) = with_ended_claims();
        assert_eq!(world.status(clear), 204);
        assert_eq!(world.everything("q"), Vec::<Value>::new());
        world.post("q", 600, &[7]);
        assert_eq!(world.status(&format!("GET {}", last(&messages))), 404);
        assert_eq!(world.status(&format!("GET {}", last(&claims))), 404);
        assert_eq!(
            world.send("POST /v2/queues/q/claims", "").bodies(),
            [json!(7)]
        );
    }
}
