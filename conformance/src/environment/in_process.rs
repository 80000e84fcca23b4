//! A world in which the only server is a service of this process: no socket, but real HTTP.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::{Address, BoxFuture, Environment, Instant, Listener, Stream, World};

/// Bytes under way in each direction of a connection.
const BUFFER_BYTES: usize = 64 * 1024;

/// Another world, in which every connection, to whatever address, leads to one service.
pub struct InProcess<S> {
    world: World,
    // Behind a lock for the sake of services that cannot be shared; each connection has a clone.
    service: Mutex<S>,
}

impl<S> InProcess<S> {
    /// `service` in `world`, which has the clock, sleeps and runs tasks.
    pub fn new(world: World, service: S) -> Self {
        Self {
            world,
            service: Mutex::new(service),
        }
    }
}

impl<S, B> Environment for InProcess<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn connect(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let service = self.service.lock().expect("no holder of this lock panics");
        let service = service.clone();
        let (ours, theirs) = tokio::io::duplex(BUFFER_BYTES);
        let answer = hyper::service::service_fn(move |request| {
            let mut service = service.clone();
            async move {
                poll_fn(|context| service.poll_ready(context)).await?;
                service.call(request).await
            }
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(theirs), answer);
        self.world.spawn(Box::pin(async move {
            // A client that goes away in the middle is not the server's concern.
            drop(serving.await);
        }));
        Box::pin(async move { Ok(Box::new(TokioIo::new(ours)) as Box<dyn Stream>) })
    }

    /// What the service sends by itself goes to the world that it is in.
    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        self.world.listen(address)
    }

    fn now(&self) -> Instant {
        self.world.now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.world.sleep(span)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.world.spawn(task);
    }
}
