//! The service on sockets: HTTP/1.1 over TCP.
//!
//! The only module of this crate that does I/O. Owns connections, their bounds, the clock, and the
//! orderly stop; must not know what is in a request.
#![expect(
    clippy::disallowed_types,
    reason = "this is the shell that turns real time into an argument"
)]

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::broker::Timestamp;
use crate::service::{Clock, Service};

/// Connections at one time. More of them wait in the backlog of the listener.
pub const CONNECTIONS_MAX: usize = 4_096;
/// How long a client may take to send the head of a request, and to keep a connection idle.
pub const HEADER_READ_SECS_MAX: u64 = 30;
/// How long a client may take to send the body of a request. Then the connection is closed.
pub const BODY_READ_SECS_MAX: u64 = 60;
/// How long a stop waits for requests that are being answered.
pub const STOP_SECS_MAX: u64 = 10;
/// The pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY_MS: u64 = 50;

/// The time of this machine: the wall clock at the start, and the monotone clock since then.
pub struct SystemClock {
    started_at: Instant,
    epoch: Timestamp,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            started_at: Instant::now(),
            epoch: Timestamp::from_nanos(nanos(since_epoch)),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.epoch.plus_nanos(nanos(self.started_at.elapsed()))
    }
}

/// Serves until `stop` is done. Then requests under way are answered, for at most
/// [`STOP_SECS_MAX`], and idle connections are closed.
///
/// # Errors
/// If the listener has no address any more. A failed accept is no error: it is tried again.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let connections = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let admission = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let permit = permit.expect("invariant: the semaphore is never closed");
            (listener.accept().await, permit)
        };
        let Some((accepted, permit)) = unless(stop.as_mut(), pin!(admission)).await else {
            break;
        };
        let Ok((stream, _)) = accepted else {
            let pause = sleep(Duration::from_millis(ACCEPT_RETRY_MS));
            if unless(stop.as_mut(), pin!(pause)).await.is_none() {
                break;
            }
            continue;
        };
        let connection = connections.watch(connection(stream, service.clone()));
        tasks.spawn(async move {
            // How a connection ends is the client's business: whatever it was owed, it got or left.
            drop(connection.await);
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    // What is not answered by then is cut off, for dropping the tasks aborts them.
    drop(timeout(Duration::from_secs(STOP_SECS_MAX), connections.shutdown()).await);
    Ok(())
}

/// An HTTP/1.1 connection that can be told to end after the request under way.
fn connection(
    stream: TcpStream,
    service: Service,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    // Without it small answers wait for acknowledgements; if it fails, they are merely slow.
    drop(stream.set_nodelay(true));
    let answer = service_fn(move |request: Request<Incoming>| {
        // All that takes time in a request is the arrival of its body.
        let response = tower_service::Service::call(&mut service.clone(), request);
        async {
            timeout(Duration::from_secs(BODY_READ_SECS_MAX), response)
                .await
                .map(never_fails)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_READ_SECS_MAX))
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), answer)
}

fn never_fails<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// What `work` returns, unless `stop` is done before.
async fn unless<S, W>(mut stop: Pin<&mut S>, mut work: Pin<&mut W>) -> Option<W::Output>
where
    S: Future<Output = ()>,
    W: Future,
{
    poll_fn(|context| match stop.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(context).map(Some),
    })
    .await
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
