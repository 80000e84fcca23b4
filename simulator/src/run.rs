//! One run: (scenario, implementation, seed) to history and verdicts.
//!
//! A run happens on a fresh OS thread, because the order of a `HashMap` is the same on a fresh thread
//! only. The same three give the same bytes in any process, alone or in a batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use nanshe_conformance::checker::{Verdicts, judge};
use nanshe_conformance::environment::Environment;
use nanshe_conformance::history::{Phase, Recorder, What};
use nanshe_conformance::workload::{Drained, pushed};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::fleet::Fleet;
use crate::goals::{self, Counts, Reached};
use crate::implementation::{Answering, Implementation, empty};
use crate::nemesis::Nemesis;
use crate::scenario::Scenario;
pub use crate::thread::RunError;
use crate::thread::on_fresh_thread;
use crate::troupe::Troupe;
use crate::world::{Links, Network, Node, PORT, Processor, serve};

/// Where the run's own subscriber lives.
const SINK: &str = "sink";

/// What a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// The history, as JSON Lines.
    pub lines: String,
    /// The verdicts.
    pub verdicts: Verdicts,
    /// Operations that clients began.
    pub operations: usize,
    /// Faults that were injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Requests and answers that were lost.
    pub struck: u64,
    /// How much virtual time passed.
    pub virtual_time: Duration,
    /// Situations that came about, and how often.
    pub reached: Reached,
    /// Why nothing follows from it, if its end was not as planned.
    pub trouble: Option<String>,
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
    let mut scenario = scenario.clone();
    if !implementation.takes.clock {
        // Clocks that nobody looks at must not excuse anything.
        scenario.server.offset_ms = (0, 0);
        scenario.server.drift_ppm = (0, 0);
    }
    on_fresh_thread(seed, move || {
        let runtime =
            madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.block_on(async move { Stage::set(scenario, implementation, seed).play().await })
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
    troupe: Arc<Troupe>,
    fleet: Arc<Fleet>,
    world: Arc<dyn Environment>,
    sink: Option<Node>,
    seed: u64,
}

impl Stage {
    /// Sets the stage. Call it inside the runtime.
    fn set(scenario: Scenario, implementation: Implementation, seed: u64) -> Self {
        let network = Network::new(links(&scenario), source(seed, Source::Network).random());
        let supervisor = Node::new(&network, "supervisor");
        let world = supervisor.environment();
        let recorder = Recorder::new(scenario.header(implementation.name, seed));
        let mut random = source(seed, Source::Server);
        let fleet = Fleet::new(&scenario, implementation, &network, &mut random);
        let sink = scenario
            .workload
            .needs_sink()
            .then(|| open_sink(&network, &recorder, &world));
        let url = sink.as_ref().map(|_| format!("http://{SINK}:{PORT}/"));
        let pens = (&network, &recorder, &world);
        let troupe = Troupe::new(&scenario, url, pens, source(seed, Source::Clients));
        Self {
            scenario,
            network,
            recorder,
            troupe,
            fleet,
            world,
            sink,
            seed,
        }
    }

    async fn play(self) -> Run {
        self.fleet.start_all();
        let mut trouble = None;
        if let Err(what) = self.troupe.set_up().await {
            let workload = self.scenario.workload.kind.name;
            trouble = Some(format!(
                "`{workload}` needs {what}, which the server did not do"
            ));
        }
        self.recorder.phase(&self.world, Phase::Work);
        if trouble.is_none() {
            trouble = self.work_and_drain().await;
        }
        self.recorder.phase(&self.world, Phase::End);
        let virtual_time = self.world.now().since_start();
        let lines = self.recorder.lines();
        let history = self.recorder.take_history();
        let mut faults = BTreeMap::new();
        for (_, what) in &history.faults {
            if let Some(kind) = injected(what) {
                *faults.entry(kind).or_default() += 1;
            }
        }
        let run = Run {
            seed: self.seed,
            lines: String::from_utf8(lines).expect("invariant: a history is text"),
            operations: history.records.len(),
            faults,
            struck: self.network.struck(),
            reached: goals::reached(&history, self.counts()),
            verdicts: judge(&history),
            virtual_time,
            trouble,
        };
        // Unfinished tasks would leak with the runtime.
        self.fleet.end_all();
        self.troupe.end_all();
        self.sink.iter().for_each(Node::kill);
        self.world.sleep(Duration::from_secs(1)).await;
        run
    }

    fn counts(&self) -> Counts {
        let (lost_tails, torn) = self.fleet.losses();
        Counts {
            lost_tails,
            torn,
            repeated: self.network.repeated(),
        }
    }

    /// Clients work while faults strike, everything heals, and what is left is taken. What went otherwise.
    async fn work_and_drain(&self) -> Option<String> {
        self.troupe.enter();
        let nemesis = Nemesis::new(
            (self.network.clone(), Arc::clone(&self.world)),
            Arc::clone(&self.recorder),
            (Arc::clone(&self.troupe), Arc::clone(&self.fleet)),
        );
        let mut random = source(self.seed, Source::Nemesis);
        nemesis.unleash(&self.scenario.faults, &mut random);
        self.world.sleep(self.scenario.work).await;
        // Faults end with the work at the latest; a moment more, for those that end at that instant.
        self.world.sleep(Duration::from_millis(1)).await;
        self.recorder.phase(&self.world, Phase::Heal);
        self.troupe.curtain().await;
        self.world.sleep(self.scenario.quiet()).await;
        self.recorder.phase(&self.world, Phase::Drain);
        match self.troupe.drain().await {
            Drained::Empty => None,
            Drained::Dead => {
                Some("nobody answers the drain, though all faults have ended".to_owned())
            }
        }
    }
}

fn links(scenario: &Scenario) -> Links {
    let link = scenario.link;
    let micros = Duration::from_micros;
    Links {
        latency: (micros(link.latency_us.0), micros(link.latency_us.1)),
        spike_share: link.spike_share,
        spike: micros(link.spike_us),
        bytes_a_second: Some(link.bytes_a_second).filter(|rate| *rate > 0),
    }
}

/// The word of the fault that is injected, if one is.
fn injected(what: &str) -> Option<String> {
    what.split(' ').next().map(str::to_owned)
}

/// The run's own subscriber: it writes every push down, and says that it has it.
fn open_sink(network: &Network, recorder: &Arc<Recorder>, world: &Arc<dyn Environment>) -> Node {
    let node = Node::new(network, SINK);
    let (recorder, world) = (Arc::clone(recorder), Arc::clone(world));
    let answering: Answering = Arc::new(move |request| {
        let (recorder, world) = (Arc::clone(&recorder), Arc::clone(&world));
        Box::pin(async move {
            let status = StatusCode::CREATED;
            let body = request.into_body().collect().await;
            let subscriber = format!("http://{SINK}:{PORT}/");
            let push: Option<What> = body.ok().and_then(|body| {
                pushed(&body.to_bytes(), (&subscriber, ""), Some(status.as_u16()))
            });
            if let Some(push) = push {
                recorder.add(&world, push);
            }
            empty(status)
        })
    });
    serve(&node, answering, Processor::free());
    node
}
