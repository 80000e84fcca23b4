//! The application over turmoil: the same clients, and the same broker behind the same hyper.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nanshe_conformance::checker::judge;
use nanshe_conformance::environment::{
    Address, BoxFuture, Environment, Instant, Listener, Stream, World, nanos,
};
use nanshe_conformance::history::{Phase, Recorder};
use nanshe_conformance::target::Endpoint;
use nanshe_conformance::workload::{Actor, Drained, Process, drain_place};
use nanshe_reference::{Clock, Limits, Service, Timestamp};
use nanshe_simulator::scenario::Scenario;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, Sim};

use crate::application::{Done, check};

/// The node that serves.
const SERVER: &str = "server-0";

/// The port that it listens on.
const PORT: u16 = 8888;

/// How much virtual time passes from one round of all nodes to the next: turmoil's default.
const TICK: Duration = Duration::from_millis(1);

/// With none, what one node sends in a tick is there when the turn comes to the other, in this tick or in the next: an
/// answer comes one tick after its request. With any up to a tick it would come after two.
const LATENCY: Duration = Duration::ZERO;

/// More than any run takes.
const VIRTUAL_TIME_MAX: Duration = Duration::from_hours(24);

/// One run.
pub(crate) fn once(scenario: &Scenario, seed: u64) -> anyhow::Result<Done> {
    let clock = Arc::new(SharedClock::default());
    let world: World = Arc::new(OverTurmoil(Arc::clone(&clock)));
    let recorder = Recorder::new(scenario.header("reference", seed));
    let cast = Cast {
        scenario,
        world: &world,
        recorder: &recorder,
    };
    let mut builder = Builder::new();
    builder
        .tick_duration(TICK)
        .simulation_duration(VIRTUAL_TIME_MAX)
        .min_message_latency(LATENCY)
        .max_message_latency(LATENCY)
        .rng_seed(seed);
    let mut sim = builder.build();
    let service = Service::new(Limits::default(), seed, clock);
    sim.host(SERVER, move || serve(service.clone()));
    recorder.phase(&world, Phase::Work);
    for (number, name) in (1..).zip(scenario.client_names()) {
        let mut actor = cast.actor(number, seed);
        let turns = scenario.turns;
        sim.client(name, async move {
            actor.work(Instant::NEVER, turns).await;
            Ok(())
        });
    }
    finish(&mut sim)?;
    recorder.phase(&world, Phase::Heal);
    recorder.phase(&world, Phase::Drain);
    cast.drain(&mut sim)?;
    recorder.phase(&world, Phase::End);
    let history = recorder.history();
    check(&judge(&history))?;
    Ok(Done {
        requests: history.records.len(),
        lines: recorder.lines(),
    })
}

fn finish(sim: &mut Sim<'_>) -> anyhow::Result<()> {
    sim.run().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Serves the reference to whoever connects.
async fn serve(service: Service) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        let answering = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.respond(request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answering);
        drop(tokio::spawn(connection));
    }
}

/// Whoever sends requests.
struct Cast<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    recorder: &'a Arc<Recorder>,
}

impl Cast<'_> {
    fn process(&self, number: u64) -> Process {
        let address = Address {
            host: SERVER.to_owned(),
            port: PORT,
        };
        let server = Endpoint {
            address,
            prefix: String::new(),
            tls: None,
        };
        let world = Arc::clone(self.world);
        let pen = (Arc::clone(self.recorder), number);
        // As in Nanshe's runs: on the wire a tenant's name is never empty.
        Process::new(world, (server, self.scenario.patience), pen)
            .in_realm("nanshe-")
            .in_project("")
    }

    fn actor(&self, number: u64, seed: u64) -> Actor {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        Actor::new(self.process(number), random, &self.scenario.workload)
    }

    /// Takes what is still there, so that the verdicts know of every message.
    fn drain(&self, sim: &mut Sim<'_>) -> anyhow::Result<()> {
        let settings = &self.scenario.workload.settings;
        let lease = (settings.claim_ttl_secs, settings.claim_grace_secs);
        let process = self.process(u64::from(settings.clients) + 1);
        let places = self.scenario.workload.places();
        sim.client("drain", async move {
            for (_, queue) in places {
                if drain_place(&process, &queue, lease).await == Drained::Dead {
                    return Err("nobody answers the drain".into());
                }
            }
            Ok(())
        });
        finish(sim)
    }
}

/// Virtual time for everybody. Within a tick turmoil lets the nodes live through the same millisecond one after the
/// other; a history and a broker want a clock that does not go back from one to the next.
#[derive(Default)]
struct SharedClock {
    latest_nanos: AtomicU64,
}

impl SharedClock {
    fn nanos(&self) -> u64 {
        // Between two runs, nobody's time passes.
        let elapsed = turmoil::sim_elapsed().map_or(0, nanos);
        let latest = self.latest_nanos.fetch_max(elapsed, Ordering::Relaxed);
        latest.max(elapsed)
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos())
    }
}

/// turmoil's world as its nodes see it.
struct OverTurmoil(Arc<SharedClock>);

impl Environment for OverTurmoil {
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let Address { host, port } = address.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            Ok(Box::new(TokioIo::new(stream)) as Box<dyn Stream>)
        })
    }

    fn listen(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::Error::other("no client of this application listens")) })
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.nanos())
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(span))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        drop(tokio::spawn(task));
    }
}
