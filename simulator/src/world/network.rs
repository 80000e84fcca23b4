//! Which node reaches which, how fast, and what is lost on the way.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use nanshe_conformance::environment::Address;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
    /// Links that are held, and how many partitions hold each.
    held: BTreeMap<(NodeId, NodeId), u32>,
    losses: Losses,
    listeners: BTreeMap<(NodeId, u16), Backlog>,
    connections: Vec<Weak<Mutex<Connection>>>,
    waiting: Vec<Waker>,
    random: ChaCha8Rng,
    struck: u64,
}

#[derive(Default)]
struct Backlog {
    streams: VecDeque<Stream>,
    acceptor: Option<Waker>,
}

impl Network {
    /// A network whose links take between `latency.0` and `latency.1`, drawn from `seed`.
    pub fn new(latency: (Duration, Duration), seed: u64) -> Self {
        let nanos = nanshe_conformance::environment::nanos;
        Self {
            state: Arc::new(Mutex::new(State {
                names: Vec::new(),
                latency_nanos: (nanos(latency.0), nanos(latency.1)),
                held: BTreeMap::new(),
                losses: Losses::default(),
                listeners: BTreeMap::new(),
                connections: Vec::new(),
                waiting: Vec::new(),
                random: ChaCha8Rng::seed_from_u64(seed),
                struck: 0,
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

    /// How long the next thing on a link takes.
    pub(super) fn latency(&self) -> Duration {
        let mut state = self.lock();
        let (min, max) = state.latency_nanos;
        Duration::from_nanos(state.random.random_range(min..=max))
    }

    /// Cuts the node off from everybody: its links, both ways, hold back all that is on them. Several
    /// partitions may hold one link; it is free when all of them have ended.
    pub fn isolate(&self, name: &str) {
        for (from, to) in self.links_of(name) {
            *self.lock().held.entry((from, to)).or_default() += 1;
            for connection in self.connections() {
                connection
                    .lock()
                    .expect("no holder of this lock panics")
                    .hold(from, to);
            }
        }
    }

    /// Ends one [`Network::isolate`].
    pub fn rejoin(&self, name: &str) {
        for (from, to) in self.links_of(name) {
            if self.is_still_held(from, to) {
                continue;
            }
            for connection in self.connections() {
                connection
                    .lock()
                    .expect("no holder of this lock panics")
                    .heal(self, from, to);
            }
        }
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
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

    /// Waits until no partition holds the links between the two.
    async fn until_free(&self, one: NodeId, other: NodeId) {
        poll_fn(|context| {
            if self.is_held(one, other) || self.is_held(other, one) {
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
        time::sleep(self.latency()).await;
        // What a partition caught on its way arrives after the heal.
        self.until_free(from, to).await;
    }

    fn links_of(&self, name: &str) -> Vec<(NodeId, NodeId)> {
        let Some(node) = self.find(name) else {
            return Vec::new();
        };
        let others = (0..self.lock().names.len())
            .map(NodeId)
            .filter(|other| *other != node);
        others
            .flat_map(|other| [(node, other), (other, node)])
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
        let before = self
            .lock()
            .listeners
            .insert((node, port), Backlog::default());
        assert!(before.is_none(), "two listeners at one address");
        Listener {
            network: self.clone(),
            place: (node, port),
        }
    }
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
}

impl Listener {
    /// The next connection.
    pub async fn accept(&self) -> Stream {
        poll_fn(|context| {
            let mut state = self.network.lock();
            let backlog = state.listeners.entry(self.place).or_default();
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
        let backlog = self.network.lock().listeners.remove(&self.place);
        drop(backlog);
    }
}
