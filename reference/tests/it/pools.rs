//! Pools and flavors over HTTP: Zaqar v2, "Pools and flavors".

use serde_json::{Value, json};

use crate::admin::{add_pool, operate, pooled};
use crate::support::{Answer, World, text};

fn put(world: &World, path: &str, body: &Value) -> Answer {
    operate(world, &format!("PUT {path}"), &body.to_string())
}

fn patch(world: &World, path: &str, body: &Value) -> Answer {
    operate(world, &format!("PATCH {path}"), &body.to_string())
}

fn get(world: &World, path: &str) -> Answer {
    operate(world, &format!("GET {path}"), "")
}

fn delete(world: &World, path: &str) -> u16 {
    let answer = operate(world, &format!("DELETE {path}"), "");
    answer.status.as_u16()
}

fn pool_list(world: &World, flavor: &str) -> Vec<String> {
    let flavor = get(world, &format!("/v2/flavors/{flavor}")).json();
    let names = flavor["pool_list"].as_array().unwrap();
    names.iter().map(text).collect()
}

#[test]
fn pools_are_kept_as_they_were_put() {
    let world = pooled();
    let options = json!({"max_retry": 3});
    let new = json!({"uri": "mongodb://h:27017", "weight": 100, "options": options});
    for _ in 0..2 {
        let answer = put(&world, "/v2/pools/p", &new);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("location"), Some("/v2/pools/p"));
        assert!(answer.body.is_empty());
    }
    let mut expected = json!({
        "name": "p", "href": "/v2/pools/p", "uri": "mongodb://h:27017", "weight": 100, "flavor": null,
    });
    let answer = get(&world, "/v2/pools/p");
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, expected.clone())
    );
    expected["options"] = options;
    assert_eq!(get(&world, "/v2/pools/p?detailed=true").json(), expected);
    assert_eq!(get(&world, "/v2/pools/p?detailed=x").status, 400);
    // A put says everything anew.
    let new = json!({"uri": "redis://h", "weight": 0, "flavor": "f"});
    assert_eq!(put(&world, "/v2/pools/p", &new).status, 201);
    let expected = json!({
        "name": "p", "href": "/v2/pools/p", "uri": "redis://h", "weight": 0, "flavor": "f",
        "options": {},
    });
    assert_eq!(get(&world, "/v2/pools/p?detailed=1").json(), expected);
    // Its old URI is free.
    let new = json!({"uri": "mongodb://h:27017", "weight": 1});
    assert_eq!(put(&world, "/v2/pools/other", &new).status, 201);
    assert_eq!(get(&world, "/v2/pools/nobody").status, 404);
}

#[test]
fn pools_are_changed_member_by_member() {
    let world = pooled();
    add_pool(&world, "p", 1);
    add_pool(&world, "other", 1);
    let changed = patch(&world, "/v2/pools/p", &json!({"weight": 7, "group": "g"}));
    let mut expected = json!({
        "name": "p", "href": "/v2/pools/p", "uri": "memory://p", "weight": 7, "flavor": null,
    });
    assert_eq!(
        (changed.status.as_u16(), changed.json()),
        (200, expected.clone())
    );
    for (change, value) in [
        ("uri", json!("memory://q")),
        ("flavor", json!("f")),
        ("weight", json!(4_294_967_295_u32)),
    ] {
        expected[change] = value.clone();
        let changed = patch(&world, "/v2/pools/p", &json!({change: value}));
        assert_eq!(changed.json(), expected);
        assert_eq!(get(&world, "/v2/pools/p").json(), expected);
    }
    let changed = patch(&world, "/v2/pools/p", &json!({"flavor": ""}));
    assert_eq!(changed.json()["flavor"], Value::Null);
    let changed = patch(&world, "/v2/pools/p", &json!({"options": {"a": 1}}));
    assert_eq!(changed.status, 200);
    let detailed = get(&world, "/v2/pools/p?detailed=true").json();
    assert_eq!(detailed["options"], json!({"a": 1}));
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"group":"g"}"#,
        r#"{"weight":-1}"#,
        r#"{"uri":"memory://free","weight":"1"}"#,
    ] {
        let answer = operate(&world, "PATCH /v2/pools/p", body);
        assert_eq!(answer.status, 400, "{body}");
    }
    assert_eq!(get(&world, "/v2/pools/p?detailed=true").json(), detailed);
    let weight = json!({"weight": 1});
    assert_eq!(patch(&world, "/v2/pools/nobody", &weight).status, 404);
}

#[test]
fn no_two_pools_have_one_uri() {
    let world = pooled();
    add_pool(&world, "a", 1);
    add_pool(&world, "b", 1);
    let taken = json!({"uri": "memory://a", "weight": 5});
    for name in ["b", "new"] {
        let path = format!("/v2/pools/{name}");
        assert_eq!(put(&world, &path, &taken).status, 409);
    }
    assert_eq!(patch(&world, "/v2/pools/b", &taken).status, 409);
    assert_eq!(get(&world, "/v2/pools/b").json()["weight"], 1);
    assert_eq!(get(&world, "/v2/pools/new").status, 404);
    // One's own is no conflict, and that of a removed pool is nobody's.
    assert_eq!(put(&world, "/v2/pools/a", &taken).status, 201);
    assert_eq!(patch(&world, "/v2/pools/a", &taken).status, 200);
    assert_eq!(delete(&world, "/v2/pools/a"), 204);
    assert_eq!(patch(&world, "/v2/pools/b", &taken).status, 200);
}

#[test]
fn bodies_and_names_that_are_none_of_a_pool_are_refused() {
    let world = pooled();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"uri":"a:b"}"#,
        r#"{"weight":1}"#,
        r#"{"uri":"a:b","weight":4294967296}"#,
        r#"{"uri":"a:b","weight":1.5}"#,
        r#"{"uri":"nowhere","weight":1}"#,
        r#"{"uri":"a:b","weight":1,"options":[]}"#,
        r#"{"uri":"a:b","weight":1,"group":"g"}"#,
    ] {
        let answer = operate(&world, "PUT /v2/pools/p", body);
        assert_eq!(answer.status, 400, "{body}");
    }
    let long = "x".repeat(65);
    for name in ["", "a%20b", long.as_str()] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            for kind in ["pools", "flavors"] {
                let line = format!("{method} /v2/{kind}/{name}");
                assert_eq!(operate(&world, &line, "").status, 400, "{line}");
            }
        }
    }
    assert_eq!(get(&world, "/v2/pools").json()["pools"], json!([]));
}

#[test]
fn pools_and_flavors_are_listed_by_name_page_by_page() {
    let world = pooled();
    let names = ["10", "2", "B", "a", "a.1"];
    for name in ["a", "2", "B", "10", "a.1"] {
        add_pool(&world, name, 1);
        let flavor = json!({"pool_list": [name]});
        let answer = put(&world, &format!("/v2/flavors/{name}"), &flavor);
        assert_eq!(answer.status, 201);
        assert_eq!(
            answer.header("location"),
            Some(format!("/v2/flavors/{name}").as_str())
        );
    }
    for (kind, detail) in [("pools", "options"), ("flavors", "capabilities")] {
        for detailed in [true, false] {
            let path = format!("/v2/{kind}?limit=2&detailed={detailed}");
            let (mut path, mut seen, mut pages) = (path, Vec::new(), Vec::new());
            loop {
                let page = get(&world, &path);
                assert_eq!(page.status, 200);
                let location = page.header("content-location").unwrap();
                assert!(location.starts_with(&format!("/v2/{kind}?limit=2")));
                assert_eq!(get(&world, location).body, page.body);
                let json = page.json();
                let entries = json[kind].as_array().unwrap();
                pages.push(entries.len());
                for entry in entries {
                    let name = text(&entry["name"]);
                    assert_eq!(entry["href"], format!("/v2/{kind}/{name}"));
                    assert_eq!(entry.get(detail).is_some(), detailed);
                    seen.push(name);
                }
                match page.next() {
                    Some(next) => path = next,
                    None => break,
                }
            }
            assert_eq!(seen, names);
            assert_eq!(pages, [2, 2, 1, 0]);
        }
        // A marker need not exist; ten are shown unless more are asked for.
        let page = get(&world, &format!("/v2/{kind}?marker=5")).json();
        assert_eq!(page[kind].as_array().unwrap().len(), 3);
        for query in ["limit=0", "limit=21", "limit=x", "detailed=maybe"] {
            assert_eq!(get(&world, &format!("/v2/{kind}?{query}")).status, 400);
        }
        assert_eq!(get(&world, &format!("/v2/{kind}?limit=20")).status, 200);
    }
    for number in 0..20 {
        add_pool(&world, &format!("more-{number}"), 1);
    }
    let page = get(&world, "/v2/pools").json();
    assert_eq!(page["pools"].as_array().unwrap().len(), 10);
}

#[test]
fn a_flavor_is_the_pools_that_it_lists() {
    let world = pooled();
    for name in ["a", "b", "c"] {
        add_pool(&world, name, 1);
    }
    let list = |names: &[&str]| json!({"pool_list": names});
    let new = json!({"pool_list": ["b", "a", "b"], "capabilities": {"x": 1}});
    assert_eq!(put(&world, "/v2/flavors/f", &new).status, 201);
    let expected = json!({
        "name": "f", "href": "/v2/flavors/f", "pool_list": ["a", "b"],
        "capabilities": ["FIFO", "CLAIMS", "AOD", "HIGH_THROUGHPUT"],
    });
    assert_eq!(get(&world, "/v2/flavors/f").json(), expected);
    assert_eq!(get(&world, "/v2/pools/a").json()["flavor"], "f");
    // Whoever is dropped from the list has no flavor, whoever is on it has no other.
    let changed = patch(&world, "/v2/flavors/f", &list(&["c", "b"]));
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["pool_list"], json!(["b", "c"]));
    assert_eq!(changed.json()["href"], "/v2/flavors/f");
    assert!(changed.json()["capabilities"].is_array());
    assert_eq!(get(&world, "/v2/pools/a").json()["flavor"], Value::Null);
    assert_eq!(put(&world, "/v2/flavors/g", &list(&["b"])).status, 201);
    assert_eq!(
        (pool_list(&world, "f"), pool_list(&world, "g")),
        (vec!["c".to_owned()], vec!["b".to_owned()])
    );
    // A pool may join by itself.
    assert_eq!(
        patch(&world, "/v2/pools/a", &json!({"flavor": "g"})).status,
        200
    );
    assert_eq!(pool_list(&world, "g"), ["a", "b"]);
    assert_eq!(put(&world, "/v2/flavors/g", &list(&["a"])).status, 201);
    assert_eq!(get(&world, "/v2/pools/b").json()["flavor"], Value::Null);
    for _ in 0..2 {
        assert_eq!(delete(&world, "/v2/flavors/g"), 204);
        assert_eq!(get(&world, "/v2/flavors/g").status, 404);
        assert_eq!(get(&world, "/v2/pools/a").json()["flavor"], Value::Null);
    }
    assert_eq!(patch(&world, "/v2/flavors/g", &list(&["a"])).status, 404);
    assert_eq!(get(&world, "/v2/pools/a").json()["flavor"], Value::Null);
}

#[test]
fn flavors_of_nothing_or_of_unknown_pools_are_refused() {
    let world = pooled();
    add_pool(&world, "a", 1);
    let flavor = json!({"pool_list": ["a"]});
    assert_eq!(put(&world, "/v2/flavors/f", &flavor).status, 201);
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"pool_list":[]}"#,
        r#"{"pool_list":"a"}"#,
        r#"{"pool_list":["a","nobody"]}"#,
        r#"{"pool_list":["!"]}"#,
        r#"{"pool_list":[1]}"#,
    ] {
        for line in [
            "PUT /v2/flavors/f",
            "PATCH /v2/flavors/f",
            "PUT /v2/flavors/g",
        ] {
            assert_eq!(operate(&world, line, body).status, 400, "{line} {body}");
        }
    }
    let more = json!({"pool_list": ["a"], "pool": "a"});
    assert_eq!(put(&world, "/v2/flavors/f", &more).status, 400);
    assert_eq!(patch(&world, "/v2/flavors/f", &more).status, 200);
    assert_eq!(pool_list(&world, "f"), ["a"]);
    assert_eq!(get(&world, "/v2/flavors/g").status, 404);
}

#[test]
fn the_last_pool_of_a_flavor_stays() {
    let world = pooled();
    add_pool(&world, "a", 1);
    add_pool(&world, "b", 1);
    let flavor = json!({"pool_list": ["a", "b"]});
    assert_eq!(put(&world, "/v2/flavors/f", &flavor).status, 201);
    assert_eq!(delete(&world, "/v2/pools/a"), 204);
    assert_eq!(pool_list(&world, "f"), ["b"]);
    assert_eq!(delete(&world, "/v2/pools/b"), 403);
    assert_eq!(get(&world, "/v2/pools/b").status, 200);
    assert_eq!(delete(&world, "/v2/flavors/f"), 204);
    for _ in 0..2 {
        assert_eq!(delete(&world, "/v2/pools/b"), 204);
    }
    // The name of a flavor that there is not protects nobody.
    let pool = json!({"uri": "a:b", "weight": 1, "flavor": "f"});
    assert_eq!(put(&world, "/v2/pools/c", &pool).status, 201);
    assert_eq!(delete(&world, "/v2/pools/c"), 204);
}
