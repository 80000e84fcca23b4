//! What answers look like.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::broker::{End, Message, Place};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// An answer without the headers that all have.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    json: Option<Value>,
    location: Option<String>,
    allow: Option<&'static str>,
}

impl Answer {
    pub(super) const fn of(status: StatusCode) -> Self {
        Self {
            status,
            json: None,
            location: None,
            allow: None,
        }
    }

    /// Done, and nothing to say.
    pub(super) const fn empty() -> Self {
        Self::of(StatusCode::NO_CONTENT)
    }

    /// What was asked for.
    pub(super) fn json(document: Value) -> Self {
        Self::of(StatusCode::OK).with_json(document)
    }

    pub(super) fn with_json(mut self, document: Value) -> Self {
        self.json = Some(document);
        self
    }

    pub(super) fn with_location(mut self, path: String) -> Self {
        self.location = Some(path);
        self
    }

    pub(super) fn with_allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    pub(super) fn into_response(self, request_id: &str) -> Response<Bytes> {
        let body = self.json.map(|document| Bytes::from(document.to_string()));
        let is_json = body.is_some();
        let mut response = Response::new(body.unwrap_or_default());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let text = |text: &str| HeaderValue::from_str(text).expect("invariant: visible ASCII");
        headers.insert(REQUEST_ID, text(request_id));
        if is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(path) = &self.location {
            headers.insert(LOCATION, text(path));
        }
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        response
    }
}

/// The path of a queue. Its name needs no escapes: other characters were refused.
pub(super) fn queue_path(place: &Place) -> String {
    format!("/v2/queues/{}", place.queue)
}

pub(super) fn claim_path(place: &Place, claim: &str) -> String {
    format!("{}/claims/{claim}", queue_path(place))
}

fn message_path(place: &Place, id: &str) -> String {
    format!("{}/messages/{id}", queue_path(place))
}

/// A message as it is listed; its href names the claim that holds it.
pub(super) fn message(place: &Place, message: &Message) -> Value {
    let under = message.claim.as_ref();
    let under = under.map_or_else(String::new, |claim| format!("?claim_id={claim}"));
    json!({
        "id": message.id,
        "href": format!("{}{under}", message_path(place, &message.id)),
        "ttl": message.ttl_secs,
        "age": message.age_secs,
        "body": message.body,
    })
}

pub(super) fn messages(place: &Place, messages: &[Message]) -> Vec<Value> {
    messages.iter().map(|one| message(place, one)).collect()
}

/// A message that was taken out: it has no place any more.
pub(super) fn popped(message: &Message) -> Value {
    json!({
        "id": message.id,
        "ttl": message.ttl_secs,
        "age": message.age_secs,
        "body": message.body,
        "claim_id": null,
        "claim_count": 0,
    })
}

/// The oldest or the newest message of a queue, for statistics.
pub(super) fn end(place: &Place, end: &End) -> Value {
    let href = message_path(place, &end.id);
    json!({ "href": href, "age": end.age_secs, "created": end.created })
}
