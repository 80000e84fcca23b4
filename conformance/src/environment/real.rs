//! The world outside: tokio's sockets, timers and tasks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;

use super::{Address, BoxFuture, Environment, Instant, Listener, Stream};

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

    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move {
            let place = (address.host.as_str(), address.port);
            let listener = tokio::net::TcpListener::bind(place).await?;
            let port = listener.local_addr()?.port();
            Ok(Box::new(TokioListener {
                address: Address { port, ..address },
                listener: Arc::new(listener),
            }) as Box<dyn Listener>)
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

struct TokioListener {
    address: Address,
    listener: Arc<tokio::net::TcpListener>,
}

impl Listener for TokioListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn accept(&self) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let listener = Arc::clone(&self.listener);
        Box::pin(async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(TokioIo::new(stream)) as Box<dyn Stream>)
        })
    }
}
