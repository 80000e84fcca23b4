//! How the suite reaches and describes an implementation.
//!
//! A [`Client`] sends one request at a time over the [`crate::environment`] and tells apart *not sent*
//! (definite: it certainly did not happen) from *no answer* (indefinite: nobody knows). A
//! [`Description`] says where an implementation is, how to start it and what it is known to fail.

pub use self::client::{Answer, Client, Endpoint, NotAnswered, Outcome};
pub use self::clouds::Cloud;
pub use self::control::{Control, Controlled, Order, Pair};
#[cfg(feature = "http")]
pub use self::control::{OrderError, Ordered};
pub use self::credentials::{Credentials, CredentialsError, Identity, Named};
pub use self::description::{Authentication, Description, DescriptionError, Start};
pub use self::keystone::{LoginError, Session};
pub use self::known_failures::{KnownDifference, KnownFailure, KnownFailures, Updated, updated};
#[cfg(feature = "http")]
pub use self::process::{StartError, Started};
pub(crate) use self::stores::{spare_stores, store};
pub use self::tls::{Authorities, AuthoritiesError};
pub use self::websocket::{Came, Frame, WebSocket};

mod client;
mod clouds;
mod control;
mod credentials;
mod description;
mod keystone;
mod known_failures;
#[cfg(feature = "http")]
mod process;
mod stores;
mod tls;
mod websocket;
