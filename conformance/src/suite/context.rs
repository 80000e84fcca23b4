//! What a case holds: a project of its own, a client, the clock, and words to say what it expects.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::capability::Capability;
use super::cleanup::{Used, operated};
use super::namespace::{Namespace, queue_of};
use super::pulse::Pulse;
use super::surroundings::Surroundings;
use super::verdict::{Exchange, Failure, Part, Stop};
use crate::environment::{Instant, World};
use crate::target::{Answer, Client, NotAnswered};

/// Exchanges that a failure shows.
const EXCHANGES_SHOWN_MAX: usize = 6;

/// Bytes of a body that a failure shows.
const BODY_SHOWN_BYTES_MAX: usize = 600;

/// A case's own corner of the world. Cheap to clone; clones share project and transcript.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
    surroundings: Arc<Surroundings>,
    client_id: String,
}

struct Shared {
    world: World,
    client: Arc<Client>,
    pulse: Arc<Pulse>,
    corner: Corner,
    transcript: Mutex<Transcript>,
}

/// What sets a case's corner of the target apart.
pub(super) struct Corner {
    /// The project.
    pub(super) project: String,
    /// The first client.
    pub(super) client_id: String,
    /// What its queues are called there.
    pub(super) names: Namespace,
    /// What the target offers.
    pub(super) offered: Arc<BTreeSet<Capability>>,
    /// How wrong the target's clock may be, granularity included.
    pub(super) slack: Duration,
    /// How long something may take to happen, and how long nothing must.
    pub(super) waiting: (Duration, Duration),
    /// Whether other cases may run elsewhere at the same time, as shares of a whole do.
    pub(super) is_share: bool,
}

#[derive(Default)]
struct Transcript {
    exchanges: Vec<Exchange>,
    waited: Duration,
    requests: u64,
    used: BTreeSet<Used>,
}

impl Context {
    /// The corner of one case.
    pub(super) fn new(
        world: World,
        client: Arc<Client>,
        pulse: Arc<Pulse>,
        corner: Corner,
    ) -> Self {
        let (client_id, transcript) = (corner.client_id.clone(), Mutex::default());
        Self {
            shared: Arc::new(Shared {
                world,
                client,
                pulse,
                corner,
                transcript,
            }),
            surroundings: Arc::default(),
            client_id,
        }
    }

    /// The same corner, with what the target's configuration puts around it.
    pub(super) fn within(self, surroundings: &Arc<Surroundings>) -> Self {
        Self {
            surroundings: Arc::clone(surroundings),
            ..self
        }
    }

    /// What the target's configuration puts around the cases.
    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The same corner, seen by another client of the same project.
    pub fn other_client(&self) -> Self {
        // The identifiers of a case differ in their last characters only, for readers' sake.
        let mut client_id = self.client_id.clone();
        let last = client_id
            .pop()
            .map_or('1', |c| if c == 'f' { '0' } else { 'f' });
        client_id.push(last);
        Self {
            shared: Arc::clone(&self.shared),
            surroundings: Arc::clone(&self.surroundings),
            client_id,
        }
    }

    /// The project's identifier.
    pub fn project(&self) -> &str {
        &self.shared.corner.project
    }

    /// The client's identifier, a dashed lower-case UUID.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// How wrong the target's clock may be, granularity included.
    pub fn slack(&self) -> Duration {
        self.shared.corner.slack
    }

    /// How long something that must happen beside a request may take, as a notification does.
    pub fn happens_within(&self) -> Duration {
        self.shared.corner.waiting.0
    }

    /// How long nothing must be seen, until it counts as not happening.
    pub fn quiet_for(&self) -> Duration {
        self.shared.corner.waiting.1
    }

    /// Whether other runs may use the target at the same time: then nothing runs apart from all others.
    pub fn is_share(&self) -> bool {
        self.shared.corner.is_share
    }

    /// Whether the target offers `capability`: for steps that look closer where they can.
    pub fn offers(&self, capability: Capability) -> bool {
        self.shared.corner.offered.contains(&capability)
    }

    /// What the names of its queues begin with at the server; empty in a project of its own.
    pub fn queue_prefix(&self) -> &str {
        self.shared.corner.names.prefix()
    }

    /// The queues that it used so far.
    pub(super) fn used(&self) -> BTreeSet<Used> {
        self.transcript().used.clone()
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.shared.world.now()
    }

    /// Waits until `at`.
    pub async fn sleep_until(&self, at: Instant) {
        let span = at.since(self.now());
        if span > Duration::ZERO {
            self.note_wait(span);
            self.shared.world.sleep(span).await;
        }
    }

    /// Somebody else waits for so long, on the case's behalf.
    pub(super) fn note_wait(&self, span: Duration) {
        self.transcript().waited += span;
    }

    /// Time that the case waited so far.
    pub fn waited(&self) -> Duration {
        self.transcript().waited
    }

    /// Requests that the case sent so far.
    pub fn requests(&self) -> u64 {
        self.transcript().requests
    }

    /// Notes a queue, a pool or a flavor that a request may make, so that it can be deleted in the end.
    pub(super) fn note_use(&self, path: &str, headers: &HeaderMap) {
        let path_used = match (queue_of(path), operated(path)) {
            (Some(name), _) => format!("/v2/queues/{name}"),
            (None, Some(path)) => path.to_owned(),
            (None, None) => return,
        };
        let Some(project) = headers.get("x-project-id") else {
            return;
        };
        let used = Used {
            project: project.as_bytes().to_vec(),
            path: path_used,
            has_subscriptions: path.contains("/subscriptions"),
        };
        self.transcript().used.insert(used);
    }

    /// An answer with the names that the case knows.
    fn inward(&self, answer: Answer) -> Answer {
        let names = &self.shared.corner.names;
        if names.prefix().is_empty() {
            return answer;
        }
        let mut headers = answer.headers;
        for value in headers.values_mut() {
            let inward = names.inward(&Bytes::copy_from_slice(value.as_bytes()));
            if let Ok(inward) = HeaderValue::from_bytes(&inward) {
                *value = inward;
            }
        }
        Answer {
            headers,
            body: names.inward(&answer.body),
            ..answer
        }
    }

    /// Notes what was sent and what came of it, and whether that was an answer.
    pub(super) fn note(&self, exchange: Exchange, answered: bool) {
        let mut transcript = self.transcript();
        transcript.requests += 1;
        transcript.exchanges.push(exchange);
        if transcript.exchanges.len() > EXCHANGES_SHOWN_MAX {
            transcript.exchanges.remove(0);
        }
        if answered {
            self.shared.pulse.answered();
        } else {
            self.shared.pulse.missed();
        }
    }

    /// An answer that came in another way than to a [`Request`].
    pub(super) fn reply(&self, answer: Answer, sent: Sent) -> Reply {
        Reply {
            context: self.clone(),
            listed: answer.body.clone(),
            answer,
            sent,
        }
    }

    /// The world that the case is in.
    pub(super) fn world(&self) -> &World {
        &self.shared.world
    }

    /// How long to wait for a connection, and for an answer.
    pub(super) fn patience(&self) -> Duration {
        self.shared.client.patience()
    }

    fn transcript(&self) -> std::sync::MutexGuard<'_, Transcript> {
        self.shared
            .transcript
            .lock()
            .expect("no holder of this lock panics")
    }

    /// The last exchanges.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let transcript = self.transcript();
        let skipped = transcript
            .exchanges
            .len()
            .saturating_sub(EXCHANGES_SHOWN_MAX);
        transcript.exchanges[skipped..].to_vec()
    }

    /// A violation of `clause` that no single answer shows.
    pub fn failure(
        &self,
        clause: &str,
        expected: impl Into<String>,
        came: impl Into<String>,
    ) -> Stop {
        Stop::Failed(Box::new(Failure {
            clause: clause.to_owned(),
            expected: expected.into(),
            came: came.into(),
            exchanges: self.exchanges(),
        }))
    }

    /// A request on `path`, which begins with `/`; the usual headers are set.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request {
        let mut headers = HeaderMap::new();
        let value =
            |text: &str| HeaderValue::from_str(text).expect("identifiers are visible ASCII");
        headers.insert("client-id", value(&self.client_id));
        headers.insert("x-project-id", value(&self.shared.corner.project));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        Request {
            context: self.clone(),
            method,
            path: path.into(),
            headers,
            body: Bytes::new(),
        }
    }

    /// `GET path`.
    pub fn get(&self, path: impl Into<String>) -> Request {
        self.request(Method::GET, path)
    }

    /// `PUT path`.
    pub fn put(&self, path: impl Into<String>) -> Request {
        self.request(Method::PUT, path)
    }

    /// `POST path` with a JSON body.
    pub fn post(&self, path: impl Into<String>, body: &Value) -> Request {
        self.request(Method::POST, path).json(body)
    }

    /// `PATCH path` with a JSON body, for claims. Queues want a media type of their own.
    pub fn patch(&self, path: impl Into<String>, body: &Value) -> Request {
        self.request(Method::PATCH, path).json(body)
    }

    /// `DELETE path`.
    pub fn delete(&self, path: impl Into<String>) -> Request {
        self.request(Method::DELETE, path)
    }
}

/// A request that is not sent yet.
pub struct Request {
    context: Context,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A request that was answered, and when.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When it was sent.
    pub invoked_at: Instant,
    /// When its answer was there.
    pub answered_at: Instant,
}

impl Request {
    /// With a JSON body and its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// With these bytes as body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// With this header, replacing one of that name.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a case writes legal header values");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// In this project.
    pub(super) fn project(mut self, project: HeaderValue) -> Self {
        self.headers.insert("x-project-id", project);
        self
    }

    /// Without this header.
    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sends it.
    ///
    /// # Errors
    ///
    /// [`Stop::Unknown`] if there is no answer.
    pub async fn send(self) -> Result<Reply, Stop> {
        let names = &self.context.shared.corner.names;
        let mut request = http::Request::new(names.body_outward(self.body));
        *request.method_mut() = self.method;
        // A case writes legal paths; a server may have put anything into its links.
        let Ok(uri) = names.path_outward(&self.path).parse() else {
            return Err(self
                .context
                .failure("1.4", "a link that is a path", cut(&self.path)));
        };
        *request.uri_mut() = uri;
        *request.headers_mut() = outward(names, self.headers);
        self.context.note_use(&self.path, request.headers());
        let sent = transcribe_request(&request);
        let context = self.context;
        let invoked_at = context.now();
        let outcome = context.shared.client.send(request).await;
        let answered_at = context.now();
        let came = match &outcome {
            Ok(answer) => transcribe_answer(answer),
            Err(not_answered) => Part {
                line: not_answered.to_string(),
                ..Part::default()
            },
        };
        context.note(Exchange { sent, came }, outcome.is_ok());
        match outcome {
            Ok(answer) => Ok(Reply {
                listed: answer.body.clone(),
                answer: context.inward(answer),
                context,
                sent: Sent {
                    invoked_at,
                    answered_at,
                },
            }),
            Err(NotAnswered::NotSent(why) | NotAnswered::NoAnswer(why)) => Err(Stop::Unknown {
                why,
                exchanges: context.exchanges(),
            }),
        }
    }
}

/// An answer, and words to say what the contract demands of it.
pub struct Reply {
    context: Context,
    answer: Answer,
    /// The body as it came: in a shared project, with the names that queues have at the server.
    listed: Bytes,
    /// When it was asked and answered.
    pub sent: Sent,
}

impl Reply {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.answer.status
    }

    /// A header as text; empty if it is absent or not text.
    pub fn header(&self, name: &str) -> &str {
        self.answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The words of a header that is a list, which may come in several pieces.
    pub fn header_list(&self, name: &str) -> Vec<String> {
        let pieces = self.answer.headers.get_all(name).iter();
        let texts = pieces.filter_map(|value| value.to_str().ok());
        let words = texts.flat_map(|text| text.split(',').map(str::trim));
        words.map(str::to_owned).collect()
    }

    /// The names in a listing of queues that are the case's own, in a project that it shares.
    pub(super) fn own_queues(&self) -> Vec<String> {
        let prefix = self.context.queue_prefix();
        let document: Value = serde_json::from_slice(&self.listed).unwrap_or_default();
        let queues = document["queues"].as_array().cloned().unwrap_or_default();
        let own = |queue: &Value| Some(queue["name"].as_str()?.strip_prefix(prefix)?.to_owned());
        queues.iter().filter_map(own).collect()
    }

    /// Where the next page of such a listing is, with a marker that the server knows: with the names that
    /// the case knows, a marker that is a queue of its own would lead somewhere else.
    pub(super) fn next_listed(&self) -> Option<String> {
        let document: Value = serde_json::from_slice(&self.listed).ok()?;
        let mut links = document["links"].as_array()?.iter();
        let next = links.find(|link| link["rel"] == "next")?;
        next["href"].as_str().map(str::to_owned)
    }

    /// Whether a header is there.
    pub fn has_header(&self, name: &str) -> bool {
        self.answer.headers.contains_key(name)
    }

    /// The body's bytes.
    pub fn body(&self) -> &Bytes {
        &self.answer.body
    }

    /// Demands one of `statuses`.
    ///
    /// # Errors
    ///
    /// [`Stop::Failed`] with `clause` if it is another.
    pub fn expect(self, clause: &str, statuses: &[u16]) -> Result<Self, Stop> {
        if statuses.contains(&self.answer.status.as_u16()) {
            return Ok(self);
        }
        let words: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let expected = format!("status {}", words.join(" or "));
        Err(self.refuse(clause, &expected))
    }

    /// Demands that `holds`, which `expected` says in words.
    ///
    /// # Errors
    ///
    /// [`Stop::Failed`] with `clause` if it does not.
    pub fn check(&self, clause: &str, expected: &str, holds: bool) -> Result<(), Stop> {
        if holds {
            Ok(())
        } else {
            Err(self.refuse(clause, expected))
        }
    }

    /// The violation that this answer shows.
    pub fn refuse(&self, clause: &str, expected: &str) -> Stop {
        let text = String::from_utf8_lossy(&self.answer.body);
        let mut came = format!("status {}", self.answer.status.as_u16());
        if !text.is_empty() {
            came.push_str(", body ");
            came.push_str(&cut(&text));
        }
        self.context.failure(clause, expected, came)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`Stop::Failed`] with `clause` if it is none.
    pub fn json(&self, clause: &str) -> Result<Value, Stop> {
        serde_json::from_slice(&self.answer.body).map_err(|_| self.refuse(clause, "a JSON body"))
    }

    /// Demands the error document: a JSON object whose `title` is a string (contract 1.5).
    ///
    /// # Errors
    ///
    /// [`Stop::Failed`] if it is not there.
    pub fn expect_error_document(&self) -> Result<(), Stop> {
        let holds = self.json("1.5")?.get("title").is_some_and(Value::is_string);
        self.check("1.5", "an error document with a `title`", holds)
    }
}

/// Headers as the server is to see them: signed paths name queues too.
fn outward(names: &Namespace, mut headers: HeaderMap) -> HeaderMap {
    if !names.prefix().is_empty() {
        for value in headers.values_mut() {
            let outward = value.to_str().map(|text| names.path_outward(text));
            if let Some(Ok(outward)) = outward.ok().map(HeaderValue::try_from) {
                *value = outward;
            }
        }
    }
    headers
}

pub(super) fn cut(text: &str) -> String {
    if text.len() <= BODY_SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(BODY_SHOWN_BYTES_MAX);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

fn transcribe(line: String, headers: &HeaderMap, body: &Bytes) -> Part {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let headers = headers.iter().map(header).collect();
    Part {
        line,
        headers,
        body: cut(&String::from_utf8_lossy(body)),
    }
}

fn transcribe_request(request: &http::Request<Bytes>) -> Part {
    let line = format!("{} {}", request.method(), cut(&request.uri().to_string()));
    transcribe(line, request.headers(), request.body())
}

fn transcribe_answer(answer: &Answer) -> Part {
    transcribe(answer.status.to_string(), &answer.headers, &answer.body)
}
