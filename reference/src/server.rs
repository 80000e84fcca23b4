//! The service on sockets: HTTP/1.1 over TCP, WebSocket, and webhooks and mail to subscribers.
//!
//! The only module of this crate that does I/O. Owns connections, their bounds, the clock, and the
//! orderly stop; must not know what is in a request.

mod admin;
mod clock;
mod connection;
mod deadline;
mod metrics;
mod outgoing;
mod pulse;
mod sender;
mod transport;
mod upgrade;
mod websocket;

use std::future::poll_fn;
use std::io;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::service::Service;

pub use admin::ADMIN_CONNECTIONS_MAX;
pub use clock::SystemClock;
pub use connection::HEAD_BYTES_MAX;
pub use outgoing::{Outgoing, Relay, RelaySecurity};

use connection::Shared;
use metrics::Metrics;

/// Connections at one time. More of them wait in the backlog of the listener.
pub const CONNECTIONS_MAX: usize = 16_384;
/// How long a client may take to send the head of a request, to take an answer, and to keep a
/// connection idle.
pub const HEADER_READ_SECS_MAX: u64 = 30;
/// How long a client may take to send the body of a request. Then it is answered 408, and the
/// connection is closed.
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
    /// Where operators ask for metrics and readiness, if they can.
    pub admin: Option<TcpListener>,
}

/// HTTP alone.
impl From<TcpListener> for Listeners {
    fn from(http: TcpListener) -> Self {
        Self {
            http,
            websocket: None,
            admin: None,
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

/// Looks at what `options` name, as [`serve_with`] does before it serves.
///
/// # Errors
/// If the authorities cannot be read, or what they say about the relay's certificate.
pub fn check(options: &Options) -> io::Result<()> {
    sender::Ways::new(options, websocket::Sockets::default()).map(drop)
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
    let Listeners {
        http,
        websocket,
        admin,
    } = listeners.into();
    let address = http.local_addr()?;
    let (sockets, (stopper, stopping)) = (websocket::Sockets::default(), watch::channel(false));
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
            stopping: stopping.clone(),
        };
        websockets.spawn(websocket::serve_all(listener, shared));
    }
    let mut stop = pin!(stop);
    // The sender ends by itself only if the broker is broken.
    let mut stop = pin!(poll_fn(|context| match sender.poll_join_next(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => stop.as_mut().poll(context),
    }));
    let shared = Arc::new(Shared {
        service: service.clone(),
        options: options.clone(),
        metrics: Arc::new(Metrics::new()),
    });
    let mut admins = JoinSet::new();
    if let Some(admin) = admin {
        admins.spawn(admin::serve_all(
            admin,
            Arc::clone(&shared),
            stopping.clone(),
        ));
    }
    info!(%address, "serving");
    let acceptor = Acceptor::new(http, shared, stopping);
    let mut tasks = acceptor.accept_all(stop.as_mut()).await;
    stopper.send_replace(true);
    info!(connections = tasks.len(), "stopping");
    // What is not answered by then is cut off, for dropping the tasks aborts them.
    let ended = timeout(options.stop, async {
        while tasks.join_next().await.is_some() {}
        while websockets.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        warn!(
            connections = tasks.len(),
            "cut off what was not answered in time"
        );
    }
    if service.is_broken() {
        error!("the broker has panicked");
        return Err(io::Error::other("the broker has panicked"));
    }
    info!("stopped");
    Ok(())
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
        match accepted {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => warn!(%error, "cannot accept a connection"),
        }
        let pause = sleep(Duration::from_millis(ACCEPT_RETRY_MS));
        unless(stop.as_mut(), pin!(pause)).await?;
    }
}

/// Takes connections in.
struct Acceptor {
    listener: TcpListener,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Acceptor {
    fn new(listener: TcpListener, shared: Arc<Shared>, stopping: watch::Receiver<bool>) -> Self {
        Self {
            listener,
            permits: Arc::new(Semaphore::new(shared.options.connections_max)),
            shared,
            stopping,
            tasks: JoinSet::new(),
        }
    }

    /// Accepts connections until `stop` is done, and returns those that are open.
    async fn accept_all<S: Future<Output = ()>>(mut self, mut stop: Pin<&mut S>) -> JoinSet<()> {
        while let Some((stream, permit)) =
            accept(&self.listener, &self.permits, stop.as_mut()).await
        {
            self.spawn(stream, permit);
            while self.tasks.try_join_next().is_some() {}
        }
        self.tasks
    }

    fn spawn(&mut self, stream: TcpStream, permit: impl Send + 'static) {
        let (shared, stopping) = (Arc::clone(&self.shared), self.stopping.clone());
        self.tasks.spawn(async move {
            let open = metrics::OpenConnection::count(&shared.metrics);
            connection::serve(stream, Arc::clone(&shared), stopping).await;
            drop((open, permit));
        });
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
