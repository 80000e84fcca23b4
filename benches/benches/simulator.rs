//! The simulator: requests a second on one thread, the whole suite, and whole runs.

#[cfg(madsim)]
fn main() {
    simulating::benchmarks();
    criterion::Criterion::default()
        .configure_from_args()
        .final_summary();
}

#[cfg(not(madsim))]
fn main() {}

#[cfg(madsim)]
mod simulating {
    use std::hint::black_box;

    use criterion::{BatchSize, Criterion, Throughput};
    use nanshe_benches::{simulated, worlds};
    use nanshe_conformance::suite::{Options, Selection};
    use nanshe_conformance::target::KnownFailures;
    use nanshe_simulator::scenario::Scenario;
    use nanshe_simulator::{conform, implementations, run};

    const REQUESTS: usize = 10_000;

    /// Turns that all clients of a world take together.
    const TURNS: u64 = 2_000;

    pub(super) fn benchmarks() {
        let mut criterion = Criterion::default().configure_from_args();
        let reference = implementations().next().expect("the reference comes first");

        let mut group = criterion.benchmark_group("simulated requests");
        group.sample_size(10);
        for clients in [1, 10, 100] {
            group.throughput(Throughput::Elements(u64::try_from(REQUESTS).unwrap_or(0)));
            group.bench_function(format!("{clients} clients"), |bencher| {
                bencher.iter(|| simulated::requests(clients, REQUESTS / clients));
            });
        }
        group.finish();

        worlds(&mut criterion);

        let mut group = criterion.benchmark_group("suite");
        group.sample_size(10);
        group.bench_function("conform on the reference", |bencher| {
            let selected = || {
                Selection::default()
                    .select()
                    .expect("the whole suite is not empty")
            };
            bencher.iter_batched(
                || (selected(), KnownFailures::default()),
                |suite| conform(reference, suite, Options::default(), |_| {}).expect("it runs"),
                BatchSize::PerIteration,
            );
        });
        group.finish();

        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../scenarios/delivery/lost-acknowledgement.toml"
        );
        let scenario = Scenario::load(path).expect("the repository's scenario is good");
        let mut group = criterion.benchmark_group("scenario");
        group.sample_size(10);
        let mut seed = 0;
        group.bench_function("lost-acknowledgement, one seed", |bencher| {
            bencher.iter(|| {
                seed += 1;
                black_box(run(&scenario, reference, seed).expect("it runs"))
            });
        });
        group.finish();
    }

    /// Whole runs: what a seed costs without any operation, and operations a second with faults, history and verdicts.
    fn worlds(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("worlds");
        group.sample_size(10);
        let idle = worlds::without_operations();
        group.bench_function("without operations", |bencher| {
            bencher.iter(|| black_box(worlds::reference(&idle, 1)));
        });
        for clients in [10, 100, 1_000] {
            let world = worlds::with_faults(clients, TURNS / u64::from(clients));
            let operations = worlds::reference(&world, 1).operations;
            group.throughput(Throughput::Elements(u64::try_from(operations).unwrap_or(0)));
            group.bench_function(
                format!("{clients} clients, faults and history"),
                |bencher| {
                    bencher.iter(|| black_box(worlds::reference(&world, 1)));
                },
            );
        }
        group.finish();
    }
}
