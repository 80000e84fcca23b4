//! How cost grows with a quantity: the exponent b of cost ∝ nᵇ.

use rand_chacha::ChaCha8Rng;

use super::Interval;
use super::bootstrap::mean_interval;
use super::table::{Table, mean};

/// The exponent b of cost ∝ n^b, where `rounds[r][k] = (n, cost)`: 0 is flat, 1 is linear.
///
/// The slope of ln cost on ln n, least squares with an intercept for every round, so that a machine
/// that is slow for a whole round changes nothing. The interval is by bootstrap over rounds.
///
/// None: fewer than 3 distinct steps, fewer than 3 complete rounds, or something not positive and
/// finite.
pub fn exponent(rounds: &[Vec<(f64, f64)>], random: &mut ChaCha8Rng) -> Option<Interval> {
    let table = Table::of(rounds, 3)?;
    let logarithms: Vec<f64> = table.steps.iter().map(|n| n.ln()).collect();
    let slope = |round: &Vec<f64>| slope(&logarithms, round);
    // All rounds have the same steps, so the common slope is the mean of theirs.
    let slopes: Vec<f64> = table.rounds.iter().map(slope).collect();
    Some(mean_interval(&slopes, random))
}

fn slope(x: &[f64], y: &[f64]) -> f64 {
    let (x_mean, y_mean) = (mean(x), mean(y));
    let together: f64 = x
        .iter()
        .zip(y)
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let alone: f64 = x.iter().map(|x| (x - x_mean).powi(2)).sum();
    together / alone
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Ladder, random};
    use super::*;

    const DECADES: [f64; 5] = [1e2, 1e3, 1e4, 1e5, 1e6];

    /// The bound of `scaling/flat-cost`.
    const BOUND: f64 = 0.15;

    fn ladder(rounds: usize) -> Ladder<'static> {
        Ladder {
            steps: &DECADES,
            rounds,
            noise: 0.3,
            outliers: 0.05,
        }
    }

    #[test]
    fn exact_power_law_is_found_exactly() {
        let exact = Ladder {
            noise: 0.0,
            outliers: 0.5,
            ..ladder(3)
        };
        for b in [-0.5, 0.0, 0.15, 1.0, 2.0] {
            let rounds = exact.measure(|n| 3.0 * n.powf(b), &mut random());
            let found = exponent(&rounds, &mut random()).unwrap();
            for value in [found.estimate, found.low, found.high] {
                assert!((value - b).abs() < 1e-12, "{b}: {found:?}");
            }
        }
    }

    #[test]
    fn slope_of_known_points_is_that_of_the_textbook() {
        // Anscombe's first set: y = 3.0001 + 0.50009 x.
        let x = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0];
        let y = [
            8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68,
        ];
        assert!((slope(&x, &y) - 0.500_090_909).abs() < 1e-9);
    }

    #[test]
    fn true_exponent_lies_within_the_interval() {
        let mut random = random();
        for (rounds, b) in [(3, 0.0), (5, 0.5), (10, 1.0)] {
            let mut covered = 0;
            for _ in 0..200 {
                let measured = ladder(rounds).measure(|n| n.powf(b), &mut random);
                let found = exponent(&measured, &mut random).unwrap();
                covered += u32::from(found.low <= b && b <= found.high);
            }
            assert!(covered >= 186, "{rounds} rounds, b = {b}: {covered} of 200");
        }
    }

    #[test]
    fn flat_cost_is_never_called_growing_and_growing_cost_always() {
        let mut random = random();
        for _ in 0..200 {
            for (b, is_growing) in [(0.0, false), (0.5, true), (1.0, true)] {
                let measured = ladder(5).measure(|n| n.powf(b), &mut random);
                let found = exponent(&measured, &mut random).unwrap();
                assert_eq!(found.low > BOUND, is_growing, "b = {b}: {found:?}");
            }
        }
    }

    #[test]
    fn two_steps_or_two_rounds_are_no_evidence() {
        let two_steps = Ladder {
            steps: &[1.0, 2.0],
            ..ladder(9)
        };
        let two_rounds = ladder(2);
        for thin in [two_steps, two_rounds] {
            let measured = thin.measure(|n| n, &mut random());
            assert_eq!(exponent(&measured, &mut random()), None);
        }
    }
}
