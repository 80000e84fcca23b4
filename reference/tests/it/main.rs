//! What the whole crate promises, seen through its public face.
#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod admin;
mod appendix;
mod checks;
mod claims;
mod cors;
mod cost;
mod deletion;
mod messages;
mod model;
mod notifications;
#[cfg(feature = "server")]
mod outgoing;
mod placement;
mod pools;
mod purity;
mod queues;
mod random;
mod random_admin;
mod random_subscriptions;
mod retries;
mod sharing;
#[cfg(feature = "server")]
mod socket;
mod subscriptions;
mod support;
mod transport;
mod unsettled;
mod websocket;
