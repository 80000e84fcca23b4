//! The sender of webhooks: takes notifications from the service, posts them, reports back.
//!
//! Owns connections to subscribers and their bounds; when to try again is the broker's business.
//! Only `http` in the clear: there is no TLS in here, and a subscriber that needs it is refused.
//! Redirects are not followed, for a redirect counts as delivered (Zaqar v2, retry policy).

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tracing::{info, warn};

use super::Options;
use crate::broker::{Notification, Outcome};
use crate::service::Service;
use crate::wire::webhook;

/// Most bytes of the head of an answer.
const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Between two looks at what is due, at least this long: much may be due at once.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// And at most this long, so that a clock that was set is noticed some time.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

type PostError = Box<dyn Error + Send + Sync>;

/// Sends whatever the service wants to be sent, until it is broken.
pub(super) async fn send_all(service: Service, options: Options) {
    let permits = Arc::new(Semaphore::new(options.deliveries_max));
    // Dropped, it cuts off what is under way.
    let mut tasks = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await;
        let permit = permit.expect("invariant: the semaphore is never closed");
        let Some(notification) = next(&service, &options).await else {
            return;
        };
        let service = service.clone();
        tasks.spawn(async move {
            let sent = timeout(options.delivery, post(service.webhook(&notification))).await;
            let outcome = match &sent {
                Ok(Ok(status)) => webhook::outcome(*status),
                // Whether it is there, nobody knows: at least once, so it is sent again.
                Ok(Err(_)) | Err(_) => Outcome::Failed,
            };
            tell(&notification, outcome, &sent);
            service.conclude(notification.attempt, outcome);
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// Tells what came of a webhook: whose it is and where it went is nobody's business.
fn tell(
    notification: &Notification,
    outcome: Outcome,
    sent: &Result<Result<StatusCode, PostError>, Elapsed>,
) {
    let subscription = notification.subscription;
    match (outcome, sent) {
        (Outcome::Delivered, _) => info!(%subscription, "a webhook was delivered"),
        (Outcome::Refused | Outcome::Failed, Ok(Ok(status))) => {
            warn!(%subscription, status = status.as_u16(), "a webhook was refused");
        }
        (Outcome::Refused | Outcome::Failed, Ok(Err(error))) => {
            warn!(%subscription, %error, "a webhook failed");
        }
        (Outcome::Refused | Outcome::Failed, Err(_)) => {
            warn!(%subscription, "a webhook took too long");
        }
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

/// Posts a request to where its URI says, and returns the status of the answer. The rest of the
/// answer does not matter and is not read.
async fn post(mut request: Request<Bytes>) -> Result<StatusCode, PostError> {
    let uri = std::mem::take(request.uri_mut());
    let authority = uri.authority().ok_or("no authority")?;
    if uri.scheme_str() != Some("http") {
        // Only if the settings of the service promise more than there is; no retry helps that.
        return Ok(StatusCode::BAD_REQUEST);
    }
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let (mut client, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut connection = pin!(connection);
    let mut answer = pin!(client.send_request(request.map(Full::new)));
    let mut open = true;
    let answer = poll_fn(|context| {
        if open && connection.as_mut().poll(context).is_ready() {
            // The end of a connection is no answer; but if there was one, it has arrived by now.
            open = false;
        }
        let polled = answer.as_mut().poll(context).map(Some);
        if polled.is_pending() && !open {
            return Poll::Ready(None);
        }
        polled
    });
    Ok(answer.await.ok_or("closed without an answer")??.status())
}
