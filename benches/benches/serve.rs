//! `nanshe serve` beside a bare hyper "hello" that reads and writes bodies of the same sizes: post,
//! claim, list and delete.
//!
//! Criterion tells the figures of each. What counts are the ratios, which are measured last: the two
//! servers take turns, round by round, so that whatever else the machine does meets both.
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use nanshe_benches::load::{Load, request};
use nanshe_benches::servers::{serve_hello, serve_reference};
use tokio::runtime::Runtime;

/// Connections that a load keeps open.
const CONNECTIONS: usize = 32;
/// Requests of one measured batch.
const REQUESTS: usize = 10_000;
/// Messages on the page that is listed.
const PAGE: usize = 10;
/// Batches of each server for the ratios.
const ROUNDS: usize = 15;

const POST: &str = "POST /v2/queues/bench/messages";
const MESSAGE: &str =
    r#"{"messages":[{"ttl":3600,"body":{"event":"backup","id":"0123456789abcdef"}}]}"#;
const CLAIM: &str = "POST /v2/queues/bench/claims?limit=1";
const TERMS: &str = r#"{"ttl":300,"grace":60}"#;
const LIST: &str = "GET /v2/queues/page/messages?limit=10&echo=true";

/// What is measured, in the order in which one lets the next begin: what was posted is claimed, and
/// what was claimed is deleted. So every cycle ends with an empty queue.
const OPERATIONS: [&str; 4] = ["post", "claim", "delete", "list"];

/// The two servers, and what the reference was last asked to delete.
struct Bench {
    runtime: Runtime,
    requests: usize,
    reference: Load,
    /// One for each operation.
    hello: Vec<Load>,
    deletions: Vec<Bytes>,
}

impl Bench {
    fn new(requests: usize) -> Self {
        let runtime = Runtime::new().expect("the system has threads");
        let (reference, hello) = runtime.block_on(async {
            let address = serve_reference().await.expect("loopback has a free port");
            let load = Load::open(address, CONNECTIONS).await;
            let mut reference = load.expect("the reference listens");
            let post = request("POST /v2/queues/page/messages", MESSAGE);
            let filled = reference.send(&vec![post; PAGE]).await;
            filled.expect("the reference takes messages");
            let hello = Vec::new();
            (reference, hello)
        });
        let mut bench = Self {
            runtime,
            requests,
            reference,
            hello,
            deletions: Vec::new(),
        };
        bench.start_hello();
        bench
    }

    /// Asks the reference once for everything, to learn how long its answers are.
    fn start_hello(&mut self) {
        for operation in OPERATIONS {
            let first = self.requests_of(operation).swap_remove(0);
            let hello = self.runtime.block_on(async {
                let answers = self.reference.send(&[first]).await;
                let answers = answers.expect("the reference answers with success");
                let bytes = answers[0].len();
                if operation == "claim" {
                    self.deletions = deletions(&answers);
                }
                let address = serve_hello(bytes).await.expect("loopback has a free port");
                Load::open(address, CONNECTIONS).await
            });
            self.hello.push(hello.expect("hyper listens"));
        }
    }

    fn requests_of(&self, operation: &str) -> Vec<Bytes> {
        match operation {
            "post" => vec![request(POST, MESSAGE); self.requests],
            "claim" => vec![request(CLAIM, TERMS); self.requests],
            "list" => vec![request(LIST, ""); self.requests],
            _ => self.deletions.clone(),
        }
    }

    /// How long the reference takes for a batch of an operation.
    fn reference(&mut self, operation: &str) -> Duration {
        let requests = self.requests_of(operation);
        let started_at = Instant::now();
        let answers = self.runtime.block_on(self.reference.send(&requests));
        let elapsed = started_at.elapsed();
        let answers = answers.expect("every request is answered with success");
        if operation == "claim" {
            self.deletions = deletions(&answers);
            assert_eq!(self.deletions.len(), self.requests, "each claim got one");
        }
        elapsed
    }

    /// How long hyper takes for the same.
    fn hello(&mut self, operation: &str) -> Duration {
        let requests = self.requests_of(operation);
        let place = OPERATIONS.iter().position(|other| *other == operation);
        let load = &mut self.hello[place.expect("invariant: it is one of them")];
        let started_at = Instant::now();
        let answers = self.runtime.block_on(load.send(&requests));
        let elapsed = started_at.elapsed();
        answers.expect("every request is answered with success");
        elapsed
    }

    /// Brings the queue to where `operation` begins; afterwards `finish` empties it.
    fn prepare(&mut self, operation: &str) {
        if matches!(operation, "claim" | "delete") {
            self.reference("post");
        }
        if operation == "delete" {
            self.reference("claim");
        }
    }

    fn finish(&mut self, operation: &str) {
        if operation == "post" {
            self.reference("claim");
        }
        if matches!(operation, "post" | "claim") {
            self.reference("delete");
        }
    }
}

/// The requests that delete what was claimed, each under its claim: the `href` of every message.
fn deletions(answers: &[Bytes]) -> Vec<Bytes> {
    let hrefs = answers.iter().filter_map(|answer| {
        let text = std::str::from_utf8(answer).ok()?;
        let (_, behind) = text.split_once(r#""href":""#)?;
        let (href, _) = behind.split_once('"')?;
        Some(request(&format!("DELETE {href}"), ""))
    });
    hrefs.collect()
}

fn figures(criterion: &mut Criterion, bench: &mut Bench) {
    for operation in OPERATIONS {
        let mut group = criterion.benchmark_group(format!("serve, {operation}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(bench.requests as u64));
        group.bench_function("bare hyper hello", |bencher| {
            bencher.iter_custom(|times| {
                bench.prepare("delete");
                let elapsed = (0..times).map(|_| bench.hello(operation)).sum();
                bench.finish("claim");
                elapsed
            });
        });
        group.bench_function("nanshe", |bencher| {
            bencher.iter_custom(|times| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..times {
                    bench.prepare(operation);
                    elapsed += bench.reference(operation);
                    bench.finish(operation);
                }
                elapsed
            });
        });
        group.finish();
    }
}

/// Lets the two take turns, and prints what their medians are, and the median of their ratios.
fn ratios(bench: &mut Bench, rounds: usize) {
    let mut seconds = vec![Vec::new(); OPERATIONS.len()];
    for round in 0..rounds {
        for (operation, seconds) in OPERATIONS.iter().zip(&mut seconds) {
            // Whoever comes second finds warmer caches; so both do in turn.
            let pair = if round % 2 == 0 {
                let hello = bench.hello(operation);
                (hello, bench.reference(operation))
            } else {
                let reference = bench.reference(operation);
                (bench.hello(operation), reference)
            };
            seconds.push((pair.0.as_secs_f64(), pair.1.as_secs_f64()));
        }
    }
    let rate = |seconds: f64| bench.requests as f64 / seconds;
    println!("operation  hyper/s  nanshe/s  ratio");
    for (operation, seconds) in OPERATIONS.iter().zip(&seconds) {
        let hello = median(seconds.iter().map(|(hello, _)| rate(*hello)).collect());
        let reference = median(seconds.iter().map(|(_, own)| rate(*own)).collect());
        let ratio = median(seconds.iter().map(|(hello, own)| hello / own).collect());
        println!("{operation:<9} {hello:>8.0} {reference:>9.0} {ratio:>6.2}");
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    // As criterion has it: only whether it runs matters.
    let is_test = std::env::args().any(|argument| argument == "--test");
    let only_ratios = std::env::args().any(|argument| argument == "ratios");
    let (requests, rounds) = if is_test {
        (100, 1)
    } else {
        (REQUESTS, ROUNDS)
    };
    let mut bench = Bench::new(requests);
    if !only_ratios {
        let mut criterion = Criterion::default().configure_from_args();
        figures(&mut criterion, &mut bench);
        criterion.final_summary();
    }
    ratios(&mut bench, rounds);
}
