//! The scaling ladders in virtual time: what they say of the reference, of what scales badly, of what falls over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{FORMAT, Header, Profile, VERSION};
use nanshe_conformance::scale::{Bounds, Ladder, Options, Place, Report};
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::world::{Network, Node, endpoint};
use nanshe_simulator::{Implementation, implementations, scale};

/// Short ladders, of these kinds.
fn short(ladders: &[Ladder]) -> Options {
    Options {
        ladders: ladders.to_vec(),
        longest: 10_000,
        span: Duration::from_millis(500),
        clients_max: 8,
        rate_max: 150.0,
        seed: 1,
        ..Options::in_virtual_time()
    }
}

fn climb(name: &str, options: Options, is_stopped: bool) -> Report {
    let implementation = implementations().find(|it| it.name == name).unwrap();
    let stop = Arc::new(AtomicBool::new(is_stopped));
    scale(implementation, (options, Bounds::default()), stop, |_| {}).unwrap()
}

#[test]
fn reference_is_valid_on_every_ladder_and_the_same_seed_gives_the_same_figures() {
    let report = climb("reference", short(&Ladder::ALL), false);
    for outcome in &report.outcomes {
        let why = format!(
            "{} {} {}: {}",
            outcome.rule, outcome.quantity, outcome.figure, outcome.why
        );
        assert_eq!(outcome.verdict, Verdict::Valid, "{why}");
    }
    for ladder in Ladder::ALL {
        let rule = format!("scaling/{ladder}");
        assert!(
            report.outcomes.iter().any(|outcome| outcome.rule == rule),
            "{rule}"
        );
    }
    for quantity in [
        "clients",
        "pools",
        "idle queues",
        "idle messages",
        "idle claims",
    ] {
        let mut outcomes = report.outcomes.iter();
        let is_there =
            outcomes.any(|outcome| outcome.quantity == quantity && !outcome.steps.is_empty());
        assert!(is_there, "{quantity}");
    }
    for (quantity, figure) in [("backlog", "claim"), ("page", "list"), ("claims", "list")] {
        let figure = format!("{figure}, entries examined");
        let mut outcomes = report.outcomes.iter();
        let counted = outcomes.any(|it| it.quantity == quantity && it.figure == figure);
        assert!(counted, "{quantity}: {figure}");
    }
    assert_eq!(report.verdict(), Verdict::Valid);
    let again = climb("reference", short(&Ladder::ALL), false);
    assert_eq!(report.outcomes, again.outcomes);
}

#[test]
fn claim_that_scans_is_caught_by_its_latency_and_by_what_it_examined() {
    let report = climb("scanning-claims", short(&[Ladder::FlatCost]), false);
    let broken = |quantity: &str, figure: &str| {
        let mut all = report.outcomes.iter();
        let of = all.find(|outcome| outcome.quantity == quantity && outcome.figure == figure);
        of.unwrap().verdict == Verdict::Violation
    };
    assert!(broken("backlog", "claim"));
    assert!(broken("backlog", "claim, entries examined"));
    assert!(!broken("backlog", "post"));
    assert!(!broken("expired", "claim"));
    assert_eq!(report.verdict(), Verdict::Violation);
}

#[test]
fn target_that_falls_over_ends_the_ladder_there_and_is_judged_by_what_there_is() {
    // It has places for sixteen claims, and the ladder of claims begins with a hundred.
    let report = climb("fixed-table", short(&[Ladder::FlatCost]), false);
    let claims = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.quantity == "claims");
    let claims: Vec<_> = claims
        .map(|outcome| (outcome.verdict, outcome.why.as_str()))
        .collect();
    let why = "nothing was measured; the ladder ends before 100, where a claim was refused, or came back empty";
    assert_eq!(claims, [(Verdict::Unknown, why)]);
    let backlog = report
        .outcomes
        .iter()
        .find(|outcome| outcome.quantity == "backlog");
    assert_eq!(backlog.unwrap().verdict, Verdict::Valid);
    assert_ne!(report.verdict(), Verdict::Violation);
}

#[test]
fn what_a_ladder_took_is_given_back_before_the_next_one() {
    let options = Options {
        clients_max: 32,
        ..short(&[Ladder::FlatCost, Ladder::Continuous])
    };
    let report = climb("fixed-table", options, false);
    // With places that are taken still, everything would be refused, and nothing would set in.
    let mut outcomes = report.outcomes.iter();
    let refusals = outcomes.find(|outcome| outcome.rule == "scaling/continuous");
    let refusals = refusals.unwrap();
    assert_eq!(refusals.verdict, Verdict::Violation, "{}", refusals.why);
}

#[test]
fn what_was_stopped_is_not_valid() {
    let report = climb("reference", short(&Ladder::ALL), true);
    assert!(report.stopped.is_some());
    assert_eq!(report.verdict(), Verdict::Unknown);
}

/// What a ladder is told to stop, so long after it began with expired messages, and what it did then.
#[derive(Default)]
struct Stopping {
    stop: Arc<AtomicBool>,
    stopped_at: Mutex<Option<Instant>>,
    begun: Mutex<Vec<String>>,
}

/// How long the flat-cost ladder took to end, once it was stopped, and what it began with last.
fn stopped_with_expired(after: Duration) -> (Duration, String) {
    let play = move || {
        let config = madsim::Config::default();
        let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
        runtime.block_on(async move {
            let network = Network::new((Duration::from_micros(200), Duration::from_micros(300)), 1);
            let (server, client) = (Node::new(&network, "server"), Node::new(&network, "client"));
            implementations()
                .next()
                .unwrap()
                .serve_alone(&server, "server", 1);
            let (world, stopping) = (client.environment(), Arc::new(Stopping::default()));
            let (its_world, told) = (Arc::clone(&world), Arc::clone(&stopping));
            let climbing = client.spawn(async move {
                let place = Place {
                    world: Arc::clone(&its_world),
                    endpoint: endpoint("server"),
                    patience: Duration::from_secs(60),
                    session: None,
                    examined: None,
                    is_virtual: true,
                    pool_uris: Vec::new(),
                    stop: Arc::clone(&told.stop),
                };
                let watch = |what: &str| {
                    told.begun.lock().unwrap().push(what.to_owned());
                    if what != "flat-cost: expired" {
                        return;
                    }
                    let (world, told) = (Arc::clone(&its_world), Arc::clone(&told));
                    its_world.spawn(Box::pin(async move {
                        world.sleep(after).await;
                        *told.stopped_at.lock().unwrap() = Some(world.now());
                        told.stop.store(true, Ordering::Relaxed);
                    }));
                };
                let options = Options {
                    longest: 1_000,
                    ..short(&[Ladder::FlatCost])
                };
                let held = (options, Bounds::default());
                nanshe_conformance::scale::climb(place, held, (&header(), 1), watch).await
            });
            let report = climbing.await.unwrap();
            assert!(report.stopped.is_some());
            let stopped_at = stopping.stopped_at.lock().unwrap().unwrap();
            let begun = stopping.begun.lock().unwrap();
            let mut ladders = begun.iter().filter(|what| what.starts_with("flat-cost: "));
            (
                world.now().since(stopped_at),
                ladders.next_back().unwrap().clone(),
            )
        })
    };
    std::thread::scope(|scope| scope.spawn(play).join().unwrap())
}

fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed: 1,
        scenario: "scale".to_owned(),
        target: "reference".to_owned(),
        slack_ns: 1_000_000_000,
        latest_effect_ns: None,
        profile: Profile::default(),
    }
}

#[test]
fn stopped_ladder_ends_at_once_and_waits_for_no_message_to_expire() {
    // Before anything is grown, and while all of it waits for a minute.
    for after in [Duration::ZERO, Duration::from_secs(30)] {
        let (took, last) = stopped_with_expired(after);
        assert!(took < Duration::from_secs(2), "{took:?} after {after:?}");
        assert_eq!(last, "flat-cost: expired");
    }
}

#[test]
fn page_of_the_report_has_a_curve_for_every_ladder_and_names_its_verdicts() {
    let report = climb(
        "reference",
        short(&[Ladder::FlatCost, Ladder::Throughput]),
        false,
    );
    let page = report.html();
    assert_eq!(page.matches("<svg").count(), report.outcomes.len());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.contains("exponent = "), "no fit in {page}");
}

/// The reference behind something that is too busy for every ninth request.
fn busy_now_and_then() -> Implementation {
    let reference = implementations().next().unwrap();
    Implementation {
        name: "busy",
        variants: &[],
        start: |context| {
            let reference = implementations().next().unwrap();
            let inner = (reference.start)(context);
            let asked = AtomicU64::new(0);
            Arc::new(move |request| {
                if asked.fetch_add(1, Ordering::Relaxed) % 9 == 8 {
                    let busy = Response::builder()
                        .status(503)
                        .body(Full::default())
                        .unwrap();
                    return Box::pin(async { busy });
                }
                inner(request)
            })
        },
        ..reference
    }
}

#[test]
fn what_was_refused_while_a_ladder_grew_is_tried_again_with_other_messages() {
    let options = short(&[Ladder::FlatCost, Ladder::Idle]);
    let stop = Arc::default();
    let report = scale(
        busy_now_and_then(),
        (options, Bounds::default()),
        stop,
        |_| {},
    )
    .unwrap();
    let broken = report.safety.as_ref().unwrap().rules.iter();
    let broken: Vec<_> = broken
        .filter(|rule| rule.verdict == Verdict::Violation)
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
    // One in nine is more than the share with which figures say something.
    assert_eq!(report.verdict(), Verdict::Unknown);
}
