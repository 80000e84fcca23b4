//! The time of a server that lets several seconds pass in each: so it is told to clients as well.

use std::io;
use std::time::Duration;

use super::{Address, BoxFuture, Environment, Instant, Listener, Stream, World};

/// Another world, whose clock runs so many times as fast.
///
/// A run on a server with a scaled clock lives in the server's time: then a lease of a minute lasts a
/// minute of the history, whatever it takes for those who wait.
pub struct Scaled {
    world: World,
    times: u32,
}

impl Scaled {
    /// `world`, `times` as fast.
    ///
    /// # Panics
    ///
    /// If `times` is 0: a clock does not stand still.
    pub fn new(world: World, times: u32) -> Self {
        assert!(times > 0, "a clock does not stand still");
        Self { world, times }
    }
}

impl Environment for Scaled {
    fn connect(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        self.world.connect(address)
    }

    fn listen(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        self.world.listen(address)
    }

    fn now(&self) -> Instant {
        let nanos = self.world.now().as_nanos();
        Instant::from_nanos(nanos.saturating_mul(self.times.into()))
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.world.sleep(span / self.times)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.world.spawn(task);
    }
}
