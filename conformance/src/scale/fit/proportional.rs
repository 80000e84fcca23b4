//! Whether load is spread as its weights say.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Below this expected count Pearson's statistic is not chi-square distributed enough.
const EXPECTED_MIN: f64 = 5.0;

/// Whether counts are spread in proportion to weights: p of Pearson's chi-square test.
///
/// A count where the weight is 0 gives 0. None: an expected count below 5, fewer than two cells
/// with a weight, or not as many counts as weights.
pub fn proportional(counts: &[u64], weights: &[u64]) -> Option<f64> {
    if counts.len() != weights.len() {
        return None;
    }
    let mut cells = Vec::new();
    for (&count, &weight) in counts.iter().zip(weights) {
        if weight > 0 {
            cells.push((count as f64, weight as f64));
        } else if count > 0 {
            return Some(0.0);
        }
    }
    let count_sum: f64 = cells.iter().map(|(count, _)| count).sum();
    let weight_sum: f64 = cells.iter().map(|(_, weight)| weight).sum();
    let mut statistic = 0.0;
    for &(count, weight) in &cells {
        let expected = count_sum * weight / weight_sum;
        if expected < EXPECTED_MIN {
            return None;
        }
        statistic += (count - expected).powi(2) / expected;
    }
    (cells.len() >= 2).then(|| survival(statistic, cells.len() - 1))
}

fn survival(statistic: f64, freedom: usize) -> f64 {
    let distribution = ChiSquared::new(freedom as f64).expect("at least one degree of freedom");
    distribution.sf(statistic)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::super::synthetic::random;
    use super::*;

    #[test]
    fn survival_is_that_of_the_table() {
        let table = [
            (3.841, 1, 0.05),
            (6.635, 1, 0.01),
            (5.991, 2, 0.05),
            (11.070, 5, 0.05),
            (18.307, 10, 0.05),
            (29.588, 10, 0.001),
        ];
        for (statistic, freedom, p) in table {
            let found = survival(statistic, freedom);
            assert!(
                (found / p - 1.0).abs() < 1e-3,
                "{statistic} {freedom}: {found}"
            );
        }
    }

    #[test]
    fn mendels_peas_keep_their_ratio() {
        // Round yellow, wrinkled yellow, round green, wrinkled green: chi-square 0.470, p 0.925.
        let p = proportional(&[315, 101, 108, 32], &[9, 3, 3, 1]).unwrap();
        assert!((p - 0.9254).abs() < 1e-3, "{p}");
        assert_eq!(proportional(&[50, 100], &[1, 2]), Some(1.0));
        // 2 · 98² / 5,000 = 3.8416.
        let p = proportional(&[5_098, 4_902], &[3, 3]).unwrap();
        assert!((p - 0.05).abs() < 1e-4, "{p}");
    }

    #[test]
    fn proportional_counts_are_refused_as_rarely_as_p_says_and_others_always() {
        let mut random = random();
        let mut refused = 0;
        for _ in 0..1_000 {
            let (mut fair, mut unfair) = ([0; 3], [0; 3]);
            for _ in 0..600 {
                fair[[0, 0, 0, 1, 1, 2][random.random_range(0..6)]] += 1;
                unfair[random.random_range(0..3)] += 1;
            }
            refused += u32::from(proportional(&fair, &[3, 2, 1]).unwrap() < 0.05);
            assert!(proportional(&unfair, &[3, 2, 1]).unwrap() < 1e-6);
        }
        assert!((30..=70).contains(&refused), "{refused} of 1,000");
    }

    #[test]
    fn count_without_weight_is_certain_and_thin_evidence_none() {
        assert_eq!(proportional(&[50, 50, 1], &[1, 1, 0]), Some(0.0));
        assert_eq!(proportional(&[50, 50, 0], &[1, 1, 0]), Some(1.0));
        assert_eq!(proportional(&[5, 5], &[1, 1]), Some(1.0));
        assert_eq!(proportional(&[5, 4], &[1, 1]), None);
        assert_eq!(proportional(&[1_000, 4], &[1_000, 1]), None);
        assert_eq!(proportional(&[100], &[1]), None);
        assert_eq!(proportional(&[100, 0], &[1, 0]), None);
        assert_eq!(proportional(&[100, 100], &[1]), None);
        assert_eq!(proportional(&[], &[]), None);
        assert_eq!(proportional(&[0, 0], &[1, 1]), None);
    }
}
