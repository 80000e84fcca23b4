//! Least squares of a few unknowns that must not be negative.

/// The x with x₀ > 0 and x₁, x₂ ≥ 0 for which the rows times x come nearest to 1, and the sum of
/// squares that is left. Of three unknowns, every choice of those that are 0 can be tried.
pub(super) fn non_negative(rows: &[[f64; 3]]) -> ([f64; 3], f64) {
    let mut best = ([0.0; 3], f64::INFINITY);
    for free in [&[0, 1, 2][..], &[0, 1], &[0, 2], &[0]] {
        let Some(x) = least_squares(rows, free) else {
            continue;
        };
        let is_allowed = x[0] > 0.0 && x[1] >= 0.0 && x[2] >= 0.0;
        let error = |row: &[f64; 3]| 1.0 - row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
        let squares: f64 = rows.iter().map(|row| error(row).powi(2)).sum();
        if is_allowed && squares < best.1 {
            best = (x, squares);
        }
        // Nothing is nearer than the nearest of all, if that is allowed.
        if is_allowed && free.len() == 3 {
            break;
        }
    }
    best
}

/// Least squares with the free unknowns alone; None: they cannot be told apart.
fn least_squares(rows: &[[f64; 3]], free: &[usize]) -> Option<[f64; 3]> {
    // Modified Gram and Schmidt, backwards substitution at the end: normal equations would square
    // the condition number, and ladders span decades.
    let column = |&index: &usize| -> Vec<f64> { rows.iter().map(|row| row[index]).collect() };
    let mut columns: Vec<Vec<f64>> = free.iter().map(column).collect();
    columns.push(vec![1.0; rows.len()]);
    let size = free.len();
    let mut triangle = [[0.0; 4]; 3];
    for pivot in 0..size {
        let (done, rest) = columns.split_at_mut(pivot + 1);
        let base = &done[pivot];
        let length: f64 = base.iter().map(|value| value * value).sum();
        let original: f64 = rows.iter().map(|row| row[free[pivot]].powi(2)).sum();
        if length <= original * 1e-20 {
            return None;
        }
        for (offset, other) in rest.iter_mut().enumerate() {
            let share = base.iter().zip(&*other).map(|(a, b)| a * b).sum::<f64>() / length;
            other
                .iter_mut()
                .zip(base)
                .for_each(|(value, base)| *value -= share * base);
            triangle[pivot][pivot + 1 + offset] = share;
        }
    }
    let mut found = [0.0; 3];
    let mut solved = [0.0; 3];
    for pivot in (0..size).rev() {
        let known: f64 = (pivot + 1..size)
            .map(|later| triangle[pivot][later] * solved[later])
            .sum();
        solved[pivot] = triangle[pivot][size] - known;
        found[free[pivot]] = solved[pivot];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: [f64; 3], expected: [f64; 3]) {
        let is_near = found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(is_near, "{found:?} {expected:?}");
    }

    /// What is left, summed up without the code under test.
    fn squares(rows: &[[f64; 3]], [a, b, c]: [f64; 3]) -> f64 {
        let error = |row: &[f64; 3]| 1.0 - a * row[0] - b * row[1] - c * row[2];
        rows.iter().map(|row| error(row).powi(2)).sum()
    }

    #[test]
    fn rows_that_can_be_met_are_met() {
        let rows = [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 4.0]];
        let (found, left) = non_negative(&rows);
        assert_near(found, [1.0, 0.5, 0.25]);
        assert!(left < 1e-20);
    }

    #[test]
    fn normal_equations_have_the_same_solution() {
        let rows = [[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [1.0, 3.0, 0.0]];
        // a + b, 2a + 2b and a + 3b near 1. By hand: 6a + 8b = 4, 8a + 14b = 6.
        let found = least_squares(&rows, &[0, 1]).unwrap();
        assert_near(found, [0.4, 0.2, 0.0]);
        assert_eq!(least_squares(&rows, &[0, 1, 2]), None);
    }

    #[test]
    fn what_would_be_negative_is_zero_and_nothing_nearby_is_better() {
        let unknowns = [
            [1.0, -0.3, 0.2],
            [1.0, 0.3, -0.2],
            [1.0, -0.3, -0.2],
            [1.0, 0.3, 0.2],
        ];
        for [a, b, c] in unknowns {
            // Rows that these unknowns meet, all of them positive.
            let row = |n: u8| {
                let (x, y) = (f64::from(n), f64::from(n * n) / 4.0);
                [1.0, x, y].map(|value| value / (a + b * x + c * y))
            };
            let rows: Vec<[f64; 3]> = [0, 1, 2].map(row).to_vec();
            let (found, left) = non_negative(&rows);
            assert!((left - squares(&rows, found)).abs() < 1e-12);
            for index in 0..3 {
                for by in [-1e-3, 1e-3] {
                    let mut other = found;
                    other[index] = (other[index] + by).max(0.0);
                    assert!(squares(&rows, other) >= left - 1e-12, "{found:?} {other:?}");
                }
            }
        }
    }
}
