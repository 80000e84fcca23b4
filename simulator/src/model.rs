//! Model-based conformance in virtual time: drawn sequences, waits included, in no time at all.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nanshe_conformance::model::{self, Findings, Plan, Progress, Reached};
use nanshe_conformance::target::Client;

use crate::implementation::{Implementation, start_alone};
use crate::thread::{RunError, on_fresh_thread};
use crate::world::{Network, Node, endpoint};

/// The time on a link: shortest and longest.
const LATENCY: (Duration, Duration) = (Duration::from_micros(100), Duration::from_micros(400));

/// How long a client waits for an answer, in virtual time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the sequences of `plan` against `implementation` in virtual time, all in one world, until `stop` says why not
/// to go on.
///
/// # Errors
///
/// If something panicked.
pub fn model(
    implementation: Implementation,
    plan: Plan,
    progress: impl FnMut(Progress) + Send + 'static,
    stop: impl Fn() -> Option<&'static str> + Send + 'static,
) -> Result<Findings, RunError> {
    modeled(implementation, plan, (Box::new(progress), Box::new(stop)))
}

/// Who is told how it goes, and who is asked whether to go on.
type Around = (
    Box<dyn FnMut(Progress) + Send>,
    Box<dyn Fn() -> Option<&'static str> + Send>,
);

/// Not generic, so that all of it is compiled here, once.
fn modeled(
    implementation: Implementation,
    plan: Plan,
    (progress, stop): Around,
) -> Result<Findings, RunError> {
    let seed = plan.seed;
    on_fresh_thread(seed, move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, config);
        runtime.block_on(async move {
            let network = Network::new(LATENCY, seed);
            let server = Node::new(&network, "server");
            start_alone(&server, "server", implementation.start, seed);
            let client = Node::new(&network, "client");
            let world = client.environment();
            let running = client.spawn({
                let world = Arc::clone(&world);
                async move {
                    let reached = Client::new(
                        Arc::clone(&world),
                        endpoint("server"),
                        PATIENCE,
                        plan.at_once.max(1),
                    );
                    let client = Arc::new(reached);
                    let served = Arc::new(Reached { world, client });
                    // It is asked whenever the sequences wait, and wakes nobody.
                    let stop = poll_fn(move |_| match stop() {
                        Some(why) => Poll::Ready(why.to_owned()),
                        None => Poll::Pending,
                    });
                    model::run_until(served, &plan, progress, stop).await
                }
            });
            let findings = running.await.expect("nobody kills the client");
            server.kill();
            client.kill();
            world.sleep(Duration::from_secs(1)).await;
            findings
        })
    })
}
