//! What a case or a workload needs from the world: connect, listen, clock, sleep, spawn.
//!
//! There are two worlds: plain tokio ([`TokioEnvironment`], feature `http`) and the simulator's.
//! Code on this side never names either; that is why the same case costs a minute on a real server and
//! nothing in virtual time.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "http")]
pub use self::in_process::InProcess;
#[cfg(feature = "http")]
pub use self::real::TokioEnvironment;
pub use self::scaled::Scaled;

#[cfg(feature = "http")]
mod in_process;
#[cfg(feature = "http")]
mod real;
mod scaled;

/// A future that can be spawned and kept in a trait object.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A connection: hyper's own read and write traits, so that hyper runs on it unchanged.
pub trait Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

impl<S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static> Stream for S {}

/// Nanoseconds since the start of the run, on the run's one monotonic clock.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// The start of the run.
    pub const START: Self = Self(0);
    /// After everything that can happen in a run.
    pub const NEVER: Self = Self(u64::MAX);

    /// From nanoseconds since the start of the run.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the run.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since the start of the run.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// This instant and `span` more; at most [`Instant::NEVER`].
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// This instant less `span`; at least [`Instant::START`].
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// Time from `earlier` to this instant; zero if that lies later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Whole nanoseconds of `span`; at most `u64::MAX` (584 years).
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for Instant {
    /// Seconds with milliseconds, as reports show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        let millis = self.0 / 1_000_000;
        write!(f, "{}.{:03}s", millis / 1000, millis % 1000)
    }
}

/// Where a target listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address, expected HOST[:PORT]")]
pub struct AddressError(String);

impl std::str::FromStr for Address {
    type Err = AddressError;

    /// `HOST[:PORT]`, IPv6 in brackets; without a port it is 0.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = || AddressError(text.to_owned());
        let authority: http::uri::Authority = text.parse().map_err(|_| refuse())?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(0);
        let address = Self {
            host: host.to_owned(),
            port,
        };
        // What is left over would be credentials, or a port that is none.
        let spelled = [address.to_string(), authority.host().to_owned()];
        if host.is_empty() || !spelled.contains(&text.to_owned()) {
            return Err(refuse());
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A place where connections arrive, until it is dropped.
pub trait Listener: Send + Sync + 'static {
    /// Where it is.
    fn address(&self) -> Address;

    /// The next connection.
    fn accept(&self) -> BoxFuture<io::Result<Box<dyn Stream>>>;
}

/// The world as one client sees it.
pub trait Environment: Send + Sync + 'static {
    /// Opens a connection. The error means that no byte of any request was sent.
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>>;

    /// Listens on this host, which `address` names; port 0 takes a free one.
    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>>;

    /// Now, on the run's one monotonic clock.
    fn now(&self) -> Instant;

    /// Completes `span` from now.
    fn sleep(&self, span: Duration) -> BoxFuture<()>;

    /// Runs `task` to its end beside the caller.
    fn spawn(&self, task: BoxFuture<()>);
}

/// A shared world.
pub type World = Arc<dyn Environment>;

/// The answer of `work`, or `None` if `span` passed first; `work` is dropped then.
pub async fn within<T>(
    world: &dyn Environment,
    span: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let work = std::pin::pin!(work);
    match futures_util::future::select(work, world.sleep(span)).await {
        futures_util::future::Either::Left((answer, _)) => Some(answer),
        futures_util::future::Either::Right(((), _)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_perhaps_a_port() {
        let read = |text: &str| text.parse().map(|Address { host, port }| (host, port)).ok();
        assert_eq!(read("h"), Some(("h".to_owned(), 0)));
        assert_eq!(read("10.0.0.1:80"), Some(("10.0.0.1".to_owned(), 80)));
        assert_eq!(read("[::1]:80"), Some(("::1".to_owned(), 80)));
        assert_eq!(read("[::1]"), Some(("::1".to_owned(), 0)));
        for bad in ["", ":80", "h:x", "h:70000", "u@h", "http://h", "h/p"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
