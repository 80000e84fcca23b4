//! Which node reaches which, how fast, and what is lost on the way.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use nanshe_conformance::environment::Address;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use crate::scenario::Direction;

use super::connection::{Connection, Stream};
use super::time;

/// The first of the ports that are given to whoever names none.
const FREE_PORT_MIN: u16 = 49_152;

/// A node's place on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(usize);

/// What happens to a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// It arrives.
    None,
    /// The connection is reset in its place.
    Reset,
    /// It vanishes, and so does everything after it.
    Swallow,
}

/// What all links have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    /// The shortest and the longest time that something takes.
    pub latency: (Duration, Duration),
    /// The share of what is sent that takes longer by [`Links::spike`]: the tail of the distribution.
    pub spike_share: f64,
    /// How much longer.
    pub spike: Duration,
    /// Bytes in a second that fit through one connection in one direction; `None`: any number.
    pub bytes_a_second: Option<u64>,
}

impl From<(Duration, Duration)> for Links {
    fn from(latency: (Duration, Duration)) -> Self {
        Self {
            latency,
            spike_share: 0.0,
            spike: Duration::ZERO,
            bytes_a_second: None,
        }
    }
}

/// How often requests and answers between a client and a server are struck. Shares are between 0
/// and 1, and their sum at most 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Requests in whose place the connection is reset.
    pub requests_reset: f64,
    /// Requests that vanish.
    pub requests_swallowed: f64,
    /// Answers in whose place the connection is reset.
    pub answers_reset: f64,
    /// Answers that vanish.
    pub answers_swallowed: f64,
}

impl Losses {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            requests_reset: self.requests_reset + other.requests_reset,
            requests_swallowed: self.requests_swallowed + other.requests_swallowed,
            answers_reset: self.answers_reset + other.answers_reset,
            answers_swallowed: self.answers_swallowed + other.answers_swallowed,
        }
    }
}

/// The network of one run. Cheap to clone; clones are one network.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

struct State {
    names: Vec<String>,
    latency_nanos: (u64, u64),
    links: Links,
    /// How many times slower the links of a node are.
    slowness: BTreeMap<NodeId, u32>,
    /// The share of requests that arrive twice.
    duplicated: f64,
    balancer: Option<Weak<dyn Balancer>>,
    generations: u64,
    /// Links that are held, and how many partitions hold each.
    held: BTreeMap<(NodeId, NodeId), u32>,
    losses: Losses,
    listeners: BTreeMap<(NodeId, u16), Backlog>,
    connections: Vec<Weak<Mutex<Connection>>>,
    waiting: Vec<Waker>,
    random: ChaCha8Rng,
    struck: u64,
    repeated: u64,
}

/// Who stands before the servers, and may send a request a second time.
pub(crate) trait Balancer: Send + Sync {
    /// This request of the client of that number is sent a second time from here on. What to call when that is
    /// over; `None` if it must not be repeated.
    fn repeats(&self, client: u64, request: &Request<Bytes>) -> Option<Box<dyn FnOnce() + Send>>;
}

#[derive(Default)]
struct Backlog {
    /// Which of the listeners that were there it belongs to.
    generation: u64,
    streams: VecDeque<Stream>,
    acceptor: Option<Waker>,
}

impl Network {
    /// A network with such links, whose times are drawn from `seed`.
    pub fn new(links: impl Into<Links>, seed: u64) -> Self {
        let nanos = nanshe_conformance::environment::nanos;
        let links = links.into();
        let latency = links.latency;
        Self {
            state: Arc::new(Mutex::new(State {
                names: Vec::new(),
                latency_nanos: (nanos(latency.0), nanos(latency.1)),
                links,
                slowness: BTreeMap::new(),
                duplicated: 0.0,
                balancer: None,
                generations: 0,
                held: BTreeMap::new(),
                losses: Losses::default(),
                listeners: BTreeMap::new(),
                connections: Vec::new(),
                waiting: Vec::new(),
                random: ChaCha8Rng::seed_from_u64(seed),
                struck: 0,
                repeated: 0,
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The node called `name`; a new one if there is none yet. A process that takes a dead one's place
    /// lives on the same node, behind the same links.
    pub fn add_node(&self, name: &str) -> NodeId {
        if let Some(node) = self.find(name) {
            return node;
        }
        let mut state = self.lock();
        state.names.push(name.to_owned());
        NodeId(state.names.len() - 1)
    }

    fn find(&self, name: &str) -> Option<NodeId> {
        self.lock()
            .names
            .iter()
            .position(|known| known == name)
            .map(NodeId)
    }

    /// How long the next thing on the link takes.
    pub(super) fn latency(&self, from: NodeId, to: NodeId) -> Duration {
        let mut state = self.lock();
        let (min, max) = state.latency_nanos;
        let mut drawn = Duration::from_nanos(state.random.random_range(min..=max));
        let Links {
            spike_share, spike, ..
        } = state.links;
        if spike_share > 0.0 && state.random.random_bool(spike_share) {
            drawn += spike;
        }
        let factor = |node| state.slowness.get(&node).copied().unwrap_or(1);
        drawn * factor(from).max(factor(to))
    }

    /// How long so many bytes take to be put on a link, beside the way.
    pub(super) fn transmission(&self, bytes: usize) -> Duration {
        let Some(rate) = self.lock().links.bytes_a_second else {
            return Duration::ZERO;
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate.max(1))
    }

    /// From now on the links of the node take so many times as long; 1 is as they were.
    pub fn slow_down(&self, name: &str, factor: u32) {
        if let Some(node) = self.find(name) {
            self.lock().slowness.insert(node, factor);
        }
    }

    /// From now on this share of requests arrives twice, as from a balancer that tries again.
    pub fn duplicate(&self, share: f64) {
        self.lock().duplicated = share;
    }

    /// From now on `balancer` decides what may arrive twice.
    pub(crate) fn put_before(&self, balancer: &Arc<dyn Balancer>) {
        self.lock().balancer = Some(Arc::downgrade(balancer));
    }

    /// If a request that arrives now is drawn to arrive twice, who decides whether it may.
    pub(super) fn draws_duplicate(&self) -> Option<Arc<dyn Balancer>> {
        let mut state = self.lock();
        let share = state.duplicated;
        if share == 0.0 || !state.random.random_bool(share) {
            return None;
        }
        state.balancer.as_ref()?.upgrade()
    }

    /// Counts a request that arrives twice.
    pub(super) fn repeats(&self) {
        self.lock().repeated += 1;
    }

    /// How many requests have arrived twice.
    pub fn repeated(&self) -> u64 {
        self.lock().repeated
    }

    /// Cuts the node off from everybody: its links hold back all that is on them. Several
    /// partitions may hold one link; it is free when all of them have ended.
    pub fn isolate(&self, name: &str, direction: Direction) {
        for (from, to) in self.links_of(name, direction) {
            *self.lock().held.entry((from, to)).or_default() += 1;
            for connection in self.connections() {
                lock(&connection).hold(from, to);
            }
        }
    }

    /// Ends one [`Network::isolate`].
    pub fn rejoin(&self, name: &str, direction: Direction) {
        for (from, to) in self.links_of(name, direction) {
            if self.is_still_held(from, to) {
                continue;
            }
            for connection in self.connections() {
                lock(&connection).heal(self, from, to);
            }
        }
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Resets every open connection of the node.
    pub fn reset(&self, name: &str) {
        self.each_of(name, |connection, network| connection.reset(network));
    }

    /// Every open connection of the node is half-open from now on: what is sent on it goes nowhere, and
    /// nobody is told.
    pub fn swallow(&self, name: &str) {
        self.each_of(name, |connection, _| connection.swallow());
    }

    fn each_of(&self, name: &str, act: impl Fn(&mut Connection, &Self)) {
        let Some(node) = self.find(name) else {
            return;
        };
        for connection in self.connections() {
            let mut connection = lock(&connection);
            if connection.touches(node) {
                act(&mut connection, self);
            }
        }
    }

    /// Takes one partition off the link, and tells whether another holds it still.
    fn is_still_held(&self, from: NodeId, to: NodeId) -> bool {
        let mut state = self.lock();
        match state.held.get_mut(&(from, to)) {
            Some(partitions @ 2..) => {
                *partitions -= 1;
                true
            }
            Some(_) | None => {
                state.held.remove(&(from, to));
                false
            }
        }
    }

    /// Whether the link holds back what is on it.
    pub(super) fn is_held(&self, from: NodeId, to: NodeId) -> bool {
        self.lock().held.contains_key(&(from, to))
    }

    /// Waits until no partition holds the link.
    async fn until_free(&self, from: NodeId, to: NodeId) {
        poll_fn(|context| {
            if self.is_held(from, to) {
                self.lock().waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Something without a body travels from `from` to `to`; a partition delays it.
    async fn travel(&self, from: NodeId, to: NodeId) {
        self.until_free(from, to).await;
        time::sleep(self.latency(from, to)).await;
        // What a partition caught on its way arrives after the heal.
        self.until_free(from, to).await;
    }

    fn links_of(&self, name: &str, direction: Direction) -> Vec<(NodeId, NodeId)> {
        let Some(node) = self.find(name) else {
            return Vec::new();
        };
        let others = (0..self.lock().names.len())
            .map(NodeId)
            .filter(|other| *other != node);
        others
            .flat_map(|other| match direction {
                Direction::Both => vec![(node, other), (other, node)],
                Direction::In => vec![(other, node)],
                Direction::Out => vec![(node, other)],
            })
            .collect()
    }

    fn connections(&self) -> Vec<Arc<Mutex<Connection>>> {
        self.lock()
            .connections
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    pub(super) fn track(&self, connection: &Arc<Mutex<Connection>>) {
        let mut state = self.lock();
        // Those that are gone are dropped now and then, so that the list stays as long as what lives.
        if state.connections.len() == state.connections.capacity() {
            state
                .connections
                .retain(|connection| connection.strong_count() > 0);
        }
        state.connections.push(Arc::downgrade(connection));
    }

    /// From now on requests and answers are struck this often.
    pub fn set_losses(&self, losses: Losses) {
        self.lock().losses = losses;
    }

    /// How often requests and answers are struck now.
    pub fn losses(&self) -> Losses {
        self.lock().losses
    }

    /// How many requests and answers have been struck.
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    pub(super) fn strike_request(&self) -> Strike {
        let mut state = self.lock();
        let losses = state.losses;
        state.strike(losses.requests_reset, losses.requests_swallowed)
    }

    pub(super) fn strike_answer(&self) -> Strike {
        let mut state = self.lock();
        let losses = state.losses;
        state.strike(losses.answers_reset, losses.answers_swallowed)
    }

    /// Opens a connection from `from` to the node named by `address`. While a link between them is
    /// held it hangs; if nobody listens it is refused.
    pub(super) async fn connect_now(&self, from: NodeId, address: &Address) -> io::Result<Stream> {
        let Some(to) = self.find(&address.host) else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no node has that name",
            ));
        };
        self.travel(from, to).await;
        let listens = self.lock().listeners.contains_key(&(to, address.port));
        if listens {
            let (client, server) = Connection::open(self, from, to);
            if let Some(backlog) = self.lock().listeners.get_mut(&(to, address.port)) {
                backlog.streams.push_back(server);
                backlog.acceptor.take().into_iter().for_each(Waker::wake);
            }
            self.travel(to, from).await;
            return Ok(client);
        }
        self.travel(to, from).await;
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    /// As [`Network::connect_now`], without borrowing.
    pub(super) fn connect(
        &self,
        from: NodeId,
        address: Address,
    ) -> impl Future<Output = io::Result<Stream>> + Send + 'static {
        let network = self.clone();
        async move { network.connect_now(from, &address).await }
    }

    /// As [`Network::listen`], on a free port if `port` is 0, and without a panic if it is taken. Tells
    /// where that is.
    pub(super) fn listen_on(&self, node: NodeId, port: u16) -> io::Result<(Listener, Address)> {
        let (host, port) = {
            let state = self.lock();
            let taken = |port: &u16| state.listeners.contains_key(&(node, *port));
            let port = match port {
                0 => (FREE_PORT_MIN..=u16::MAX).find(|port| !taken(port)),
                port => Some(port).filter(|port| !taken(port)),
            };
            let port = port.ok_or(io::ErrorKind::AddrInUse)?;
            (state.names[node.0].clone(), port)
        };
        Ok((self.listen(node, port), Address { host, port }))
    }

    /// Listens on `port` of `node`, until the listener is dropped.
    pub fn listen(&self, node: NodeId, port: u16) -> Listener {
        let generation = {
            let mut state = self.lock();
            state.generations += 1;
            let backlog = Backlog {
                generation: state.generations,
                ..Backlog::default()
            };
            let before = state.listeners.insert((node, port), backlog);
            assert!(before.is_none(), "two listeners at one address");
            state.generations
        };
        Listener {
            network: self.clone(),
            place: (node, port),
            generation,
        }
    }

    /// Nobody listens on that node any more: its process is gone, though its tasks may not know yet.
    pub(super) fn close(&self, node: NodeId) {
        let mut gone = Vec::new();
        self.lock().listeners.retain(|(at, _), backlog| {
            let stays = *at != node;
            if !stays {
                gone.push(std::mem::take(backlog));
            }
            stays
        });
        // Streams nobody accepted lock the network when they are dropped: not under its lock.
        drop(gone);
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().expect("no holder of this lock panics")
}

impl State {
    fn strike(&mut self, reset: f64, swallow: f64) -> Strike {
        if reset + swallow == 0.0 {
            return Strike::None;
        }
        let drawn: f64 = self.random.random();
        let strike = if drawn < reset {
            Strike::Reset
        } else if drawn < reset + swallow {
            Strike::Swallow
        } else {
            Strike::None
        };
        self.struck += u64::from(strike != Strike::None);
        strike
    }
}

/// A place where connections arrive.
pub struct Listener {
    network: Network,
    place: (NodeId, u16),
    generation: u64,
}

impl Listener {
    /// The next connection.
    pub async fn accept(&self) -> Stream {
        poll_fn(|context| {
            let mut state = self.network.lock();
            let backlog = state.listeners.get_mut(&self.place);
            let own = backlog.filter(|backlog| backlog.generation == self.generation);
            let Some(backlog) = own else {
                // Its process is gone.
                return Poll::Pending;
            };
            match backlog.streams.pop_front() {
                Some(stream) => Poll::Ready(stream),
                None => {
                    backlog.acceptor = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Streams nobody accepted lock the network when they are dropped: not under its lock.
        let mut state = self.network.lock();
        let found = state.listeners.get(&self.place);
        let is_own = found.is_some_and(|backlog| backlog.generation == self.generation);
        let backlog = is_own.then(|| state.listeners.remove(&self.place));
        drop(state);
        drop(backlog);
    }
}
