//! What the whole crate promises, seen through its public face.
#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

#[cfg(feature = "server")]
mod admin;
mod appendix;
mod checks;
mod claims;
mod cors;
mod deletion;
mod fuzz;
#[cfg(feature = "server")]
mod hardening;
mod messages;
mod model;
mod notifications;
mod purity;
mod queues;
mod random;
mod random_subscriptions;
mod sharing;
#[cfg(feature = "server")]
mod socket;
mod subscriptions;
mod support;
mod transport;
