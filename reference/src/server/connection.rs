//! One connection, from its first byte to its last: hyper, and the bounds that hyper does not keep.
//!
//! hyper could bound the time of a head itself, but arms a timer anew for every request. Here one
//! timer serves a connection for all of its life: when it is over, it looks how long the head has
//! really been awaited.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::Options;
use super::deadline::Deadline;
use super::metrics::Metrics;
use super::pulse::Pulse;
use super::transport::Transport;
use crate::service::Service;
use crate::wire::{Refusal, Resource};

/// Most bytes of the head of a request; also the unit in which bodies are read. Connections that
/// each send a head this long are what costs a server most memory.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// What is read and thrown away of a request that was refused before its end, so that the client
/// sees the answer rather than a reset.
const LEFTOVER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long that may take.
const LEFTOVER_SECS_MAX: u64 = 5;

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) options: Options,
    pub(super) metrics: Arc<Metrics>,
}

/// What became of hyper's part.
enum End {
    /// All was answered, and the client or we closed the connection.
    Closed,
    /// What came was no request, or no more came.
    Broken(hyper::Error),
    /// The next head did not come in time.
    TooSlow,
}

/// Serves a connection to its end. Once `stopping` says so, no further request is taken.
pub(super) async fn serve(
    stream: TcpStream,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) {
    // Without it small answers wait for acknowledgements; if it fails, they are merely slow.
    drop(stream.set_nodelay(true));
    let pulse = Arc::new(Pulse::new());
    let transport = Transport::new(stream, shared.service.clone(), Arc::clone(&pulse));
    let answer = service_fn(|request| answer(&shared, &pulse, request));
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(transport, answer);
    let within = shared.options.header_read;
    let end = {
        let mut slow = pin!(sleep_until(Instant::now() + within));
        let mut stop = pin!(stopping.wait_for(|stopping| *stopping));
        let mut is_stopping = false;
        poll_fn(|context| {
            loop {
                if let Poll::Ready(end) = Pin::new(&mut connection).poll(context) {
                    return Poll::Ready(end.map_or_else(End::Broken, |()| End::Closed));
                }
                // What has arrived before the stop is answered, so the connection goes first.
                if !is_stopping && stop.as_mut().poll(context).is_ready() {
                    is_stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                    continue;
                }
                if slow.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                match pulse.head_due_at(within) {
                    Some(due_at) if due_at <= Instant::now() => return Poll::Ready(End::TooSlow),
                    Some(due_at) => slow.as_mut().reset(due_at),
                    None => slow.as_mut().reset(Instant::now() + within),
                }
            }
        })
        .await
    };
    finish(end, connection.into_parts().io, &pulse).await;
}

/// Says what is still to be said, and lets the client hear it.
async fn finish(end: End, mut transport: Transport, pulse: &Pulse) {
    match end {
        End::Closed => {}
        End::Broken(error) => {
            debug!(%error, "a connection broke");
            // The one head that hyper refuses without a word to the client.
            if error.is_parse_version_h2() {
                drop(transport.refuse(Refusal::HeadInvalid).await);
            }
        }
        End::TooSlow => {
            debug!(
                begun = pulse.has_begun(),
                "a connection was idle for too long"
            );
            // One that waits between two requests expects no answer.
            if pulse.has_begun() {
                drop(transport.refuse(Refusal::HeadTooSlow).await);
            }
        }
    }
    if pulse.has_leftovers() {
        let within = Duration::from_secs(LEFTOVER_SECS_MAX);
        drop(timeout(within, transport.discard(LEFTOVER_BYTES_MAX)).await);
    }
}

async fn answer(
    shared: &Shared,
    pulse: &Arc<Pulse>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    pulse.begin_answer();
    let started_at = Instant::now();
    let resource = Resource::of(request.uri().path());
    let method = request.method().clone();
    let path = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
    let within = shared.options.body_read;
    let request = request.map(|body| Deadline::new(body, within, Arc::clone(pulse)));
    let response = shared.service.respond(request).await;
    let ended_at = Instant::now();
    pulse.end_answer(ended_at);
    let elapsed = ended_at.duration_since(started_at);
    let status = response.status();
    shared
        .metrics
        .count_request(&method, resource, status, elapsed);
    if let Some(path) = path {
        let id = response.headers().get("x-openstack-request-id");
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (status, micros) = (status.as_u16(), elapsed.as_micros());
        debug!(request_id = id, %method, path, status, micros, "answered");
    }
    Ok(response)
}
