//! Runs one sequence against a server, and compares every answer with the specification.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::Value;

use super::answer::{Difference, Heard, describe};
use super::operation::{Act, Kind, Operation, Wait, Without};
use super::specification::{Call, Meaning, Rules, Specification};
use crate::environment::{BoxFuture, Instant, World};
use crate::suite::Sent;
use crate::target::{Answer, Client, Outcome};

/// How long before an end a wait until just before it ends.
const MARGIN: Duration = Duration::from_millis(200);

/// How long after an end a wait until just after it ends.
const STEP: Duration = Duration::from_millis(1);

/// The media type of a queue's patch (contract 4.5).
const PATCH_MEDIA_TYPE: &str = "application/openstack-messaging-v2.0-json-patch";

/// A server that answers one request at a time, and the clock that its answers are timed by.
pub trait Served: Send + Sync {
    /// Sends a request; its URI is a path.
    fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome>;

    /// Now.
    fn now(&self) -> Instant;

    /// Completes `span` from now.
    fn sleep(&self, span: Duration) -> BoxFuture<()>;
}

/// A server that a client reaches over the network of a world.
pub struct Reached {
    /// Where the clock and the connections come from.
    pub world: World,
    /// The client of that world.
    pub client: Arc<Client>,
}

impl Served for Reached {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<Outcome> {
        let client = Arc::clone(&self.client);
        Box::pin(async move { client.send(request).await })
    }

    fn now(&self) -> Instant {
        self.world.now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.world.sleep(span)
    }
}

/// What the projects and clients of one run of a sequence are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) projects: [String; 2],
    pub(super) clients: [String; 2],
    /// What stands before every queue's name.
    pub(super) prefix: String,
}

/// What is the same for every run of every sequence.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) served: Arc<dyn Served>,
    pub(super) rules: Rules,
    pub(super) without: Without,
}

/// One run of a sequence.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) names: Names,
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

/// What was done.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Waited(Duration),
    Asked(Box<Asked>),
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// With variables in place of ids.
    pub(super) call: Call,
    /// The variables that the answer gave a value.
    pub(super) learned: Vec<String>,
    /// The answer on one line.
    pub(super) came: String,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// Every answer was one that a correct server may give.
    Agreed,
    /// The answer to an operation was not.
    Differed {
        /// The number of the operation.
        at: usize,
        kind: Kind,
        difference: Difference,
    },
    /// There was no answer, so nobody knows how it would go on.
    Unanswered(String),
}

impl Attempt {
    /// Requests that were sent.
    pub(super) fn requests(&self) -> usize {
        let asked = |step: &&Step| matches!(step, Step::Asked(_));
        self.steps.iter().filter(asked).count()
    }
}

impl Ground {
    /// Runs `operations` in projects of their own, waiting for at most `wait_max` at a time.
    pub(super) async fn run(
        &self,
        operations: &[Operation],
        names: Names,
        wait_max: Option<Duration>,
    ) -> Attempt {
        let mut specification = Specification::new(self.rules, names.prefix.clone());
        let mut steps = Vec::new();
        let mut end = End::Agreed;
        for (at, operation) in operations.iter().enumerate() {
            let Some(operation) = self.without.apply(operation) else {
                continue;
            };
            let now = self.served.now();
            if let Act::Wait(wait) = operation.act {
                let span = span(wait, &specification, now);
                let span = span.filter(|span| wait_max.is_none_or(|max| *span <= max));
                if let Some(span) = span {
                    self.served.sleep(span).await;
                    steps.push(Step::Waited(span));
                }
                continue;
            }
            let Some(call) = specification.plan(&operation, now) else {
                continue;
            };
            let invoked_at = now;
            let outcome = self
                .served
                .send(request(&call, &specification, &names))
                .await;
            let answered_at = self.served.now();
            let sent = Sent {
                invoked_at,
                answered_at,
            };
            let answer = match outcome {
                Ok(answer) => answer,
                Err(not_answered) => {
                    end = End::Unanswered(not_answered.to_string());
                    break;
                }
            };
            let (asked, judged) = judge(call, &mut specification, (sent, &answer));
            steps.push(Step::Asked(Box::new(asked)));
            if let Err(difference) = judged {
                let kind = operation.act.kind();
                end = End::Differed {
                    at,
                    kind,
                    difference,
                };
                break;
            }
        }
        Attempt { names, steps, end }
    }
}

fn judge(
    call: Call,
    specification: &mut Specification,
    (sent, answer): (Sent, &Answer),
) -> (Asked, Result<(), Difference>) {
    let before = specification.known();
    let judged = specification.judge(&call.meaning, Heard { sent, answer });
    let after = specification.known();
    let named = |kind: &str, before: usize, after: usize| -> Vec<String> {
        (before..after)
            .map(|index| format!("{kind}{}", index + 1))
            .collect()
    };
    let learned = match &call.meaning {
        Meaning::Post { .. } => named("M", before.0, after.0),
        Meaning::Claim(_) => named("C", before.1, after.1),
        Meaning::List(_) => named("P", before.2, after.2),
        Meaning::BadPost(_)
        | Meaning::Get { .. }
        | Meaning::GetMany { .. }
        | Meaning::Delete { .. }
        | Meaning::DeleteMany { .. }
        | Meaning::Pop { .. }
        | Meaning::ReadClaim { .. }
        | Meaning::Renew { .. }
        | Meaning::Release { .. }
        | Meaning::CreateQueue { .. }
        | Meaning::ReadQueue(_)
        | Meaning::PatchQueue { .. }
        | Meaning::DeleteQueue(_)
        | Meaning::ListQueues { .. }
        | Meaning::Stats(_)
        | Meaning::Purge { .. } => Vec::new(),
    };
    let came = describe(answer);
    (
        Asked {
            call,
            learned,
            came,
        },
        judged,
    )
}

/// How long a wait is now, if there is anything to wait for.
fn span(wait: Wait, specification: &Specification, now: Instant) -> Option<Duration> {
    let until = match wait {
        Wait::Secs(secs) => now.plus(Duration::from_secs(secs)),
        Wait::Before(number) => {
            let ends = specification.ends(now);
            let mut early = ends.iter().map(|end| end.earliest.minus(MARGIN));
            early.by_ref().filter(|at| *at > now).nth(number)?
        }
        Wait::After(number) => specification.ends(now).get(number)?.latest.plus(STEP),
    };
    Some(until.since(now)).filter(|span| !span.is_zero())
}

fn request(call: &Call, specification: &Specification, names: &Names) -> Request<Bytes> {
    let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = call.method.clone();
    let path = specification.resolve(&call.path);
    *request.uri_mut() = path
        .parse()
        .expect("ids and markers were checked when they came");
    let headers = request.headers_mut();
    for (name, value) in headers_of(call, names) {
        let value = HeaderValue::from_str(value).expect("names are visible ASCII");
        headers.insert(name, value);
    }
    request
}

/// The headers of a call.
pub(super) fn headers_of<'a>(call: &Call, names: &'a Names) -> Vec<(&'static str, &'a str)> {
    let mut headers = vec![
        (
            "client-id",
            names.clients[usize::from(call.client)].as_str(),
        ),
        (
            "x-project-id",
            names.projects[usize::from(call.project)].as_str(),
        ),
        ("accept", "application/json"),
    ];
    if call.body.is_some() {
        let is_patch = matches!(call.meaning, Meaning::PatchQueue { .. });
        let media_type = if is_patch {
            PATCH_MEDIA_TYPE
        } else {
            "application/json"
        };
        headers.push(("content-type", media_type));
    }
    headers
}
