//! A world of nodes under one seed, in which an unchanged service lives through faults, repeatably.
//!
//! * [`scenario`]: the typed form of a scenario file.
//! * `implementation`: what can be run as the server: the reference, or one of the `specimens`.
//! * `world`: nodes, clocks and our own simulated TCP on madsim's executor and timers.
//! * `fleet`: the servers; `troupe`: the clients; `nemesis`: what goes wrong; `goals`: what should come about.
//! * `run`: (scenario, seed) to history and verdicts; `pool`: many of them, on threads or in `workers`, and their
//!   `Summary`, divided among machines by `shares`; `explore`: drawn scenarios, and what fails shrunk to a file;
//!   `conform`: the API suite in virtual time; `model`: drawn sequences in virtual time;
//!   `scale`: the scaling ladders in virtual time.
//!
//! Simulating needs a build with `--cfg madsim`, as `.cargo/config.toml` sets it. A build without it
//! still reads scenarios; [`AVAILABLE`] tells which one this is.

pub mod scenario;
mod shares;

pub use self::shares::share;

#[cfg(madsim)]
pub use self::simulating::*;

#[cfg(madsim)]
mod simulating {
    pub use crate::conform::conform;
    pub use crate::goals::{GOALS, Goal, Needs, Reached};
    pub use crate::implementation::{Implementation, NodeContext, Takes, implementations};
    pub use crate::model::model;
    pub use crate::pool::{Done, Job, Pool, Threads, campaign};
    pub use crate::run::{Run, RunError, run};
    pub use crate::scale::scale;
    pub use crate::summary::{Campaign, MergeError, Merged, Summary};
    pub use crate::variant::Variant;
    pub use crate::workers::{Limits, Workers, work, work_with};
}

#[cfg(madsim)]
mod conform;
#[cfg(madsim)]
mod durable;
#[cfg(madsim)]
pub mod explore;
#[cfg(madsim)]
mod fingerprint;
#[cfg(madsim)]
mod fleet;
#[cfg(madsim)]
mod goals;
#[cfg(madsim)]
pub mod implementation;
#[cfg(madsim)]
mod mailer;
#[cfg(madsim)]
mod model;
#[cfg(madsim)]
mod nemesis;
#[cfg(madsim)]
mod notifier;
#[cfg(madsim)]
mod pool;
#[cfg(madsim)]
mod run;
#[cfg(madsim)]
mod scale;
#[cfg(madsim)]
mod sockets;
#[cfg(madsim)]
pub mod specimens;
#[cfg(madsim)]
mod summary;
#[cfg(madsim)]
mod thread;
#[cfg(madsim)]
mod troupe;
#[cfg(madsim)]
mod variant;
#[cfg(madsim)]
mod workers;
#[cfg(madsim)]
pub mod world;

/// Whether this build can simulate.
pub const AVAILABLE: bool = cfg!(madsim);

/// What to say where it cannot.
pub const UNAVAILABLE: &str = "this build cannot simulate: build without a RUSTFLAGS variable, so that \
                               .cargo/config.toml sets `--cfg madsim`";
