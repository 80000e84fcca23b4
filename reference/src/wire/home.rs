//! The two documents that never change while a service runs: the versions, and the home document of
//! version 2.

use serde_json::{Value, json};

use super::settings::Settings;

/// `GET /`.
pub(crate) fn versions() -> Value {
    json!({"versions": [{
        "id": "2",
        "status": "CURRENT",
        "updated": "2014-9-24T04:06:47Z",
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.messaging-v2+json",
        }],
        "links": [{"href": "/v2/", "rel": "self"}],
    }]})
}

/// `GET /v2/`: a JSON home document with every relation that this service has. Zaqar tells of pools
/// and flavors even where they do not exist.
pub(crate) fn home(settings: &Settings) -> Value {
    let admin = ADMIN_RELATIONS.iter().filter(|_| settings.admin_mode);
    let pooling = POOLING_RELATIONS.iter().filter(|_| settings.serves_pools());
    let mut resources = serde_json::Map::new();
    for &(relation, template, methods) in RELATIONS.iter().chain(admin).chain(pooling) {
        let mut hints = json!({"allow": methods, "formats": {"application/json": {}}});
        if methods.contains(&"POST") {
            hints["accept-post"] = json!(["application/json"]);
        }
        let mut resource = json!({"hints": hints});
        let variables = variables_of(template);
        if variables.is_empty() {
            resource["href"] = json!(template);
        } else {
            let names = variables.into_iter();
            let named = names.map(|name| (name.to_owned(), json!(format!("param/{name}"))));
            resource["href-vars"] = Value::Object(named.collect());
            resource["href-template"] = json!(template);
        }
        resources.insert(format!("rel/{relation}"), resource);
    }
    json!({"resources": resources})
}

/// The names in the braces of a URI template.
fn variables_of(template: &str) -> Vec<&str> {
    let expressions = template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    expressions
        .flat_map(|expression| expression.trim_start_matches('?').split(','))
        .collect()
}

const QUEUE: &str = "/v2/queues/{queue_name}";
const MESSAGE: &str = "/v2/queues/{queue_name}/messages/{message_id}";
const CLAIM: &str = "/v2/queues/{queue_name}/claims/{claim_id}";
const SUBSCRIPTION: &str = "/v2/queues/{queue_name}/subscriptions/{subscription_id}";

/// Relation, template and methods.
type Relation = (&'static str, &'static str, &'static [&'static str]);

const RELATIONS: [Relation; 19] = [
    (
        "queues",
        "/v2/queues{?marker,limit,detailed,name,with_count}",
        &["GET"],
    ),
    ("queue", QUEUE, &["GET", "PUT", "PATCH", "DELETE"]),
    ("queue_stats", "/v2/queues/{queue_name}/stats", &["GET"]),
    ("queue_share", "/v2/queues/{queue_name}/share", &["POST"]),
    ("queue_purge", "/v2/queues/{queue_name}/purge", &["POST"]),
    (
        "messages",
        "/v2/queues/{queue_name}/messages{?marker,limit,echo,include_claimed,include_delayed}",
        &["GET"],
    ),
    (
        "post_messages",
        "/v2/queues/{queue_name}/messages",
        &["POST"],
    ),
    (
        "messages_delete",
        "/v2/queues/{queue_name}/messages{?ids,pop}",
        &["DELETE"],
    ),
    ("message_get", MESSAGE, &["GET"]),
    (
        "message_delete",
        "/v2/queues/{queue_name}/messages/{message_id}{?claim_id}",
        &["DELETE"],
    ),
    ("claim", CLAIM, &["GET"]),
    (
        "post_claim",
        "/v2/queues/{queue_name}/claims{?limit}",
        &["POST"],
    ),
    ("patch_claim", CLAIM, &["PATCH"]),
    ("delete_claim", CLAIM, &["DELETE"]),
    (
        "subscriptions_get",
        "/v2/queues/{queue_name}/subscriptions{?marker,limit}",
        &["GET"],
    ),
    (
        "subscriptions_post",
        "/v2/queues/{queue_name}/subscriptions",
        &["POST"],
    ),
    ("subscription", SUBSCRIPTION, &["GET", "DELETE"]),
    ("subscription_patch", SUBSCRIPTION, &["PATCH"]),
    ("ping", "/v2/ping", &["GET", "HEAD"]),
];

const ADMIN_RELATIONS: [Relation; 1] = [("health", "/v2/health", &["GET"])];

/// `pool_drain` is ours.
const POOLING_RELATIONS: [Relation; 5] = [
    ("pools", "/v2/pools{?marker,limit,detailed}", &["GET"]),
    (
        "pool",
        "/v2/pools/{pool_name}",
        &["GET", "PUT", "PATCH", "DELETE"],
    ),
    (
        "pool_drain",
        "/v2/pools/{pool_name}/drain{?limit}",
        &["POST"],
    ),
    ("flavors", "/v2/flavors{?marker,limit,detailed}", &["GET"]),
    (
        "flavor",
        "/v2/flavors/{flavor_name}",
        &["GET", "PUT", "PATCH", "DELETE"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relation_says_where_and_how() {
        let home = home(&Settings::default());
        let resources = home["resources"].as_object().unwrap();
        assert_eq!(resources.len(), RELATIONS.len());
        for (name, resource) in resources {
            assert!(resource["hints"]["allow"].is_array(), "{name}");
            assert!(resource.get("href").is_some() != resource.get("href-template").is_some());
        }
        let template = &resources["rel/message_delete"];
        assert_eq!(template["href-vars"]["claim_id"], "param/claim_id");
    }
}
