//! The package from outside: histories that were written by hand, and real sockets.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

mod fixtures;
mod flawed_servers;
mod random_histories;
#[cfg(feature = "http")]
mod sockets;
