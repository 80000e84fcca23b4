//! A deterministic, in-memory reference broker of the OpenStack Messaging (Zaqar) API v2.
//!
//! * [`broker`] is the state machine: time, randomness and identifiers are arguments, and the same
//!   inputs give the same outputs, byte for byte. No I/O, no async, no locks.
//! * [`wire`] maps HTTP, and the frames of WebSocket, to inputs and outputs back, purely.
//! * [`service`] puts both behind a `tower_service::Service`, for any HTTP stack, real or
//!   simulated.
//! * `server` (feature `server`) adds sockets, webhooks, mail and the clock, and nothing else;
//!   `config` reads what it and the service obey from TOML.
//!
//! ```text
//! server ──► service ──► wire ──► broker      never the other way
//! ```

pub mod broker;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod server;
pub mod service;
pub mod wire;

pub use broker::{Broker, BrokerError, Caller, Input, Limits, Output, Timestamp};
pub use service::{Clock, Service};
pub use wire::{Settings, SigningKey};
