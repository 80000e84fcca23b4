//! The package from outside: histories that were written by hand, and real sockets.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

#[cfg(feature = "http")]
mod early_end;
mod fixtures;
mod flawed_servers;
#[cfg(feature = "http")]
mod in_process;
#[cfg(feature = "http")]
mod login;
#[cfg(feature = "http")]
mod process;
#[cfg(feature = "http")]
mod proxy;
mod random_histories;
#[cfg(feature = "http")]
mod secure;
#[cfg(feature = "http")]
mod sockets;
#[cfg(feature = "http")]
mod stress;
#[cfg(feature = "http")]
#[path = "../../examples/toy_broker/broker.rs"]
mod toy_broker;
#[cfg(feature = "http")]
mod waiting;
