//! Where the contract says LAX: a trailing slash counts for nothing (1.1), filters of queues are ignored (4.2),
//! subscriptions go with their queue (4.6), a purge keeps what is claimed (4.8), and every queue looks at delays (5.9).

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use nanshe_conformance::environment::BoxFuture;
use serde_json::Value;

use super::place::Place;
use super::{Around, Reference, Told};

#[derive(Default)]
pub(super) struct Leniency;

impl Around for Leniency {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            let mut place = Place::of(&request);
            let method = request.method().clone();
            if request.headers().contains_key("url-signature") {
                // What is signed is left as it is.
                return reference.ask(request).await;
            }
            if method == Method::GET {
                let path = place.path();
                if let ["v2", "queues", ""]
                | ["v2", "queues", _, ""]
                | ["v2", "queues", _, "messages", ""] = path.as_slice()
                {
                    place.segments.pop();
                }
                if place.path() == ["v2", "queues"] {
                    let known = ["marker", "limit", "detailed", "with_count"];
                    place
                        .query
                        .retain(|(name, _)| known.contains(&name.as_str()));
                }
                return reference.ask(place.redirect(request)).await;
            }
            let path = place.path();
            match (method.as_str(), path.as_slice()) {
                ("DELETE", ["v2", "queues", queue]) => {
                    let like = request.clone();
                    let told = reference.ask(request).await;
                    if told.status() == StatusCode::NO_CONTENT {
                        purge(&reference, &like, (queue, &["subscriptions"])).await;
                    }
                    told
                }
                ("POST", ["v2", "queues", queue, "purge"]) => match purged(request.body()) {
                    Some(types) if types.contains(&"messages".to_owned()) => {
                        delete_free(&reference, &request, queue).await;
                        let rest: Vec<&str> = types.iter().map(String::as_str).collect();
                        let rest: Vec<&str> =
                            rest.into_iter().filter(|one| *one != "messages").collect();
                        purge(&reference, &request, (queue, &rest)).await
                    }
                    _ => reference.ask(request).await,
                },
                ("POST", ["v2", "queues", queue, "messages"])
                    if is_delayed_too_long(request.body()) =>
                {
                    // Refused like any other that is bad.
                    let path = format!("/v2/queues/{queue}/messages");
                    reference
                        .ask_like(&request, (Method::POST, &path, "{}"))
                        .await
                }
                _ => reference.ask(request).await,
            }
        })
    }
}

async fn purge(
    reference: &Reference,
    like: &Request<Bytes>,
    (queue, types): (&str, &[&str]),
) -> Told {
    let path = format!("/v2/queues/{queue}/purge");
    let body = serde_json::json!({ "resource_types": types }).to_string();
    reference.ask_like(like, (Method::POST, &path, &body)).await
}

/// What is to be purged, if that is said as it should be.
fn purged(body: &[u8]) -> Option<Vec<String>> {
    let known = ["messages", "subscriptions"];
    if body.is_empty() {
        return Some(known.map(str::to_owned).into());
    }
    let document: Value = serde_json::from_slice(body).ok()?;
    let types = document.get("resource_types")?.as_array()?;
    let types = types.iter().map(|one| one.as_str().map(str::to_owned));
    let types: Vec<String> = types.collect::<Option<_>>()?;
    types
        .iter()
        .all(|one| known.contains(&one.as_str()))
        .then_some(types)
}

/// Deletes what nobody holds.
async fn delete_free(reference: &Reference, like: &Request<Bytes>, queue: &str) {
    let free = format!("/v2/queues/{queue}/messages?echo=true&include_delayed=true&limit=20");
    loop {
        let page = reference.ask_like(like, (Method::GET, &free, "")).await;
        let page: Value = serde_json::from_slice(page.body()).unwrap_or_default();
        let Some(messages) = page["messages"].as_array().filter(|all| !all.is_empty()) else {
            return;
        };
        for message in messages {
            let path = message["href"].as_str().unwrap();
            reference.ask_like(like, (Method::DELETE, path, "")).await;
        }
    }
}

fn is_delayed_too_long(body: &[u8]) -> bool {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let messages = document["messages"].as_array();
    messages.into_iter().flatten().any(|message| {
        let delay = message.get("delay").and_then(Value::as_i64);
        delay.is_some_and(|delay| !(0..=900).contains(&delay))
    })
}
