//! The scaling ladders in virtual time: exact, and the same for the same seed.
//!
//! The server is a node whose processor takes its time for every request, and for every entry that the implementation
//! says it examined.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use nanshe_conformance::environment::World;
use nanshe_conformance::history::{FORMAT, Header, OrderProfile, Profile, VERSION};
use nanshe_conformance::scale::{Bounds, Options, Place, Report, climb};
use nanshe_conformance::suite::Capability;
use nanshe_conformance::target::Client;

use crate::implementation::{Answering, Implementation, NodeContext, start_on};
use crate::thread::{RunError, on_fresh_thread};
use crate::world::{Network, Node, Processor, ProcessorSettings, endpoint};

/// The server's name.
const SERVER: &str = "server";

/// The time on a link: shortest and longest.
const LATENCY: (Duration, Duration) = (Duration::from_micros(200), Duration::from_micros(300));

/// The server's processor.
const PROCESSOR: ProcessorSettings = ProcessorSettings {
    cores: 4,
    service_us: (80, 120),
    entry_ns: 200,
};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Climbs the ladders of `options` with `implementation`.
///
/// # Errors
///
/// If something panicked.
pub fn scale(
    implementation: Implementation,
    (options, bounds): (Options, Bounds),
    stop: Arc<AtomicBool>,
    watch: impl FnMut(&str) + Send + 'static,
) -> Result<Report, RunError> {
    scaled(implementation, (options, bounds), stop, Box::new(watch))
}

/// Not generic, so that all of it is compiled here, once.
fn scaled(
    implementation: Implementation,
    (options, bounds): (Options, Bounds),
    stop: Arc<AtomicBool>,
    watch: Box<dyn FnMut(&str) + Send>,
) -> Result<Report, RunError> {
    let seed = options.seed;
    on_fresh_thread(seed, move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, config);
        runtime.block_on(async move {
            let network = Network::new(LATENCY, seed);
            let (server, client) = (Node::new(&network, SERVER), Node::new(&network, "client"));
            let world = client.environment();
            let processor = Processor::new(PROCESSOR, seed);
            let pooled = pooled(&implementation);
            let start = pooled.unwrap_or(implementation.start);
            start_on(processor.clone(), (&server, SERVER), start, seed);
            let place = Place {
                world: Arc::clone(&world),
                endpoint: endpoint(SERVER),
                patience: PATIENCE,
                session: None,
                examined: Some(Arc::new(move || processor.examined())),
                is_virtual: true,
                pool_uris: vec!["memory://{}".to_owned()],
                stop,
            };
            let header = header(implementation.name, seed);
            let climbing = client.spawn(async move {
                if pooled.is_some() {
                    add_first_pool(Arc::clone(&place.world)).await;
                }
                climb(place, (options, bounds), (&header, 1), watch).await
            });
            let report = climbing.await.expect("nobody kills the client");
            server.kill();
            client.kill();
            world.sleep(Duration::from_secs(1)).await;
            report
        })
    })
}

/// How the implementation is started with pools, where that is a matter of configuration.
fn pooled(implementation: &Implementation) -> Option<fn(NodeContext) -> Answering> {
    let mut variants = implementation.variants.iter();
    let pooled = variants.find(|variant| variant.offers.contains(&Capability::Pools));
    pooled.map(|variant| variant.start)
}

/// Without a pool, nothing can be stored.
async fn add_first_pool(world: World) {
    let client = Client::new(world, endpoint(SERVER), PATIENCE, 1);
    let body = Bytes::from_static(br#"{"uri":"memory://first","weight":100}"#);
    let put = Request::put("/v2/pools/first")
        .header("client-id", "00000000-0000-4000-8000-000000000000")
        .header("x-project-id", "nanshe")
        .header("x-roles", "admin")
        .header("content-type", "application/json")
        .body(body)
        .expect("invariant: all of it is valid");
    // If it is refused, the ladders say so.
    drop(client.send(put).await);
}

/// The head of the history. Only the shortest lifetimes end within a run.
fn header(target: &str, seed: u64) -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed,
        scenario: "scale".to_owned(),
        target: target.to_owned(),
        slack_ns: 1_000_000_000,
        latest_effect_ns: None,
        profile: Profile {
            order: OrderProfile::Producer,
            ..Profile::default()
        },
    }
}
