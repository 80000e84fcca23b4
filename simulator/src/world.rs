//! Nodes, clocks, links: the world that a run lives in.
//!
//! Everything runs on madsim's executor and timers. Its network is not used: it has no resets, no
//! half-open connections and a floor of a millisecond.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nanshe_conformance::environment::{Address, BoxFuture, Environment, Instant, Listener, Stream};

use self::at_work::OnNode;
pub(crate) use self::at_work::at_work;
pub use self::clock::{ClockSettings, NodeClock};
pub use self::disk::{Disk, DiskSettings};
pub(crate) use self::network::Balancer;
pub use self::network::{Direction, Links, Losses, Network, NodeId};
pub use self::processor::{Processor, ProcessorSettings};
pub use self::server::{PORT, endpoint, serve};
pub(crate) use self::time::sleep;

mod at_work;
mod clock;
mod connection;
mod disk;
mod network;
mod processor;
mod server;
mod time;

/// One node: a name on the network, and tasks that die with it.
#[derive(Clone)]
pub struct Node {
    /// Its place on the network.
    pub id: NodeId,
    name: Arc<str>,
    network: Network,
    handle: madsim::runtime::NodeHandle,
}

impl Node {
    /// A new node of the running world.
    pub fn new(network: &Network, name: &str) -> Self {
        let handle = madsim::runtime::Handle::current()
            .create_node()
            .name(name)
            .build();
        Self {
            id: network.add_node(name),
            name: name.into(),
            network: network.clone(),
            handle,
        }
    }

    /// The world as this node sees it.
    pub fn environment(&self) -> Arc<dyn Environment> {
        let (network, handle) = (self.network.clone(), self.handle.clone());
        Arc::new(SimulatedEnvironment {
            network,
            node: self.id,
            name: Arc::clone(&self.name),
            handle,
        })
    }

    /// Runs `task` on this node until its end, or the node's.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> madsim::task::JoinHandle<T> {
        self.handle.spawn(OnNode::new(Arc::clone(&self.name), task))
    }

    /// Ends all tasks of this node at once. Its connections close, as when a process is killed and the
    /// operating system lives on.
    pub fn kill(&self) {
        self.network.close(self.id);
        madsim::runtime::Handle::current().kill(self.handle.id());
    }

    /// The machine loses its power: nothing of it is heard any more, not even that its connections
    /// are gone.
    pub(crate) fn crash(&self, name: &str) {
        self.network.swallow(name);
        self.kill();
    }

    /// Nothing runs on this node until it is resumed; what it is sent waits.
    pub(crate) fn pause(&self) {
        madsim::runtime::Handle::current().pause(self.handle.id());
    }

    /// Ends [`Node::pause`].
    pub(crate) fn resume(&self) {
        madsim::runtime::Handle::current().resume(self.handle.id());
    }
}

/// The simulated world as one node sees it.
struct SimulatedEnvironment {
    network: Network,
    node: NodeId,
    name: Arc<str>,
    handle: madsim::runtime::NodeHandle,
}

impl Environment for SimulatedEnvironment {
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let connecting = self.network.connect(self.node, address.clone());
        Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Stream>) })
    }

    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let opened = self.network.listen_on(self.node, address.port);
        Box::pin(async move {
            let (listener, address) = opened?;
            let listener = Arc::new(listener);
            Ok(Box::new(SimulatedListener { address, listener }) as Box<dyn Listener>)
        })
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        Box::pin(sleep(span))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        // The task lives on this node, and dies with it.
        let task = OnNode::new(Arc::clone(&self.name), task);
        drop(self.handle.spawn(task));
    }
}

struct SimulatedListener {
    address: Address,
    listener: Arc<network::Listener>,
}

impl Listener for SimulatedListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn accept(&self) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let listener = Arc::clone(&self.listener);
        Box::pin(async move { Ok(Box::new(listener.accept().await) as Box<dyn Stream>) })
    }
}
