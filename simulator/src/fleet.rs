//! The servers of a run: what dies with a process, and what does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::implementation::{Beside, Implementation, NodeContext};
use crate::scenario::Scenario;
use crate::world::{
    ClockSettings, Disk, DiskSettings, Network, Node, NodeClock, Processor, ProcessorSettings,
    serve,
};

/// The servers of a run.
pub(crate) struct Fleet {
    implementation: Implementation,
    network: Network,
    names: Vec<String>,
    beside: Beside,
    state: Mutex<BTreeMap<String, Server>>,
    /// Crashes that lost something, and those that left a part of what was written.
    losses: Mutex<(u64, u64)>,
}

/// A machine, and the process on it.
struct Server {
    clock: NodeClock,
    disk: Disk,
    processor: Processor,
    random: ChaCha8Rng,
    process: Option<Node>,
}

impl Fleet {
    /// The servers of `scenario`, none of which runs yet.
    pub(crate) fn new(
        scenario: &Scenario,
        implementation: Implementation,
        network: &Network,
        random: &mut ChaCha8Rng,
    ) -> Arc<Self> {
        let settings = scenario.server;
        let times = DiskSettings {
            write_us: scenario.disk.write_us,
            sync_us: scenario.disk.sync_us,
        };
        let costs = ProcessorSettings {
            cores: settings.cores,
            service_us: settings.service_us,
            entry_ns: settings.entry_ns,
        };
        let mut server = || Server {
            clock: NodeClock::new(ClockSettings {
                offset_ms: random.random_range(settings.offset_ms.0..=settings.offset_ms.1),
                drift_ppm: random.random_range(settings.drift_ppm.0..=settings.drift_ppm.1),
            }),
            disk: Disk::new(times, random.random()),
            processor: Processor::new(costs, random.random()),
            random: ChaCha8Rng::seed_from_u64(random.random()),
            process: None,
        };
        let names = scenario.server_names();
        let servers = names.iter().map(|name| (name.clone(), server()));
        Arc::new(Self {
            implementation,
            network: network.clone(),
            state: Mutex::new(servers.collect()),
            names,
            beside: Beside::default(),
            losses: Mutex::default(),
        })
    }

    /// Starts all of them.
    pub(crate) fn start_all(&self) {
        self.names.iter().for_each(|name| self.start(name));
    }

    /// Starts the server of that name, unless it runs or there is none.
    pub(crate) fn start(&self, name: &str) {
        let mut servers = self.lock();
        let Some(server) = servers.get_mut(name) else {
            return;
        };
        if server.process.is_some() {
            return;
        }
        let node = Node::new(&self.network, name);
        let context = NodeContext {
            name: name.to_owned(),
            servers: self.names.clone(),
            clock: server.clock.clone(),
            environment: node.environment(),
            disk: server.disk.clone(),
            processor: server.processor.clone(),
            beside: self.beside.clone(),
            seed: server.random.random(),
        };
        let processor = server.processor.clone();
        server.process = Some(node.clone());
        drop(servers);
        serve(&node, (self.implementation.start)(context), processor);
    }

    /// The process dies; the machine does not.
    pub(crate) fn kill(&self, name: &str) {
        self.end(name, |node| node.kill(), |_| {});
    }

    /// The machine loses its power.
    pub(crate) fn crash(&self, name: &str) {
        let mut found = (false, false);
        self.end(name, |node| node.crash(name), |disk| found = disk.crash());
        let mut losses = self.losses.lock().expect("no holder of this lock panics");
        losses.0 += u64::from(found.0);
        losses.1 += u64::from(found.1);
    }

    /// Crashes that lost something, and those that left a part of what was written.
    pub(crate) fn losses(&self) -> (u64, u64) {
        *self.losses.lock().expect("no holder of this lock panics")
    }

    fn end(&self, name: &str, node: impl FnOnce(&Node), disk: impl FnOnce(&Disk)) {
        let mut servers = self.lock();
        if let Some(server) = servers.get_mut(name)
            && let Some(process) = server.process.take()
        {
            node(&process);
            disk(&server.disk);
            // What was asked of the dead keeps nobody waiting.
            server.processor.forget();
        }
    }

    /// Nothing runs there.
    pub(crate) fn pause(&self, name: &str) {
        self.with(name, |server| server.process.iter().for_each(Node::pause));
    }

    /// Ends [`Fleet::pause`].
    pub(crate) fn resume(&self, name: &str) {
        self.with(name, |server| server.process.iter().for_each(Node::resume));
    }

    /// Its clock jumps.
    pub(crate) fn jump(&self, name: &str, millis: i64) {
        self.with(name, |server| server.clock.jump(millis));
    }

    /// Something happens to its disk.
    pub(crate) fn disk(&self, name: &str, act: impl FnOnce(&Disk)) {
        self.with(name, |server| act(&server.disk));
    }

    /// Its processor needs so many times as long.
    pub(crate) fn slow_down(&self, name: &str, factor: u32) {
        self.with(name, |server| server.processor.slow_down(factor));
    }

    /// All of them end.
    pub(crate) fn end_all(&self) {
        for server in self.lock().values_mut() {
            server.process.iter().for_each(Node::kill);
        }
    }

    fn with(&self, name: &str, act: impl FnOnce(&mut Server)) {
        if let Some(server) = self.lock().get_mut(name) {
            act(server);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.state.lock().expect("no holder of this lock panics")
    }
}
