//! The broker behind a `tower_service::Service`: any HTTP stack, real or simulated, can serve it.
//!
//! Owns the lock, the order in which time reaches the broker, and the reading of bodies. Uses no
//! runtime: it neither spawns nor sleeps. So it does not send notifications either: whoever has a
//! runtime takes them, sends them and reports, as `server` does.
//!
//! If the broker ever panics, which would be a bug of ours, its state may be half changed. The
//! request at hand is not answered, the panic goes on into whoever called, and every later request
//! is answered 500: neither a wrong answer nor silence. `server` ends itself then.

mod health;
mod sockets;

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};

use crate::broker::{
    AttemptId, Broker, Caller, Census, ConfirmationRule, DeliveryCounts, Input, Limits,
    Notification, Outcome, PoolName, PoolingRule, Timestamp, Uuid, mix,
};
use crate::wire::{
    self, AddressRule, Body, Call, Cors, Dispatch, Failure, Health, Refusal, Reply, Settings,
    StoreHealth,
};

/// What is read and thrown away of a body that is too long, so that a client which sends all of it
/// before it reads still gets the answer.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a service takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// The current instant. It may go backwards; the service does not let the broker see that.
    fn now(&self) -> Timestamp;
}

/// The error of a body that does not arrive in time, by the measure of whoever has timers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct TooSlow;

/// The reference broker as a service. Clones share the broker.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Whoever waits for a change; at most one.
    waiting: Mutex<Option<Waker>>,
    request_key: u64,
    requests: AtomicU64,
    sockets: AtomicU64,
}

struct State {
    broker: Broker,
    latest: Timestamp,
    /// Until when whoever sends notifications sleeps, if nothing else wakes it.
    asleep_until: Option<Timestamp>,
}

/// Wakes whoever sends notifications when the broker panics, once the lock is released.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wake();
        }
    }
}

impl Service {
    /// A service without queues. All ids are drawn from the seed. `Limits` alone are settings too.
    #[must_use]
    pub fn new(settings: impl Into<Settings>, seed: u64, clock: Arc<dyn Clock>) -> Self {
        let mut settings = settings.into();
        if settings.signing_key.is_none() {
            // Zaqar v2, "Confirmation flow": it takes the option and a key.
            settings.limits.confirmation_rule = ConfirmationRule::NotNeeded;
        }
        let broker = Broker::new(settings.limits.clone(), seed);
        let state = Mutex::new(State {
            broker,
            latest: Timestamp::default(),
            asleep_until: None,
        });
        let (request_key, requests) = (mix(!seed), AtomicU64::new(0));
        Self {
            shared: Arc::new(Shared {
                settings,
                clock,
                state,
                waiting: Mutex::default(),
                request_key,
                requests,
                sockets: AtomicU64::new(0),
            }),
        }
    }

    /// The bounds this service keeps.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.settings.limits
    }

    /// Lets time pass for the broker. Returns when to do so again, unless it changes before.
    pub fn advance(&self) -> Option<Timestamp> {
        self.with_broker(|broker, now| {
            broker.advance(now);
            broker.poll_timeout()
        })?
    }

    /// The next notification to be sent. Its outcome is to be reported to [`Self::conclude`], be
    /// it ever so bad: until then nothing else is sent for that subscription.
    #[must_use]
    pub fn next_notification(&self) -> Option<Notification> {
        self.with_broker(|broker, _| broker.poll_output())?
    }

    /// What is sent for a notification: a request, a mail, or a document for a socket. `None`: it
    /// cannot be sent here.
    #[must_use]
    pub fn dispatch(&self, notification: &Notification) -> Option<Dispatch> {
        Dispatch::of(notification, &self.shared.settings)
    }

    /// Which addresses may be sent to. Whoever sends holds every address against it to which it
    /// connects for a subscriber, for a name that was subscribed may stand for any.
    #[must_use]
    pub fn address_rule(&self) -> &AddressRule {
        &self.shared.settings.address_rule
    }

    /// Reports what came of a notification.
    pub fn conclude(&self, attempt: AttemptId, outcome: Outcome) {
        self.with_broker(|broker, now| broker.handle_outcome(now, attempt, outcome));
    }

    /// What became of all that subscribers were owed; `None` if the broker is broken.
    #[must_use]
    pub fn delivery_counts(&self) -> Option<DeliveryCounts> {
        self.with_broker(|broker, _| broker.delivery_counts())
    }

    /// How much the broker holds; `None` if it is broken.
    #[must_use]
    pub fn census(&self) -> Option<Census> {
        self.with_broker(|broker, _| broker.census())
    }

    /// What the broker has examined since the beginning, as [`Broker::work_done`] counts it; `None` if it is
    /// broken. To ask changes nothing.
    #[must_use]
    pub fn work_done(&self) -> Option<u64> {
        let state = self.shared.state.lock().ok()?;
        Some(state.broker.work_done())
    }

    /// Waits until there may be a notification, or until the time that [`Self::advance`] returned
    /// is no longer the next, or the broker is broken. Only one can wait at a time.
    pub async fn changed(&self, until: Option<Timestamp>) {
        poll_fn(|context| {
            self.shared.await_wake(context.waker());
            let Ok(mut state) = self.shared.state.lock() else {
                return Poll::Ready(());
            };
            state.asleep_until = until;
            if state.has_news() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// The time, as the clock has it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Whether the broker has panicked. Then it answers nothing any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.shared.state.is_poisoned()
    }

    /// The answer to a request that could not even be read.
    #[must_use]
    pub fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        let reply = Reply::Failure(Failure::Refusal(refusal));
        wire::encode(&reply, &self.shared.settings, self.draw_request_id())
    }

    /// What [`tower_service::Service::call`] does, without a box around it.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let settings = &self.shared.settings;
        let body = read(body, settings.limits.body_bytes_max()).await;
        let reply = match wire::decode(&parts, &body, settings, self.shared.clock.now()) {
            Ok(Call::Ask { caller, input }) => self.ask(&caller, input),
            Ok(Call::CheckHealth) => self.check_health(),
            Ok(Call::Known(reply)) => reply,
            Err(refusal) => Reply::Failure(Failure::Refusal(refusal)),
        };
        let mut response = wire::encode(&reply, settings, self.draw_request_id());
        if let Some(cors) = Cors::of(&parts, settings) {
            cors.mark(response.headers_mut());
        }
        response.map(Full::new)
    }

    fn ask(&self, caller: &Caller, input: Input) -> Reply {
        let answer = self.with_broker(|broker, now| broker.handle(now, caller, input));
        match answer {
            Some(Ok(output)) => Reply::Output(output),
            Some(Err(error)) => Reply::Failure(Failure::Broker(error)),
            None => Reply::Failure(Failure::Broken),
        }
    }

    /// Tries out every store that there is, each under a lock of its own.
    fn check_health(&self) -> Reply {
        let health = match self.shared.settings.limits.pooling_rule {
            PoolingRule::OneStore => {
                self.with_broker(|broker, now| Health::Store(self.check_store((broker, now), None)))
            }
            PoolingRule::Pools => {
                self.with_broker(|broker, _| broker.pool_names())
                    .and_then(|names| {
                        let mut pools = Vec::new();
                        for name in names {
                            let found = self.with_broker(|broker, now| {
                                let known = broker.has_pool(&name);
                                known.then(|| self.check_store((broker, now), Some(name.clone())))
                            })?;
                            // Without: it was removed since we asked.
                            pools.extend(found.map(|store| (name, store)));
                        }
                        Some(Health::Pools(pools))
                    })
            }
        };
        health.map_or(Reply::Failure(Failure::Broken), Reply::Health)
    }

    fn check_store(&self, at: (&mut Broker, Timestamp), pool: Option<PoolName>) -> StoreHealth {
        health::check(at, &*self.shared.clock, pool, self.draw_request_id())
    }

    /// Asks the broker something, unless it is broken, and wakes who waits for what came of it.
    fn with_broker<T>(&self, ask: impl FnOnce(&mut Broker, Timestamp) -> T) -> Option<T> {
        let _alarm = Alarm(&self.shared);
        let mut state = self.shared.state.lock().ok()?;
        // The clock is read under the lock and never taken back, so time does not go backwards.
        let now = self.shared.clock.now().max(state.latest);
        state.latest = now;
        let answer = ask(&mut state.broker, now);
        let changed = state.has_news();
        drop(state);
        if changed {
            self.shared.wake();
        }
        Some(answer)
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

impl Shared {
    fn await_wake(&self, waker: &Waker) {
        let waiting = &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(waker.clone());
    }

    fn wake(&self) {
        let waiting = &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = waiting.take() {
            waker.wake();
        }
    }
}

impl State {
    fn has_news(&self) -> bool {
        let timeout = self.broker.poll_timeout();
        let earlier = |at| self.asleep_until.is_none_or(|until| at < until);
        self.broker.has_output() || timeout.is_some_and(earlier)
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
async fn read<B>(body: B, bytes_max: usize) -> Body
where
    B: http_body::Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let announced = body.size_hint().lower();
    let readable_bytes_max = bytes_max.saturating_add(DISCARDED_BYTES_MAX);
    if usize::try_from(announced).is_ok_and(|bytes| bytes <= readable_bytes_max) {
        // Most bodies are one piece, which is kept as it came.
        let (mut first, mut kept) = (Bytes::new(), BytesMut::new());
        let mut bytes: usize = 0;
        while let Some(frame) = body.as_mut().frame().await {
            let frame = match frame.map_err(Into::into) {
                Ok(frame) => frame,
                Err(error) if error.is::<TooSlow>() => return Body::TooSlow,
                Err(_) => return Body::Incomplete,
            };
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            bytes = bytes.saturating_add(data.remaining());
            if bytes > readable_bytes_max {
                return Body::TooLong;
            }
            if bytes > bytes_max {
                (first, kept) = (Bytes::new(), BytesMut::new());
                continue;
            }
            if bytes == data.remaining() {
                first = data.copy_to_bytes(bytes);
                continue;
            }
            kept.extend_from_slice(&std::mem::take(&mut first));
            kept.put(data);
        }
        return if bytes > bytes_max {
            Body::TooLong
        } else {
            Body::Complete(if kept.is_empty() {
                first
            } else {
                kept.freeze()
            })
        };
    }
    Body::TooLong
}
