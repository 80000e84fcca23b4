//! What a measurement saw: latencies in a histogram, successes and failures.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::outcome::{Latency, Step};
use crate::environment::nanos;

/// The longest latency that is told from longer ones: an hour.
const NANOS_MAX: u64 = 3_600_000_000_000;

/// Digits that a latency is kept to.
const DIGITS: u8 = 3;

/// Latencies and errors of one step, or of one visit to it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    histogram: Histogram<u64>,
    errors: u64,
}

impl Default for Sample {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, NANOS_MAX, DIGITS);
        Self {
            histogram: histogram.expect("invariant: these bounds are good"),
            errors: 0,
        }
    }
}

impl Sample {
    /// One operation more, and whether it was done.
    pub(super) fn add(&mut self, latency: Duration, done: bool) {
        self.histogram.saturating_record(nanos(latency));
        self.errors += u64::from(!done);
    }

    /// What another saw, too.
    pub(super) fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("invariant: all samples have the same bounds");
        self.errors += other.errors;
    }

    /// Operations, failed ones among them.
    pub(super) fn operations(&self) -> u64 {
        self.histogram.len()
    }

    /// Operations that were done.
    pub(super) fn done(&self) -> u64 {
        self.operations() - self.errors
    }

    /// The share of operations that failed; 0 of none.
    pub(super) fn error_share(&self) -> f64 {
        if self.operations() == 0 {
            return 0.0;
        }
        count(self.errors) / count(self.operations())
    }

    /// The mean latency, in microseconds.
    pub(super) fn mean_us(&self) -> f64 {
        self.histogram.mean() / 1_000.0
    }

    /// The latencies.
    pub(super) fn latency(&self) -> Latency {
        let micros = |nanos: u64| count(nanos) / 1_000.0;
        let quantile = |share: f64| micros(self.histogram.value_at_quantile(share));
        Latency {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: micros(self.histogram.max()),
        }
    }

    /// A step of which this is all, done within `span`.
    pub(super) fn step(&self, n: f64, rounds: Vec<f64>, span: Duration) -> Step {
        Step {
            n,
            rounds,
            operations: self.operations(),
            errors: self.errors,
            throughput: self.throughput(span),
            latency: self.latency(),
        }
    }

    /// How many were done in a second, if this is all that was done within `span`; 0 within none.
    pub(super) fn throughput(&self, span: Duration) -> f64 {
        if span.is_zero() {
            return 0.0;
        }
        count(self.done()) / span.as_secs_f64()
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2⁵³")]
pub(super) fn count(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_quantiles_and_errors_and_add_up() {
        let (mut one, mut other) = (Sample::default(), Sample::default());
        for millis in 1..=99 {
            one.add(Duration::from_millis(millis), true);
        }
        other.add(Duration::from_secs(7200), false);
        one.merge(&other);
        let latency = one.latency();
        assert!((latency.p50 - 50_000.0).abs() < 100.0, "{latency:?}");
        assert!((latency.p90 - 90_000.0).abs() < 100.0, "{latency:?}");
        assert!(latency.max > 3.5e9, "{latency:?}");
        assert_eq!((one.operations(), one.done(), one.errors), (100, 99, 1));
        assert!((one.error_share() - 0.01).abs() < 1e-9);
        let step = one.step(3.0, vec![1.0], Duration::from_secs(10));
        assert!((step.throughput - 9.9).abs() < 1e-9);
    }
}
