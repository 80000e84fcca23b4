//! The API suite, unchanged, against the embedded reference in virtual time.

use std::sync::Arc;
use std::time::Duration;

use nanshe_conformance::report::Report;
use nanshe_conformance::suite::{self, Options, Profile, Progress, Selected};
use nanshe_conformance::target::{Description, KnownFailures};

use crate::implementation::Implementation;
use crate::run::{RunError, on_fresh_thread};
use crate::world::{ClockSettings, Network, Node, endpoint};

/// The time on a link: shortest and longest. Short, so that no case's slack is used up by the way.
const LATENCY: (Duration, Duration) = (Duration::from_micros(100), Duration::from_micros(400));

/// Runs the selected cases against `implementation` in virtual time.
///
/// # Errors
///
/// If something panicked.
pub fn conform(
    implementation: Implementation,
    (selected, known_failures): (Selected, KnownFailures),
    options: Options,
    progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<Report, RunError> {
    on_fresh_thread(options.seed, move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(options.seed, config);
        runtime.block_on(async move {
            let network = Network::new(LATENCY, options.seed);
            let server = Node::new(&network, "server");
            implementation.serve_on(&server, ClockSettings::default(), options.seed);
            let client = Node::new(&network, "client");
            let world = client.environment();
            let endpoint = endpoint("server");
            let name = implementation.name.to_owned();
            let running = client.spawn({
                let world = Arc::clone(&world);
                async move {
                    let target = Description::of_endpoint(name, endpoint.clone());
                    let target = Description {
                        // Whatever has a model is held to it: nothing here is a matter of luck.
                        profile: Profile::Strict,
                        known_failures,
                        ..target
                    };
                    suite::run(world, (&target, endpoint), &selected, &options, progress).await
                }
            });
            let report = running.await.expect("nobody kills the client");
            server.kill();
            client.kill();
            world.sleep(Duration::from_secs(1)).await;
            // Outside of its world there is no such place.
            Report {
                endpoint: String::new(),
                ..report
            }
        })
    })
}
