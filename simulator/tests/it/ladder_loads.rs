//! What the ladders of load say of servers that shed load, slow down at one load, do one thing at a time, or refuse
//! what is to be heavy: the reference, behind something that does so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use nanshe_conformance::environment::{Environment, Instant};
use nanshe_conformance::scale::{Bounds, Ladder, Options, Outcome, Step};
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::implementation::{Answer, Answering, Inbound};
use nanshe_simulator::{Implementation, NodeContext, implementations, scale};

/// One ladder, a short one.
fn options(ladder: Ladder) -> Options {
    Options {
        ladders: vec![ladder],
        span: Duration::from_millis(500),
        rounds: (3, 3),
        clients_max: 8,
        rate_max: 150.0,
        seed: 1,
        ..Options::in_virtual_time()
    }
}

/// The reference, started like this.
fn started(name: &'static str, start: fn(NodeContext) -> Answering) -> Implementation {
    Implementation {
        name,
        variants: &[],
        start,
        ..implementations().next().unwrap()
    }
}

/// The reference itself.
fn reference(context: NodeContext) -> Answering {
    (implementations().next().unwrap().start)(context)
}

/// What the ladder says of it by clients or by load.
fn climb(implementation: Implementation, options: Options) -> Outcome {
    let stop = Arc::default();
    let report = scale(implementation, (options, Bounds::default()), stop, |_| {}).unwrap();
    report.outcomes.into_iter().next().unwrap()
}

fn unavailable() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// Operations that a quota grants in a second, and at once.
const QUOTA: (f64, f64) = (400.0, 10.0);

/// Answers 503 at once to what is beyond its quota.
fn shedding(context: NodeContext) -> Answering {
    let world = Arc::clone(&context.environment);
    let inner = reference(context);
    let bucket = Mutex::new((QUOTA.1, world.now()));
    Arc::new(move |request| {
        let mut bucket = bucket.lock().unwrap();
        let now = world.now();
        let more = now.since(bucket.1).as_secs_f64() * QUOTA.0;
        *bucket = ((bucket.0 + more).min(QUOTA.1), now);
        if bucket.0 < 1.0 {
            return Box::pin(async { unavailable() });
        }
        bucket.0 -= 1.0;
        inner(request)
    })
}

#[test]
fn server_that_sheds_what_is_beyond_its_quota_is_not_condemned_for_it() {
    // Long enough that the quota of the time between two loads does not make up for the load.
    let options = Options {
        span: Duration::from_secs(1),
        rate_max: 300.0,
        ..options(Ladder::Continuous)
    };
    let outcome = climb(started("shedding", shedding), options);
    assert_eq!(outcome.verdict, Verdict::Valid, "{}", outcome.why);
    // Seven tenths of a quarter of its quota: a turn is four operations.
    let top = outcome.steps.last().unwrap().n;
    assert!((50.0..=80.0).contains(&top), "{}", outcome.why);
}

/// Live claims above which the server below looks for a new one's place on a slow disk, and how long.
const PLACES: u64 = 4;
const SEARCH: Duration = Duration::from_millis(20);

/// Takes ten times as long for a turn as soon as so many claims live.
fn spilling(context: NodeContext) -> Answering {
    let world = Arc::clone(&context.environment);
    let inner = reference(context);
    let live = Arc::new(AtomicU64::new(0));
    Arc::new(move |request: Request<Inbound>| {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (live, world) = (Arc::clone(&live), Arc::clone(&world));
        let answer = inner(request);
        Box::pin(async move {
            let claims = method == Method::POST && path.ends_with("/claims");
            if claims && live.load(Ordering::Relaxed) >= PLACES {
                world.sleep(SEARCH).await;
            }
            let answer = answer.await;
            if claims && answer.status() == StatusCode::CREATED {
                live.fetch_add(1, Ordering::Relaxed);
            } else if method == Method::DELETE && path.contains("/claims/") {
                live.fetch_sub(1, Ordering::Relaxed);
            }
            answer
        })
    })
}

#[test]
fn server_that_is_ten_times_slower_from_one_load_on_is_caught_by_its_latency() {
    let outcome = climb(started("spilling", spilling), options(Ladder::Continuous));
    assert_eq!(outcome.verdict, Verdict::Violation, "{}", outcome.why);
    assert!(outcome.why.starts_with("latency jumps"), "{}", outcome.why);
}

#[test]
fn turns_of_the_ramp_take_what_their_operations_take_and_not_what_their_clients_hold() {
    let reference = implementations().next().unwrap();
    let outcome = climb(reference, options(Ladder::Continuous));
    assert_eq!(outcome.verdict, Verdict::Valid, "{}", outcome.why);
    for step in &outcome.steps {
        assert!((1_000.0..10_000.0).contains(&step.latency.p50), "{step:?}");
    }
}

/// How long the server below works at one operation.
const EACH: Duration = Duration::from_millis(250);

/// Does one thing at a time.
fn serial(context: NodeContext) -> Answering {
    let world: Arc<dyn Environment> = Arc::clone(&context.environment);
    let inner = reference(context);
    let free = Mutex::new(Instant::START);
    Arc::new(move |request| {
        let now = world.now();
        let mut free = free.lock().unwrap();
        *free = (*free).max(now).plus(EACH);
        let waits = free.since(now);
        let (world, answer) = (Arc::clone(&world), inner(request));
        Box::pin(async move {
            world.sleep(waits).await;
            answer.await
        })
    })
}

#[test]
fn server_that_does_one_thing_at_a_time_never_does_more_with_more_clients() {
    let clients = |span| {
        let options = Options {
            clients_max: 16,
            span: Duration::from_secs(span),
            ..options(Ladder::Throughput)
        };
        climb(started("serial", serial), options)
    };
    let grown = |steps: &[Step]| steps[steps.len() - 1].value() / steps[0].value();
    let short = clients(1);
    assert_eq!(short.verdict, Verdict::Unknown, "{}", short.why);
    assert!(short.why.contains("--span"), "{}", short.why);
    assert!(grown(&short.steps) < 2.0, "{:?}", short.steps);
    // Sixteen clients wait sixteen seconds for a turn of four operations.
    let long = clients(100);
    assert_eq!(long.verdict, Verdict::Valid, "{}", long.why);
    assert!((0.9..1.1).contains(&grown(&long.steps)), "{:?}", long.steps);
}

/// Bytes of a request that the server below takes: of twenty messages, not of a hundred.
const BYTES_MAX: u64 = 2_000;

/// Refuses every post of more than a few messages.
fn refusing_batches(context: NodeContext) -> Answering {
    let inner = reference(context);
    Arc::new(move |request: Request<Inbound>| {
        let length = request.headers().get("content-length");
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > BYTES_MAX) {
            return Box::pin(async { unavailable() });
        }
        inner(request)
    })
}

#[test]
fn cold_queue_beside_a_hot_load_that_was_refused_is_not_known_to_be_usable() {
    let refusing = started("refusing-batches", refusing_batches);
    let outcome = climb(refusing, options(Ladder::Isolation));
    assert_eq!(outcome.verdict, Verdict::Unknown, "{}", outcome.why);
    assert!(outcome.why.contains("hot load"), "{}", outcome.why);
    assert_eq!(outcome.verified, None);
}
