//! Many seeds of one scenario, on several threads, told in the order of their seeds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::implementation::Implementation;
use crate::run::{Run, RunError, run};
use crate::scenario::Scenario;

/// Runs `seeds`, on `threads` threads, and gives each result to `tell`, in the order of the seeds
/// whatever the number of threads. `tell` says whether to go on.
pub fn campaign(
    scenario: &Scenario,
    implementation: Implementation,
    seeds: Range<u64>,
    threads: usize,
    mut tell: impl FnMut(Result<Run, RunError>) -> bool,
) {
    let next = AtomicU64::new(seeds.start);
    let (sender, results) = mpsc::sync_channel(threads.max(1) * 2);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next, end) = (sender.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // A closed channel means that nobody wants to know any more.
                    if seed >= end
                        || sender
                            .send((seed, run(scenario, implementation, seed)))
                            .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut due = seeds.start;
        let mut early = BTreeMap::new();
        for (seed, result) in results {
            early.insert(seed, result);
            while let Some(result) = early.remove(&due) {
                due += 1;
                if !tell(result) {
                    return;
                }
            }
        }
    });
}
