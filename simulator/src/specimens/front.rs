//! The API in front of a [`Store`], or of whatever else keeps queues: queues, messages, claims. Every operation
//! is one atomic step, and right, unless a specimen does it in its own way.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use self::served::{Pointed, Served};
use super::steps::Steps;
use super::store::Store;
use super::tables::{Attributes, Deleted, Granted, Lease, Listed, New, Page, Place, Row, Stats};
use crate::implementation::{Answer, Answering, Inbound, empty};

mod served;

/// A work queue over a store. What a specimen does not override is one atomic step.
pub(super) trait WorkQueue<S: Steps = Store>: Send + Sync + 'static {
    fn store(&self) -> &S;

    /// Where the messages of a tenant's queue are kept.
    fn place(&self, project: &str, queue: &str) -> Place {
        Place {
            project: project.to_owned(),
            queue: queue.to_owned(),
        }
    }

    /// The identifiers, or `None` if a message of the batch is not valid.
    fn post(
        &self,
        place: Place,
        batch: Vec<New>,
    ) -> impl Future<Output = Option<Vec<String>>> + Send {
        self.store().post(place, batch)
    }

    fn claim(&self, place: Place, lease: Lease) -> impl Future<Output = Granted> + Send {
        self.store().claim(place, lease)
    }

    /// A claim, or `None` if there is no room for another one just now.
    fn try_claim(
        &self,
        place: Place,
        lease: Lease,
    ) -> impl Future<Output = Option<Granted>> + Send {
        async move { Some(self.claim(place, lease).await) }
    }

    fn claimed(&self, claim: String) -> impl Future<Output = Option<Vec<Row>>> + Send {
        self.store().claimed(claim)
    }

    /// The queue goes, and what is in it.
    fn remove(&self, place: Place) -> impl Future<Output = ()> + Send {
        self.store().remove(place)
    }

    fn renew(&self, claim: String, lease: Lease) -> impl Future<Output = bool> + Send {
        self.store().renew(claim, lease)
    }

    fn release(&self, claim: String) -> impl Future<Output = ()> + Send {
        self.store().release(claim)
    }

    fn delete(
        &self,
        place: Place,
        id: String,
        claim: Option<String>,
    ) -> impl Future<Output = Deleted> + Send {
        self.store().delete(place, id, claim)
    }

    fn pop(&self, place: Place, limit: usize) -> impl Future<Output = Vec<Row>> + Send {
        self.store().pop(place, limit)
    }

    fn get(&self, place: Place, ids: Vec<String>) -> impl Future<Output = Vec<Row>> + Send {
        self.store().get(place, ids)
    }

    fn list(&self, place: Place, page: Page) -> impl Future<Output = Listed> + Send {
        self.store().list(place, page)
    }

    fn stats(&self, place: Place) -> impl Future<Output = Stats> + Send {
        self.store().stats(place)
    }
}

/// Serves `queue`.
pub(super) fn answering<S: Steps>(queue: impl WorkQueue<S>) -> Answering {
    let queue: Arc<dyn Served> = Arc::new(Pointed::to(queue));
    Arc::new(move |request| {
        let queue = Arc::clone(&queue);
        Box::pin(async move { Front(&*queue).answer(request).await })
    })
}

/// What was asked, taken apart.
struct Asked {
    method: Method,
    path: String,
    query: String,
    body: Value,
    project: String,
    client: String,
}

impl Asked {
    async fn of(request: Request<Inbound>) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Self {
            project: header(&parts.headers, "x-project-id"),
            client: header(&parts.headers, "client-id"),
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    fn query(&self, key: &str) -> Option<String> {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(name, _)| *name == key);
        found.map(|(_, value)| value.to_owned())
    }

    fn limit(&self) -> usize {
        let limit = self.query("limit").and_then(|limit| limit.parse().ok());
        limit.unwrap_or(10)
    }

    fn ids(&self) -> Option<Vec<String>> {
        let ids = self.query("ids")?;
        Some(ids.split(',').map(str::to_owned).collect())
    }

    fn lease(&self) -> Lease {
        Lease {
            limit: self.limit(),
            ttl_secs: self.body["ttl"].as_u64().unwrap_or(300),
            grace_secs: self.body["grace"].as_u64().unwrap_or(60),
        }
    }

    fn page(&self) -> Page {
        let flag = |key| self.query(key).as_deref() == Some("true");
        Page {
            marker: self.query("marker"),
            limit: self.limit(),
            claimed: flag("include_claimed"),
            delayed: flag("include_delayed"),
            not_by: (!flag("echo")).then(|| self.client.clone()),
        }
    }
}

/// The text of a header, empty if there is none.
fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// The API over a queue that does what it does in its own way.
struct Front<'a>(&'a dyn Served);

impl Front<'_> {
    async fn answer(&self, request: Request<Inbound>) -> Answer {
        let Some(asked) = Asked::of(request).await else {
            return empty(StatusCode::BAD_REQUEST);
        };
        let segments: Vec<&str> = asked.path.split('/').skip(3).collect();
        let Some((&queue, rest)) = segments.split_first() else {
            return about(&asked.path);
        };
        let place = self.0.place(&asked.project, queue);
        match rest.first() {
            Some(&"messages") => self.messages(&asked, (queue, place), rest.get(1)).await,
            Some(&"claims") => self.claims(&asked, (queue, place), rest.get(1)).await,
            _ => self.queues(&asked, place, rest).await,
        }
    }

    async fn messages(
        &self,
        asked: &Asked,
        (queue, place): (&str, Place),
        id: Option<&&str>,
    ) -> Answer {
        let queues = self.0;
        match (&asked.method, id, asked.ids()) {
            (&Method::POST, None, _) => self.post(asked, queue, place).await,
            (&Method::GET, Some(id), _) => {
                let mut rows = queues.get(place, vec![(*id).to_owned()]).await;
                match rows.pop() {
                    Some(row) => json_answer(StatusCode::OK, &message(queue, &row, None)),
                    None => empty(StatusCode::NOT_FOUND),
                }
            }
            (&Method::GET, None, Some(ids)) => {
                let rows = queues.get(place, ids).await;
                found(StatusCode::OK, queue, &rows)
            }
            (&Method::GET, None, None) => {
                let page = asked.page();
                let Listed { rows, next } = queues.list(place, page.clone()).await;
                let messages: Vec<Value> =
                    rows.iter().map(|row| message(queue, row, None)).collect();
                let href = format!(
                    "/v2/queues/{queue}/messages?limit={}&include_claimed={}&include_delayed={}\
                     &echo={}&marker={next}",
                    page.limit,
                    page.claimed,
                    page.delayed,
                    page.not_by.is_none()
                );
                let links = json!([{ "rel": "next", "href": href }]);
                let body = json!({ "messages": messages, "links": links });
                json_answer(StatusCode::OK, &body)
            }
            (&Method::DELETE, Some(id), _) => {
                let (id, claim) = ((*id).to_owned(), asked.query("claim_id"));
                deleted(queues.delete(place, id, claim).await)
            }
            (&Method::DELETE, None, Some(ids)) => {
                queues.delete_all(place, ids).await;
                empty(StatusCode::NO_CONTENT)
            }
            (&Method::DELETE, None, None) => {
                let limit = asked.query("pop").and_then(|limit| limit.parse().ok());
                let rows = queues.pop(place, limit.unwrap_or(1)).await;
                found(StatusCode::OK, queue, &rows)
            }
            _ => empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    async fn post(&self, asked: &Asked, queue: &str, place: Place) -> Answer {
        let new = |message: &Value| New {
            body: message["body"].clone(),
            ttl_secs: message["ttl"].as_u64(),
            delay_secs: message["delay"].as_u64(),
            client: asked.client.clone(),
        };
        let batch = asked.body["messages"].as_array();
        let batch = batch.into_iter().flatten().map(new).collect();
        let Some(ids) = self.0.post(place, batch).await else {
            return empty(StatusCode::BAD_REQUEST);
        };
        let href = |id: String| format!("/v2/queues/{queue}/messages/{id}");
        let resources: Vec<String> = ids.into_iter().map(href).collect();
        json_answer(StatusCode::CREATED, &json!({ "resources": resources }))
    }

    async fn claims(
        &self,
        asked: &Asked,
        (queue, place): (&str, Place),
        claim: Option<&&str>,
    ) -> Answer {
        let queues = self.0;
        let Some(claim) = claim.map(|claim| (*claim).to_owned()) else {
            return match queues.try_claim(place, asked.lease()).await {
                Some(got) => granted(queue, &got),
                None => empty(StatusCode::SERVICE_UNAVAILABLE),
            };
        };
        match asked.method {
            Method::GET => match queues.claimed(claim).await {
                Some(rows) => {
                    let rows = rows.iter().map(|row| message(queue, row, None));
                    let body = json!({ "messages": rows.collect::<Vec<_>>() });
                    json_answer(StatusCode::OK, &body)
                }
                None => empty(StatusCode::NOT_FOUND),
            },
            Method::PATCH => empty(match queues.renew(claim, asked.lease()).await {
                true => StatusCode::NO_CONTENT,
                false => StatusCode::NOT_FOUND,
            }),
            _ => {
                queues.release(claim).await;
                empty(StatusCode::NO_CONTENT)
            }
        }
    }

    async fn queues(&self, asked: &Asked, place: Place, rest: &[&str]) -> Answer {
        match (&asked.method, rest) {
            (&Method::GET, ["stats"]) => {
                let (free, claimed) = self.0.stats(place).await;
                let total = free + claimed;
                let counts = json!({ "free": free, "claimed": claimed, "total": total });
                json_answer(StatusCode::OK, &json!({ "messages": counts }))
            }
            (&Method::POST, ["purge"]) => {
                self.0.purge(place).await;
                empty(StatusCode::NO_CONTENT)
            }
            (&Method::PUT, []) => {
                let attributes = attributes(&asked.body);
                empty(match self.0.create(place, attributes).await {
                    true => StatusCode::CREATED,
                    false => StatusCode::NO_CONTENT,
                })
            }
            (&Method::PATCH, []) => {
                let changes = asked.body.as_array().cloned().unwrap_or_default();
                let mut whole = serde_json::Map::new();
                for change in changes {
                    let path = change["path"].as_str().unwrap_or_default();
                    let name = path.trim_start_matches("/metadata/").to_owned();
                    whole.insert(name, change["value"].clone());
                }
                let attributes = attributes(&Value::Object(whole));
                self.0.describe(place, attributes).await;
                json_answer(StatusCode::OK, &json!({}))
            }
            (&Method::DELETE, []) => {
                self.0.remove(place).await;
                empty(StatusCode::NO_CONTENT)
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }
}

/// What the service says of itself.
fn about(path: &str) -> Answer {
    match path.trim_end_matches('/') {
        "/v2" => json_answer(StatusCode::OK, &json!({ "resources": {} })),
        "/v2/ping" => empty(StatusCode::NO_CONTENT),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

/// The attributes of a queue in its metadata. The workloads' patches name all of them.
fn attributes(metadata: &Value) -> Attributes {
    Attributes {
        ttl_secs: metadata["_default_message_ttl"].as_u64(),
        delay_secs: metadata["_default_message_delay"].as_u64(),
        letters: metadata["_dead_letter_queue"].as_str().map(str::to_owned),
        letters_ttl_secs: metadata["_dead_letter_queue_messages_ttl"].as_u64(),
        claims_max: metadata["_max_claim_count"].as_u64(),
    }
}

fn deleted(deleted: Deleted) -> Answer {
    empty(match deleted {
        Deleted::Gone => StatusCode::NO_CONTENT,
        Deleted::NotYours => StatusCode::FORBIDDEN,
        Deleted::NoSuchClaim => StatusCode::BAD_REQUEST,
    })
}

fn message(queue: &str, row: &Row, claim: Option<&str>) -> Value {
    let Row {
        id, body, ttl_secs, ..
    } = row;
    let claim = claim.map_or_else(String::new, |claim| format!("?claim_id={claim}"));
    let href = format!("/v2/queues/{queue}/messages/{id}{claim}");
    json!({ "id": id, "href": href, "ttl": ttl_secs, "age": 0, "body": body })
}

fn found(code: StatusCode, queue: &str, rows: &[Row]) -> Answer {
    let rows = rows.iter().map(|row| message(queue, row, None));
    json_answer(code, &json!({ "messages": rows.collect::<Vec<_>>() }))
}

fn granted(queue: &str, granted: &Granted) -> Answer {
    if granted.rows.is_empty() {
        return empty(StatusCode::NO_CONTENT);
    }
    let claim = &granted.claim;
    let rows = granted.rows.iter();
    let messages: Vec<Value> = rows.map(|row| message(queue, row, Some(claim))).collect();
    let mut answer = json_answer(StatusCode::CREATED, &json!({ "messages": messages }));
    let location = format!("/v2/queues/{queue}/claims/{claim}");
    if let Ok(location) = location.parse() {
        answer.headers_mut().insert("location", location);
    }
    answer
}

fn json_answer(code: StatusCode, body: &Value) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = code;
    response
}
