//! How throughput grows with concurrency: Gunther's Universal Scalability Law.
//!
//! X(n) = λn / (1 + σ(n−1) + κn(n−1)). λ is what one client gets alone, σ the share of work that
//! must wait its turn, κ the price of every pair that has to agree. With κ > 0 there is a peak, and
//! beyond it more clients get less.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Interval;
use super::bootstrap::{interval, resample, weighted_mean};
use super::least_squares::non_negative;
use super::table::{Table, mean};

/// What was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Universal {
    /// λ: throughput of one client, in the unit of the values.
    pub lambda: Interval,
    /// σ ≥ 0: contention.
    pub sigma: Interval,
    /// κ ≥ 0: coherency.
    pub kappa: Interval,
    /// N* = √((1−σ)/κ), at least 1: where throughput is largest; it may lie far outside the ladder.
    /// None: the interval of κ reaches 0, so there may be no peak at all.
    pub peak: Option<Interval>,
    /// Root of the mean squared relative error of the law at the steps, over all rounds; 0 by
    /// construction where there are but 3 steps.
    pub residual: f64,
}

/// The law that fits best where `rounds[r][k] = (n, throughput)`, by least squares of relative
/// errors, with intervals by bootstrap over rounds. Values are compared within their round first,
/// so that a machine that is slow for a whole round moves λ alone.
///
/// None: fewer than 3 distinct steps, fewer than 3 complete rounds, a step below n = 1, or
/// something not positive and finite.
pub fn universal(rounds: &[Vec<(f64, f64)>], random: &mut ChaCha8Rng) -> Option<Universal> {
    let table = Table::of(rounds, 3)?;
    if table.steps[0] < 1.0 {
        return None;
    }
    let laws = resample(table.rounds.len(), random, |weights| {
        Law::of(&table, weights)
    });
    let law = Law::of(&table, &vec![1.0; table.rounds.len()]);
    let fitted = |number: fn(&Law) -> f64| {
        let resampled = laws.iter().map(number).collect();
        interval(number(&law), resampled, table.rounds.len())
    };
    let kappa = fitted(|law| law.kappa).clamped(0.0, f64::MAX);
    let peak = (kappa.low > 0.0).then(|| fitted(Law::peak_ln).exp().clamped(1.0, f64::MAX));
    // Values hundreds of orders of magnitude apart have no finite fit.
    law.residual.is_finite().then(|| Universal {
        lambda: fitted(|law| law.lambda_ln).exp(),
        sigma: fitted(|law| law.sigma).clamped(0.0, f64::MAX),
        kappa,
        peak,
        residual: law.residual,
    })
}

/// One fit, λ by its logarithm.
struct Law {
    lambda_ln: f64,
    sigma: f64,
    kappa: f64,
    residual: f64,
}

impl Law {
    /// Of the geometric means at the steps, in which each round counts by its weight.
    ///
    /// The time per unit n/X(n) = (1 + σ(n−1) + κn(n−1)) / λ is linear in 1/λ, σ/λ and κ/λ. Divided
    /// by what was measured, its least squares are those of relative errors, without a search. A
    /// factor common to one round's values falls out of the means but for λ.
    fn of(table: &Table, weights: &[f64]) -> Self {
        let column = |step: usize| table.rounds.iter().map(move |round| round[step]);
        let step_mean = |step: usize| weighted_mean(column(step), weights);
        let steps = table.steps.iter().enumerate();
        let times: Vec<f64> = steps.map(|(step, n)| n.ln() - step_mean(step)).collect();
        // Numbers near 1, whatever the unit of throughput and the length of the ladder.
        let (unit_ln, longest) = (mean(&times), table.steps[table.steps.len() - 1]);
        let row = |(n, time): (&f64, &f64)| {
            let columns = [1.0, (n - 1.0) / longest, n * (n - 1.0) / longest.powi(2)];
            columns.map(|column| column / (time - unit_ln).exp())
        };
        let rows: Vec<[f64; 3]> = table.steps.iter().zip(&times).map(row).collect();
        let ([constant, linear, square], squares) = non_negative(&rows);
        Self {
            lambda_ln: -(constant.ln() + unit_ln),
            sigma: linear / constant / longest,
            kappa: square / constant / longest.powi(2),
            residual: (squares.max(0.0) / rows.len() as f64).sqrt(),
        }
    }

    /// ln N*, infinite where there is no peak.
    fn peak_ln(&self) -> f64 {
        let square = (1.0 - self.sigma).max(0.0) / self.kappa;
        if self.kappa > 0.0 {
            square.max(1.0).ln() / 2.0
        } else {
            f64::INFINITY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Ladder, random};
    use super::*;

    const CLIENTS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

    fn ladder(rounds: usize, noise: f64) -> Ladder<'static> {
        Ladder {
            steps: &CLIENTS,
            rounds,
            noise,
            outliers: 0.05,
        }
    }

    fn law(lambda: f64, sigma: f64, kappa: f64) -> impl Fn(f64) -> f64 {
        move |n| lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
    }

    #[test]
    fn exact_law_is_found_exactly() {
        let known = [
            (90.0, 0.0277, 0.000_104),
            (1e6, 0.0, 0.0),
            (1e-3, 0.5, 0.0),
            (20.0, 0.0, 0.01),
            (5.0, 1.0, 0.0),
        ];
        for (lambda, sigma, kappa) in known {
            let exact = Ladder {
                outliers: 0.0,
                ..ladder(3, 0.0)
            };
            let rounds = exact.measure(law(lambda, sigma, kappa), &mut random());
            let found = universal(&rounds, &mut random()).unwrap();
            assert!(
                (found.lambda.estimate / lambda - 1.0).abs() < 1e-9,
                "{found:?}"
            );
            assert!((found.sigma.estimate - sigma).abs() < 1e-9, "{found:?}");
            assert!((found.kappa.estimate - kappa).abs() < 1e-11, "{found:?}");
            assert!(found.residual < 1e-9, "{found:?}");
            if kappa >= 1e-4 {
                let peak = ((1.0 - sigma) / kappa).sqrt();
                assert!((found.peak.unwrap().estimate / peak - 1.0).abs() < 1e-6);
            }
        }
    }

    /// How many of 200 fits cover λ, σ and κ, have κ above its value, and tell a peak.
    fn counts(ladder: &Ladder<'_>, (sigma, kappa): (f64, f64)) -> ([u32; 3], u32, u32) {
        let mut random = random();
        let (mut covered, mut above, mut peaks) = ([0; 3], 0, 0);
        for _ in 0..200 {
            let measured = ladder.measure(law(100.0, sigma, kappa), &mut random);
            let found = universal(&measured, &mut random).unwrap();
            let fits = [
                (&found.lambda, 100.0),
                (&found.sigma, sigma),
                (&found.kappa, kappa),
            ];
            for (covered, (interval, truth)) in covered.iter_mut().zip(fits) {
                *covered += u32::from(interval.low <= truth && truth <= interval.high);
            }
            above += u32::from(found.kappa.low > kappa);
            peaks += u32::from(found.peak.is_some());
        }
        (covered, above, peaks)
    }

    #[test]
    fn true_parameters_lie_within_their_intervals() {
        for (rounds, noise) in [(3, 0.05), (5, 0.1)] {
            let even = Ladder {
                outliers: 0.0,
                ..ladder(rounds, noise)
            };
            let (covered, above, peaks) = counts(&even, (0.05, 0.0005));
            assert!(
                covered.iter().all(|covered| *covered >= 184),
                "{rounds}: {covered:?}"
            );
            assert!(above <= 10, "{rounds} rounds: {above} of 200");
            assert!(peaks >= 195, "{rounds} rounds: {peaks} of 200");
        }
    }

    #[test]
    fn no_peak_is_told_where_there_is_none() {
        for sigma in [0.0, 0.05] {
            let (_, above, peaks) = counts(&ladder(5, 0.1), (sigma, 0.0));
            assert_eq!(above, peaks);
            assert!(peaks <= 10, "σ = {sigma}: {peaks} of 200");
        }
    }

    #[test]
    fn slow_rounds_move_lambda_alone() {
        let clients = Ladder {
            outliers: 0.0,
            ..ladder(4, 0.0)
        };
        let mut rounds = clients.measure(law(10.0, 0.1, 0.001), &mut random());
        for (round, machine) in rounds.iter_mut().zip([1.0, 10.0, 0.1, 2.0]) {
            round
                .iter_mut()
                .for_each(|(_, throughput)| *throughput *= machine);
        }
        let found = universal(&rounds, &mut random()).unwrap();
        assert!((found.sigma.low - 0.1).abs() < 1e-9, "{found:?}");
        assert!((found.kappa.high - 0.001).abs() < 1e-11, "{found:?}");
        assert!(
            found.lambda.low < 10.0 && 10.0 < found.lambda.high,
            "{found:?}"
        );
    }

    #[test]
    fn residual_tells_that_the_law_does_not_hold() {
        let exact = Ladder {
            outliers: 0.0,
            ..ladder(3, 0.0)
        };
        let stairs = exact.measure(|n| if n < 10.0 { 1.0 } else { 20.0 }, &mut random());
        let found = universal(&stairs, &mut random()).unwrap();
        assert!(found.residual > 0.3, "{found:?}");
    }

    #[test]
    fn thin_or_absurd_numbers_are_no_evidence() {
        let fit = |rounds: &[Vec<(f64, f64)>]| universal(rounds, &mut random());
        let ideal = [1.0, 2.0, 3.0].map(|n| (n, n)).to_vec();
        assert!(fit(&vec![ideal.clone(); 3]).is_some());
        assert_eq!(fit(&vec![ideal.clone(); 2]), None);
        assert_eq!(fit(&vec![ideal[..2].to_vec(); 3]), None);
        let half = vec![vec![(0.5, 1.0), (1.0, 1.0), (2.0, 1.0)]; 3];
        assert_eq!(fit(&half), None);
        let absurd = vec![vec![(1.0, 1e300), (2.0, 1e-300), (3.0, 1e300)]; 3];
        assert_eq!(fit(&absurd), None);
    }
}
