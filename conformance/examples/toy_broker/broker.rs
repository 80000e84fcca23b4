//! A small broker: queues, messages and claims, in memory. What a thin gateway would offer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The broker. Clones share what they hold.
#[derive(Clone, Default)]
pub(crate) struct Toy {
    state: Arc<Mutex<State>>,
    /// A flaw: a claim is granted without a look at those that live.
    forgets_claims: bool,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<String, Vec<Message>>,
    claims: BTreeMap<String, Claim>,
    last_id: u64,
}

struct Message {
    id: String,
    body: Value,
    ttl: u64,
    posted_at: Instant,
    expires_at: Instant,
    claim: String,
}

struct Claim {
    queue: String,
    ttl: u64,
    since: Instant,
}

impl Claim {
    fn lives(&self) -> bool {
        self.since.elapsed() < Duration::from_secs(self.ttl)
    }
}

type Answer = (StatusCode, Option<String>, Value);

fn bare(status: StatusCode) -> Answer {
    (status, None, Value::Null)
}

fn refused(status: StatusCode) -> Answer {
    (
        status,
        None,
        json!({ "title": status.to_string(), "description": "" }),
    )
}

impl State {
    fn new_id(&mut self) -> String {
        self.last_id += 1;
        format!("{:08x}", self.last_id)
    }

    /// What is over goes: messages whose time has come, and claims.
    fn settle(&mut self) {
        self.claims.retain(|_, claim| claim.lives());
        for messages in self.queues.values_mut() {
            messages.retain(|message| message.expires_at > Instant::now());
            for message in messages {
                if !self.claims.contains_key(&message.claim) {
                    message.claim.clear();
                }
            }
        }
    }

    fn show(&self, queue: &str, message: &Message) -> Value {
        let mut href = format!("/v2/queues/{queue}/messages/{}", message.id);
        if !message.claim.is_empty() {
            href = format!("{href}?claim_id={}", message.claim);
        }
        let age = message.posted_at.elapsed().as_secs();
        let Message { id, ttl, body, .. } = message;
        json!({ "id": id, "href": href, "ttl": ttl, "age": age, "body": body })
    }

    fn post(&mut self, queue: &str, body: &Value) -> Answer {
        let posted = body["messages"]
            .as_array()
            .filter(|messages| !messages.is_empty());
        let is_good = |message: &Value| {
            let ttl = message.get("ttl").map_or(Some(3600), Value::as_u64);
            message.get("body").is_some() && ttl.is_some_and(|ttl| (60..=1_209_600).contains(&ttl))
        };
        let Some(posted) = posted.filter(|posted| posted.iter().all(is_good)) else {
            return refused(StatusCode::BAD_REQUEST);
        };
        let mut resources = Vec::new();
        for message in posted {
            let (id, ttl) = (self.new_id(), message["ttl"].as_u64().unwrap_or(3600));
            resources.push(format!("/v2/queues/{queue}/messages/{id}"));
            let message = Message {
                id,
                body: message["body"].clone(),
                ttl,
                posted_at: Instant::now(),
                expires_at: Instant::now() + Duration::from_secs(ttl),
                claim: String::new(),
            };
            self.queues
                .entry(queue.to_owned())
                .or_default()
                .push(message);
        }
        (StatusCode::CREATED, None, json!({ "resources": resources }))
    }

    fn claim(&mut self, queue: &str, limit: usize, body: &Value, forgets: bool) -> Answer {
        let Some((ttl, grace)) = terms(body).filter(|_| (1..=20).contains(&limit)) else {
            return refused(StatusCode::BAD_REQUEST);
        };
        let id = self.new_id();
        let messages = self.queues.get_mut(queue).into_iter().flatten();
        let free = messages.filter(|message| forgets || message.claim.is_empty());
        let mut count = 0;
        for message in free.take(limit) {
            message.claim.clone_from(&id);
            extend(message, ttl, grace);
            count += 1;
        }
        if count == 0 {
            return bare(StatusCode::NO_CONTENT);
        }
        let (since, queue_name) = (Instant::now(), queue.to_owned());
        self.claims.insert(
            id.clone(),
            Claim {
                queue: queue_name,
                ttl,
                since,
            },
        );
        let location = format!("/v2/queues/{queue}/claims/{id}");
        (
            StatusCode::CREATED,
            Some(location),
            self.show_claimed(queue, &id),
        )
    }

    fn show_claimed(&self, queue: &str, claim: &str) -> Value {
        let messages = self.queues.get(queue).into_iter().flatten();
        let claimed = messages.filter(|message| message.claim == claim);
        let claimed: Vec<Value> = claimed.map(|message| self.show(queue, message)).collect();
        json!({ "messages": claimed })
    }

    fn held(&mut self, method: &Method, queue: &str, id: &str, body: &Value) -> Answer {
        let known = self.claims.get_mut(id).filter(|claim| claim.queue == queue);
        match (method.as_str(), known) {
            ("DELETE", None) => bare(StatusCode::NO_CONTENT),
            ("DELETE", Some(_)) => {
                self.claims.remove(id);
                bare(StatusCode::NO_CONTENT)
            }
            ("PATCH", _) if body.is_null() || terms(body).is_none() => {
                refused(StatusCode::BAD_REQUEST)
            }
            (_, None) => refused(StatusCode::NOT_FOUND),
            ("PATCH", Some(claim)) => {
                let (ttl, grace) = terms(body).unwrap_or_default();
                (claim.ttl, claim.since) = (ttl, Instant::now());
                let messages = self.queues.entry(queue.to_owned()).or_default();
                let claimed = messages.iter_mut().filter(|message| message.claim == id);
                claimed.for_each(|message| extend(message, ttl, grace));
                bare(StatusCode::NO_CONTENT)
            }
            ("GET", Some(claim)) => {
                let (ttl, age) = (claim.ttl, claim.since.elapsed().as_secs());
                let mut shown = self.show_claimed(queue, id);
                shown["href"] = json!(format!("/v2/queues/{queue}/claims/{id}"));
                (shown["ttl"], shown["age"]) = (json!(ttl), json!(age));
                (StatusCode::OK, None, shown)
            }
            _ => refused(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn delete(&mut self, queue: &str, id: &str, claim: &str) -> Answer {
        let messages = self.queues.entry(queue.to_owned()).or_default();
        let Some(place) = messages.iter().position(|message| message.id == id) else {
            return bare(StatusCode::NO_CONTENT);
        };
        let holder = messages[place].claim.as_str();
        if !claim.is_empty() && !self.claims.contains_key(claim) {
            return refused(StatusCode::BAD_REQUEST);
        }
        if holder != claim {
            let is_free = holder.is_empty();
            return refused(if is_free {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::FORBIDDEN
            });
        }
        messages.remove(place);
        bare(StatusCode::NO_CONTENT)
    }

    fn list(&self, queue: &str, query: &BTreeMap<&str, &str>) -> Answer {
        let on = |name: &str| query.get(name).is_some_and(|value| *value == "true");
        let marker = query.get("marker").copied().unwrap_or_default();
        let limit = query
            .get("limit")
            .map_or(Some(10), |limit| limit.parse().ok());
        let Some(limit) = limit.filter(|limit| (1..=20).contains(limit)) else {
            return refused(StatusCode::BAD_REQUEST);
        };
        let messages = self.queues.get(queue).into_iter().flatten();
        let wanted = messages.filter(|message| message.claim.is_empty() || on("include_claimed"));
        let page: Vec<&Message> = wanted
            .filter(|m| m.id.as_str() > marker)
            .take(limit)
            .collect();
        let links = page.last().map(|last| {
            let flags = format!("echo=true&include_claimed={}", on("include_claimed"));
            let query = format!("limit={limit}&{flags}&marker={}", last.id);
            json!({ "rel": "next", "href": format!("/v2/queues/{queue}/messages?{query}") })
        });
        let links: Vec<Value> = links.into_iter().collect();
        let page: Vec<Value> = page
            .iter()
            .map(|message| self.show(queue, message))
            .collect();
        (
            StatusCode::OK,
            None,
            json!({ "messages": page, "links": links }),
        )
    }
}

/// The ttl and grace of a claim, if they are within range.
fn terms(body: &Value) -> Option<(u64, u64)> {
    let term = |name: &str, default: u64| body.get(name).map_or(Some(default), Value::as_u64);
    let terms = (term("ttl", 300)?, term("grace", 60)?);
    let fits = |secs: u64| (60..=43_200).contains(&secs);
    ((body.is_object() || body.is_null()) && fits(terms.0) && fits(terms.1)).then_some(terms)
}

/// A message outlives the claim that holds it.
fn extend(message: &mut Message, ttl: u64, grace: u64) {
    if message.expires_at < Instant::now() + Duration::from_secs(ttl) {
        message.ttl = ttl + grace;
        message.expires_at = Instant::now() + Duration::from_secs(ttl + grace);
    }
}

impl Toy {
    /// One with the flaw.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests show that the flaw is found")
    )]
    pub(crate) fn forgetful() -> Self {
        Self {
            forgets_claims: true,
            ..Self::default()
        }
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &Value) -> Answer {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.settle();
        let query: BTreeMap<&str, &str> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["v2", "ping"]) => bare(StatusCode::NO_CONTENT),
            ("PUT", ["v2", "queues", queue]) => {
                let is_new = state
                    .queues
                    .insert((*queue).to_owned(), Vec::new())
                    .is_none();
                let made = if is_new {
                    StatusCode::CREATED
                } else {
                    StatusCode::NO_CONTENT
                };
                (made, Some(path.to_owned()), Value::Null)
            }
            ("DELETE", ["v2", "queues", queue]) => {
                state.queues.remove(*queue);
                state.claims.retain(|_, claim| claim.queue != *queue);
                bare(StatusCode::NO_CONTENT)
            }
            ("POST", ["v2", "queues", queue, "messages"]) => state.post(queue, body),
            ("GET", ["v2", "queues", queue, "messages"]) => state.list(queue, &query),
            ("GET", ["v2", "queues", queue, "messages", id]) => {
                let mut messages = state.queues.get(*queue).into_iter().flatten();
                match messages.find(|message| message.id == *id) {
                    Some(message) => (StatusCode::OK, None, state.show(queue, message)),
                    None => refused(StatusCode::NOT_FOUND),
                }
            }
            ("DELETE", ["v2", "queues", queue, "messages", id]) => {
                let claim = query.get("claim_id").copied().unwrap_or_default();
                state.delete(queue, id, claim)
            }
            ("POST", ["v2", "queues", queue, "claims"]) => {
                let limit = query
                    .get("limit")
                    .map_or(Some(10), |limit| limit.parse().ok());
                state.claim(queue, limit.unwrap_or(0), body, self.forgets_claims)
            }
            (_, ["v2", "queues", queue, "claims", id]) => state.held(method, queue, id, body),
            _ => refused(StatusCode::NOT_FOUND),
        }
    }
}

impl tower_service::Service<Request<Incoming>> for Toy {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let toy = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let bytes = body
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            let parsed = serde_json::from_slice(&bytes);
            let (status, location, body) = match parsed {
                Err(_) if !bytes.is_empty() => refused(StatusCode::BAD_REQUEST),
                parsed => {
                    let body = parsed.unwrap_or_default();
                    let query = head.uri.query().unwrap_or_default();
                    toy.answer(&head.method, head.uri.path(), query, &body)
                }
            };
            let text = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = status;
            if let Some(location) = location.and_then(|location| location.parse().ok()) {
                response.headers_mut().insert("location", location);
            }
            Ok(response)
        })
    }
}
