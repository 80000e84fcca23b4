//! The suite against services of this process, in virtual time.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use nanshe_conformance::check_service;
use nanshe_conformance::report::{Report, Standing};
use nanshe_conformance::suite::{Capability, Profile, cases};
use nanshe_conformance::verdict::Verdict;
use nanshe_reference::{Clock, Limits, Service, Timestamp};

use crate::toy_broker::Toy;

/// Tokio's clock, which a test can pause: then time passes when everybody waits. It counts ticks.
struct TokioClock {
    start: tokio::time::Instant,
    tick: Duration,
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let ticks = self.start.elapsed().as_nanos() / self.tick.as_nanos();
        let nanos = u64::try_from(ticks * self.tick.as_nanos()).unwrap();
        Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos)
    }
}

pub(crate) fn reference() -> Service {
    reference_of(Duration::from_nanos(1))
}

/// The reference, whose clock counts ticks.
pub(crate) fn reference_of(tick: Duration) -> Service {
    let start = tokio::time::Instant::now();
    let clock = Arc::new(TokioClock { start, tick });
    Service::new(Limits::default(), 1, clock)
}

fn told(report: &Report) -> String {
    nanshe_conformance::report::terminal(report)
}

#[tokio::test(start_paused = true)]
async fn reference_keeps_every_promise_in_virtual_time() {
    let report = check_service(reference())
        .profile(Profile::Strict)
        .with_waits()
        .await;
    report.assert_valid();
    let passed = report.count(Standing::Passed);
    assert_eq!(
        passed + report.count(Standing::NotApplicable),
        cases().count()
    );
    assert!(
        report.waited().as_secs() > 3600 && passed > 240,
        "{}",
        told(&report)
    );
}

/// What the reference does not offer as it comes: it takes an operator, a key, or somebody who sends.
pub(crate) const ABSENT: [Capability; 10] = [
    Capability::Admin,
    Capability::BulkDeleteNeedsClaims,
    Capability::Checksums,
    Capability::Confirmation,
    Capability::Cors,
    Capability::FreeFormClients,
    Capability::Mail,
    Capability::Pools,
    Capability::PreSigned,
    Capability::Webhooks,
];

#[tokio::test(start_paused = true)]
async fn cases_that_share_one_project_do_not_meet() {
    let check = check_service(reference())
        .profile(Profile::Strict)
        .with_waits();
    let report = check.lacks(&[Capability::Projects]).await;
    report.assert_valid();
    let apart = report.count(Standing::Passed);
    let needing = cases()
        .filter(|case| {
            case.needs
                .iter()
                .any(|need| *need == Capability::Projects || ABSENT.contains(need))
        })
        .count();
    assert_eq!(report.count(Standing::NotApplicable), needing);
    assert_eq!(apart + needing, cases().count());
}

#[tokio::test(start_paused = true)]
async fn toy_broker_keeps_its_claims_and_one_that_forgets_them_is_caught() {
    let check = |toy: Toy| {
        let check = check_service(toy).profile(Profile::Core).with_waits();
        check.only(&["claims", "lifetimes"])
    };
    check(Toy::default()).await.assert_valid();
    let report = check(Toy::forgetful()).await;
    assert_eq!(report.verdict(), Verdict::Violation);
    let shared = report
        .cases
        .iter()
        .find(|case| case.path == "claims/message-has-one-claim");
    assert_eq!(shared.unwrap().standing(), Standing::Failed);
}

#[tokio::test]
async fn in_real_time_nothing_waits() {
    let report = check_service(reference()).await;
    report.assert_valid();
    assert_eq!(report.waited().as_secs(), 0);
    assert!(report.left_out.len() > 40);
}

/// The reference, which notes what it is asked for.
#[derive(Clone)]
pub(crate) struct Spy {
    reference: Service,
    asked: Arc<Mutex<BTreeSet<Capability>>>,
    /// The project of each request, in their order.
    pub(crate) projects: Arc<Mutex<Vec<String>>>,
}

impl Spy {
    pub(crate) fn on(reference: Service) -> Self {
        Self {
            reference,
            asked: Arc::default(),
            projects: Arc::default(),
        }
    }
}

impl tower_service::Service<Request<Incoming>> for Spy {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let mut spy = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let project = head.headers.get("x-project-id");
            let project = project.map(|project| String::from_utf8_lossy(project.as_bytes()));
            spy.projects
                .lock()
                .unwrap()
                .extend(project.map(|project| project.into_owned()));
            spy.asked.lock().unwrap().extend(asked(&head, &body));
            let request = Request::from_parts(head, Full::new(body));
            tower_service::Service::call(&mut spy.reference, request).await
        })
    }
}

/// What a request needs beside the core.
fn asked(head: &http::request::Parts, body: &[u8]) -> Option<Capability> {
    let query = head.uri.query().unwrap_or_default();
    let parts: Vec<&str> = head.uri.path().trim_start_matches('/').split('/').collect();
    match (head.method.as_str(), parts.as_slice()) {
        ("OPTIONS", _) | ("GET", [""] | ["v2", ""]) => Some(Capability::Discovery),
        ("GET", ["v2", "queues"]) => Some(Capability::QueueLists),
        ("PATCH", ["v2", "queues", _]) => Some(Capability::Patch),
        ("GET", ["v2", "queues", _]) => Some(Capability::Metadata),
        ("PUT", ["v2", "queues", _]) if body.len() > 2 => Some(Capability::Metadata),
        (_, ["v2", "queues", _, "stats"]) => Some(Capability::Stats),
        (_, ["v2", "queues", _, "purge"]) => Some(Capability::Purge),
        (_, ["v2", "queues", _, "share"]) => Some(Capability::PreSigned),
        (_, ["v2", "queues", _, "subscriptions", ..]) => Some(Capability::Subscriptions),
        (_, ["v2", "pools" | "flavors", ..]) => Some(Capability::Pools),
        (_, ["v2", "health"]) => Some(Capability::Admin),
        (_, ["v2", "queues", _, "messages"]) if query.contains("pop=") => Some(Capability::Pop),
        (_, ["v2", "queues", _, "messages"]) if query.contains("ids=") => Some(Capability::Bulk),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn every_case_says_what_it_needs_beside_the_core() {
    let mut silent = Vec::new();
    for case in cases() {
        let spy = Spy::on(reference());
        let (asked, projects) = (Arc::clone(&spy.asked), Arc::clone(&spy.projects));
        // What is offered beside its needs is nothing, so that no step looks closer than it must.
        let check = check_service(spy).profile(Profile::Core).offers(case.needs);
        check.with_waits().only(&[case.path]).await;
        let mut asked = asked.lock().unwrap().clone();
        let projects = projects.lock().unwrap();
        if projects.iter().any(|project| *project != projects[0]) {
            asked.insert(Capability::Projects);
        }
        let unsaid = asked.iter().filter(|asked| !case.needs.contains(asked));
        silent.extend(unsaid.map(|unsaid| format!("{} needs {unsaid}", case.path)));
    }
    assert!(silent.is_empty(), "{silent:#?}");
}
