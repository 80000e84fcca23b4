//! Webhooks: the requests that notifications are sent as, and what the answers mean.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use serde::Serialize;
use serde_json::json;

use crate::broker::{Content, JsonText, Notice, Notification, Outcome, PostedMessage, QueueName};

use super::settings::Settings;
use super::signing::Grant;
use super::subscriptions::{path, post_headers};
use super::{calendar, subscriptions};

/// The request that brings a notification to its subscriber. Its URI is that of the subscriber.
///
/// # Panics
/// If the notification is of a subscription that was not read by [`decode`](super::decode), or of
/// a socket.
#[must_use]
pub fn request(notification: &Notification, settings: &Settings) -> Request<Bytes> {
    let uri: Uri = notification
        .subscriber
        .to_string()
        .parse()
        .expect("invariant: subscribers were checked");
    let document = document(notification, settings);
    let body = match template(&notification.options) {
        Some(template) => template.replace(subscriptions::MESSAGE_PLACEHOLDER, &document),
        None => document,
    };
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in post_headers(&notification.options).unwrap_or_default() {
        headers.insert(name, value);
    }
    request
}

/// What a notification says, as JSON.
#[must_use]
pub fn document(notification: &Notification, settings: &Settings) -> String {
    match &notification.content {
        Content::Message(message) => message_document(&notification.queue, message),
        Content::Notice(notice) => notice_document(notification, *notice, settings),
    }
}

/// What the status of an answer says. Zaqar counts everything below 400 as delivered; whoever
/// says that the request is wrong will say so again.
#[must_use]
pub fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        200..=399 => Outcome::Delivered,
        400..=499 => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

fn template(options: &JsonText) -> Option<String> {
    options.as_members()?.get("post_data")?.as_string()
}

#[derive(Serialize)]
struct MessageDocument<'a> {
    ttl: u32,
    body: &'a JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u32>,
    #[serde(rename = "Message_Type")]
    message_type: &'static str,
    queue_name: &'a str,
}

fn message_document(queue: &QueueName, message: &PostedMessage) -> String {
    let document = MessageDocument {
        ttl: message.ttl_secs,
        body: &message.body,
        delay: Some(message.delay_secs).filter(|&secs| secs > 0),
        message_type: "Notification",
        queue_name: queue.as_str(),
    };
    serde_json::to_string(&document).expect("invariant: our documents are JSON")
}

/// What the subscriber needs to answer with `PUT …/confirm`, without a token: a signature that
/// lasts as long as the subscription.
fn notice_document(notification: &Notification, notice: Notice, settings: &Settings) -> String {
    let queue = &notification.queue;
    let (kind, text) = match notice {
        Notice::ConfirmationRequest => (
            "SubscriptionConfirmation",
            "You have been chosen to subscribe to the queue. To get its messages, send the \
             SubscribeBody to the path below, with the headers below.",
        ),
        Notice::UnsubscriptionNotice => (
            "UnsubscribeConfirmation",
            "You have unsubscribed from the queue. To get its messages again, send the \
             SubscribeBody to the path below, with the headers below.",
        ),
    };
    let mut document = json!({
        "Message_Type": kind,
        "Message": text,
        "X-Project-ID": notification.project.0.as_ref(),
        "SubscribeBody": {"confirmed": true},
        "UnsubscribeBody": {"confirmed": false},
        "queue_name": queue.as_str(),
    });
    if let Some(key) = &settings.signing_key {
        let confirm = format!("{}/{}/confirm", path(queue), notification.subscription);
        let grant = Grant {
            paths: vec![confirm.clone()],
            methods: vec!["PUT".to_owned()],
            project: notification.project.clone(),
            expires_at_secs: notification.subscription_expires_at.as_secs(),
        };
        document["URL-Signature"] = json!(key.sign(&grant));
        document["URL-Methods"] = json!("PUT");
        document["URL-Paths"] = json!(confirm);
        document["URL-Expires"] = json!(calendar::date_time(grant.expires_at_secs));
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_tell_what_is_worth_trying_again() {
        for (status, expected) in [
            (200, Outcome::Delivered),
            (301, Outcome::Delivered),
            (400, Outcome::Refused),
            (429, Outcome::Refused),
            (500, Outcome::Failed),
            (599, Outcome::Failed),
            (101, Outcome::Failed),
        ] {
            assert_eq!(
                outcome(StatusCode::from_u16(status).unwrap()),
                expected,
                "{status}"
            );
        }
    }
}
