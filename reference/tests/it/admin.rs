//! What operators see besides pools: which routes there are, who may use them, health and the home
//! document.

use nanshe_reference::broker::{BulkDeleteRule, PoolingRule};
use nanshe_reference::{Limits, Settings};
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, World};

/// A service with pools, for operators.
pub(crate) fn pooled() -> World {
    World::with_settings(Settings {
        admin_mode: true,
        ..Settings::from(Limits {
            pooling_rule: PoolingRule::Pools,
            ..Limits::default()
        })
    })
}

fn operated() -> World {
    World::with_settings(Settings {
        admin_mode: true,
        ..Settings::default()
    })
}

/// A request of an operator.
pub(crate) fn operate(world: &World, line: &str, body: &str) -> Answer {
    let headers = [
        ("client-id", ALICE),
        ("x-project-id", "operations"),
        ("x-roles", "member, Admin"),
    ];
    world.send_raw(line, &headers, body)
}

/// Adds a pool.
pub(crate) fn add_pool(world: &World, name: &str, weight: u32) {
    let pool = json!({"uri": format!("memory://{name}"), "weight": weight}).to_string();
    let answer = operate(world, &format!("PUT /v2/pools/{name}"), &pool);
    assert_eq!(answer.status, 201, "{answer:?}");
}

const OPERATIONS: [&str; 8] = [
    "create_queue",
    "post_messages",
    "claim_messages",
    "list_messages",
    "delete_messages",
    "delete_claim",
    "bulk_delete_messages",
    "delete_queue",
];

fn assert_well(store: &Value) {
    assert_eq!(store["storage_reachable"], true);
    let operations = store["operation_status"].as_object().unwrap();
    assert_eq!(operations.len(), OPERATIONS.len());
    for operation in OPERATIONS {
        let expected = json!({"succeeded": true, "seconds": 0.0, "ref": null});
        assert_eq!(operations[operation], expected, "{operation}");
    }
}

#[test]
fn routes_of_operators_exist_only_where_they_are_switched_on() {
    let pooling = ["/v2/pools", "/v2/pools/p", "/v2/flavors", "/v2/flavors/f"];
    let drain = "/v2/pools/p/drain";
    let without_operators = World::with_limits(Limits {
        pooling_rule: PoolingRule::Pools,
        ..Limits::default()
    });
    for (world, health, pools) in [
        (World::new(), 404, false),
        (without_operators, 404, false),
        (operated(), 200, false),
        (pooled(), 200, true),
    ] {
        assert_eq!(operate(&world, "GET /v2/health", "").status, health);
        for path in pooling {
            // What exists says which methods it has, even without headers.
            let answer = world.send_raw(&format!("OPTIONS {path}"), &[], "");
            assert_eq!(answer.status == 200, pools, "{path}");
            let answer = operate(&world, &format!("BREW {path}"), "");
            assert_eq!(answer.status, if pools { 405 } else { 404 }, "{path}");
        }
        let answer = operate(&world, &format!("GET {drain}"), "");
        assert_eq!(answer.status, if pools { 405 } else { 404 });
        assert_eq!(operate(&world, "GET /v2/pools/", "").status == 400, pools);
        assert_eq!(operate(&world, "GET /v2/pools/p/x", "").status, 404);
    }
}

#[test]
fn what_concerns_everybody_takes_the_role_admin() {
    let world = pooled();
    add_pool(&world, "p", 1);
    let flavor = r#"{"pool_list":["p"]}"#;
    assert_eq!(operate(&world, "PUT /v2/flavors/f", flavor).status, 201);
    for (line, needs_role) in [
        ("GET /v2/health", true),
        ("GET /v2/pools", true),
        ("GET /v2/pools/p", true),
        ("PUT /v2/pools/p", true),
        ("PATCH /v2/pools/p", true),
        ("DELETE /v2/pools/p", true),
        ("POST /v2/pools/p/drain", true),
        ("PUT /v2/flavors/f", true),
        ("PATCH /v2/flavors/f", true),
        ("DELETE /v2/flavors/f", true),
        ("GET /v2/flavors", false),
        ("GET /v2/flavors/f", false),
        ("GET /v2/ping", false),
        ("GET /v2/", false),
        ("GET /v2/queues", false),
    ] {
        for roles in [None, Some(""), Some("member,administrator")] {
            let mut headers = vec![("client-id", ALICE), ("x-project-id", "p")];
            headers.extend(roles.map(|roles| ("x-roles", roles)));
            let answer = world.send_raw(line, &headers, "");
            let forbidden = answer.status == 403;
            assert_eq!(forbidden, needs_role, "{line} {roles:?}: {answer:?}");
            if forbidden {
                let error = answer.json();
                assert!(error["title"].is_string() && error["description"].is_string());
            }
        }
    }
    // Nothing of it was carried out.
    assert_eq!(operate(&world, "GET /v2/pools/p", "").status, 200);
    assert_eq!(operate(&world, "GET /v2/flavors/f", "").status, 200);
}

/// Every request has all faults of the later ones, so the earlier check must win.
#[test]
fn the_role_is_checked_behind_the_method_and_before_the_request() {
    let world = pooled();
    let (client, project) = (("client-id", ALICE), ("x-project-id", "p"));
    let (admin, html) = (("x-roles", "admin"), ("accept", "text/html"));
    for (line, headers, status) in [
        ("POST /v2/pools/!", vec![html, client, project], 406),
        ("POST /v2/pools/!", vec![project], 400),
        ("POST /v2/pools/!", vec![client], 400),
        ("POST /v2/pools/!", vec![client, project], 405),
        ("PUT /v2/pools/!", vec![client, project], 403),
        ("PUT /v2/pools/!", vec![client, project, admin], 400),
        ("PUT /v2/pools/p", vec![client, project], 403),
        ("PUT /v2/pools/p", vec![client, project, admin], 400),
        ("PATCH /v2/pools/p", vec![client, project], 403),
        ("PATCH /v2/pools/p", vec![client, project, admin], 400),
        ("GET /v2/pools?limit=0", vec![client, project], 403),
        ("GET /v2/pools?limit=0", vec![client, project, admin], 400),
        ("GET /v2/pools/p", vec![client, project], 403),
        ("GET /v2/pools/p", vec![client, project, admin], 404),
        ("GET /v2/health", vec![admin, project], 400),
        ("POST /v2/health", vec![client, project], 405),
        ("GET /v2/health", vec![client, project], 403),
    ] {
        let answer = world.send_raw(line, &headers, "");
        assert_eq!(answer.status, status, "{line} {headers:?}");
    }
}

#[test]
fn health_takes_a_queue_through_its_life_and_leaves_nothing() {
    let world = operated();
    world.post("q", 60, &[1, 2]);
    let queues = world.send("GET /v2/queues?with_count=true", "").json();
    for _ in 0..3 {
        let answer = operate(&world, "GET /v2/health", "");
        assert_eq!(answer.status, 200);
        assert_well(&answer.json());
    }
    assert_eq!(
        world.send("GET /v2/queues?with_count=true", "").json(),
        queues
    );
    assert_eq!(world.everything("q"), [1, 2]);
    // Nothing is left that would end by itself but the two messages.
    world.advance_secs(60);
    assert_eq!(world.service.advance(), None);
}

/// What is tried must work whatever the limits are, or the check would tell of them.
#[test]
fn health_does_not_depend_on_limits() {
    for (per_page, per_claim, bulk_delete_rule) in [
        (1, 1, BulkDeleteRule::IgnoresClaims),
        (7, 1_000, BulkDeleteRule::NeedsClaims),
        (1_000, 3, BulkDeleteRule::NeedsClaims),
        (1_000, 1_000, BulkDeleteRule::IgnoresClaims),
    ] {
        let world = World::with_settings(Settings {
            admin_mode: true,
            ..Settings::from(Limits {
                messages_per_page_max: per_page,
                messages_per_claim_or_pop_max: per_claim,
                messages_post_bytes_max: 1,
                bulk_delete_rule,
                ..Limits::default()
            })
        });
        let answer = operate(&world, "GET /v2/health", "");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_well(&answer.json());
    }
}

#[test]
fn health_tries_every_pool_whatever_its_weight() {
    let world = pooled();
    let alone = json!({"catalog_reachable": true});
    assert_eq!(operate(&world, "GET /v2/health", "").json(), alone);
    add_pool(&world, "heavy", 100);
    add_pool(&world, "drained", 0);
    let health = operate(&world, "GET /v2/health", "");
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(health["catalog_reachable"], true);
    assert_eq!(health.as_object().unwrap().len(), 3);
    for pool in ["heavy", "drained"] {
        assert_well(&health[pool]);
        // No queue of the check is left in it.
        let line = format!("DELETE /v2/pools/{pool}");
        assert_eq!(operate(&world, &line, "").status, 204);
    }
}

#[test]
fn the_home_document_tells_of_what_there_is() {
    let operator = ["rel/health"];
    let pooling = [
        "rel/flavor",
        "rel/flavors",
        "rel/pool",
        "rel/pool_drain",
        "rel/pools",
    ];
    for (world, expected) in [
        (World::new(), vec![]),
        (operated(), operator.to_vec()),
        (pooled(), [&operator[..], &pooling].concat()),
    ] {
        let home = world.send("GET /v2/", "").json();
        let resources = home["resources"].as_object().unwrap();
        assert!(resources.contains_key("rel/queue"));
        let special = |name: &&str| operator.contains(name) || pooling.contains(name);
        let mut told: Vec<&str> = resources
            .keys()
            .map(String::as_str)
            .filter(special)
            .collect();
        told.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(told, expected);
        // And every one of them is where it is said to be.
        for (name, resource) in resources {
            let template = resource.get("href").or(resource.get("href-template"));
            let template = template.unwrap().as_str().unwrap();
            let path = template.split("{?").next().unwrap();
            let path = path.replace(['{', '}'], "");
            let answer = world.send(&format!("OPTIONS {path}"), "");
            assert_eq!(answer.status, 200, "{name}");
            let allow = answer.header("allow").unwrap().to_owned();
            for method in resource["hints"]["allow"].as_array().unwrap() {
                let method = method.as_str().unwrap();
                assert!(allow.split(", ").any(|other| other == method), "{name}");
            }
        }
    }
}
