//! Rounds in a rectangular form: the logarithm of every complete round's value at every step.

use super::ROUNDS_MIN;

/// Logarithms, because noise multiplies and the laws are about ratios.
pub(super) struct Table {
    /// The distinct steps n, rising.
    pub(super) steps: Vec<f64>,
    /// `rounds[r][k]`: ln of round r's value at `steps[k]`.
    pub(super) rounds: Vec<Vec<f64>>,
}

impl Table {
    /// Of the rounds that measured every step that any round measured; a step measured twice in one
    /// round counts by its geometric mean.
    ///
    /// None: fewer than `steps_min` steps, too few complete rounds, or something not positive and
    /// finite.
    pub(super) fn of(rounds: &[Vec<(f64, f64)>], steps_min: usize) -> Option<Self> {
        let is_number = |value: f64| value > 0.0 && value.is_finite();
        let mut steps = Vec::new();
        for &(n, value) in rounds.iter().flatten() {
            if !is_number(n) || !is_number(value) {
                return None;
            }
            steps.push(n);
        }
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        let complete = rounds.iter().filter_map(|round| row(round, &steps));
        let rounds: Vec<Vec<f64>> = complete.collect();
        let suffices = steps.len() >= steps_min && rounds.len() >= ROUNDS_MIN;
        suffices.then_some(Self { steps, rounds })
    }
}

/// One round in the order of the steps; None: it misses one.
fn row(round: &[(f64, f64)], steps: &[f64]) -> Option<Vec<f64>> {
    let at = |step: &f64| {
        let here = round.iter().filter(|(n, _)| n == step);
        let logarithms: Vec<f64> = here.map(|(_, value)| value.ln()).collect();
        (!logarithms.is_empty()).then(|| mean(&logarithms))
    };
    steps.iter().map(at).collect()
}

/// The arithmetic mean of at least one value.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_sorted_by_step_and_incomplete_ones_left_out() {
        let whole = vec![(10.0, 1.0), (1.0, 1.0_f64.exp()), (10.0, 2.0_f64.exp())];
        let partial = vec![(1.0, 1.0)];
        let rounds = [whole.clone(), partial, whole.clone(), whole];
        let table = Table::of(&rounds, 2).unwrap();
        assert_eq!(table.steps, [1.0, 10.0]);
        assert_eq!(table.rounds, vec![vec![1.0, 1.0]; 3]);
    }

    #[test]
    fn too_little_or_no_number_is_no_table() {
        let round = vec![(1.0, 1.0), (2.0, 1.0)];
        assert!(Table::of(&vec![round.clone(); 3], 2).is_some());
        assert!(Table::of(&vec![round.clone(); 2], 2).is_none());
        assert!(Table::of(&vec![round.clone(); 3], 3).is_none());
        assert!(Table::of(&[], 2).is_none());
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for measured in [(wrong, 1.0), (2.0, wrong)] {
                let mut rounds = vec![round.clone(); 4];
                rounds[3][1] = measured;
                assert!(Table::of(&rounds, 2).is_none(), "{measured:?}");
            }
        }
    }
}
