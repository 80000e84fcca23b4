//! Deleting messages: the decision table, bulk deletes, pops.

use nanshe_reference::Limits;
use nanshe_reference::broker::BulkDeleteRule;
use serde_json::json;

use crate::support::{ALICE, World, id};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

#[test]
fn the_decision_table_holds() {
    // Message state; status without claim, under the right one, another live one, and none such.
    for (state, expected) in [
        ("absent", [204, 204, 204, 204, 204]),
        ("unclaimed", [204, 400, 400, 400, 400]),
        ("expired", [204, 400, 400, 400, 400]),
        ("released", [204, 400, 400, 400, 400]),
        ("claimed", [403, 204, 403, 400, 400]),
    ] {
        for (column, expected) in expected.into_iter().enumerate() {
            let world = World::new();
            let mut paths = world.post("q", 600, &[1, 2, 3]);
            let right = world.claim("q", 1, (60, 60));
            let other = world.claim("q", 1, (600, 60));
            match state {
                "absent" => {
                    let line = format!("DELETE {}?claim_id={}", paths[0], id(&right));
                    assert_eq!(world.status(&line), 204);
                }
                "unclaimed" => paths.swap(0, 2),
                "expired" => world.advance_secs(60),
                "released" => assert_eq!(world.status(&format!("DELETE {right}")), 204),
                _ => {}
            }
            let claim = ["", id(&right), id(&other), UNKNOWN, "nonsense"][column];
            let line = format!("DELETE {}?claim_id={claim}", paths[0]);
            assert_eq!(world.status(&line), expected, "{state}, column {column}");
            let gone = state == "absent" || expected == 204;
            let read = world.status(&format!("GET {}", paths[0]));
            assert_eq!(
                read,
                if gone { 404 } else { 200 },
                "{state}, column {column}"
            );
        }
    }
}

#[test]
fn a_claim_of_another_message_does_not_free_an_unclaimed_one() {
    let world = World::new();
    let paths = world.post("q", 600, &[1, 2]);
    let claim = world.claim("q", 1, (60, 60));
    let line = format!("DELETE {}?claim_id={}", paths[1], id(&claim));
    assert_eq!(world.status(&line), 400);
}

#[test]
fn a_claim_of_another_queue_or_project_is_foreign() {
    let world = World::new();
    let path = world.post("q", 600, &[1]).remove(0);
    let claim = world.claim("q", 1, (60, 60));
    world.post("r", 600, &[1]);
    let foreign = world.claim("r", 1, (60, 60));
    assert_eq!(
        world.status(&format!("DELETE {path}?claim_id={}", id(&foreign))),
        400
    );
    let line = format!("DELETE {path}?claim_id={}", id(&claim));
    assert_eq!(world.send_as((ALICE, "other"), &line, "").status, 204);
    assert_eq!(
        world.status(&format!("GET {path}")),
        200,
        "another project deletes nothing"
    );
    assert_eq!(world.status(&line), 204);
    assert_eq!(world.status(&line), 204);
    assert_eq!(world.send(&format!("GET {claim}"), "").bodies().len(), 0);
}

#[test]
fn a_bulk_delete_ignores_claims() {
    let world = World::new();
    let paths = world.post("q", 600, &[1, 2, 3]);
    world.claim("q", 1, (60, 60));
    let ids = format!(
        "{},{},nonsense,{}",
        id(&paths[0]),
        id(&paths[2]),
        id(&paths[0])
    );
    assert_eq!(
        world.status(&format!("DELETE /v2/queues/q/messages?ids={ids}")),
        204
    );
    assert_eq!(world.everything("q"), [json!(2)]);
    assert_eq!(
        world.status(&format!("DELETE /v2/queues/none/messages?ids={ids}")),
        204
    );
}

#[test]
fn a_bulk_delete_under_claims_deletes_all_or_nothing() {
    let rule = BulkDeleteRule::NeedsClaims;
    let world = World::with_limits(Limits {
        bulk_delete_rule: rule,
        ..Limits::default()
    });
    let paths = world.post("q", 600, &[1, 2]);
    let claim = world.claim("q", 1, (60, 60));
    let (held, free, claim) = (id(&paths[0]), id(&paths[1]), id(&claim));
    let delete = |query: String| world.status(&format!("DELETE /v2/queues/q/messages?{query}"));
    assert_eq!(delete(format!("ids={held}")), 400);
    assert_eq!(delete(format!("claim_ids={claim}&pop=1")), 400);
    assert_eq!(delete(format!("ids={held},{free}&claim_ids={claim}")), 400);
    assert_eq!(delete(format!("ids={held}&claim_ids={UNKNOWN}")), 400);
    assert_eq!(world.everything("q").len(), 2);
    assert_eq!(delete(format!("ids={held}&claim_ids={claim}")), 204);
    assert_eq!(delete("pop=1".to_owned()), 200);
}

#[test]
fn a_delete_of_many_says_which() {
    let world = World::new();
    for query in [
        "",
        "?ids=x&pop=1",
        "?pop=0",
        "?pop=21",
        "?pop=x",
        "?ids=,",
        "?pop=",
        "?ids=",
    ] {
        assert_eq!(
            world.status(&format!("DELETE /v2/queues/q/messages{query}")),
            400,
            "{query}"
        );
    }
}

#[test]
fn a_pop_takes_the_oldest_active_messages() {
    let world = World::new();
    world.post("q", 600, &[1, 2, 3]);
    world.claim("q", 1, (60, 60));
    let popped = world.send("DELETE /v2/queues/q/messages?pop=1", "").json();
    assert_eq!(popped["messages"][0]["body"], 2);
    assert!(popped["messages"][0].get("href").is_none());
    assert_eq!(
        world
            .send("DELETE /v2/queues/q/messages?pop=20", "")
            .bodies(),
        [json!(3)]
    );
    let none = world.send("DELETE /v2/queues/q/messages?pop=20", "");
    assert_eq!(
        (none.status.as_u16(), none.json()),
        (200, json!({"messages": []}))
    );
}
