//! Runs in virtual time against services of this process: honest ones are not blamed, liars are caught,
//! and whatever goes wrong with a run is told for what it is.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use nanshe_conformance::checker::{Verdicts, judge};
use nanshe_conformance::document::Document;
use nanshe_conformance::environment::{InProcess, TokioEnvironment, World};
use nanshe_conformance::history::{self, Phase};
use nanshe_conformance::stress::{Ended, LASTS_MAX, Menu, Plan, Played, Progress, Stage, play};
use nanshe_conformance::target::{Description, Endpoint};
use nanshe_conformance::verdict::Verdict;
use nanshe_conformance::workload::{WORKLOADS, Workload};
use nanshe_reference::Service;
use tokio::time::Instant;

use crate::in_process::reference;
use crate::toy_broker::Toy;

/// The reference, which does something else now and then.
#[derive(Clone)]
struct Liar {
    reference: Service,
    count: Arc<AtomicU64>,
    flaw: Flaw,
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    /// Every so many posts are accepted and not stored.
    Forgets(u64),
    /// Nothing is answered any more after so long.
    DiesAfter(Instant),
    /// It takes so long for each request.
    IsSlow(Duration),
    /// The first request is never answered.
    SwallowsTheFirst,
    /// Queues are created by nobody: this is what is said.
    HasNoQueues(u16),
    /// Claims of more messages are refused.
    ClaimsAtMost(u64),
}

impl Liar {
    fn new(flaw: Flaw) -> Self {
        Self {
            reference: reference(),
            count: Arc::default(),
            flaw,
        }
    }
}

impl tower_service::Service<Request<Incoming>> for Liar {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let mut liar = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let posts = head.method == Method::POST && head.uri.path().ends_with("/messages");
            match liar.flaw {
                Flaw::Forgets(every)
                    if posts
                        && liar
                            .count
                            .fetch_add(1, Ordering::Relaxed)
                            .is_multiple_of(every) =>
                {
                    let count = String::from_utf8_lossy(&body).matches("\"token\"").count();
                    let hrefs: Vec<String> = (0..count)
                        .map(|number| format!("\"/v2/queues/q/messages/lost{number}\""))
                        .collect();
                    let text = format!("{{\"resources\":[{}]}}", hrefs.join(","));
                    let mut answer = Response::new(Full::new(text.into()));
                    *answer.status_mut() = StatusCode::CREATED;
                    return Ok(answer);
                }
                Flaw::DiesAfter(end) if Instant::now() > end => pending::<()>().await,
                Flaw::IsSlow(span) => tokio::time::sleep(span).await,
                Flaw::SwallowsTheFirst if liar.count.fetch_add(1, Ordering::Relaxed) == 0 => {
                    pending::<()>().await;
                }
                Flaw::HasNoQueues(status) if head.method == Method::PUT => {
                    let mut answer = Response::new(Full::default());
                    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                    return Ok(answer);
                }
                Flaw::ClaimsAtMost(most) if head.uri.path().ends_with("/claims") => {
                    let query = head.uri.query().unwrap();
                    let limit = query.strip_prefix("limit=").unwrap();
                    if limit.parse::<u64>().unwrap() > most {
                        let mut answer = Response::new(Full::default());
                        *answer.status_mut() = StatusCode::BAD_REQUEST;
                        return Ok(answer);
                    }
                }
                Flaw::Forgets(_)
                | Flaw::DiesAfter(_)
                | Flaw::SwallowsTheFirst
                | Flaw::HasNoQueues(_)
                | Flaw::ClaimsAtMost(_) => {}
            }
            let request = Request::from_parts(head, Full::new(body));
            tower_service::Service::call(&mut liar.reference, request).await
        })
    }
}

fn target(text: &str) -> Description {
    let text = format!("name = 't'\nurl = 'http://in-process'\n{text}");
    let document = Document {
        file: "t.toml",
        text: &text,
    };
    Description::of_file(document, "".as_ref()).unwrap()
}

pub(crate) fn plan(workload: &str, seed: u64) -> Plan {
    let mut workload = Workload::named(workload).unwrap();
    workload.settings.pause_ms_max = 1_000;
    Plan {
        seed,
        workload,
        work: Duration::from_secs(100),
        turns: None,
        rate: None,
        patience: Duration::from_secs(5),
        schedule: Vec::new(),
        has_proxy: false,
        scenario: None,
        realm: "run-1".to_owned(),
    }
}

fn stage<S>(service: S, target: Description) -> Stage
where
    S: tower_service::Service<Request<Incoming>, Response = Response<Full<Bytes>>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let world: World = Arc::new(TokioEnvironment::new());
    Stage {
        world: Arc::new(InProcess::new(world, service)),
        time_scale: 1,
        target,
        endpoint: Endpoint::parse("http://in-process").unwrap(),
        pid: None,
        slack: Duration::from_secs(1),
    }
}

async fn undisturbed(stage: Stage, plan: Plan) -> Played {
    play(stage, plan, pending(), |_| Ok(())).await.unwrap()
}

fn judged(played: &Played) -> Verdicts {
    judge(&played.recorder.history())
}

fn broken(verdicts: &Verdicts) -> Vec<&'static str> {
    let broken = verdicts.rules.iter();
    let broken = broken.filter(|rule| rule.verdict == Verdict::Violation);
    broken.map(|rule| rule.rule).collect()
}

#[tokio::test(start_paused = true)]
async fn honest_server_is_not_blamed_by_any_workload_and_loses_nothing() {
    for kind in WORKLOADS {
        // Webhooks need a sender, which a service alone is not.
        if kind.name == "pub-sub" {
            continue;
        }
        for seed in 0..3 {
            let stage = stage(reference(), target(""));
            let played = undisturbed(stage, plan(kind.name, seed)).await;
            let verdicts = judged(&played);
            assert_eq!(played.ended, Ended::Whole, "{}", kind.name);
            assert_eq!(
                broken(&verdicts),
                Vec::<&str>::new(),
                "{}: {verdicts:#?}",
                kind.name
            );
            let lost = verdicts.rule("delivery/lost").unwrap();
            assert!(lost.exercised > 50, "{}: {lost:?}", kind.name);
            assert_eq!(lost.verdict, Verdict::Valid, "{}: {lost:?}", kind.name);
            history::read(played.recorder.lines().as_slice()).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_action_of_a_workload_is_answered_by_a_whole_server() {
    for kind in WORKLOADS.iter().filter(|kind| kind.name != "pub-sub") {
        let played = undisturbed(stage(reference(), target("")), plan(kind.name, 1)).await;
        assert_eq!(
            played.progress.asked, played.progress.answered,
            "{}",
            kind.name
        );
        // What is asked makes sense: only a spoiled batch, a claim that has ended, and what others have
        // deleted meanwhile are refused.
        let history = played.recorder.history();
        let ok = history
            .records
            .iter()
            .filter(|record| record.is_ok())
            .count();
        let share = ok * 100 / history.records.len();
        assert!(share >= 70, "{}: {share} % of operations", kind.name);
    }
}

#[tokio::test(start_paused = true)]
async fn server_that_forgets_posts_or_claims_is_caught() {
    let forgetful = Liar::new(Flaw::Forgets(10));
    let played = undisturbed(stage(forgetful, target("")), plan("competing-consumers", 1)).await;
    assert!(broken(&judged(&played)).contains(&"delivery/lost"));
    let played = undisturbed(
        stage(Toy::forgetful(), target("")),
        plan("many-claimers", 1),
    )
    .await;
    let verdicts = judged(&played);
    assert!(
        broken(&verdicts).contains(&"claims/overlap"),
        "{verdicts:#?}"
    );
}

/// A consumer that works for longer than its lease asks for nothing meanwhile.
#[tokio::test(start_paused = true)]
async fn target_that_nobody_asks_is_not_dead_although_an_answer_is_missing() {
    let mut plan = plan("competing-consumers", 1);
    plan.workload.settings.clients = 1;
    plan.workload.settings.claim_ttl_secs = 300;
    plan.work = Duration::from_secs(3_600);
    let quiet = Liar::new(Flaw::SwallowsTheFirst);
    let played = undisturbed(stage(quiet, target("")), plan).await;
    assert!(played.progress.asked > played.progress.answered);
    assert_eq!(played.ended, Ended::Whole);
}

#[tokio::test(start_paused = true)]
async fn dead_target_ends_the_run_before_its_time_and_nothing_is_called_valid() {
    let dies = Liar::new(Flaw::DiesAfter(Instant::now() + Duration::from_secs(30)));
    let mut long = plan("competing-consumers", 1);
    long.work = Duration::from_secs(3_600);
    let began = Instant::now();
    let played = undisturbed(stage(dies, target("")), long).await;
    assert!(matches!(played.ended, Ended::Dead(_)), "{:?}", played.ended);
    assert!(began.elapsed() < Duration::from_secs(300));
    let verdicts = judged(&played);
    assert_eq!(
        verdicts.rule("delivery/lost").unwrap().verdict,
        Verdict::Unknown
    );
    assert_eq!(broken(&verdicts), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn run_that_is_stopped_keeps_what_it_has_and_one_that_nobody_can_store_is_stopped() {
    let stop = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        "enough".to_owned()
    };
    let stopped = play(
        stage(reference(), target("")),
        plan("pop-storm", 1),
        stop,
        |_| Ok(()),
    );
    let played = stopped.await.unwrap();
    assert_eq!(played.ended, Ended::Stopped("enough".to_owned()));
    let history = history::read(played.recorder.lines().as_slice()).unwrap();
    assert!(history.records.len() > 50);
    assert_eq!(history.phases.last().unwrap().1, Phase::End);
    let full = |progress: &Progress| {
        let is_full = progress.asked > 100;
        if is_full {
            Err("no room".to_owned())
        } else {
            Ok(())
        }
    };
    let stage = stage(reference(), target(""));
    let played = play(stage, plan("pop-storm", 1), pending(), full).await;
    assert_eq!(played.unwrap().ended, Ended::Stopped("no room".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn run_that_is_stopped_ends_soon_although_nobody_answers() {
    let dies = Liar::new(Flaw::DiesAfter(Instant::now() + Duration::from_secs(10)));
    let stop = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        "enough".to_owned()
    };
    let began = Instant::now();
    // This one has many queues, which are to be deleted in the end.
    let plan = plan("tenants", 1);
    assert!(plan.workload.places().len() > 20);
    let played = play(stage(dies, target("")), plan, stop, |_| Ok(())).await;
    let ended = played.unwrap().ended;
    assert_eq!(ended, Ended::Stopped("enough".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn run_that_cannot_begin_says_why_and_keeps_what_it_has() {
    for (status, is_usage) in [(503, false), (403, true)] {
        let target_without = Liar::new(Flaw::HasNoQueues(status));
        let mut lines = Vec::new();
        let watch = |progress: &Progress| {
            lines = progress.recorder.lines();
            Ok(())
        };
        let stage = stage(target_without, target(""));
        let played = play(stage, plan("dead-letters", 1), pending(), watch).await;
        let error = played.unwrap_err();
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(error.is_usage(), is_usage);
        let history = history::read(lines.as_slice()).unwrap();
        assert_eq!(history.records.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn drain_asks_for_as_many_as_the_target_allows() {
    let strict = Liar::new(Flaw::ClaimsAtMost(5));
    let mut plan = plan("competing-consumers", 1);
    plan.workload.settings.batch_max = 5;
    let played = undisturbed(stage(strict, target("")), plan).await;
    assert_eq!(played.ended, Ended::Whole);
    let verdicts = judged(&played);
    let lost = verdicts.rule("delivery/lost").unwrap();
    assert_eq!(lost.verdict, Verdict::Valid, "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn open_loop_offers_the_same_load_to_a_slow_server_and_a_closed_one_does_not() {
    let mut counts = Vec::new();
    for rate in [Some(5.0), None] {
        for slow in [Duration::ZERO, Duration::from_secs(3)] {
            let mut plan = plan("pop-storm", 1);
            plan.rate = rate;
            let stage = stage(Liar::new(Flaw::IsSlow(slow)), target(""));
            let played = undisturbed(stage, plan).await;
            assert_eq!(played.turned_away, 0);
            let history = played.recorder.history();
            let (heal, _) = history.phases[1];
            let posted = |record: &&history::Record| {
                matches!(record.operation, history::Operation::Post { .. })
                    && record.invoked_at < heal
            };
            counts.push(history.records.iter().filter(posted).count());
        }
    }
    let [open, open_slow, closed, closed_slow] = counts[..] else {
        unreachable!()
    };
    // 500 turns are offered, of which 5 of 12 post, give or take five standard deviations.
    assert!(
        (150..270).contains(&open) && (150..270).contains(&open_slow),
        "{counts:?}"
    );
    assert!(closed > 2 * closed_slow, "{counts:?}");
}

#[tokio::test]
async fn commands_of_the_target_file_strike_and_heal_in_turn() {
    let folder = std::env::temp_dir().join(format!("nanshe-stress-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let note = |word: &str| {
        let file = folder.join("noted").display().to_string();
        format!("['sh', '-c', 'echo {word} >> {file}']")
    };
    let text = format!(
        "[[stress.process]]\nname = 'store'\nstop = {}\ncontinue = {}\n\
         [[stress.fault]]\nname = 'slow-disk'\ninject = {}\nheal = {}\n",
        note("stop"),
        note("continue"),
        note("inject"),
        note("heal $NANSHE_URL"),
    );
    let target = target(&text);
    let mut plan = plan("pop-storm", 1);
    // A command takes real time, so this run does as well: as little as it can.
    plan.work = Duration::from_secs(1);
    plan.patience = Duration::from_millis(50);
    plan.workload.settings.claim_ttl_secs = 1;
    plan.workload.settings.delay_secs_max = 0;
    plan.workload.settings.pause_ms_max = 50;
    let menu = Menu::of(&["all".to_owned()], &target.control).unwrap();
    let ordered = ["stop".to_owned(), "slow-disk".to_owned()];
    plan.schedule = Menu::of(&ordered, &target.control)
        .unwrap()
        .draw(1, plan.work, LASTS_MAX);
    assert!(menu.has_network());
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    // Once everything has healed, nothing more is to be seen.
    let watch = move |progress: &Progress| {
        if progress.phase == Phase::Heal
            && let Some(sender) = sender.take()
        {
            sender.send(()).unwrap();
        }
        Ok(())
    };
    let stop = async {
        receiver.await.unwrap();
        "healed".to_owned()
    };
    let played = play(stage(reference(), target), plan, stop, watch)
        .await
        .unwrap();
    assert_eq!(played.ended, Ended::Stopped("healed".to_owned()));
    let noted = std::fs::read_to_string(folder.join("noted")).unwrap();
    assert_eq!(noted, "stop\ncontinue\ninject\nheal http://in-process:80\n");
    let history = played.recorder.history();
    let faults: Vec<&str> = history
        .faults
        .iter()
        .map(|(_, fault)| fault.as_str())
        .collect();
    assert_eq!(faults, ["stop store", "slow-disk"]);
    assert_eq!(history.heals.len(), 2);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn command_that_heals_is_done_to_its_end_although_the_run_is_stopped() {
    let name = format!("nanshe-stress-heals-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let text = format!(
        "[[stress.fault]]\nname = 'odd'\ninject = ['true']\n\
         heal = ['sh', '-c', 'echo begins >> {0}; sleep 0.3; echo healed >> {0}']\n",
        file.display()
    );
    let target = target(&text);
    let mut plan = plan("pop-storm", 1);
    plan.work = Duration::from_secs(5);
    let menu = Menu::of(&["odd".to_owned()], &target.control).unwrap();
    plan.schedule = menu.draw(1, Duration::from_millis(200), LASTS_MAX);
    let noted = || std::fs::read_to_string(&file).unwrap_or_default();
    let stop = async {
        while !noted().contains("begins") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        "enough".to_owned()
    };
    let played = play(stage(reference(), target), plan, stop, |_| Ok(())).await;
    assert!(matches!(played.unwrap().ended, Ended::Stopped(_)));
    let noted = noted();
    std::fs::remove_file(&file).unwrap();
    assert!(noted.ends_with("healed\n"), "{noted}");
}

#[tokio::test]
async fn command_that_fails_ends_the_run_and_is_told() {
    let text = "[[stress.fault]]\nname = 'odd'\ninject = ['sh', '-c', 'echo no way >&2; exit 4']\n\
                heal = ['true']\n";
    let target = target(text);
    let mut plan = plan("pop-storm", 1);
    plan.work = Duration::from_secs(5);
    let menu = Menu::of(&["odd".to_owned()], &target.control).unwrap();
    plan.schedule = menu.draw(1, Duration::from_millis(200), LASTS_MAX);
    let played = undisturbed(stage(reference(), target), plan).await;
    let Ended::Broken(why) = &played.ended else {
        panic!("{:?}", played.ended);
    };
    assert!(
        why.ends_with("failed (exit status: 4), and said: no way"),
        "{why}"
    );
}
