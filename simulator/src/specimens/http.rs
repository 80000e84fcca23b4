//! The part of the API that work queues need, in front of a [`Store`]. Every operation is right unless a
//! specimen does it in its own way.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::store::{Deleted, Granted, Lease, New, Row, Store};
use crate::implementation::Answering;

/// A work queue over a store. What a specimen does not override is one atomic step.
pub(super) trait WorkQueue: Send + Sync + 'static {
    fn store(&self) -> &Store;

    /// The identifiers, or `None` if a message of the batch is not valid.
    fn post(
        &self,
        queue: String,
        batch: Vec<New>,
    ) -> impl Future<Output = Option<Vec<String>>> + Send {
        self.store().transact(move |tables, now| {
            let valid = batch.iter().all(New::is_valid);
            valid.then(|| {
                batch
                    .into_iter()
                    .map(|new| tables.insert(&queue, new, now))
                    .collect()
            })
        })
    }

    fn claim(&self, queue: String, lease: Lease) -> impl Future<Output = Granted> + Send {
        self.store()
            .transact(move |tables, now| tables.claim(&queue, lease, now))
    }

    fn delete(&self, id: String, claim: Option<String>) -> impl Future<Output = Deleted> + Send {
        self.store()
            .transact(move |tables, now| tables.delete(&id, claim.as_deref(), now))
    }
}

/// Serves `queue`.
pub(super) fn answering(queue: impl WorkQueue) -> Answering {
    let queue = Arc::new(queue);
    Arc::new(move |request| {
        let queue = Arc::clone(&queue);
        Box::pin(async move { answer(&*queue, request).await })
    })
}

async fn answer(queues: &impl WorkQueue, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let body = serde_json::from_slice::<Value>(&body.to_bytes()).unwrap_or_default();
    let segments: Vec<&str> = parts.uri.path().split('/').skip(3).collect();
    let query = |key: &str| {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value.to_owned())
            .next()
    };
    let lease = || Lease {
        limit: query("limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(10),
        ttl_secs: body["ttl"].as_u64().unwrap_or(300),
        grace_secs: body["grace"].as_u64().unwrap_or(60),
    };
    match (&parts.method, segments.as_slice()) {
        (&Method::POST, [queue, "messages"]) => post(queues, queue, &body).await,
        (&Method::POST, [queue, "claims"]) => {
            granted(queue, &queues.claim((*queue).to_owned(), lease()).await)
        }
        (&Method::PATCH, [_, "claims", claim]) => {
            let renew = queues
                .store()
                .transact(|tables, now| tables.renew(claim, lease(), now));
            let renewed = renew.await;
            status(if renewed {
                StatusCode::NO_CONTENT
            } else {
                StatusCode::NOT_FOUND
            })
        }
        (&Method::DELETE, [_, "claims", claim]) => {
            queues
                .store()
                .transact(|tables, _| tables.release(claim))
                .await;
            status(StatusCode::NO_CONTENT)
        }
        (&Method::DELETE, [_, "messages", id]) => status(
            match queues.delete((*id).to_owned(), query("claim_id")).await {
                Deleted::Gone => StatusCode::NO_CONTENT,
                Deleted::NotYours => StatusCode::FORBIDDEN,
                Deleted::NoSuchClaim => StatusCode::BAD_REQUEST,
            },
        ),
        _ => status(StatusCode::NOT_FOUND),
    }
}

async fn post(queues: &impl WorkQueue, queue: &str, body: &Value) -> Response<Full<Bytes>> {
    let new = |message: &Value| New {
        body: message["body"].clone(),
        ttl_secs: message["ttl"].as_u64().unwrap_or(3600),
    };
    let batch = body["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(new)
        .collect();
    let Some(ids) = queues.post(queue.to_owned(), batch).await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let href = |id: String| format!("/v2/queues/{queue}/messages/{id}");
    let resources: Vec<String> = ids.into_iter().map(href).collect();
    json_answer(&json!({ "resources": resources }), None)
}

fn granted(queue: &str, granted: &Granted) -> Response<Full<Bytes>> {
    if granted.rows.is_empty() {
        return status(StatusCode::NO_CONTENT);
    }
    let claim = &granted.claim;
    let message = |row: &Row| {
        let Row {
            id, body, ttl_secs, ..
        } = row;
        let href = format!("/v2/queues/{queue}/messages/{id}?claim_id={claim}");
        json!({ "id": id, "href": href, "ttl": ttl_secs, "age": 0, "body": body })
    };
    let messages: Vec<Value> = granted.rows.iter().map(message).collect();
    let location = format!("/v2/queues/{queue}/claims/{claim}");
    json_answer(&json!({ "messages": messages }), Some(&location))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn json_answer(body: &Value, location: Option<&str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::CREATED;
    if let Some(location) = location.and_then(|location| location.parse().ok()) {
        response.headers_mut().insert("location", location);
    }
    response
}
