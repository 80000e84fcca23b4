//! How one step of a ladder stands to another, within rounds.

use rand_chacha::ChaCha8Rng;

use super::Interval;
use super::bootstrap::{margin, mean_interval};
use super::table::{Table, mean};

/// How the throughput at the last step (the largest n) stands to that at the best step, where
/// `rounds[r][k] = (n, throughput)`: a ratio of at most 1 with its interval. Retrograde scaling:
/// `high < 1`.
///
/// The largest of several noisy values is large also by luck, so that a plateau looks like a
/// decline. The interval therefore holds for the last step against every other one at once,
/// whichever is best.
///
/// None: fewer than 2 distinct steps, fewer than 3 complete rounds, or something not positive and
/// finite.
pub fn decline(rounds: &[Vec<(f64, f64)>], random: &mut ChaCha8Rng) -> Option<Interval> {
    let table = Table::of(rounds, 2)?;
    let last = table.steps.len() - 1;
    let against = |step: usize| {
        let ratios = table.rounds.iter().map(|round| round[last] - round[step]);
        ratios.collect::<Vec<f64>>()
    };
    // The last step against itself is among them: no decline at all.
    let columns: Vec<Vec<f64>> = (0..=last).map(against).collect();
    let lowest = columns
        .iter()
        .map(|column| mean(column))
        .fold(0.0, f64::min);
    let margin = margin(&columns, table.rounds.len(), random);
    let interval = Interval {
        estimate: lowest,
        low: lowest - margin,
        high: (lowest + margin).min(0.0),
    };
    Some(interval.exp())
}

/// The value at the last step (the largest n) over that at the first, where
/// `rounds[r][k] = (n, value)`: the geometric mean of the rounds' ratios, with its interval by
/// bootstrap over rounds.
///
/// None: fewer than 2 distinct steps, fewer than 3 complete rounds, or something not positive and
/// finite.
pub fn growth(rounds: &[Vec<(f64, f64)>], random: &mut ChaCha8Rng) -> Option<Interval> {
    let table = Table::of(rounds, 2)?;
    let last = table.steps.len() - 1;
    let ratio = |round: &Vec<f64>| round[last] - round[0];
    let ratios: Vec<f64> = table.rounds.iter().map(ratio).collect();
    Some(mean_interval(&ratios, random).exp())
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Ladder, random};
    use super::*;

    type Fit = fn(&[Vec<(f64, f64)>], &mut ChaCha8Rng) -> Option<Interval>;

    const CLIENTS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

    fn ladder(rounds: usize) -> Ladder<'static> {
        Ladder {
            steps: &CLIENTS,
            rounds,
            noise: 0.1,
            outliers: 0.05,
        }
    }

    fn universal(sigma: f64, kappa: f64) -> impl Fn(f64) -> f64 {
        move |n| n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
    }

    /// In how many of 1,000 data sets the interval holds the truth, and in how many it lies below
    /// 1.
    fn counts(fit: Fit, (rounds, truth): (usize, f64), law: impl Fn(f64) -> f64) -> (u32, u32) {
        let mut random = random();
        let (mut covered, mut below) = (0, 0);
        for _ in 0..1_000 {
            let measured = ladder(rounds).measure(&law, &mut random);
            let found = fit(&measured, &mut random).unwrap();
            covered += u32::from(found.low <= truth && truth <= found.high);
            below += u32::from(found.high < 1.0);
        }
        (covered, below)
    }

    #[test]
    fn rising_and_level_throughput_is_not_called_retrograde() {
        for rounds in [3, 5, 20] {
            let (covered, below) = counts(decline, (rounds, 1.0), universal(0.3, 0.0));
            assert_eq!(
                (covered, below),
                (1_000, 0),
                "{rounds} rounds, level at last"
            );
            // The hardest case: every step could be the best by luck.
            let (covered, below) = counts(decline, (rounds, 1.0), |_| 7.0);
            assert!(
                covered >= 975,
                "{rounds} rounds, plateau: {covered} of 1,000"
            );
            assert!(below <= 25, "{rounds} rounds, plateau: {below} of 1,000");
        }
    }

    #[test]
    fn retrograde_throughput_is_seen_and_its_size_covered() {
        let law = universal(0.02, 0.002);
        let truth = law(64.0) / law(16.0);
        assert!((0.68..0.70).contains(&truth), "{truth}");
        for (rounds, seen_min) in [(3, 200), (5, 950), (10, 1_000)] {
            let (covered, seen) = counts(decline, (rounds, truth), &law);
            assert!(covered >= 930, "{rounds} rounds: {covered} of 1,000");
            assert!(seen >= seen_min, "{rounds} rounds: {seen} of 1,000");
        }
    }

    #[test]
    fn growth_is_the_ratio_of_the_ends_and_covered() {
        for rounds in [3, 5, 10] {
            let (covered, below) = counts(growth, (rounds, 8.0), |n| n.sqrt());
            assert!(covered >= 930, "{rounds} rounds: {covered} of 1,000");
            assert_eq!(below, 0);
            let (covered, below) = counts(growth, (rounds, 1.0), |_| 7.0);
            assert!(covered >= 930, "{rounds} rounds: {covered} of 1,000");
            assert!(below <= 50, "{rounds} rounds: {below} of 1,000");
        }
    }

    #[test]
    fn exact_ratios_are_found_exactly() {
        let round = [(1.0, 2.0), (2.0, 10.0), (4.0, 5.0)];
        let machine = [1.0, 3.0, 0.1];
        let rounds = machine.map(|speed| round.map(|(n, value)| (n, value * speed)).to_vec());
        for (fit, ratio) in [(decline as fn(&[_], &mut _) -> _, 0.5), (growth, 2.5)] {
            let found: Interval = fit(&rounds, &mut random()).unwrap();
            for value in [found.estimate, found.low, found.high] {
                assert!((value - ratio).abs() < 1e-12, "{found:?}");
            }
        }
    }

    #[test]
    fn one_step_or_two_rounds_are_no_evidence() {
        for fit in [decline, growth] {
            assert_eq!(fit(&vec![vec![(1.0, 1.0)]; 5], &mut random()), None);
            assert_eq!(
                fit(&vec![vec![(1.0, 1.0), (2.0, 2.0)]; 2], &mut random()),
                None
            );
        }
    }
}
