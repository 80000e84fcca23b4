//! The simulator from outside: its world, its determinism, its specimens.

#![cfg(madsim)]
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

mod conforming;
mod determinism;
mod ladder_loads;
mod ladders;
mod lawful;
mod modeling;
mod network;
mod planted;
mod planted_frames;
mod scaling;
mod scenarios;
mod shares;
mod specimens;

use nanshe_simulator::scenario::Scenario;
use nanshe_simulator::{Implementation, Run, implementations, run};

/// The scenario of that name, from the repository's own files.
fn scenario(name: &str) -> Scenario {
    Scenario::load(&format!(
        "{}/../scenarios/{name}.toml",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn implementation(name: &str) -> Implementation {
    implementations()
        .find(|implementation| implementation.name == name)
        .unwrap()
}

fn run_one(seed: u64, name: &str) -> Run {
    run(
        &scenario("delivery/lost-acknowledgement"),
        implementation(name),
        seed,
    )
    .unwrap()
}
