//! How a series varies around a gap, and other series that vary alike without one.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::line::Line;

/// More than this share of an error a neighbour does not take over.
const SHARED_MAX: f64 = 0.9;

/// How a series varies beside its gap: every value takes over a share of what the one before was
/// off by.
pub(super) struct Noise {
    innovations: Vec<f64>,
    share: f64,
}

impl Noise {
    /// Beside the gap before this index, which has at least two values on each side.
    pub(super) fn around(at: usize, series: &[f64]) -> Self {
        let (before, after) = series.split_at(at);
        let residuals = |side| Line::through(side).residuals(side).collect::<Vec<f64>>();
        let residuals = [residuals(before), residuals(after)].concat();
        let share = share(&residuals);
        let first = residuals[0] * (1.0 - share * share).sqrt();
        let others = residuals.windows(2).map(|pair| pair[1] - share * pair[0]);
        Self {
            innovations: std::iter::once(first).chain(others).collect(),
            share,
        }
    }

    /// A series without a gap that varies alike.
    pub(super) fn reordered(&mut self, random: &mut ChaCha8Rng) -> Vec<f64> {
        self.innovations.shuffle(random);
        let mut series = self.innovations.clone();
        series[0] /= (1.0 - self.share * self.share).sqrt();
        for index in 1..series.len() {
            series[index] += self.share * series[index - 1];
        }
        series
    }
}

/// The correlation of neighbours, at least 0 and less than 1.
fn share(residuals: &[f64]) -> f64 {
    let together: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let alone: f64 = residuals.iter().map(|residual| residual * residual).sum();
    if alone <= 0.0 {
        return 0.0;
    }
    // Residuals of two lines are less alike than what they are residuals of: by (4 + 8 share) /
    // size, after Kendall.
    let size = residuals.len() as f64;
    let corrected = (size * together / alone + 4.0) / (size - 8.0).max(size / 2.0);
    corrected.clamp(0.0, SHARED_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{normal, random};
    use super::*;

    /// The mean of the shares found in 100 series of 80 values.
    fn found(truth: f64) -> f64 {
        let mut random = random();
        let mut one = |_| {
            let mut series: Vec<f64> = (0..80).map(|_| normal(&mut random)).collect();
            for index in 1..series.len() {
                series[index] += truth * series[index - 1];
            }
            Noise::around(30, &series).share
        };
        (0..100).map(&mut one).sum::<f64>() / 100.0
    }

    #[test]
    fn share_is_found_despite_the_two_lines() {
        // Those below 0 count as 0, so the mean of the first lies above it.
        for (truth, tolerance) in [(0.0, 0.08), (0.3, 0.05), (0.6, 0.05)] {
            let found = found(truth);
            assert!((found - truth).abs() < tolerance, "{truth}: {found}");
        }
    }

    #[test]
    fn series_in_another_order_varies_alike_and_has_no_gap() {
        let mut random = random();
        let height = |index: u32| if index < 40 { 0.0 } else { 1_000.0 };
        let value = |index| height(index) + normal(&mut random);
        let series: Vec<f64> = (0..80).map(value).collect();
        let mut noise = Noise::around(40, &series);
        let other = noise.reordered(&mut random);
        assert_eq!(other.len(), series.len());
        assert!(other.iter().all(|value| value.abs() < 10.0));
        assert_ne!(noise.reordered(&mut random), other);
    }
}
