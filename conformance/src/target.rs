//! How the suite reaches and describes an implementation.
//!
//! A [`Client`] sends one request at a time over the [`crate::environment`] and tells apart *not sent*
//! (definite: it certainly did not happen) from *no answer* (indefinite: nobody knows). A
//! [`Description`] says where an implementation is, how to start it and what it is known to fail.

pub use self::client::{Answer, Client, Endpoint, NotAnswered, Outcome};
pub use self::description::{Description, DescriptionError, KnownFailure, KnownFailures, Start};
#[cfg(feature = "http")]
pub use self::process::{StartError, Started};

mod client;
mod description;
#[cfg(feature = "http")]
mod process;
