//! One look at a target: a request with the usual headers, and what came of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::Value;

use crate::environment::{Instant, World};
use crate::target::{Answer, Client, Description, Endpoint, Outcome};

/// How long preflight waits for an answer at most: a user is waiting for it.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// The queue that preflight uses, and deletes again.
pub(super) const QUEUE: &str = "/v2/queues/nanshe-preflight";

/// The identifier of its client.
const CLIENT_ID: &str = "6b2e4f0a-27a1-4a5e-8f3c-0d9c5c1a7e11";

/// Looks at a target.
pub(super) struct Look {
    world: World,
    client: Client,
    project: String,
    made_queue: AtomicBool,
}

/// A look that is not taken yet.
pub(super) struct Ask<'a> {
    look: &'a Look,
    request: Request<Bytes>,
}

impl Look {
    pub(super) fn new(world: World, target: &Description, endpoint: &Endpoint) -> Self {
        let hasty = Description {
            patience: target.patience.min(PATIENCE_MAX),
            ..target.clone()
        };
        let session = target.session.as_ref();
        let project = session.map(|session| session.project());
        Self {
            client: Client::of(world.clone(), &hasty, endpoint.clone(), 4),
            project: project.unwrap_or_else(|| "nanshe-preflight".to_owned()),
            made_queue: AtomicBool::new(false),
            world,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.world.now()
    }

    pub(super) async fn sleep(&self, span: Duration) {
        self.world.sleep(span).await;
    }

    /// A request with the usual headers.
    pub(super) fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("preflight writes legal paths");
        let ask = Ask {
            look: self,
            request,
        };
        ask.header("client-id", CLIENT_ID)
            .header("x-project-id", &self.project)
            .header("accept", "application/json")
    }

    /// The status of a `GET`, if there is an answer.
    pub(super) async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.ask(Method::GET, path).send().await.ok()?;
        Some(answer.status.as_u16())
    }

    /// Posts one message; its path.
    pub(super) async fn post(&self) -> Option<String> {
        self.made_queue.store(true, Ordering::Relaxed);
        let body = serde_json::json!({ "messages": [{ "ttl": 300, "body": {} }] });
        let ask = self.ask(Method::POST, &format!("{QUEUE}/messages"));
        let answer = ask.json(&body).send().await.ok()?;
        let path = json(&answer)["resources"][0].as_str()?.to_owned();
        path.parse::<http::Uri>()
            .is_ok_and(|uri| uri.path().starts_with('/'))
            .then_some(path)
    }

    /// Whether an unknown queue is listed as an empty one: the least that any implementation answers.
    pub(super) async fn lists_messages(&self) -> bool {
        let listed = self.status(&format!("{QUEUE}/messages")).await;
        matches!(listed, Some(200 | 204))
    }

    /// Deletes what preflight made.
    pub(super) async fn clean_up(&self) {
        if self.made_queue.load(Ordering::Relaxed) {
            // An empty queue more is no reason to stop.
            drop(self.ask(Method::DELETE, QUEUE).send().await);
        }
    }
}

impl Ask<'_> {
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("identifiers are visible ASCII");
        let headers = self.request.headers_mut();
        headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        *self.request.body_mut() = body.to_string().into();
        self.header("content-type", "application/json")
    }

    pub(super) async fn send(self) -> Outcome {
        self.look.client.send(self.request).await
    }
}

/// The body as JSON; null if it is none.
pub(super) fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}
