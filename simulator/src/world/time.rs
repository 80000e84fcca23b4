//! Exact timers on madsim's clock.
//!
//! madsim's `sleep` waits at least a millisecond, and every poll of it adds a timer that is never
//! removed. A [`Timer`] is exact, and is registered once per deadline and waker.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use madsim::time::{Sleep, TimeHandle};
use nanshe_conformance::environment::{Instant, nanos};

/// Virtual time since the start of the run.
pub(crate) fn now() -> Instant {
    Instant::from_nanos(nanos(TimeHandle::current().elapsed()))
}

/// Wakes a task at an exact instant.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Option<(Instant, Waker)>,
    clock: TimeHandle,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self {
            sleep: Box::pin(madsim::time::sleep(Duration::ZERO)),
            armed: None,
            clock: TimeHandle::current(),
        }
    }

    /// [`now`], for those who ask often.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(nanos(self.clock.elapsed()))
    }

    /// Ready if `deadline` has come; else `waker` will be woken then.
    pub(crate) fn poll(&mut self, deadline: Instant, waker: &Waker) -> Poll<()> {
        let now = self.now();
        if now >= deadline {
            return Poll::Ready(());
        }
        if let Some((armed_for, armed_waker)) = &self.armed
            && *armed_for == deadline
            && armed_waker.will_wake(waker)
        {
            return Poll::Pending;
        }
        let real = self.clock.now_instant() + deadline.since(now);
        self.sleep.as_mut().reset(real);
        self.armed = Some((deadline, waker.clone()));
        self.sleep.as_mut().poll(&mut Context::from_waker(waker))
    }
}

/// Waits for exactly `span`.
pub(crate) async fn sleep(span: Duration) {
    let deadline = now().plus(span);
    let mut timer = Timer::new();
    std::future::poll_fn(|context| timer.poll(deadline, context.waker())).await;
}
