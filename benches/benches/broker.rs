//! The broker alone: how many messages a second, and what a large state adds to the cost of one.
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark takes times and tells them"
)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use nanshe_benches::core::{CLAIMED, Core, Growth, queue};

/// The size that the others are compared with.
const SMALL: usize = 1_000;
/// Turns that are timed together.
const TURNS: usize = 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    throughput(&mut criterion);
    criterion.final_summary();
    let quick = std::env::args().any(|argument| argument == "--test");
    println!(
        "cost of a turn (ten posts, a claim of ten, ten deletes) in a large state over that in a small one"
    );
    for (growth, size) in Growth::ALL {
        let (size, rounds) = if quick { (SMALL, 2) } else { (size, 200) };
        let (small, large) = costs(growth, size, rounds);
        println!(
            "{growth:?}: {size} over {SMALL}: {:.2} ({:.2} µs over {:.2} µs, medians of {rounds} rounds in turns)",
            large.as_secs_f64() / small.as_secs_f64(),
            large.as_secs_f64() * 1e6,
            small.as_secs_f64() * 1e6,
        );
    }
}

fn throughput(criterion: &mut Criterion) {
    const MESSAGES: usize = 10_000;
    let mut group = criterion.benchmark_group("broker");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.sample_size(20);
    group.bench_function("messages posted one by one", |bencher| {
        bencher.iter_batched_ref(
            Core::default,
            |core| {
                for _ in 0..MESSAGES {
                    core.post(&queue(0), 1, 3_600);
                }
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.bench_function(
        "messages claimed by ten, then deleted one by one",
        |bencher| {
            bencher.iter_batched_ref(
                || Growth::Backlog.grown(MESSAGES),
                |core| while core.claim(&queue(0), CLAIMED, true) > 0 {},
                criterion::BatchSize::PerIteration,
            );
        },
    );
    group.finish();
}

/// What a turn costs in a small and in a large state. The two are timed in turns, so that a noisy
/// machine slows both alike.
fn costs(growth: Growth, size: usize, rounds: usize) -> (Duration, Duration) {
    let mut large = growth.grown(size);
    let mut small = growth.grown(SMALL);
    let (mut small_times, mut large_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        if growth == Growth::Expired {
            // What is over is collected by and by: with few of them, soon none would be left.
            small = growth.grown(SMALL);
        }
        small_times.push(timed(&mut small));
        large_times.push(timed(&mut large));
    }
    (median(small_times), median(large_times))
}

fn timed(core: &mut Core) -> Duration {
    let queue = queue(0);
    let started = Instant::now();
    for _ in 0..TURNS {
        core.turn(&queue);
    }
    started.elapsed() / u32::try_from(TURNS).unwrap_or(1)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
