//! Webhooks: the requests that notifications are sent as, and what the answers mean.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use serde::Serialize;

use crate::broker::{Content, JsonText, Notification, Outcome, PostedMessage, QueueName};

use super::settings::Settings;
use super::subscriptions::post_headers;
use super::{notice, subscriptions};

/// The request that brings a notification to its subscriber. Its URI is that of the subscriber,
/// without the word for a trust.
///
/// # Panics
/// If the notification is of a subscription that was not read by [`decode`](super::decode), or of
/// a socket.
pub(crate) fn request(notification: &Notification, settings: &Settings) -> Request<Bytes> {
    let (_, uri) = notification.subscriber.trust_and_uri();
    let uri: Uri = uri.parse().expect("invariant: subscribers were checked");
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
        Content::Notice(notice) => notice::document(notification, *notice, settings),
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

pub(crate) fn message_document(queue: &QueueName, message: &PostedMessage) -> String {
    let document = MessageDocument {
        ttl: message.ttl_secs,
        body: &message.body,
        delay: Some(message.delay_secs).filter(|&secs| secs > 0),
        message_type: "Notification",
        queue_name: queue.as_str(),
    };
    serde_json::to_string(&document).expect("invariant: our documents are JSON")
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
