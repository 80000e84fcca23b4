//! What came of a frame, as the document of the response.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::broker::{
    BrokerError, ClaimView, JsonText, MessageView, Metadata, Output, QueueName, QueueView,
    SubscriptionOutput,
};
use crate::wire::checksum;
use crate::wire::refusal::Failure;
use crate::wire::render::stats_document;
use crate::wire::settings::Settings;
use crate::wire::subscriptions::SubscriptionDocument;

use super::Answer;
use super::fault::{Fault, exception, is_of_schema};

/// A status, and the document that goes with it.
pub(crate) type Body = (StatusCode, Box<RawValue>);

pub(crate) fn body(answer: &Answer, settings: &Settings) -> Body {
    match answer {
        Answer::Output(output) => of_output(output, settings),
        Answer::Fault(Fault::Refused(refusal)) if !is_of_schema(refusal) => {
            of_failure(&Failure::Refusal(refusal.clone()))
        }
        Answer::Fault(fault) => document(fault.status(), &json!({"error": fault.to_string()})),
        // Zaqar v2, WebSocket: an empty list instead of 404.
        Answer::Failure(Failure::Broker(BrokerError::MessagesDoNotExist)) => {
            document(StatusCode::OK, &json!({"messages": []}))
        }
        Answer::Failure(failure) => of_failure(failure),
    }
}

fn of_failure(failure: &Failure) -> Body {
    let error = json!({"exception": exception(failure), "error": failure.description()});
    document(failure.status().0, &error)
}

fn of_output(output: &Output, settings: &Settings) -> Body {
    match output {
        Output::QueuePage { queues, .. } => {
            let queues = queues.iter().map(QueueDocument::new).collect();
            document(StatusCode::OK, &QueuePage { queues })
        }
        Output::QueueCreated { .. } => empty(StatusCode::CREATED),
        Output::QueueMetadata { metadata } => document(StatusCode::OK, metadata.as_ref()),
        Output::QueueStats {
            queue,
            exists,
            stats,
        } => {
            // Zaqar v2, WebSocket: 404, with the counts of an empty queue.
            let status = if *exists {
                StatusCode::OK
            } else {
                StatusCode::NOT_FOUND
            };
            document(status, &json!({"messages": stats_document(queue, stats)}))
        }
        Output::MessagesPosted { ids, .. } => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            document(StatusCode::CREATED, &json!({"message_ids": ids}))
        }
        Output::MessagePage {
            messages, marker, ..
        } => {
            let messages = documents(messages, settings);
            let page = MessagePage { messages, marker };
            document(StatusCode::OK, &page)
        }
        Output::Messages { messages, .. } | Output::MessagesPopped { messages } => {
            let messages = documents(messages, settings);
            document(StatusCode::OK, &Messages { messages })
        }
        Output::Message { message, .. } => {
            // Zaqar v2, WebSocket: one, in spite of the name.
            let messages = MessageDocument::new(message, settings);
            document(StatusCode::OK, &Messages { messages })
        }
        Output::MessagesClaimed {
            claim, messages, ..
        } => {
            let messages = documents(messages, settings);
            let claim_id = claim.to_string();
            document(StatusCode::CREATED, &ClaimedDocument { claim_id, messages })
        }
        Output::NothingClaimed => document(StatusCode::NO_CONTENT, &json!({"claim_id": null})),
        Output::Claim { claim, .. } => {
            document(StatusCode::OK, &ClaimDocument::new(claim, settings))
        }
        Output::Subscriptions { queue, output } => of_subscriptions(queue, output),
        Output::Pong
        | Output::QueueExists { .. }
        | Output::QueueDeleted
        | Output::QueuePurged
        | Output::MessagesDeleted
        | Output::ClaimRenewed
        | Output::ClaimReleased => empty(StatusCode::NO_CONTENT),
        Output::Pools(_) | Output::Flavors(_) => {
            panic!("invariant: no action asks for pools or flavors")
        }
    }
}

fn of_subscriptions(queue: &QueueName, output: &SubscriptionOutput) -> Body {
    match output {
        SubscriptionOutput::Page(_, subscriptions) => {
            let shown = |subscription| SubscriptionDocument::new(queue, subscription);
            let subscriptions = subscriptions.iter().map(shown).collect();
            document(StatusCode::OK, &SubscriptionPage { subscriptions })
        }
        SubscriptionOutput::Created(id) => {
            let created = json!({
                "subscription_id": id.to_string(),
                "message": format!("subscribed to {}", queue.as_str()),
            });
            document(StatusCode::CREATED, &created)
        }
        SubscriptionOutput::One(subscription) => document(
            StatusCode::OK,
            &SubscriptionDocument::new(queue, subscription),
        ),
        SubscriptionOutput::Updated(_) | SubscriptionOutput::Deleted => {
            empty(StatusCode::NO_CONTENT)
        }
    }
}

fn documents<'a>(messages: &'a [MessageView], settings: &Settings) -> Vec<MessageDocument<'a>> {
    let shown = |message| MessageDocument::new(message, settings);
    messages.iter().map(shown).collect()
}

fn document(status: StatusCode, document: &(impl Serialize + ?Sized)) -> Body {
    let text = to_raw_value(document).expect("invariant: our documents are JSON");
    (status, text)
}

fn empty(status: StatusCode) -> Body {
    document(status, &json!({}))
}

#[derive(Serialize)]
struct QueuePage<'a> {
    queues: Vec<QueueDocument<'a>>,
}

#[derive(Serialize)]
struct QueueDocument<'a> {
    name: &'a str,
    /// As stored, like `queue_get`: without the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> QueueDocument<'a> {
    fn new(queue: &'a QueueView) -> Self {
        Self {
            name: queue.name.as_str(),
            metadata: queue.metadata.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Messages<T> {
    messages: T,
}

#[derive(Serialize)]
struct MessagePage<'a> {
    messages: Vec<MessageDocument<'a>>,
    /// Not in Zaqar, where nobody can turn the page: markers are not ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: &'a Option<String>,
}

#[derive(Serialize)]
struct MessageDocument<'a> {
    id: String,
    claim_id: Option<String>,
    ttl: u32,
    age: u64,
    body: &'a JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl<'a> MessageDocument<'a> {
    fn new(message: &'a MessageView, settings: &Settings) -> Self {
        Self {
            id: message.id.to_string(),
            claim_id: message.claim.map(|claim| claim.to_string()),
            ttl: message.ttl_secs,
            age: message.age_secs,
            body: &message.body,
            checksum: settings.checksums.then(|| checksum::of(&message.body)),
        }
    }
}

#[derive(Serialize)]
struct ClaimedDocument<'a> {
    claim_id: String,
    messages: Vec<MessageDocument<'a>>,
}

#[derive(Serialize)]
struct ClaimDocument<'a> {
    age: u64,
    ttl: u32,
    messages: Vec<MessageDocument<'a>>,
}

impl<'a> ClaimDocument<'a> {
    fn new(claim: &'a ClaimView, settings: &Settings) -> Self {
        Self {
            age: claim.age_secs,
            ttl: claim.ttl_secs,
            messages: documents(&claim.messages, settings),
        }
    }
}

#[derive(Serialize)]
struct SubscriptionPage<'a> {
    subscriptions: Vec<SubscriptionDocument<'a>>,
}
