//! The scaling ladders in virtual time: exact, and the same for the same seed.
//!
//! The server is a node whose processor takes its time for every request, and for every entry that the implementation
//! says it examined.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nanshe_conformance::history::{FORMAT, Header, OrderProfile, Profile, VERSION};
use nanshe_conformance::scale::{Bounds, Ladder, Options, Place, Report, climb};
use nanshe_conformance::suite::Capability;

use crate::implementation::{Implementation, start_on};
use crate::thread::{RunError, on_fresh_thread};
use crate::world::{Network, Node, Processor, ProcessorSettings, endpoint};

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
    let seed = options.seed;
    on_fresh_thread(seed, move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, config);
        runtime.block_on(async move {
            let network = Network::new(LATENCY, seed);
            let client = Node::new(&network, "client");
            let world = client.environment();
            let stage = |name: &str, start| {
                let server = Node::new(&network, name);
                let processor = Processor::new(PROCESSOR, seed);
                start_on(processor.clone(), (&server, name), start, seed);
                let place = Place {
                    world: Arc::clone(&world),
                    endpoint: endpoint(name),
                    patience: PATIENCE,
                    examined: Some(Arc::new(move || processor.examined())),
                    is_virtual: true,
                    pool_uris: vec!["memory://{}".to_owned()],
                    stop: Arc::clone(&stop),
                };
                (server, place)
            };
            // Pools are a matter of configuration.
            let pooled = implementation.variants.iter();
            let pooled = pooled.filter(|variant| variant.offers.contains(&Capability::Pools));
            let pooled = pooled
                .map(|variant| variant.start)
                .next()
                .unwrap_or(implementation.start);
            let (server, place) = stage("server", implementation.start);
            let (pools, pooled) = stage("pooled", pooled);
            let header = header(implementation.name, seed);
            let climbing = client.spawn(async move {
                climb_both((place, pooled), (options, bounds), &header, watch).await
            });
            let report = climbing.await.expect("nobody kills the client");
            server.kill();
            pools.kill();
            client.kill();
            world.sleep(Duration::from_secs(1)).await;
            report
        })
    })
}

/// Climbs all ladders but one at the first place, and the one that is about pools at the second.
async fn climb_both(
    (place, pooled): (Place, Place),
    (options, bounds): (Options, Bounds),
    header: &Header,
    mut watch: impl FnMut(&str),
) -> Report {
    let with = |about_pools: bool| {
        let ladders = options.ladders.iter().copied();
        let ladders = ladders.filter(|ladder| (*ladder == Ladder::Elastic) == about_pools);
        let ladders = ladders.collect();
        (
            Options {
                ladders,
                ..options.clone()
            },
            bounds.clone(),
        )
    };
    let mut report = climb(place, with(false), (header, 1), &mut watch).await;
    let other = climb(pooled, with(true), (header, 1), &mut watch).await;
    report.outcomes.extend(other.outcomes);
    report
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
