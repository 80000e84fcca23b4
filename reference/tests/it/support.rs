//! A service with a clock in hand, and requests without ceremony.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use nanshe_reference::{Clock, Limits, Service, Settings, Timestamp};
use serde_json::Value;

/// A client that posts.
pub(crate) const ALICE: &str = "3381af92-2b9e-11e3-b191-71861300734c";
/// A client that does not.
pub(crate) const BOB: &str = "de305d54-75b4-431b-adb2-eb6b9e546014";
pub(crate) const PATCH_TYPE: &str = "application/openstack-messaging-v2.0-json-patch";

/// A clock that goes when it is told to.
pub(crate) struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A clock that stands still, and panics once when it is read for the broker. That is the one way
/// to make a broker without bugs panic.
#[derive(Default)]
pub(crate) struct BrokenClock(AtomicU64);

impl BrokenClock {
    /// The next request reads it once for itself, and then once under the broker's lock.
    pub(crate) fn break_under_the_lock(&self) {
        self.0.store(2, Ordering::Relaxed);
    }
}

impl Clock for BrokenClock {
    fn now(&self) -> Timestamp {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        assert!(left != 1, "this clock breaks on purpose");
        Timestamp::from_secs(1)
    }
}

pub(crate) struct World {
    pub(crate) service: Service,
    clock: Arc<ManualClock>,
}

/// A response, read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The bodies of the messages in a page, a claim or a pop.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        if self.status == StatusCode::NO_CONTENT {
            return Vec::new();
        }
        let json = self.json();
        let messages = json["messages"].as_array().unwrap();
        messages
            .iter()
            .map(|message| message["body"].clone())
            .collect()
    }

    /// Where the next page is.
    pub(crate) fn next(&self) -> Option<String> {
        self.json()["links"]
            .as_array()
            .unwrap()
            .first()
            .map(|link| text(&link["href"]))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::with_settings(limits.into())
    }

    pub(crate) fn with_settings(settings: Settings) -> Self {
        let start = Timestamp::from_secs(1_795_331_931);
        let clock = Arc::new(ManualClock(AtomicU64::new(start.as_nanos())));
        Self {
            service: Service::new(settings, 42, clock.clone()),
            clock,
        }
    }

    pub(crate) fn advance_secs(&self, secs: u64) {
        self.clock
            .0
            .fetch_add(secs * 1_000_000_000, Ordering::Relaxed);
    }

    pub(crate) fn set_nanos(&self, nanos: u64) {
        self.clock.0.store(nanos, Ordering::Relaxed);
    }

    /// A request of ALICE in project `p`.
    pub(crate) fn send(&self, line: &str, body: &str) -> Answer {
        self.send_as((ALICE, "p"), line, body)
    }

    pub(crate) fn send_as(&self, caller: (&str, &str), line: &str, body: &str) -> Answer {
        let mut headers = vec![("client-id", caller.0), ("x-project-id", caller.1)];
        if line.starts_with("PATCH /v2/queues/")
            && !line.contains("/claims/")
            && !line.contains("/subscriptions/")
        {
            headers.push(("content-type", PATCH_TYPE));
        }
        self.send_raw(line, &headers, body)
    }

    pub(crate) fn send_raw(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.call(request.body(body).unwrap())
    }

    pub(crate) fn call<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut service = self.service.clone();
        let response = finish(tower_service::Service::call(&mut service, request)).unwrap();
        let (parts, body) = response.into_parts();
        let body = finish(body.collect()).unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Posts messages with these bodies and ttl; the paths of the messages.
    pub(crate) fn post(&self, queue: &str, ttl: u32, bodies: &[i64]) -> Vec<String> {
        let messages: Vec<Value> = bodies
            .iter()
            .map(|body| serde_json::json!({"ttl": ttl, "body": body}))
            .collect();
        let document = serde_json::json!({"messages": messages}).to_string();
        let answer = self.send(&format!("POST /v2/queues/{queue}/messages"), &document);
        assert_eq!(answer.status, 201);
        let paths = answer.json()["resources"].as_array().unwrap().clone();
        paths.iter().map(text).collect()
    }

    /// Claims, and returns the path of the claim.
    pub(crate) fn claim(&self, queue: &str, limit: u32, (ttl, grace): (u32, u32)) -> String {
        let line = format!("POST /v2/queues/{queue}/claims?limit={limit}");
        let answer = self.send(&line, &format!("{{\"ttl\":{ttl},\"grace\":{grace}}}"));
        assert_eq!(answer.status, 201);
        answer.header("location").unwrap().to_owned()
    }

    pub(crate) fn status(&self, line: &str) -> u16 {
        self.send(line, "").status.as_u16()
    }

    /// The bodies of all messages, own, claimed and delayed ones too, page by page.
    pub(crate) fn everything(&self, queue: &str) -> Vec<Value> {
        let mut path = format!(
            "/v2/queues/{queue}/messages?limit=3&echo=true&include_claimed=true&include_delayed=true"
        );
        let mut bodies = Vec::new();
        loop {
            let page = self.send(&format!("GET {path}"), "");
            bodies.extend(page.bodies());
            match page.next() {
                Some(next) => path = next,
                None => return bodies,
            }
        }
    }
}

/// The id at the end of a path.
pub(crate) fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Runs a future that has nothing to wait for.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something"),
    }
}
