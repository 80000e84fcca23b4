//! The sender: takes notifications from the service, sends them, reports back.
//!
//! Owns the connections to subscribers, and their bounds; when to try again is the broker's
//! business. One file for each way to send, and one `match` that chooses.

mod exchange;
mod mail;
mod tls;
mod trust;
mod webhook;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Options;
use super::websocket::Sockets;
use crate::broker::{Notification, Outcome};
use crate::service::Service;
use crate::wire::Dispatch;

use exchange::Exchange;
use mail::Post;
use tls::Authorities;
use trust::Tokens;

/// Between two looks at what is due, at least this long: much may be due at once.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// And at most this long, so that a clock that was set is noticed some time.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// The ways to send.
pub(super) struct Ways {
    exchange: Exchange,
    post: Option<Post>,
    tokens: Option<Tokens>,
    sockets: Sockets,
}

impl Ways {
    /// Makes them ready. Nobody is spoken to yet.
    pub(super) fn new(options: &Options, sockets: Sockets) -> io::Result<Self> {
        let outgoing = &options.outgoing;
        let authorities = match &outgoing.authorities_file {
            Some(file) => Authorities::read(file)?,
            None => Authorities::default(),
        };
        let relay = outgoing.relay.as_ref();
        let post = relay.map(|relay| Post::new(relay, &authorities));
        Ok(Self {
            exchange: Exchange::new(authorities.connector()?),
            post: post.transpose()?,
            tokens: outgoing.trustee.clone().map(Tokens::new),
            sockets,
        })
    }

    /// Sends one notification. What there is no way for will not find one later.
    async fn send(&self, notification: &Notification, service: &Service) -> Outcome {
        let rule = service.address_rule();
        match (service.dispatch(notification), &self.post, &self.tokens) {
            (Some(Dispatch::Webhook(request)), _, _) => {
                webhook::post(request, &self.exchange, rule).await
            }
            (Some(Dispatch::Trusted { trust, request }), _, Some(tokens)) => {
                webhook::post_trusted((&trust, request), &self.exchange, rule, tokens).await
            }
            (Some(Dispatch::Frame { socket, document }), _, _) => {
                self.sockets.deliver(socket, document).await
            }
            (Some(Dispatch::Mail(mail)), Some(post), _) => post.send(mail, service.now()).await,
            (Some(Dispatch::Trusted { .. } | Dispatch::Mail(_)) | None, _, _) => Outcome::Refused,
        }
    }
}

/// Sends whatever the service wants to be sent, until it is broken.
pub(super) async fn send_all(service: Service, options: Options, ways: Ways) {
    let ways = Arc::new(ways);
    let permits = Arc::new(Semaphore::new(options.deliveries_max));
    // Dropped, it cuts off what is under way.
    let mut tasks = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await;
        let permit = permit.expect("invariant: the semaphore is never closed");
        let Some(notification) = next(&service, &options).await else {
            return;
        };
        let (service, ways) = (service.clone(), Arc::clone(&ways));
        tasks.spawn(async move {
            let sent = timeout(options.delivery, ways.send(&notification, &service)).await;
            // Whether what took too long is there, nobody knows: at least once, so it is sent again.
            let outcome = sent.unwrap_or(Outcome::Failed);
            service.conclude(notification.attempt, outcome);
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// Waits for the next notification; `None` if there will be none any more.
async fn next(service: &Service, options: &Options) -> Option<Notification> {
    while !service.is_broken() {
        let until = service.advance();
        if let Some(notification) = service.next_notification() {
            return Some(notification);
        }
        let pause = until.map_or(PAUSE_MAX, |at| {
            let nanos = at.as_nanos().saturating_sub(service.now().as_nanos());
            let pause = Duration::from_nanos(nanos) / options.time_scale.get();
            pause.clamp(PAUSE_MIN, PAUSE_MAX)
        });
        // Whichever comes first: both mean to look again.
        drop(timeout(pause, service.changed(until)).await);
    }
    None
}
