//! What operations look like on the wire.

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::UnderWay;
use super::body::Sent;
use crate::history::{Operation, Posted, QueueSettings};
use crate::href::encode;

/// What the body of the request that asks for `operation` is.
pub(super) fn media_type(operation: &Operation) -> HeaderValue {
    HeaderValue::from_static(if matches!(operation, Operation::SetMetadata { .. }) {
        "application/openstack-messaging-v2.0-json-patch"
    } else {
        "application/json"
    })
}

/// Method, path and body of the request that asks for `operation`, if names of queues begin with `names`.
pub(super) fn on_the_wire(operation: &Operation, names: &str) -> (Method, String, Option<String>) {
    let base = format!("/v2/queues/{}{}", encode(names), encode(operation.queue()));
    match operation {
        Operation::Post { messages, .. } => {
            let messages = messages.iter().map(Message::of).collect();
            let body = text(&Batch { messages });
            (Method::POST, format!("{base}/messages"), Some(body))
        }
        Operation::Stats { .. } => (Method::GET, format!("{base}/stats"), None),
        Operation::Purge { .. } => {
            let body = json!({ "resource_types": ["messages"] });
            (Method::POST, format!("{base}/purge"), Some(text(&body)))
        }
        Operation::CreateQueue { settings, .. } => {
            let stated = members(settings, names).into_iter();
            let stated = stated.filter(|(_, value)| !value.is_null());
            let stated = stated.map(|(name, value)| (name.to_owned(), value));
            let body = Value::Object(stated.collect::<Map<_, _>>());
            (Method::PUT, base, Some(text(&body)))
        }
        Operation::SetMetadata { settings, .. } => {
            let change = |(name, value): (&str, Value)| {
                let path = format!("/metadata/{name}");
                if value.is_null() {
                    json!({ "op": "remove", "path": path })
                } else {
                    json!({ "op": "replace", "path": path, "value": value })
                }
            };
            let changes = members(settings, names).map(change).to_vec();
            (Method::PATCH, base, Some(text(&changes)))
        }
        Operation::DeleteQueue { .. } => (Method::DELETE, base, None),
        Operation::Subscribe {
            subscriber,
            ttl_secs,
            ..
        } => {
            let body = json!({ "subscriber": subscriber, "ttl": ttl_secs });
            (
                Method::POST,
                format!("{base}/subscriptions"),
                Some(text(&body)),
            )
        }
        Operation::Claim { .. }
        | Operation::ClaimGet { .. }
        | Operation::Renew { .. }
        | Operation::Release { .. } => claims(&base, operation),
        Operation::Delete { .. }
        | Operation::BulkDelete { .. }
        | Operation::Pop { .. }
        | Operation::Get { .. }
        | Operation::GetMany { .. }
        | Operation::List { .. } => messages(&base, operation),
    }
}

/// Whether `request` is the one that asks for what is under way, and may reach the server twice. An older one of the
/// same client may still be on its way when the client has given it up and asks for something else. A token is
/// posted once in a history, so a post that is repeated could not be told from a server that stores twice
/// what was sent once.
pub fn may_be_repeated(under_way: &UnderWay, request: &Request<Bytes>) -> bool {
    let UnderWay {
        operation, names, ..
    } = under_way;
    let (method, path, body) = on_the_wire(operation, names);
    let body = body.unwrap_or_default();
    let asked = request
        .uri()
        .path_and_query()
        .map_or("", |asked| asked.as_str());
    !matches!(operation, Operation::Post { .. })
        && request.method() == method
        && asked.ends_with(&path)
        && request.body() == body.as_bytes()
}

fn claims(base: &str, operation: &Operation) -> (Method, String, Option<String>) {
    let lease = operation.lease();
    let lease = lease.map(|(ttl, grace)| text(&Lease { grace, ttl }));
    let one = |claim: &str| format!("{base}/claims/{}", encode(claim));
    if let Operation::ClaimGet { claim, .. } = operation {
        (Method::GET, one(claim), None)
    } else if let Operation::Renew { claim, .. } = operation {
        (Method::PATCH, one(claim), lease)
    } else if let Operation::Release { claim, .. } = operation {
        (Method::DELETE, one(claim), None)
    } else {
        let limit = operation.limit().expect("invariant: a claim has a limit");
        (Method::POST, format!("{base}/claims?limit={limit}"), lease)
    }
}

fn messages(base: &str, operation: &Operation) -> (Method, String, Option<String>) {
    let all = |ids: &[String]| {
        let ids: Vec<String> = ids.iter().map(|id| encode(id)).collect();
        format!("?ids={}", ids.join(","))
    };
    let (method, rest) = if let Operation::Delete { message, claim, .. } = operation {
        let under = claim.as_ref();
        let under = under.map_or_else(String::new, |claim| format!("?claim_id={}", encode(claim)));
        (Method::DELETE, format!("/{}{under}", encode(message)))
    } else if let Operation::BulkDelete { ids, .. } = operation {
        (Method::DELETE, all(ids))
    } else if let Operation::Pop { limit, .. } = operation {
        (Method::DELETE, format!("?pop={limit}"))
    } else if let Operation::Get { message, .. } = operation {
        (Method::GET, format!("/{}", encode(message)))
    } else if let Operation::GetMany { ids, .. } = operation {
        (Method::GET, all(ids))
    } else {
        (Method::GET, page(operation))
    };
    (method, format!("{base}/messages{rest}"), None)
}

/// The query that asks for a page.
fn page(operation: &Operation) -> String {
    let Operation::List {
        marker,
        limit,
        echo,
        include_claimed,
        include_delayed,
        ..
    } = operation
    else {
        unreachable!("invariant: only a listing has pages")
    };
    let marker = marker.as_ref();
    let marker = marker.map_or_else(String::new, |marker| format!("&marker={}", encode(marker)));
    format!(
        "?limit={limit}&echo={echo}&include_claimed={include_claimed}\
         &include_delayed={include_delayed}{marker}"
    )
}

/// What is asked at full speed is written as it stands, without a tree of it.
#[derive(Serialize)]
struct Batch<'a> {
    messages: Vec<Message<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    body: Sent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u64>,
    ttl: u64,
}

#[derive(Serialize)]
struct Lease {
    grace: u64,
    ttl: u64,
}

impl<'a> Message<'a> {
    fn of(posted: &'a Posted) -> Self {
        Self {
            body: Sent {
                content: posted.body.as_deref(),
                token: &posted.token,
            },
            delay: posted.delay_secs,
            ttl: posted.ttl_secs,
        }
    }
}

fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body)
        .expect("invariant: bodies have names of members, and memory takes every byte")
}

/// The members of a queue's metadata that are its settings.
fn members(settings: &QueueSettings, names: &str) -> [(&'static str, Value); 5] {
    let dead_letters = settings.dead_letter_queue.as_ref();
    let dead_letters = dead_letters.map(|queue| format!("{names}{queue}"));
    let dead_letter_ttl = json!(settings.dead_letter_ttl_secs);
    [
        ("_default_message_ttl", json!(settings.default_ttl_secs)),
        ("_default_message_delay", json!(settings.default_delay_secs)),
        ("_dead_letter_queue", json!(dead_letters)),
        ("_dead_letter_queue_messages_ttl", dead_letter_ttl),
        ("_max_claim_count", json!(settings.max_claim_count)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What names of queues begin with.
    const NAMES: &str = "run-1-";

    fn under_way(operation: &Operation) -> UnderWay {
        UnderWay {
            project: String::new(),
            names: NAMES.to_owned(),
            operation: operation.clone(),
        }
    }

    fn sent(operation: &Operation, prefix: &str) -> Request<Bytes> {
        let (method, path, body) = on_the_wire(operation, NAMES);
        let body = body.map_or_else(Bytes::new, Into::into);
        let request = Request::builder().method(method);
        request.uri(format!("{prefix}{path}")).body(body).unwrap()
    }

    fn claim(ttl_secs: u64) -> Operation {
        Operation::Claim {
            queue: "q".to_owned(),
            limit: 5,
            ttl_secs,
            grace_secs: 60,
        }
    }

    #[test]
    fn what_is_repeated_is_what_the_client_waits_for() {
        let pop = Operation::Pop {
            queue: "q".to_owned(),
            limit: 5,
        };
        let post = Operation::Post {
            queue: "q".to_owned(),
            messages: vec![Posted::new("a", 300)],
        };
        for operation in [claim(60), pop.clone()] {
            assert!(may_be_repeated(
                &under_way(&operation),
                &sent(&operation, "")
            ));
            assert!(may_be_repeated(
                &under_way(&operation),
                &sent(&operation, "/messaging")
            ));
            // The client has given the post up and goes on; the post arrives only now.
            assert!(!may_be_repeated(&under_way(&operation), &sent(&post, "")));
        }
        assert!(!may_be_repeated(
            &under_way(&claim(60)),
            &sent(&claim(61), "")
        ));
        assert!(!may_be_repeated(&under_way(&pop), &sent(&claim(60), "")));
        assert!(!may_be_repeated(&under_way(&post), &sent(&post, "")));
    }

    #[test]
    fn names_of_queues_begin_as_they_are_told_to_and_so_does_the_one_of_dead_letters() {
        let settings = QueueSettings {
            dead_letter_queue: Some("letters".to_owned()),
            ..QueueSettings::default()
        };
        let create = Operation::create_queue("q".to_owned(), settings);
        let (_, path, body) = on_the_wire(&create, NAMES);
        assert_eq!(path, "/v2/queues/run-1-q");
        assert_eq!(body.unwrap(), r#"{"_dead_letter_queue":"run-1-letters"}"#);
        let (_, path, body) = on_the_wire(&create, "");
        assert_eq!(path, "/v2/queues/q");
        assert_eq!(body.unwrap(), r#"{"_dead_letter_queue":"letters"}"#);
    }
}
