//! Work on many alike things, in parts, on a few threads.

use std::ops::Range;
use std::sync::Mutex;
use std::thread;

/// Things that one part holds at least: below that, a part costs more than it saves.
pub(super) const PART_COUNT_MIN: usize = 2_048;

/// Parts for each thread, so that the last one is not waited for too long.
const PARTS_PER_THREAD: usize = 16;

/// Does both, at once if there are threads for it.
pub(super) fn both<A, B: Send>(
    threads: usize,
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads <= 1 {
        return (one(), other());
    }
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().expect("invariant: no part panics"))
    })
}

/// Does `part` for stretches that together are `0..count`, on so many threads at once. The results are
/// in the order of the stretches, whoever was ready first. All stretches but the last have the same length, a
/// power of two.
pub(super) fn in_parts<T: Send>(
    count: usize,
    threads: usize,
    part: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<T> {
    let size = count.div_ceil(threads.max(1) * PARTS_PER_THREAD);
    let size = size.max(PART_COUNT_MIN).next_power_of_two();
    let parts: Vec<Range<usize>> = (0..count)
        .step_by(size)
        .map(|from| from..count.min(from + size))
        .collect();
    if threads <= 1 || parts.len() <= 1 {
        return parts.into_iter().map(part).collect();
    }
    let waiting = Mutex::new(parts.iter().cloned().enumerate());
    let next = || waiting.lock().expect("invariant: no part panics").next();
    let work = || {
        let done = std::iter::from_fn(next);
        done.map(|(number, range)| (number, part(range))).collect()
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().flat_map(|worker| {
            let done: Vec<(usize, T)> = worker.join().expect("invariant: no part panics");
            done
        });
        done.collect()
    });
    done.sort_by_key(|&(number, _)| number);
    done.into_iter().map(|(_, done)| done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_and_in_order_on_any_number_of_threads() {
        for count in [0, 1, PART_COUNT_MIN, 123_457] {
            for threads in [0, 1, 2, 7] {
                let parts = in_parts(count, threads, |range| range.collect::<Vec<usize>>());
                let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
                let size = sizes.first().copied().unwrap_or(0);
                let (last, others) = sizes.split_last().unwrap_or((&0, &[]));
                assert!(
                    others
                        .iter()
                        .all(|&other| other == size && size.is_power_of_two())
                );
                assert!(*last <= size);
                let whole: Vec<usize> = parts.into_iter().flatten().collect();
                assert!(whole.into_iter().eq(0..count), "{count} on {threads}");
            }
        }
    }
}
