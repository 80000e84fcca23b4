//! Loads behind Keystone: all tokens are for one project, so what sets runs and tenants apart is in the names of
//! queues.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use nanshe_conformance::checker::judge;
use nanshe_conformance::environment::World;
use nanshe_conformance::history::{FORMAT, Header, Profile, VERSION};
use nanshe_conformance::scale::{Bounds, Ladder, Options, Place, climb};
use nanshe_conformance::stress::{Ended, Plan, Played, Stage, StressError, play};
use nanshe_conformance::target::Session;
use nanshe_conformance::verdict::Verdict;

use super::{Cloud, password, target, world};
use crate::stress::plan;

async fn logged_in(cloud: &Cloud) -> (World, Arc<Session>) {
    let world = world(cloud);
    let session = Session::login(Arc::clone(&world), password("open sesame")).await;
    (world, Arc::new(session.unwrap()))
}

async fn stressed(cloud: &Cloud, workload: &str, realm: &str) -> Result<Played, StressError> {
    let (world, session) = logged_in(cloud).await;
    let (mut target, endpoint) = target();
    target.session = Some(session);
    let stage = Stage {
        world,
        time_scale: 1,
        target,
        endpoint,
        pid: None,
        slack: Duration::from_secs(1),
    };
    let plan = Plan {
        work: Duration::from_secs(400),
        realm: realm.to_owned(),
        ..plan(workload, 1)
    };
    play(stage, plan, pending(), |_| Ok(())).await
}

#[tokio::test(start_paused = true)]
async fn runs_behind_keystone_are_judged_and_do_not_meet() {
    for workload in ["dead-letters", "competing-consumers"] {
        let cloud = Cloud::new();
        let both = tokio::join!(
            stressed(&cloud, workload, "one"),
            stressed(&cloud, workload, "other")
        );
        for played in <[_; 2]>::from(both).map(Result::unwrap) {
            assert_eq!(played.ended, Ended::Whole);
            assert_eq!(played.progress.asked, played.progress.answered);
            let history = played.recorder.history();
            let mut queues = history
                .records
                .iter()
                .map(|record| record.operation.queue());
            assert!(queues.all(|queue| !queue.starts_with("one-") && !queue.starts_with("other-")));
            let verdicts = judge(&history);
            let broken = |verdict| verdict == Verdict::Violation;
            assert!(!broken(verdicts.verdict()), "{workload}: {verdicts:#?}");
            let lost = verdicts.rule("delivery/lost").unwrap();
            assert_eq!(lost.verdict, Verdict::Valid);
            assert!(lost.exercised > 50);
        }
        // Tokens live for five minutes, and each run took longer.
        assert!(cloud.issued.lock().unwrap().len() >= 4);
        let queues = cloud.queues.lock().unwrap();
        let is_of_a_run = |queue: &String| queue.starts_with("one-") || queue.starts_with("other-");
        assert!(
            !queues.is_empty() && queues.iter().all(is_of_a_run),
            "{queues:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn tenants_of_several_projects_are_refused_behind_a_login() {
    let error = stressed(&Cloud::new(), "tenants", "run").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`tenants` has tenants of several projects, and a login is for one: choose another workload"
    );
}

#[tokio::test(start_paused = true)]
async fn ladders_are_climbed_behind_keystone() {
    let cloud = Cloud::new();
    let (world, session) = logged_in(&cloud).await;
    let (_, endpoint) = target();
    let place = Place {
        world,
        endpoint,
        patience: Duration::from_secs(5),
        session: Some(session),
        examined: None,
        is_virtual: true,
        pool_uris: Vec::new(),
        stop: Arc::default(),
    };
    let options = Options {
        ladders: vec![Ladder::Idle],
        longest: 1_000,
        realm: "run-".to_owned(),
        ..Options::in_virtual_time()
    };
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed: 1,
        scenario: "scale".to_owned(),
        target: "cloud".to_owned(),
        slack_ns: 1_000_000_000,
        latest_effect_ns: None,
        profile: Profile::default(),
    };
    let report = climb(place, (options, Bounds::default()), (&header, 1), |_| {}).await;
    assert_eq!(report.stopped, None);
    assert!(!report.outcomes.is_empty());
    assert_ne!(report.safety.unwrap().verdict(), Verdict::Violation);
    let queues = cloud.queues.lock().unwrap();
    assert!(
        !queues.is_empty() && queues.iter().all(|queue| queue.starts_with("run-")),
        "{queues:?}"
    );
}
