//! The body of a request, whose time is bounded.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::pulse::Pulse;
use crate::service::TooSlow;

/// A body that fails with [`TooSlow`] if it does not arrive in time. Most arrive together with their
/// head, so the time is taken only once the body is waited for.
pub(super) struct Deadline {
    body: Incoming,
    within: Duration,
    pulse: Arc<Pulse>,
    over: Option<Pin<Box<Sleep>>>,
    is_read: bool,
}

impl Deadline {
    pub(super) fn new(body: Incoming, within: Duration, pulse: Arc<Pulse>) -> Self {
        Self {
            body,
            within,
            pulse,
            over: None,
            is_read: false,
        }
    }
}

impl Body for Deadline {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = polled {
            self.is_read = frame.is_none();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let within = self.within;
        let over = self.over.get_or_insert_with(|| Box::pin(sleep(within)));
        let over = over.as_mut().poll(context);
        over.map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if !self.is_read && !self.body.is_end_stream() {
            self.pulse.note_leftovers();
        }
    }
}
