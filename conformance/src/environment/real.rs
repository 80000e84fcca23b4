//! The world outside: tokio's sockets, timers and tasks.

use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;

use super::{Address, BoxFuture, Environment, Instant, Stream};

/// The world outside. Needs a tokio runtime with I/O and time.
#[derive(Debug)]
pub struct TokioEnvironment {
    start: tokio::time::Instant,
}

impl TokioEnvironment {
    /// A world whose clock starts now.
    pub fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }
}

impl Default for TokioEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment for TokioEnvironment {
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let address = address.clone();
        Box::pin(async move {
            let stream =
                tokio::net::TcpStream::connect((address.host.as_str(), address.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(TokioIo::new(stream)) as Box<dyn Stream>)
        })
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(super::nanos(self.start.elapsed()))
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(span))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        // The task reports through what it owns; its handle has nothing to say.
        drop(tokio::spawn(task));
    }
}
