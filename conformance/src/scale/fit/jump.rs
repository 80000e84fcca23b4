//! A jump in a series over a ramp of load.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::line::Line;
use super::noise::Noise;

/// A level change that no smooth trend explains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Jump {
    /// Index of the first value at the new level.
    pub at: usize,
    /// The level just before.
    pub before: f64,
    /// The level from then on.
    pub after: f64,
    /// How often a series without a jump shows one as clear, by permutation.
    pub p: f64,
}

/// Values without which no jump is seen on either side of it.
pub const SIDE_MIN: usize = 5;

/// Most values that a line on either side is laid through: a trend is only straight nearby.
const SIDE_MAX: usize = 20;

/// Least share that the jump has in all that the series moves. It is a share, because a smooth
/// curve without any noise differs from lines by little, but surely.
const SHARE_MIN: f64 = 0.25;

/// A jump is not told above this.
const P_MAX: f64 = 0.01;

/// Series in another order that the jump is compared with.
const PERMUTATIONS: u32 = 1_999;

/// Those, and the series as it is.
const ORDERS: f64 = 2_000.0;

/// The strongest single level change that a smooth trend does not explain.
///
/// At every index, one line is laid through the values before and one through as many from there
/// on; where the two lines meet apart, there is a jump, as clear as it is large against their
/// residuals. Slopes, kinks and even curvature leave no gap. The p is that of series without a gap
/// whose values vary as these do, neighbours together where these do so, in other orders. A jump
/// among the first or the last five values is not seen. Whether the levels are far enough apart to
/// matter is for the caller to say.
///
/// None: p above 0.01, a jump less than a quarter of all that the series moves, fewer than 10
/// values, or one that is not finite.
pub fn jump(series: &[f64], random: &mut ChaCha8Rng) -> Option<Jump> {
    if series.len() < 2 * SIDE_MIN || !series.iter().all(|value| value.is_finite()) {
        return None;
    }
    let movement = movement(series);
    let floor = movement * 1e-9;
    let found = strongest(series, floor);
    let is_large = (found.after - found.before).abs() >= SHARE_MIN * movement;
    // Of values whose squares are beyond f64, nothing is clear.
    if movement <= 0.0 || !is_large || !found.clarity.is_finite() {
        return None;
    }
    let mut noise = Noise::around(found.at, series);
    // The series as it is counts as one of the orders.
    let mut as_clear = 1;
    for _ in 0..PERMUTATIONS {
        let other = noise.reordered(random);
        as_clear += u32::from(strongest(&other, floor).clarity >= found.clarity);
        if f64::from(as_clear) > P_MAX * ORDERS {
            return None;
        }
    }
    let Gap {
        at, before, after, ..
    } = found;
    let p = f64::from(as_clear) / ORDERS;
    Some(Jump {
        at,
        before,
        after,
        p,
    })
}

/// Where two lines meet apart.
struct Gap {
    at: usize,
    before: f64,
    after: f64,
    clarity: f64,
}

impl Gap {
    /// Between the lines on both sides of an index that has `SIDE_MIN` values on each.
    fn at(at: usize, series: &[f64], floor: f64) -> Self {
        let side = at.min(series.len() - at).min(SIDE_MAX);
        let (before, after) = (&series[at - side..at], &series[at..at + side]);
        let (left, right) = (Line::through(before), Line::through(after));
        // Both lines end half a step away from the gap.
        let middle = side as f64 / 2.0;
        let (low, high) = (left.value(middle), right.value(-middle));
        let size = side as f64;
        let freedom = 2.0 * size - 4.0;
        let noise = (left.squares(before) + right.squares(after)) / freedom + floor * floor;
        let spread = 2.0 * (1.0 / size + 3.0 * size / (size * size - 1.0));
        let student = (high - low) / (noise * spread).sqrt();
        Self {
            at,
            before: within(low, before),
            after: within(high, after),
            clarity: normal_of(student, freedom),
        }
    }
}

/// The clearest gap of a series of at least twice `SIDE_MIN` values.
fn strongest(series: &[f64], floor: f64) -> Gap {
    let gaps = (SIDE_MIN..=series.len() - SIDE_MIN).map(|at| Gap::at(at, series, floor));
    let clearest = gaps.max_by(|a, b| a.clarity.total_cmp(&b.clarity));
    clearest.expect("there are values on both sides")
}

/// Student's t as the normal value that is about as rare, by Wallace: gaps between short and long
/// lines are compared.
fn normal_of(student: f64, freedom: f64) -> f64 {
    let root = (freedom * (student * student / freedom).ln_1p()).sqrt();
    root * (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
}

/// A level as the values themselves have: no rate below 0 because a line was drawn out.
fn within(level: f64, values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    level.clamp(low, high)
}

/// How far the series moves in all, but for a few values on either end.
fn movement(series: &[f64]) -> f64 {
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let few = (series.len() / 40).min(SIDE_MIN - 1);
    sorted[series.len() - 1 - few] - sorted[few]
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::synthetic::{normal, random};
    use super::*;

    /// Values at x = 0 to 1.
    fn noisy(size: u32, noise: f64, random: &mut ChaCha8Rng, law: impl Fn(f64) -> f64) -> Vec<f64> {
        let x = |index: u32| f64::from(index) / f64::from(size);
        let value = |index| law(x(index)) + noise * normal(random);
        (0..size).map(value).collect()
    }

    fn step(from: f64) -> impl Fn(f64) -> f64 {
        move |x| f64::from(u8::from(x >= from))
    }

    /// How often a jump is told in 40 series of 40 values.
    fn told(noise: f64, law: impl Fn(f64) -> f64) -> usize {
        let mut random = random();
        let mut told = |_: &u32| {
            let series = noisy(40, noise, &mut random, &law);
            jump(&series, &mut random).is_some()
        };
        (0..40).filter(&mut told).count()
    }

    #[test]
    fn exact_step_is_found_at_its_index_with_its_levels() {
        for (size, from, at) in [(10, 0.5, 5), (40, 0.7, 28), (100, 0.05, 5), (100, 0.95, 95)] {
            let series = noisy(size, 0.0, &mut random(), |x| 0.01 + 0.3 * step(from)(x));
            let found = jump(&series, &mut random()).unwrap();
            assert_eq!(found.at, at, "{found:?}");
            assert!((found.before - 0.01).abs() < 1e-9, "{found:?}");
            assert!((found.after - 0.31).abs() < 1e-9, "{found:?}");
            assert!(found.p <= 0.001, "{found:?}");
        }
    }

    #[test]
    fn noisy_steps_up_down_and_on_a_slope_are_found_at_their_index() {
        let mut random = random();
        for (height, slope) in [(1.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (-1.0, 1.0)] {
            for _ in 0..10 {
                let law = |x| slope * x + height * step(0.6)(x);
                let series = noisy(40, 0.1, &mut random, law);
                let found = jump(&series, &mut random).unwrap();
                assert_eq!(found.at, 24, "{found:?}");
                assert!(
                    (found.after - found.before - height).abs() < 0.4,
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn rate_of_errors_among_a_hundred_requests_steps_where_errors_begin() {
        let mut random = random();
        let mut found = 0;
        for _ in 0..20 {
            let mut rate = |index: u32| {
                let errors = if index < 24 { 0.01 } else { 0.2 };
                let failed = (0..100).filter(|_| random.random::<f64>() < errors);
                f64::from(u32::try_from(failed.count()).unwrap()) / 100.0
            };
            let series: Vec<f64> = (0..40).map(&mut rate).collect();
            let jump = jump(&series, &mut random);
            assert!(
                jump.iter()
                    .all(|jump| jump.before >= 0.0 && jump.after <= 1.0)
            );
            found += u32::from(jump.is_some_and(|jump| jump.at == 24));
        }
        assert!(found >= 18, "{found} of 20");
    }

    #[test]
    fn level_line_kink_and_queueing_curve_are_no_jumps() {
        type Law = fn(f64) -> f64;
        let laws: [(&str, Law); 6] = [
            ("level", |_| 1.0),
            ("line", |x| x),
            ("kink", |x| (x - 0.6).max(0.0)),
            ("square", |x| x * x),
            ("queue up to 0.7", |x| 1.0 / (1.0 - 0.7 * x)),
            ("queue up to 0.9", |x| 1.0 / (1.0 - 0.9 * x)),
        ];
        for (name, law) in laws {
            for noise in [0.0, 0.01, 0.1] {
                let told = told(noise, law);
                assert!(told <= 2, "{name} with noise {noise}: {told} of 40");
            }
        }
    }

    #[test]
    fn rounded_line_and_noise_that_lasts_are_no_jumps() {
        assert_eq!(told(0.0, |x| (x * 8.0).floor()), 0);
        let mut random = random();
        let mut told = 0;
        for _ in 0..40 {
            let mut series = noisy(40, 0.1, &mut random, |_| 0.0);
            for index in 1..series.len() {
                series[index] += 0.5 * series[index - 1];
            }
            told += u32::from(jump(&series, &mut random).is_some());
        }
        assert!(told <= 2, "{told} of 40");
    }

    #[test]
    fn too_few_values_or_no_numbers_are_no_evidence() {
        let series = noisy(10, 0.0, &mut random(), step(0.5));
        assert!(jump(&series, &mut random()).is_some());
        assert_eq!(jump(&series[..9], &mut random()), None);
        assert_eq!(jump(&[], &mut random()), None);
        for absurd in [1e200, 1e-200] {
            let series: Vec<f64> = series.iter().map(|value| value * absurd).collect();
            assert_eq!(jump(&series, &mut random()), None);
        }
        for wrong in [f64::NAN, f64::INFINITY] {
            let mut series = series.clone();
            series[3] = wrong;
            assert_eq!(jump(&series, &mut random()), None);
        }
    }

    #[test]
    fn rarity_is_that_of_the_table() {
        // 97.5 % quantiles of Student's t at 6, 10 and 36 degrees of freedom.
        for (student, freedom) in [(2.447, 6.0), (2.228, 10.0), (2.028, 36.0)] {
            let found = normal_of(student, freedom);
            assert!((found - 1.96).abs() < 0.01, "{freedom}: {found}");
        }
    }
}
