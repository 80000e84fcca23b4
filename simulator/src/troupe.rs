//! The clients of a run, each on a node of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use madsim::task::JoinHandle;
use nanshe_conformance::environment::Instant;
use nanshe_conformance::environment::World;
use nanshe_conformance::history::{Handle, Operation, Recorder};
use nanshe_conformance::workload::{
    Actor, Board, Drained, Process, UnderWay, Workload, drain_place, may_be_repeated,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::scenario::Scenario;
use crate::world::{Balancer, Network, Node, endpoint, sleep};

/// How often what the workload needs is asked for before the run gives up on it.
const SET_UP_TRIES: u32 = 20;

/// What the names of all tenants begin with.
const REALM: &str = "nanshe-";

/// The clients.
pub(crate) struct Troupe {
    scenario: Scenario,
    workload: Workload,
    servers: Vec<String>,
    network: Network,
    recorder: Arc<Recorder>,
    board: Arc<Board>,
    /// Its clock is everybody's.
    world: World,
    state: Mutex<State>,
}

struct State {
    random: ChaCha8Rng,
    nodes: BTreeMap<String, Node>,
    working: Vec<JoinHandle<()>>,
    processes: u64,
    /// Until when clients work.
    until: Instant,
}

impl Troupe {
    /// The clients of `scenario`, none of which is there yet. Pushes go to `sink`.
    pub(crate) fn new(
        scenario: &Scenario,
        sink: Option<String>,
        (network, recorder, world): (&Network, &Arc<Recorder>, &World),
        random: ChaCha8Rng,
    ) -> Arc<Self> {
        let mut workload = scenario.workload.clone();
        workload.settings.sink = sink;
        let troupe = Arc::new(Self {
            scenario: scenario.clone(),
            workload,
            servers: scenario.server_names(),
            network: network.clone(),
            recorder: Arc::clone(recorder),
            board: Arc::default(),
            world: Arc::clone(world),
            state: Mutex::new(State {
                random,
                nodes: BTreeMap::new(),
                working: Vec::new(),
                processes: 0,
                until: Instant::START,
            }),
        });
        let balancer: Arc<dyn Balancer> = Arc::clone(&troupe) as _;
        network.put_before(&balancer);
        troupe
    }

    /// Does what the workload needs before its clients come. What could not be done, if anything.
    pub(crate) async fn set_up(&self) -> Result<(), String> {
        let node = self.node("set-up");
        for (project, operation) in self.workload.set_up() {
            let process = self.process(&node, 0).in_project(&project);
            let what = describe(&operation);
            let asking = async move {
                for _ in 0..SET_UP_TRIES {
                    if process.perform(operation.clone()).await.is_some() {
                        return true;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
                false
            };
            if !node.spawn(asking).await.unwrap_or(false) {
                return Err(what);
            }
        }
        Ok(())
    }

    /// Everybody begins to work, for as long as the scenario says from now on.
    pub(crate) fn enter(&self) {
        self.lock().until = self.world.now().plus(self.scenario.work);
        for name in self.scenario.client_names() {
            self.enter_one(&name);
        }
    }

    /// The client of that name begins to work.
    fn enter_one(&self, name: &str) {
        let place = name
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok());
        let place: usize = place.unwrap_or(0);
        let projects = self.scenario.projects();
        let project = &projects[place % projects.len()];
        let node = self.node(name);
        let process = self.process(&node, place).in_project(project);
        let random = ChaCha8Rng::from_rng(&mut self.lock().random);
        let mut actor = Actor::new(process, random, &self.workload);
        let until = self.lock().until;
        let turns = self.scenario.turns;
        let working = node.spawn(async move { actor.work(until, turns).await });
        self.lock().working.push(working);
    }

    fn node(&self, name: &str) -> Node {
        let node = Node::new(&self.network, name);
        self.lock().nodes.insert(name.to_owned(), node.clone());
        node
    }

    /// A new process on `node`, with a number that no other had, of the server at `place` in turn.
    fn process(&self, node: &Node, place: usize) -> Process {
        let number = self.next_process();
        let server = endpoint(&self.servers[place % self.servers.len()]);
        let recorder = Arc::clone(&self.recorder);
        let patience = self.scenario.patience;
        let process = Process::new(node.environment(), (server, patience), (recorder, number));
        // A tenant's name is never empty on the wire.
        process.in_realm(REALM).on_board(Arc::clone(&self.board))
    }

    fn next_process(&self) -> u64 {
        let mut state = self.lock();
        state.processes += 1;
        state.processes
    }

    /// Waits until everybody has finished, or is dead.
    pub(crate) async fn curtain(&self) {
        loop {
            let working = std::mem::take(&mut self.lock().working);
            if working.is_empty() {
                return;
            }
            for client in working {
                // A client that was killed has nothing to say.
                drop(client.await);
            }
        }
    }

    /// Takes everything that is still there. Whether somebody answered.
    pub(crate) async fn drain(self: &Arc<Self>) -> Drained {
        let (troupe, node) = (Arc::clone(self), self.node("drain"));
        let drainer = node.clone();
        let draining = node.spawn(async move {
            let settings = &troupe.workload.settings;
            let lease = (settings.claim_ttl_secs, settings.claim_grace_secs);
            let mut process: Option<(String, Process)> = None;
            for (project, queue) in troupe.workload.places() {
                let same = process.take().filter(|(last, _)| *last == project);
                let (project, drain) = same.unwrap_or_else(|| {
                    let process = troupe.process(&drainer, 0).in_project(&project);
                    (project, process)
                });
                if drain_place(&drain, &queue, lease).await == Drained::Dead {
                    return Drained::Dead;
                }
                process = Some((project, drain));
            }
            Drained::Empty
        });
        draining.await.unwrap_or(Drained::Dead)
    }

    pub(crate) fn kill(&self, name: &str) {
        let node = self.lock().nodes.remove(name);
        if let Some(node) = node {
            node.kill();
        }
    }

    /// Another takes the place of a client that is dead; of nobody else.
    pub(crate) fn replace(&self, name: &str) {
        if name.starts_with("client-") && !self.lock().nodes.contains_key(name) {
            self.enter_one(name);
        }
    }

    pub(crate) fn pause(&self, name: &str) {
        self.lock()
            .nodes
            .get(name)
            .into_iter()
            .for_each(Node::pause);
    }

    pub(crate) fn resume(&self, name: &str) {
        self.lock()
            .nodes
            .get(name)
            .into_iter()
            .for_each(Node::resume);
    }

    pub(crate) fn end_all(&self) {
        let nodes = std::mem::take(&mut self.lock().nodes);
        nodes.values().for_each(Node::kill);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Balancer for Troupe {
    /// The repetition is an operation of a process of its own, whose answer nobody hears.
    fn repeats(&self, client: u64, request: &Request<Bytes>) -> Option<Box<dyn FnOnce() + Send>> {
        let under_way = self.board.under_way(client)?;
        if !may_be_repeated(&under_way, request) {
            return None;
        }
        let UnderWay {
            project, operation, ..
        } = under_way;
        let handle = Handle::new(Arc::clone(&self.recorder), self.next_process());
        let handle = handle.in_project(&project);
        let world = Arc::clone(&self.world);
        handle.invoke(&world, operation);
        Some(Box::new(move || {
            handle.unclear(&world, "a repetition, whose answer nobody hears".to_owned());
        }))
    }
}

fn describe(operation: &Operation) -> String {
    let queue = operation.queue();
    if matches!(operation, Operation::Subscribe { .. }) {
        format!("a subscription to `{queue}`")
    } else {
        format!("the queue `{queue}`")
    }
}
