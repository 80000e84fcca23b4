//! The service on sockets: HTTP/1.1 over TCP, WebSocket, and webhooks and mail to subscribers.
//!
//! The only module of this crate that does I/O. Owns connections, their bounds, the clock, and the
//! orderly stop; must not know what is in a request.

mod clock;
mod outgoing;
mod sender;
mod upgrade;
mod websocket;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::service::Service;

pub use clock::SystemClock;
pub use outgoing::{Outgoing, Relay, RelaySecurity};

/// Connections at one time. More of them wait in the backlog of the listener.
pub const CONNECTIONS_MAX: usize = 4_096;
/// How long a client may take to send the head of a request, and to keep a connection idle.
pub const HEADER_READ_SECS_MAX: u64 = 30;
/// How long a client may take to send the body of a request. Then the connection is closed.
pub const BODY_READ_SECS_MAX: u64 = 60;
/// How long a stop waits for requests that are being answered.
pub const STOP_SECS_MAX: u64 = 10;
/// Webhooks under way at one time, for all tenants. Each has a bound of its own in the limits of
/// the service; so it takes as many tenants as that goes into this, with nothing but slow
/// subscribers, to delay another one, and then for [`DELIVERY_SECS_MAX`].
pub const DELIVERIES_MAX: usize = 256;
/// How long a webhook may take.
pub const DELIVERY_SECS_MAX: u64 = 10;
/// WebSockets open at one time. More of them wait in the backlog of their listener.
pub const SOCKETS_MAX: usize = 1_024;
/// How long a WebSocket may be quiet before it is asked whether it is there, and then until it is
/// closed because it has not answered.
pub const SOCKET_QUIET_SECS_MAX: u64 = 30;
/// How long a frame may take to be written to a WebSocket. Then it is closed.
pub const SOCKET_WRITE_SECS_MAX: u64 = 10;
/// The pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY_MS: u64 = 50;

/// The bounds of a server, in real time. `Default` is what the constants of this module say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections at one time.
    pub connections_max: usize,
    /// How long the head of a request may take, and a connection be idle.
    pub header_read: Duration,
    /// How long the body of a request may take.
    pub body_read: Duration,
    /// How long a stop waits for requests that are being answered.
    pub stop: Duration,
    /// Webhooks under way at one time.
    pub deliveries_max: usize,
    /// How long a webhook may take, from the look-up of the name to the head of the answer.
    pub delivery: Duration,
    /// WebSockets open at one time.
    pub sockets_max: usize,
    /// How long a WebSocket may be quiet, twice: before it is asked, and before it is closed.
    pub socket_quiet: Duration,
    /// How long a frame may take to be written to a WebSocket.
    pub socket_write: Duration,
    /// How many seconds pass for the service in a second: that of its [`SystemClock`].
    pub time_scale: NonZeroU32,
    /// How and by whom notifications are sent.
    pub outgoing: Outgoing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            header_read: Duration::from_secs(HEADER_READ_SECS_MAX),
            body_read: Duration::from_secs(BODY_READ_SECS_MAX),
            stop: Duration::from_secs(STOP_SECS_MAX),
            deliveries_max: DELIVERIES_MAX,
            delivery: Duration::from_secs(DELIVERY_SECS_MAX),
            sockets_max: SOCKETS_MAX,
            socket_quiet: Duration::from_secs(SOCKET_QUIET_SECS_MAX),
            socket_write: Duration::from_secs(SOCKET_WRITE_SECS_MAX),
            time_scale: NonZeroU32::MIN,
            outgoing: Outgoing::default(),
        }
    }
}

/// Where clients come in.
#[derive(Debug)]
pub struct Listeners {
    /// For HTTP.
    pub http: TcpListener,
    /// For WebSocket, if that is served.
    pub websocket: Option<TcpListener>,
}

/// HTTP alone.
impl From<TcpListener> for Listeners {
    fn from(http: TcpListener) -> Self {
        Self {
            http,
            websocket: None,
        }
    }
}

/// Serves with the default options until `stop` is done: see [`serve_with`].
///
/// # Errors
/// As [`serve_with`].
pub async fn serve(
    listeners: impl Into<Listeners>,
    service: Service,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_with(listeners, service, Options::default(), stop).await
}

/// Serves until `stop` is done. Then requests under way are answered, for as long as the options
/// allow, idle connections are closed, WebSockets too, and webhooks under way are cut off.
///
/// # Errors
/// If a listener has no address any more, the authorities cannot be read, or the broker has
/// panicked: then there is nothing left to serve. A failed accept is no error: it is tried again.
pub async fn serve_with(
    listeners: impl Into<Listeners>,
    service: Service,
    options: Options,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let Listeners { http, websocket } = listeners.into();
    http.local_addr()?;
    let (sockets, (stopping, stopped)) = (websocket::Sockets::default(), watch::channel(false));
    let mut sender = JoinSet::new();
    let ways = sender::Ways::new(&options, sockets.clone())?;
    sender.spawn(sender::send_all(service.clone(), options.clone(), ways));
    let mut websockets = JoinSet::new();
    if let Some(listener) = websocket {
        listener.local_addr()?;
        let shared = websocket::Shared {
            service: service.clone(),
            options: options.clone(),
            sockets,
            stopping: stopped,
        };
        websockets.spawn(websocket::serve_all(listener, shared));
    }
    let mut stop = pin!(stop);
    // The sender ends by itself only if the broker is broken.
    let mut stop = pin!(poll_fn(|context| match sender.poll_join_next(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => stop.as_mut().poll(context),
    }));
    let connections = GracefulShutdown::new();
    let tasks = accept_all(&http, &service, &options, &connections, stop.as_mut()).await;
    drop(http);
    stopping.send_replace(true);
    let ended = async {
        connections.shutdown().await;
        while websockets.join_next().await.is_some() {}
    };
    // What is not answered by then is cut off, for dropping the tasks aborts them.
    drop(timeout(options.stop, ended).await);
    drop(tasks);
    if service.is_broken() {
        return Err(io::Error::other("the broker has panicked"));
    }
    Ok(())
}

/// Accepts connections until `stop` is done, and returns those that are open.
async fn accept_all<S: Future<Output = ()>>(
    listener: &TcpListener,
    service: &Service,
    options: &Options,
    connections: &GracefulShutdown,
    mut stop: Pin<&mut S>,
) -> JoinSet<()> {
    let permits = Arc::new(Semaphore::new(options.connections_max));
    let mut tasks = JoinSet::new();
    while let Some((stream, permit)) = accept(listener, &permits, stop.as_mut()).await {
        let connection = connections.watch(connection(stream, service.clone(), options));
        tasks.spawn(async move {
            // How a connection ends is the client's business: whatever it was owed, it got or left.
            drop(connection.await);
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    tasks
}

/// The next connection, once there is room for it; `None` if `stop` is done before.
async fn accept<S: Future<Output = ()>>(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    mut stop: Pin<&mut S>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        let admission = async {
            let permit = Arc::clone(permits).acquire_owned().await;
            let permit = permit.expect("invariant: the semaphore is never closed");
            (listener.accept().await, permit)
        };
        let (accepted, permit) = unless(stop.as_mut(), pin!(admission)).await?;
        if let Ok((stream, _)) = accepted {
            return Some((stream, permit));
        }
        let pause = sleep(Duration::from_millis(ACCEPT_RETRY_MS));
        unless(stop.as_mut(), pin!(pause)).await?;
    }
}

/// An HTTP/1.1 connection that can be told to end after the request under way.
fn connection(
    stream: TcpStream,
    service: Service,
    options: &Options,
) -> impl GracefulConnection<Error = hyper::Error> + Send + use<> {
    let body_read = options.body_read;
    // Without it small answers wait for acknowledgements; if it fails, they are merely slow.
    drop(stream.set_nodelay(true));
    let answer = service_fn(move |request: Request<Incoming>| {
        // All that takes time in a request is the arrival of its body.
        let response = tower_service::Service::call(&mut service.clone(), request);
        async move { timeout(body_read, response).await.map(never_fails) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_read)
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
