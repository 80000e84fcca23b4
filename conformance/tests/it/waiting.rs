//! The two waiting times of a target: how long something may take to happen, and how long nothing must
//! happen. And what does not run while others wait.

use std::sync::Arc;
use std::time::Duration;

use nanshe_conformance::environment::{InProcess, TokioEnvironment, World};
use nanshe_conformance::report::{Report, Standing};
use nanshe_conformance::suite::{
    Capability, Options, Probed, Selection, Sink, Surroundings, preflight, run,
};
use nanshe_conformance::target::{Description, Endpoint};
use nanshe_reference::server::{SystemClock, serve};
use nanshe_reference::{Limits, Service};
use tokio::net::TcpListener;

use crate::in_process::{Spy, reference_of};

fn reference() -> Service {
    Service::new(Limits::default(), 1, Arc::new(SystemClock::new()))
}

/// What becomes of a case about notifications at `url` in `world`, with the two times in seconds.
async fn judged(case: &str, (world, url): (World, &str), waiting: (u64, u64)) -> Report {
    let endpoint = Endpoint::parse(url).unwrap();
    let mut target = Description::of_endpoint("notifier".to_owned(), endpoint.clone());
    target.happens_within = Duration::from_secs(waiting.0);
    target.quiet_for = Duration::from_secs(waiting.1);
    let there = preflight(Arc::clone(&world), &target, &endpoint).await;
    there.unwrap();
    let selection = Selection {
        only: vec![case.to_owned()],
        ..Selection::default()
    };
    let sink = Sink::open_for(&world, None).await.unwrap();
    let options = Options {
        probed: Probed::from([(Capability::Webhooks, true)]),
        surroundings: Arc::new(Surroundings::new(Some(sink), None, Vec::new())),
        keep: true,
        ..Options::default()
    };
    let selected = selection.select().unwrap();
    run(world, (&target, endpoint), &selected, &options, |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn what_must_happen_is_waited_for_as_long_as_the_target_may_take() {
    for secs in [5, 200] {
        // A service without a server to send what it has to send.
        let inner = Arc::new(TokioEnvironment::new());
        let world = Arc::new(InProcess::new(inner, reference()));
        let case = "notifications/every-message-is-posted";
        let report = judged(case, (world, "http://silent"), (secs, 8)).await;
        assert_eq!(report.count(Standing::Failed), 1);
        let waited = report.elapsed.as_secs();
        assert!((secs..secs + 3).contains(&waited), "{waited} for {secs}");
        let text = nanshe_conformance::report::terminal(&report);
        assert!(text.contains(&format!("within {secs} s")), "{text}");
    }
}

#[tokio::test]
async fn what_must_not_happen_is_waited_for_as_long_as_the_target_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(tokio::spawn(serve(
        listener,
        reference(),
        std::future::pending(),
    )));
    for secs in [0, 1] {
        let world = Arc::new(TokioEnvironment::new());
        let case = "notifications/accepted-one-is-not-posted-again";
        let report = judged(case, (world, &url), (60, secs)).await;
        assert_eq!(report.count(Standing::Passed), 1);
        assert_eq!(report.elapsed >= Duration::from_secs(1), secs == 1);
    }
}

/// A server that tells all subscribers of all projects by one pool of workers fails one case; while that runs it
/// tells nobody in time, so no other case may wait for it then.
#[tokio::test(start_paused = true)]
async fn case_that_may_hold_up_the_server_runs_when_all_others_have_ended() {
    let spy = Spy::on(reference_of(Duration::from_nanos(1)));
    let projects = Arc::clone(&spy.projects);
    let inner = Arc::new(TokioEnvironment::new());
    let world = Arc::new(InProcess::new(inner, spy));
    let report = judged("notifications", (world, "http://silent"), (60, 8)).await;
    assert!(report.count(Standing::Failed) > 20);
    let projects = projects.lock().unwrap();
    let ends = |project: &String| project.ends_with("-slow");
    let first = projects.iter().position(ends).unwrap();
    let own = projects[first].strip_suffix("-slow").unwrap();
    let begin = projects.iter().position(|project| project == own).unwrap();
    assert!(begin > 100);
    let others = projects[begin..]
        .iter()
        .filter(|project| !project.starts_with(own));
    assert_eq!(others.count(), 0);
}
