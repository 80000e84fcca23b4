//! What a notification becomes on its way to the subscriber: a request, or a mail.

use bytes::Bytes;
use http::Request;

use crate::broker::{JsonText, Notification, SocketId, Subscriber, TRUST_ID};

use super::mail::Mail;
use super::settings::Settings;
use super::{mail, webhook};

/// A notification, ready to be sent.
#[derive(Clone, Debug)]
pub enum Dispatch {
    /// A request to a webhook.
    Webhook(Request<Bytes>),
    /// A request to a webhook that wants a token.
    Trusted {
        /// The id of the trust that gives the token.
        trust: String,
        /// The request, without the token.
        request: Request<Bytes>,
    },
    /// A mail.
    Mail(Mail),
    /// A document for the socket that subscribed.
    Frame {
        /// The socket.
        socket: SocketId,
        /// What it is sent.
        document: String,
    },
}

impl Dispatch {
    /// What is sent for a notification. `None`: it cannot be sent by this service, and could not
    /// be later.
    ///
    /// # Panics
    /// If the notification is of a subscription that was not read by [`decode`](super::decode).
    #[must_use]
    pub fn of(notification: &Notification, settings: &Settings) -> Option<Self> {
        if let Subscriber::Socket(socket) = notification.subscriber {
            let document = webhook::document(notification, settings);
            return Some(Self::Frame { socket, document });
        }
        let (needs_trust, uri) = notification.subscriber.trust_and_uri();
        if mail::is_target(uri) {
            return mail::mail(notification, settings).map(Self::Mail);
        }
        let request = webhook::request(notification, settings);
        if !needs_trust {
            return Some(Self::Webhook(request));
        }
        let members = notification.options.as_members()?;
        let trust = members.get(TRUST_ID).and_then(JsonText::as_string)?;
        Some(Self::Trusted { trust, request })
    }
}
