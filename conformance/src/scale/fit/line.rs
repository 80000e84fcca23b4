//! A line through values that follow each other at equal steps.

use super::table::mean;

/// A line by least squares; x counts steps from the middle of the values.
pub(super) struct Line {
    mean: f64,
    slope: f64,
    middle: f64,
}

impl Line {
    pub(super) fn through(values: &[f64]) -> Self {
        let size = values.len() as f64;
        let middle = (size - 1.0) / 2.0;
        let products = values
            .iter()
            .enumerate()
            .map(|(x, y)| (x as f64 - middle) * y);
        Self {
            mean: mean(values),
            slope: products.sum::<f64>() * 12.0 / (size * (size * size - 1.0)),
            middle,
        }
    }

    pub(super) fn value(&self, x: f64) -> f64 {
        self.mean + self.slope * x
    }

    pub(super) fn residuals(&self, values: &[f64]) -> impl Iterator<Item = f64> {
        let residual = |(x, y): (usize, &f64)| y - self.value(x as f64 - self.middle);
        values.iter().enumerate().map(residual)
    }

    pub(super) fn squares(&self, values: &[f64]) -> f64 {
        self.residuals(values)
            .map(|residual| residual * residual)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_that_of_the_textbook() {
        let values = [1.0, 3.0, 2.0, 5.0];
        let line = Line::through(&values);
        assert!((line.mean - 2.75).abs() < 1e-12);
        assert!((line.slope - 1.1).abs() < 1e-12);
        assert!((line.value(1.5) - 4.4).abs() < 1e-12);
        let residuals: Vec<f64> = line.residuals(&values).collect();
        let expected = [-0.1, 0.8, -1.3, 0.6];
        assert!(
            residuals
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
        assert!((line.squares(&values) - 2.7).abs() < 1e-12);
    }
}
