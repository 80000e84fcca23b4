//! Intervals by drawing whole rounds again, with replacement.
//!
//! Few rounds underrate their own spread twice: drawn again, they vary by (R − 1)/R too little, and
//! percentiles know nothing of Student's t. So the percentiles are moved away from the estimate by
//! the factor that makes the interval of a mean of normal values as wide as the t interval.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Interval;
use super::table::mean;

/// How often the rounds are drawn again.
const RESAMPLES: usize = 2_000;

/// Resamples below the lower end, and above the upper one: 2.5 %.
const TAIL: usize = RESAMPLES / 40;

/// The 97.5 % quantile of the normal distribution.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// The statistic of every resample; it gets how often each round was drawn, which sums to `rounds`.
pub(super) fn resample<T>(
    rounds: usize,
    random: &mut ChaCha8Rng,
    statistic: impl Fn(&[f64]) -> T,
) -> Vec<T> {
    let mut weights = vec![0.0; rounds];
    let mut once = || {
        weights.fill(0.0);
        for _ in 0..rounds {
            weights[random.random_range(0..rounds)] += 1.0;
        }
        statistic(&weights)
    };
    (0..RESAMPLES).map(|_| once()).collect()
}

/// The mean of values of which each counts by its weight; weights sum to the number of values.
pub(super) fn weighted_mean(values: impl Iterator<Item = f64>, weights: &[f64]) -> f64 {
    values.zip(weights).map(|(x, w)| x * w).sum::<f64>() / weights.len() as f64
}

/// The mean of one value per round, with its interval.
pub(super) fn mean_interval(values: &[f64], random: &mut ChaCha8Rng) -> Interval {
    let of_values = |weights: &[f64]| weighted_mean(values.iter().copied(), weights);
    let resampled = resample(values.len(), random, of_values);
    interval(mean(values), resampled, values.len())
}

/// The widened percentile interval around an estimate from this many rounds.
pub(super) fn interval(estimate: f64, mut resampled: Vec<f64>, rounds: usize) -> Interval {
    resampled.sort_by(f64::total_cmp);
    let factor = widening(rounds);
    let moved = |end: f64| estimate + factor * (end - estimate);
    // By ranks, not interpolated: the ends of x and of 1/x then fall on the same resamples.
    Interval {
        estimate,
        low: moved(resampled[TAIL]).min(estimate),
        high: moved(resampled[RESAMPLES - 1 - TAIL]).max(estimate),
    }
}

/// The same for several means at once: how far from its value any of them is likely to be, the
/// columns being the values of the rounds. Less than this in 95 of 100 cases, for all of them
/// together.
pub(super) fn margin(columns: &[Vec<f64>], rounds: usize, random: &mut ChaCha8Rng) -> f64 {
    // Around its mean, every column has mean 0.
    let around = |column: &Vec<f64>| {
        let mean = mean(column);
        column.iter().map(|value| value - mean).collect()
    };
    let columns: Vec<Vec<f64>> = columns.iter().map(around).collect();
    let deviation =
        |column: &Vec<f64>, weights: &[f64]| weighted_mean(column.iter().copied(), weights).abs();
    let largest = |weights: &[f64]| {
        let deviations = columns.iter().map(|column| deviation(column, weights));
        deviations.fold(0.0, f64::max)
    };
    let mut largest = resample(rounds, random, largest);
    largest.sort_by(f64::total_cmp);
    largest[RESAMPLES - 1 - 2 * TAIL] * widening(rounds)
}

fn widening(rounds: usize) -> f64 {
    let rounds = rounds as f64;
    let freedom = rounds - 1.0;
    let student = StudentsT::new(0.0, 1.0, freedom).expect("at least two rounds");
    student.inverse_cdf(0.975) / NORMAL_QUANTILE * (rounds / freedom).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{normal, random};
    use super::*;

    #[test]
    fn widening_is_that_of_the_t_table() {
        // t at 97.5 %: 4.303 at 2 degrees of freedom, 2.776 at 4, 2.262 at 9, 2.045 at 29.
        for (rounds, student) in [(3, 4.303), (5, 2.776), (10, 2.262), (30, 2.045)] {
            let count = rounds as f64;
            let expected = student / 1.960 * (count / (count - 1.0)).sqrt();
            let found = widening(rounds);
            assert!(
                (found - expected).abs() < 2e-3,
                "{rounds}: {found} {expected}"
            );
        }
    }

    #[test]
    fn mean_of_few_rounds_is_covered_as_often_as_that_of_many() {
        let mut random = random();
        for rounds in [3, 5, 10, 30] {
            let mut covered = 0;
            for _ in 0..1_000 {
                let values: Vec<f64> = (0..rounds).map(|_| 7.0 + normal(&mut random)).collect();
                let found = mean_interval(&values, &mut random);
                covered += u32::from(found.low <= 7.0 && 7.0 <= found.high);
            }
            assert!(
                (930..=970).contains(&covered),
                "{rounds} rounds: {covered} of 1,000"
            );
        }
    }

    #[test]
    fn margin_holds_for_all_means_at_once_where_an_interval_holds_for_one() {
        let mut random = random();
        let (mut together, mut alone) = (0, 0);
        for _ in 0..200 {
            let mut column = |_| (0..10).map(|_| normal(&mut random)).collect();
            let columns: [Vec<f64>; 6] = std::array::from_fn(&mut column);
            let margin = margin(&columns, 10, &mut random);
            let intervals = columns
                .each_ref()
                .map(|column| mean_interval(column, &mut random));
            let within = |found: &Interval| found.estimate.abs() <= margin;
            together += u32::from(intervals.iter().all(within));
            let holds = |found: &Interval| found.low <= 0.0 && 0.0 <= found.high;
            alone += u32::from(intervals.iter().all(holds));
        }
        assert!(together >= 186, "{together} of 200");
        assert!(alone <= 170, "{alone} of 200");
    }

    #[test]
    fn same_seed_gives_the_same_interval_and_equal_rounds_none_wider_than_a_point() {
        let values = [1.0, 2.0, 4.0];
        let twice = [(); 2].map(|()| mean_interval(&values, &mut random()));
        assert_eq!(twice[0], twice[1]);
        let point = mean_interval(&[0.5; 3], &mut random());
        assert_eq!((point.low, point.high), (0.5, 0.5));
    }
}
