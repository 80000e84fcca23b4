//! Test-only: measurements of which the truth is known.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(super) fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// A standard normal value, by Box and Muller.
pub(super) fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// What is measured, and how badly.
pub(super) struct Ladder<'a> {
    pub(super) steps: &'a [f64],
    pub(super) rounds: usize,
    /// Standard deviation of the logarithm of one value.
    pub(super) noise: f64,
    /// Share of rounds in which the machine is five times slower at every step.
    pub(super) outliers: f64,
}

impl Ladder<'_> {
    pub(super) fn measure(
        &self,
        law: impl Fn(f64) -> f64,
        random: &mut ChaCha8Rng,
    ) -> Vec<Vec<(f64, f64)>> {
        let mut round = || {
            let is_outlier = random.random::<f64>() < self.outliers;
            let machine = if is_outlier { 5.0 } else { 1.0 };
            let mut value = |&n: &f64| {
                let noise = (self.noise * normal(random)).exp();
                (n, law(n) * machine * noise)
            };
            self.steps.iter().map(&mut value).collect()
        };
        (0..self.rounds).map(|_| round()).collect()
    }
}
