//! An API conformance suite for Zaqar-like message services, and checkers that judge recorded histories.
//!
//! The one contract is HTTP requests in and HTTP responses out, so everything here runs against any
//! implementation: a URL, or a service in the simulator. This package knows nothing about the reference
//! broker; a codec shared with it would agree with itself about a mistake.
//!
//! * [`environment`]: what a case needs from the world.
//! * [`target`]: how an implementation is reached and described.
//! * [`suite`]: the API cases; [`contract`]: what they judge; [`report`]: what they found.
//! * [`workload`]: what concurrent clients do; [`history`]: operations as they saw them;
//!   [`checker`]: from a history to verdicts.
//! * [`scale`]: the scaling ladders, what is fitted to them, and their verdicts.
//! * `stress` and `proxy` (feature `http`): workloads and faults against a real server, in real time.
//! * `service` (feature `http`): the suite in a test of any [`tower_service::Service`].
//! * [`document`]: the files that users write; [`verdict`]: the three answers.

#[cfg(feature = "http")]
pub use self::service::{Check, check_service};

pub mod checker;
pub mod contract;
pub mod document;
pub mod environment;
pub mod history;
mod href;
pub mod model;
#[cfg(feature = "http")]
pub mod proxy;
pub mod report;
pub mod scale;
#[cfg(feature = "http")]
mod service;
#[cfg(feature = "http")]
pub mod stress;
pub mod suite;
pub mod target;
pub mod verdict;
pub mod workload;
