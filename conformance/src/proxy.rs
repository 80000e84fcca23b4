//! Faults from outside: a proxy in front of the target that loses, delays, cuts and repeats.
//!
//! It owns a port on loopback and what passes through it. Each request's [`Fate`] is drawn from the seed
//! alone; every strike is in the history. What it sends on lives on when its client has given up: that is
//! how late effects come about.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::environment::{Address, World};
use crate::history::Recorder;
use crate::target::{Client, Endpoint};
use crate::workload::Board;

use self::answer::Body;
pub use self::decision::{Fate, NetworkFault, Strike, fate};

mod answer;
mod decision;
mod exchange;

/// Largest request that passes, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Requests that are under way to the target at once, at most, if nobody says otherwise.
pub const IN_FLIGHT_MAX: usize = 1_024;

/// Pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Processes from this number on are no clients, but requests that the proxy sent once more.
pub const REPEATED_FROM: u64 = 1 << 32;

/// What a proxy needs.
pub struct Setting {
    /// The world of the run.
    pub world: World,
    /// The run's history.
    pub recorder: Arc<Recorder>,
    /// What the clients do: a repeated request stands in the history as what it asks for.
    pub board: Arc<Board>,
    /// What decisions are drawn from.
    pub seed: u64,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// How long a request may be on its way here. What has not been sent on by then is lost: nobody may reckon with
    /// it any more.
    pub held_at_most: Duration,
    /// Requests that are under way to the target at once, at most.
    pub in_flight_max: usize,
}

/// A proxy at work. It stops when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    setting: Setting,
    upstream: Mutex<Arc<Client>>,
    in_force: Mutex<BTreeMap<usize, Strike>>,
    sent: Mutex<BTreeMap<u64, u64>>,
    repeated: AtomicU64,
    struck: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of loopback, and sends on to `target`.
    ///
    /// # Errors
    ///
    /// If there is no port.
    pub async fn open(setting: Setting, target: Endpoint) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr()?.port(),
        };
        let prefix = target.prefix.clone();
        let upstream = upstream(&setting, target);
        let shared = Arc::new(Shared {
            setting,
            upstream: Mutex::new(upstream),
            in_force: Mutex::default(),
            sent: Mutex::default(),
            repeated: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            endpoint: Endpoint {
                address,
                prefix,
                tls: None,
            },
            accepting,
        })
    }

    /// Where clients find it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The target is elsewhere from now on.
    pub fn lead_to(&self, target: Endpoint) {
        *lock(&self.shared.upstream) = upstream(&self.shared.setting, target);
    }

    /// Fault `number` is in force until it is lifted.
    pub fn inject(&self, number: usize, strike: Strike) {
        lock(&self.shared.in_force).insert(number, strike);
    }

    /// Fault `number` has ended.
    pub fn heal(&self, number: usize) {
        lock(&self.shared.in_force).remove(&number);
    }

    /// How often a fault struck.
    pub fn struck(&self) -> u64 {
        self.shared.struck.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The proxy adds no patience of its own to what it waits for: a server that is stopped for a while may
/// answer long after everybody has gone.
fn upstream(setting: &Setting, target: Endpoint) -> Arc<Client> {
    // The path of what comes has the prefix already.
    let target = Endpoint {
        prefix: String::new(),
        ..target
    };
    let world = Arc::clone(&setting.world);
    Arc::new(Client::new(
        world,
        target,
        setting.patience,
        setting.in_flight_max,
    ))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the proxy: dropping the set aborts them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A connection that the proxy closes is reset, not ended in order. One that its client closes is
    // over anyway.
    if stream.set_nodelay(true).is_err() || stream.set_zero_linger().is_err() {
        return;
    }
    let service = service_fn(move |request| pass(request, Arc::clone(&shared)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Errors are what it is for.
    drop(connection.await);
}

/// The connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("the proxy resets the connection")]
struct Reset;

async fn pass(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Reset> {
    let came_at = shared.setting.world.now();
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Reset)?.to_bytes();
    let (sender, receiver) = oneshot::channel();
    // In a task of its own, which goes on when the client has gone.
    drop(tokio::spawn(async move {
        let request = Request::from_parts(parts, body);
        // There may be nobody left who waits.
        drop(sender.send(exchange::exchange((request, came_at), &shared).await));
    }));
    receiver.await.map_err(|_| Reset)?
}

impl Shared {
    /// The number of the client that sent `request` (0 if it does not say), and which of its requests
    /// this is.
    fn number(&self, request: &Request<Bytes>) -> (u64, u64) {
        let id = request.headers().get("client-id");
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let digits = id.rsplit('-').next().unwrap_or_default();
        let client = u64::from_str_radix(digits, 16).unwrap_or(0);
        let mut sent = lock(&self.sent);
        let number = sent.entry(client).or_default();
        *number += 1;
        (client, *number)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
