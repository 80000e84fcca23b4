//! Sends what the reference wants to be sent, over the simulated network, as its server does over sockets.
//!
//! The reference is a service without a runtime: whoever has one takes its notifications, sends them and
//! reports what came of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use nanshe_conformance::environment::{Address, Environment, within};
use nanshe_reference::broker::{Notification, Outcome};
use nanshe_reference::service::Service;
use nanshe_reference::wire::{Dispatch, webhook};

use crate::mailer;
use crate::sockets::Sockets;

/// How long a webhook may take.
const DELIVERY_MAX: Duration = Duration::from_secs(10);

/// Between two looks at what is due, at least and at most this long.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(3_600));

/// Sends all notifications of `service` until its node dies.
pub(crate) async fn send_all(
    service: Service,
    sockets: Sockets,
    environment: Arc<dyn Environment>,
) {
    loop {
        let notification = next(&service, &environment).await;
        let (service, world) = (service.clone(), Arc::clone(&environment));
        let sockets = sockets.clone();
        environment.spawn(Box::pin(async move {
            let outcome = match service.dispatch(&notification) {
                Some(Dispatch::Webhook(request)) => {
                    let sent = within(&*world, DELIVERY_MAX, post(request, &world)).await;
                    // Whether it is there nobody knows without an answer: at least once, so again.
                    sent.flatten().map_or(Outcome::Failed, webhook::outcome)
                }
                Some(Dispatch::Frame { socket, document }) => sockets.deliver(socket, document),
                Some(Dispatch::Mail(mail)) => {
                    let sent = within(&*world, DELIVERY_MAX, mailer::send(&mail, &*world)).await;
                    sent.unwrap_or(Outcome::Failed)
                }
                // There is neither TLS nor Keystone in this world.
                Some(Dispatch::Trusted { .. }) | None => Outcome::Refused,
            };
            service.conclude(notification.attempt, outcome);
        }));
    }
}

async fn next(service: &Service, environment: &Arc<dyn Environment>) -> Notification {
    loop {
        let until = service.advance();
        if let Some(notification) = service.next_notification() {
            return notification;
        }
        let pause = until.map_or(PAUSE.1, |at| {
            let nanos = at.as_nanos().saturating_sub(service.now().as_nanos());
            Duration::from_nanos(nanos).clamp(PAUSE.0, PAUSE.1)
        });
        let changed = std::pin::pin!(service.changed(until));
        // Whichever comes first: both mean to look again.
        drop(select(changed, environment.sleep(pause)).await);
    }
}

/// Posts a request to where its URI says, and returns the status of the answer, if one comes.
async fn post(
    mut request: Request<Bytes>,
    environment: &Arc<dyn Environment>,
) -> Option<StatusCode> {
    let uri = std::mem::take(request.uri_mut());
    let address = Address {
        host: uri.host()?.to_owned(),
        port: uri.port_u16().unwrap_or(80),
    };
    let stream = environment.connect(&address).await.ok()?;
    *request.uri_mut() = uri.path_and_query()?.as_str().parse::<Uri>().ok()?;
    let host = uri.authority()?.as_str().parse().ok()?;
    request.headers_mut().insert(http::header::HOST, host);
    let (mut client, connection) = http1::handshake(stream).await.ok()?;
    environment.spawn(Box::pin(async move {
        // Errors reach the one who waits for the answer.
        drop(connection.await);
    }));
    let answer = client.send_request(request.map(Full::new)).await.ok()?;
    Some(answer.status())
}
