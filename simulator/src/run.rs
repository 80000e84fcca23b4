//! One run: (scenario, implementation, seed) to history and verdicts.
//!
//! A run happens on a fresh OS thread, because the order of a `HashMap` is the same on a fresh thread
//! only. The same three give the same bytes in any process, alone or in a batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use madsim::task::JoinHandle;
use nanshe_conformance::checker::{Verdicts, judge};
use nanshe_conformance::environment::{Environment, Instant};
use nanshe_conformance::history::{FORMAT, Header, Phase, Profile, Recorder, VERSION};
use nanshe_conformance::workload::{Consumer, Process, Producer, drain};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::implementation::Implementation;
use crate::nemesis::{Clients, Nemesis};
use crate::scenario::Scenario;
use crate::world::{ClockSettings, Network, Node, endpoint};

/// What a run found.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// The history, as JSON Lines.
    pub lines: Vec<u8>,
    /// The verdicts.
    pub verdicts: Verdicts,
    /// Operations that clients began.
    pub operations: usize,
    /// Faults that were injected.
    pub faults: usize,
    /// Requests and answers that were lost.
    pub struck: u64,
    /// How much virtual time passed.
    pub virtual_time: Duration,
}

/// Why a run has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The implementation under test, or the harness itself, panicked.
    #[error("seed {seed} panicked: {message}")]
    Panicked {
        /// The run's seed.
        seed: u64,
        /// What the panic said.
        message: String,
    },
}

/// Runs `implementation` through `scenario` under `seed`.
///
/// # Errors
///
/// If something panicked.
pub fn run(
    scenario: &Scenario,
    implementation: Implementation,
    seed: u64,
) -> Result<Run, RunError> {
    let scenario = scenario.clone();
    on_fresh_thread(seed, move || {
        let runtime =
            madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.block_on(async move { Stage::set(scenario, implementation, seed).play().await })
    })
}

/// Runs `work` on a thread of its own, and turns its panic into an error.
pub(crate) fn on_fresh_thread<T: Send + 'static>(
    seed: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RunError> {
    let thread = std::thread::Builder::new()
        .name(format!("seed-{seed}"))
        .spawn(work);
    let thread = thread.expect("the system has room for one more thread");
    thread.join().map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("without a message")
            .to_owned();
        RunError::Panicked { seed, message }
    })
}

/// Independent sources of choices, all from one seed.
#[derive(Clone, Copy)]
enum Source {
    Network = 1,
    Server = 2,
    Nemesis = 3,
    Clients = 4,
}

fn source(seed: u64, source: Source) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(source as u64);
    random
}

/// Everything that a run needs.
struct Stage {
    scenario: Scenario,
    network: Network,
    recorder: Arc<Recorder>,
    cast: Arc<Cast>,
    world: Arc<dyn Environment>,
    implementation: Implementation,
    seed: u64,
}

impl Stage {
    /// Sets the stage. Call it inside the runtime.
    fn set(scenario: Scenario, implementation: Implementation, seed: u64) -> Self {
        let network = Network::new(scenario.latency, source(seed, Source::Network).random());
        let supervisor = Node::new(&network, "supervisor");
        let recorder = Recorder::new(header(&scenario, implementation, seed));
        let cast = Arc::new(Cast {
            scenario: scenario.clone(),
            network: network.clone(),
            recorder: Arc::clone(&recorder),
            state: Mutex::new(CastState {
                random: source(seed, Source::Clients),
                nodes: BTreeMap::new(),
                working: Vec::new(),
                processes: 0,
            }),
        });
        let world = supervisor.environment();
        Self {
            scenario,
            network,
            recorder,
            cast,
            world,
            implementation,
            seed,
        }
    }

    async fn play(self) -> Run {
        let server = self.start_server();
        self.recorder.phase(&self.world, Phase::Work);
        let names = self.scenario.client_names();
        names.iter().for_each(|name| self.cast.enter(name));
        let clients: Arc<dyn Clients> = Arc::clone(&self.cast) as _;
        let (network, world) = (self.network.clone(), Arc::clone(&self.world));
        let nemesis = Nemesis::new(network, world, Arc::clone(&self.recorder), clients);
        nemesis.unleash(
            &self.scenario.faults,
            &mut source(self.seed, Source::Nemesis),
        );
        self.world.sleep(self.scenario.work).await;
        // Faults end with the work at the latest; a moment more, for those that end at that instant.
        self.world.sleep(Duration::from_millis(1)).await;
        self.recorder.phase(&self.world, Phase::Heal);
        self.cast.curtain().await;
        let lease = Duration::from_secs(self.scenario.mix.claim_ttl_secs);
        let quiet = self.scenario.latest_effect() + lease + self.scenario.slack() * 2;
        self.world.sleep(quiet).await;
        self.recorder.phase(&self.world, Phase::Drain);
        let drainer = self.cast.node("drain");
        let process = self.cast.process(&drainer);
        let mix = self.scenario.mix.clone();
        drop(
            drainer
                .spawn(async move { drain(&process, &mix).await })
                .await,
        );
        self.recorder.phase(&self.world, Phase::End);
        let virtual_time = self.world.now().since_start();
        let history = self.recorder.history();
        let run = Run {
            seed: self.seed,
            lines: self.recorder.lines(),
            operations: history.records.len(),
            faults: history.faults.len(),
            struck: self.network.struck(),
            verdicts: judge(&history),
            virtual_time,
        };
        // Unfinished tasks would leak with the runtime.
        server.kill();
        self.cast.kill_all();
        drainer.kill();
        self.world.sleep(Duration::from_secs(1)).await;
        run
    }

    fn start_server(&self) -> Node {
        let mut random = source(self.seed, Source::Server);
        let (offset, drift) = (self.scenario.offset_ms, self.scenario.drift_ppm);
        let settings = ClockSettings {
            offset_ms: random.random_range(offset.0..=offset.1),
            drift_ppm: random.random_range(drift.0..=drift.1),
        };
        let node = Node::new(&self.network, "server");
        self.implementation
            .serve_on(&node, settings, random.random());
        node
    }
}

fn header(scenario: &Scenario, implementation: Implementation, seed: u64) -> Header {
    let nanos = nanshe_conformance::environment::nanos;
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed,
        scenario: scenario.name.clone(),
        target: implementation.name.to_owned(),
        slack_ns: nanos(scenario.slack()),
        latest_effect_ns: Some(nanos(scenario.latest_effect())),
        profile: Profile::default(),
    }
}

/// The clients of a run, each on a node of its own.
struct Cast {
    scenario: Scenario,
    network: Network,
    recorder: Arc<Recorder>,
    state: Mutex<CastState>,
}

struct CastState {
    random: ChaCha8Rng,
    nodes: BTreeMap<String, Node>,
    working: Vec<JoinHandle<()>>,
    processes: u64,
}

impl Cast {
    fn lock(&self) -> std::sync::MutexGuard<'_, CastState> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn node(&self, name: &str) -> Node {
        let node = Node::new(&self.network, name);
        self.lock().nodes.insert(name.to_owned(), node.clone());
        node
    }

    /// A new process on `node`, with a number that no other had.
    fn process(&self, node: &Node) -> Process {
        let number = {
            let mut state = self.lock();
            state.processes += 1;
            state.processes
        };
        let endpoint = endpoint("server");
        let patience = self.scenario.patience;
        let recorder = Arc::clone(&self.recorder);
        Process::new(node.environment(), (endpoint, patience), (recorder, number))
    }

    /// The client of that name begins to work.
    fn enter(&self, name: &str) {
        let node = self.node(name);
        let process = self.process(&node);
        let number = self.lock().processes;
        let random = ChaCha8Rng::from_rng(&mut self.lock().random);
        let mix = self.scenario.mix.clone();
        let until = Instant::START.plus(self.scenario.work);
        let working = if name.starts_with("producer") {
            // A token is unique in the run, also when another takes a dead producer's place.
            let name = format!("{name}.{number}");
            node.spawn(
                Producer {
                    process,
                    name,
                    mix,
                    random,
                }
                .work(until),
            )
        } else {
            node.spawn(
                Consumer {
                    process,
                    mix,
                    random,
                }
                .work(until),
            )
        };
        self.lock().working.push(working);
    }

    /// Waits until everybody has finished, or is dead.
    async fn curtain(&self) {
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

    fn kill_all(&self) {
        let nodes = std::mem::take(&mut self.lock().nodes);
        nodes.values().for_each(Node::kill);
    }
}

impl Clients for Cast {
    fn kill(&self, node: &str) {
        let node = self.lock().nodes.remove(node);
        if let Some(node) = node {
            node.kill();
        }
    }

    fn replace(&self, node: &str) {
        self.enter(node);
    }
}
