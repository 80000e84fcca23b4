//! The checkers: events a second, from memory, over a history that a real run would give. Longer ones, and
//! histories in files, are for `judge-run`.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use nanshe_benches::judged;
use nanshe_conformance::checker::judge;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("checker");
    group.sample_size(10);
    for messages in [1_000, 100_000] {
        let history = judged::history(messages);
        // Two events an operation: it begins, it ends.
        let events = u64::try_from(history.records.len()).unwrap_or(0) * 2;
        group.throughput(Throughput::Elements(events));
        group.bench_function(format!("{events} events"), |bencher| {
            bencher.iter(|| black_box(judge(black_box(&history))));
        });
    }
    group.finish();
    criterion.final_summary();
}
