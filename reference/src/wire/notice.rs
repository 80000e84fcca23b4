//! Notices about a subscription: what its subscriber needs to answer them.

use serde_json::json;

use crate::broker::{Notice, Notification};

use super::calendar;
use super::settings::Settings;
use super::signing::Grant;
use super::subscriptions::path;

/// What lets a subscriber answer with `PUT …/confirm`, without a token: a signature that lasts as
/// long as the subscription.
pub(crate) struct Invitation {
    pub(crate) path: String,
    pub(crate) signature: String,
    pub(crate) expires: String,
}

impl Invitation {
    /// `None` if there is no key to sign with.
    pub(crate) fn of(notification: &Notification, settings: &Settings) -> Option<Self> {
        let key = settings.signing_key.as_ref()?;
        let confirm = format!(
            "{}/{}/confirm",
            path(&notification.queue),
            notification.subscription
        );
        let grant = Grant {
            paths: vec![confirm.clone()],
            methods: vec!["PUT".to_owned()],
            project: notification.project.clone(),
            expires_at_secs: notification.subscription_expires_at.as_secs(),
        };
        Some(Self {
            path: confirm,
            signature: key.sign(&grant),
            expires: calendar::date_time(grant.expires_at_secs),
        })
    }
}

/// A notice as a webhook gets it.
pub(crate) fn document(notification: &Notification, notice: Notice, settings: &Settings) -> String {
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
    if let Some(invitation) = Invitation::of(notification, settings) {
        document["URL-Signature"] = json!(invitation.signature);
        document["URL-Methods"] = json!("PUT");
        document["URL-Paths"] = json!(invitation.path);
        document["URL-Expires"] = json!(invitation.expires);
    }
    document.to_string()
}
