//! Runs that end early, what a look beforehand tells, and what is left behind.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use nanshe_conformance::environment::{InProcess, TokioEnvironment, World};
use nanshe_conformance::report::{Outcome, Report, Standing};
use nanshe_conformance::suite::{Capability, Options, Selection, preflight, run_until};
use nanshe_conformance::target::{Description, Endpoint};
use nanshe_conformance::verdict::Verdict;

use crate::in_process::{reference, reference_of};

type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

/// A project and a queue in it.
type QueueOf = (Vec<u8>, String);

/// The reference, which stops answering after so many requests, and knows which queues there are.
#[derive(Clone)]
struct Mortal {
    reference: nanshe_reference::Service,
    answers_left: Arc<AtomicU32>,
    queues: Arc<Mutex<BTreeSet<QueueOf>>>,
}

impl Mortal {
    fn new(answers: u32) -> Self {
        Self {
            reference: reference(),
            answers_left: Arc::new(AtomicU32::new(answers)),
            queues: Arc::default(),
        }
    }

    fn note(&self, head: &http::request::Parts, status: StatusCode) {
        let Some(rest) = head.uri.path().strip_prefix("/v2/queues/") else {
            return;
        };
        let name = rest.split('/').next().unwrap().to_owned();
        let project = head
            .headers
            .get("x-project-id")
            .map(|project| project.as_bytes());
        let queue = (project.unwrap_or_default().to_vec(), name);
        let mut queues = self.queues.lock().unwrap();
        if status == StatusCode::CREATED && !rest.contains("/claims") {
            queues.insert(queue);
        } else if head.method == Method::DELETE && !rest.contains('/') && status.is_success() {
            queues.remove(&queue);
        }
    }
}

impl tower_service::Service<Request<Incoming>> for Mortal {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
        let mut mortal = self.clone();
        Box::pin(async move {
            let left = |left: u32| left.checked_sub(1);
            let (counted, order) = (&mortal.answers_left, Ordering::SeqCst);
            if counted.fetch_update(order, order, left).is_err() {
                std::future::pending::<()>().await;
            }
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head.clone(), body);
            let answer = tower_service::Service::call(&mut mortal.reference, request).await?;
            mortal.note(&head, answer.status());
            Ok(answer)
        })
    }
}

async fn judged(
    mortal: &Mortal,
    (wait_secs_max, keep): (Option<u64>, bool),
    stop: impl Future<Output = String> + Send,
) -> Report {
    let inner = Arc::new(TokioEnvironment::new());
    let world: World = Arc::new(InProcess::new(inner, mortal.clone()));
    let endpoint = Endpoint::parse("http://mortal").unwrap();
    let target = Description::of_endpoint("mortal".to_owned(), endpoint.clone());
    let selection = Selection {
        wait_secs_max,
        ..Selection::default()
    };
    let selected = selection.select().unwrap();
    let options = Options {
        keep,
        ..Options::default()
    };
    let (reached, what) = ((&target, endpoint), (&selected, &options));
    run_until(world, reached, what, |_| {}, stop).await
}

#[tokio::test(start_paused = true)]
async fn target_that_stops_answering_ends_the_run_with_what_was_learned() {
    let mortal = Mortal::new(900);
    let report = judged(&mortal, (None, false), std::future::pending()).await;
    let why = "the target stopped answering: 16 requests in a row had no answer";
    assert_eq!(report.stopped.as_deref(), Some(why));
    assert_eq!(report.verdict(), Verdict::Unknown);
    assert!(report.count(Standing::Passed) > 10);
    let unended = report
        .cases
        .iter()
        .filter(|case| matches!(&case.outcome, Outcome::Unknown { why: said, .. } if said == why));
    assert!(unended.count() > 100);
    // One patience, not one for each case.
    assert!(
        report.elapsed < Duration::from_secs(70),
        "{:?}",
        report.elapsed
    );
    let text = nanshe_conformance::report::terminal(&report);
    assert!(text.contains(&format!("STOPPED EARLY: {why}")), "{text}");
}

#[tokio::test(start_paused = true)]
async fn interrupted_run_tells_what_is_known_and_deletes_its_queues() {
    let mortal = Mortal::new(u32::MAX);
    let stop = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        "Ctrl-C was pressed".to_owned()
    };
    let report = judged(&mortal, (None, false), stop).await;
    assert_eq!(report.stopped.as_deref(), Some("Ctrl-C was pressed"));
    assert_eq!(report.verdict(), Verdict::Unknown);
    let (passed, unknown) = (Standing::Passed, Standing::Unknown);
    assert!(report.count(passed) > 150 && report.count(unknown) > 30);
    assert!(
        report.elapsed < Duration::from_secs(60),
        "{:?}",
        report.elapsed
    );
    assert_eq!(*mortal.queues.lock().unwrap(), BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn queues_are_deleted_afterwards_unless_they_are_to_stay() {
    for keep in [false, true] {
        let mortal = Mortal::new(u32::MAX);
        let report = judged(&mortal, (Some(0), keep), std::future::pending()).await;
        report.assert_valid();
        assert_eq!(report.notes, Vec::<String>::new());
        assert_eq!(mortal.queues.lock().unwrap().len() > 100, keep);
    }
}

#[tokio::test(start_paused = true)]
async fn suite_ends_soon_after_its_longest_wait() {
    let mortal = Mortal::new(u32::MAX);
    let report = judged(&mortal, (Some(300), false), std::future::pending()).await;
    report.assert_valid();
    let bound = Duration::from_secs(300).mul_f64(1.2) + Duration::from_secs(60);
    assert!(report.elapsed <= bound, "{:?}", report.elapsed);
}

async fn found(service: nanshe_reference::Service) -> nanshe_conformance::suite::Found {
    let inner = Arc::new(TokioEnvironment::new());
    let world: World = Arc::new(InProcess::new(inner, service));
    let endpoint = Endpoint::parse("http://reference").unwrap();
    let target = Description::of_endpoint("reference".to_owned(), endpoint.clone());
    preflight(world, &target, &endpoint).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn preflight_tells_headers_limits_and_settings_and_measures_the_clock() {
    let fine = found(reference()).await;
    let lines = fine.lines.join("\n");
    for words in [
        "http://reference:80 answers a ping in ",
        "headers: Client-ID is wanted, X-Project-ID is wanted, a client is a UUID",
        "limits: 262144 bytes a post, a ttl of 3600 s by default, pages of at most 20",
        "its clock is finer than a second; judging with a slack of 1s, which",
    ] {
        assert!(lines.contains(words), "{words} in {lines}");
    }
    assert_eq!(fine.slack, Duration::from_secs(1));
    assert_eq!(fine.probed.get(&Capability::PreSigned), Some(&false));
    assert_eq!(fine.probed.get(&Capability::UuidClients), Some(&true));
    let coarse = found(reference_of(Duration::from_secs(1))).await;
    let words = "its clock counts whole seconds: leases end up to a second early";
    assert!(
        coarse.lines.iter().any(|line| line.contains(words)),
        "{:?}",
        coarse.lines
    );
    assert_eq!(coarse.slack, Duration::from_secs(2));
}
