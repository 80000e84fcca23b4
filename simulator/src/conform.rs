//! The API suite, unchanged, against the embedded reference in virtual time.
//!
//! Every variant of the implementation runs on a node of its own, all in one world and at once. Each case
//! goes to the first that offers what it needs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use nanshe_conformance::environment::{Address, World};
use nanshe_conformance::report::Report;
use nanshe_conformance::suite::{
    self, Case, MailSink, Options, Probed, Profile, Progress, Selected, Sink, Surroundings,
};
use nanshe_conformance::target::{Description, Endpoint, KnownFailures};

use crate::implementation::{Implementation, start_alone};
use crate::mailer;
use crate::thread::{RunError, on_fresh_thread};
use crate::variant::{CORS_ORIGIN, SIGNING_KEY, Variant};
use crate::world::{Network, Node, endpoint};

/// The time on a link: shortest and longest. Short, so that no case's slack is used up by the way.
const LATENCY: (Duration, Duration) = (Duration::from_micros(100), Duration::from_micros(400));

/// Runs the selected cases against `implementation` in virtual time.
///
/// # Errors
///
/// If something panicked.
pub fn conform(
    implementation: Implementation,
    (selected, known_failures): (Selected, KnownFailures),
    options: Options,
    progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<Report, RunError> {
    let chosen = (selected, known_failures);
    conformed(implementation, chosen, options, Box::new(progress))
}

/// Who is told how it goes.
type Watch = Box<dyn FnMut(Progress<'_>) + Send>;

/// Not generic, so that all of it is compiled here, once.
fn conformed(
    implementation: Implementation,
    (selected, known_failures): (Selected, KnownFailures),
    options: Options,
    progress: Watch,
) -> Result<Report, RunError> {
    on_fresh_thread(options.seed, move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(options.seed, config);
        runtime.block_on(async move {
            let network = Network::new(LATENCY, options.seed);
            let chosen = (selected, &known_failures);
            let stands = stands(implementation, (&network, options.seed), chosen);
            let client = Node::new(&network, "client");
            let world = client.environment();
            let running = client.spawn({
                let world = Arc::clone(&world);
                let stands = stands.clone();
                async move { run_all(world, stands, (options, progress)).await }
            });
            let report = running.await.expect("nobody kills the client");
            stands.iter().for_each(|stand| stand.node.kill());
            client.kill();
            world.sleep(Duration::from_secs(1)).await;
            // Outside of its world there is no such place.
            Report {
                endpoint: String::new(),
                ..report
            }
        })
    })
}

/// A variant on its node, and the cases that it gets.
#[derive(Clone)]
struct Stand {
    node: Node,
    target: Description,
    endpoint: Endpoint,
    selected: Selected,
}

impl Stand {
    fn serves(&self, case: &Case) -> bool {
        let offered = suite::offered(self.target.profile, &Probed::new(), &self.target);
        case.needs.iter().all(|need| offered.contains(need))
    }
}

/// Starts the variants, and gives each case to the first that serves it; what none serves, to the first.
fn stands(
    implementation: Implementation,
    (network, seed): (&Network, u64),
    (selected, known_failures): (Selected, &KnownFailures),
) -> Vec<Stand> {
    let as_it_is = [Variant {
        name: "default",
        offers: &[],
        lacks: &[],
        start: implementation.start,
    }];
    let variants = match implementation.variants {
        [] => as_it_is.as_slice(),
        variants => variants,
    };
    let mut stands: Vec<Stand> = variants
        .iter()
        .map(|variant| {
            let host = format!("server-{}", variant.name);
            let node = Node::new(network, &host);
            start_alone(&node, &host, variant.start, seed);
            let (name, endpoint) = (implementation.name.to_owned(), endpoint(&host));
            let target = Description {
                // Whatever has a model is held to it: nothing here is a matter of luck.
                profile: Profile::Strict,
                offers: variant.offers.iter().copied().collect(),
                lacks: variant.lacks.iter().copied().collect(),
                known_failures: known_failures.clone(),
                ..Description::of_endpoint(name, endpoint.clone())
            };
            let selected = Selected {
                cases: Vec::new(),
                left_out: Vec::new(),
                elsewhere: Vec::new(),
                ..selected
            };
            Stand {
                node,
                target,
                endpoint,
                selected,
            }
        })
        .collect();
    for case in selected.cases {
        let place = stands.iter().position(|stand| stand.serves(case));
        stands[place.unwrap_or(0)].selected.cases.push(case);
    }
    stands[0].selected.left_out = selected.left_out;
    stands[0].selected.elsewhere = selected.elsewhere;
    stands
}

/// Runs the cases of all stands at once, and makes one report of theirs.
async fn run_all(
    world: World,
    stands: Vec<Stand>,
    (options, progress): (Options, Watch),
) -> Report {
    let all: usize = stands.iter().map(|stand| stand.selected.cases.len()).sum();
    let told = Mutex::new((0, progress));
    let mail = MailSink::open(&world, &mailer::relay()).await;
    let mail = mail.expect("the client has free ports");
    let runs = stands.iter().map(|stand| {
        let (world, told, mut options) = (Arc::clone(&world), &told, options.clone());
        let mail = Arc::clone(&mail);
        async move {
            let host = Address {
                host: "client".to_owned(),
                port: 0,
            };
            let sink = Sink::open(&world, &host, None).await;
            let sink = sink.expect("the client has free ports");
            let around = Surroundings::new(
                Some(sink),
                Some(CORS_ORIGIN.to_owned()),
                vec!["memory://pool-{}".to_owned()],
            );
            let around = around.with_signing_key(Some(SIGNING_KEY.to_owned()));
            // Every variant of the reference speaks WebSocket where it speaks HTTP.
            let around = around.with_websocket(Some(stand.endpoint.clone()));
            let around = around.with_mail(Some(mail));
            options.surroundings = Arc::new(around);
            let place = (&stand.target, stand.endpoint.clone());
            suite::run(world, place, &stand.selected, &options, |one| {
                let (done, progress) = &mut *told.lock().expect("no holder of this lock panics");
                *done += 1;
                let done = *done;
                progress(Progress { done, all, ..one });
            })
            .await
        }
    });
    let mut reports = join_all(runs).await.into_iter();
    let mut report = reports.next().expect("there is at least one stand");
    for other in reports {
        report.elapsed = report.elapsed.max(other.elapsed);
        report.cases.extend(other.cases);
        report.notes.extend(other.notes);
        report.stopped = report.stopped.or(other.stopped);
    }
    let place = |path: &str| suite::cases().position(|case| case.path == path);
    report.cases.sort_by_key(|case| place(&case.path));
    report
}
