//! The broker behind a `tower_service::Service`: any HTTP stack, real or simulated, can serve it.
//!
//! Owns the lock, the order in which time reaches the broker, and the reading of bodies. Uses no
//! runtime: it neither spawns nor sleeps.

use std::convert::Infallible;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};

use crate::broker::{Broker, Caller, Input, Limits, Timestamp, Uuid, mix};
use crate::wire::{self, Body, Call, Failure, Reply, Settings};

/// What is read and thrown away of a body that is too long, so that a client which sends all of it
/// before it reads still gets the answer.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a service takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// The current instant. It may go backwards; the service does not let the broker see that.
    fn now(&self) -> Timestamp;
}

/// The reference broker as a service. Clones share the broker.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    request_key: u64,
    requests: AtomicU64,
}

struct State {
    broker: Broker,
    latest: Timestamp,
}

impl Service {
    /// A service without queues. All ids are drawn from the seed. `Limits` alone are settings too.
    #[must_use]
    pub fn new(settings: impl Into<Settings>, seed: u64, clock: Arc<dyn Clock>) -> Self {
        let settings = settings.into();
        let broker = Broker::new(settings.limits.clone(), seed);
        let state = Mutex::new(State {
            broker,
            latest: Timestamp::default(),
        });
        let (request_key, requests) = (mix(!seed), AtomicU64::new(0));
        Self {
            shared: Arc::new(Shared {
                settings,
                clock,
                state,
                request_key,
                requests,
            }),
        }
    }

    /// The bounds this service keeps.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.settings.limits
    }

    async fn respond<B>(self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let settings = &self.shared.settings;
        let body = read(body, settings.limits.body_bytes_max()).await;
        let reply = match wire::decode(&parts, &body, settings, self.shared.clock.now()) {
            Ok(Call::Ask { caller, input }) => self.ask(&caller, input),
            Ok(Call::Known(reply)) => reply,
            Err(refusal) => Reply::Failure(Failure::Refusal(refusal)),
        };
        wire::encode(&reply, settings, self.draw_request_id()).map(Full::new)
    }

    fn ask(&self, caller: &Caller, input: Input) -> Reply {
        let mut state = self
            .shared
            .state
            .lock()
            .expect("invariant: no request panics");
        // The clock is read under the lock and never taken back, so time does not go backwards.
        let now = self.shared.clock.now().max(state.latest);
        state.latest = now;
        match state.broker.handle(now, caller, input) {
            Ok(output) => Reply::Output(output),
            Err(error) => Reply::Failure(Failure::Broker(error)),
        }
    }

    fn draw_request_id(&self) -> Uuid {
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let high = mix(self.shared.request_key ^ mix(number));
        let low = mix(high ^ number);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        Uuid::version_4(bytes)
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}

/// Reads a body, but keeps no more than `bytes_max` of it.
async fn read<B: http_body::Body>(body: B, bytes_max: usize) -> Body {
    let mut body = pin!(body);
    let announced = body.size_hint().lower();
    let readable_bytes_max = bytes_max.saturating_add(DISCARDED_BYTES_MAX);
    if usize::try_from(announced).is_ok_and(|bytes| bytes <= readable_bytes_max) {
        let mut kept = BytesMut::new();
        let mut bytes: usize = 0;
        while let Some(frame) = body.as_mut().frame().await {
            let Ok(frame) = frame else {
                return Body::Incomplete;
            };
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            bytes = bytes.saturating_add(data.remaining());
            if bytes > readable_bytes_max {
                return Body::TooLong;
            }
            if bytes > bytes_max {
                kept = BytesMut::new();
                continue;
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                kept.extend_from_slice(chunk);
                let read = chunk.len();
                data.advance(read);
            }
        }
        return if bytes > bytes_max {
            Body::TooLong
        } else {
            Body::Complete(kept.freeze())
        };
    }
    Body::TooLong
}
