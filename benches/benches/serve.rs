//! `nanshe serve` beside a bare hyper "hello", in one run: one message posted by each request.

use std::sync::Arc;

use criterion::{Criterion, Throughput};
use nanshe_benches::load;
use tokio::runtime::Runtime;

/// Requests of one measured batch.
const REQUESTS: u64 = 20_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("the system has threads");
    let (hello, reference) = runtime.block_on(async {
        let hello = load::serve_hello().await.expect("loopback has a free port");
        let reference = load::serve_reference()
            .await
            .expect("loopback has a free port");
        (hello, reference)
    });
    let mut group = criterion.benchmark_group("serve");
    group.sample_size(10);
    group.throughput(Throughput::Elements(REQUESTS));
    let post: Arc<[u8]> = load::post().into();
    for (name, address) in [("bare hyper hello", hello), ("nanshe, post", reference)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let sent = runtime.block_on(load::send(address, Arc::clone(&post), REQUESTS));
                sent.expect("every request is answered with success");
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
