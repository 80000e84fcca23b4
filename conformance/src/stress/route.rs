//! The way to a target that may be elsewhere when it has been started again.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::environment::{Address, BoxFuture, Environment, Instant, Listener, Stream, World};

/// The world, in which whoever connects to where the target was is led to where it is.
pub(super) struct Route {
    world: World,
    was: Address,
    is: Mutex<Address>,
}

impl Route {
    /// To a target at `address`.
    pub(super) fn before(world: World, address: Address) -> Arc<Self> {
        Arc::new(Self {
            world,
            is: Mutex::new(address.clone()),
            was: address,
        })
    }

    /// The target is at `address` from now on.
    pub(super) fn lead_to(&self, address: Address) {
        *self.is() = address;
    }

    fn is(&self) -> MutexGuard<'_, Address> {
        self.is.lock().expect("no holder of this lock panics")
    }
}

impl Environment for Route {
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let address = match *address == self.was {
            true => self.is().clone(),
            false => address.clone(),
        };
        self.world.connect(&address)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::TokioEnvironment;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn whoever_asks_for_where_the_target_was_comes_to_where_it_is() {
        let open = async || {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let host = "127.0.0.1".to_owned();
            (listener, Address { host, port })
        };
        let ((first, was), (second, is)) = (open().await, open().await);
        let route = Route::before(Arc::new(TokioEnvironment::new()), was.clone());
        route.connect(&was).await.unwrap();
        first.accept().await.unwrap();
        route.lead_to(is.clone());
        for address in [was, is] {
            route.connect(&address).await.unwrap();
            second.accept().await.unwrap();
        }
    }
}
