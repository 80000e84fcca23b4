//! The statistics behind the scaling rules: from measured rounds to estimates with 95 % intervals.
//!
//! Everything here is pure: no I/O, no clock, and randomness is an argument, so the same numbers
//! under the same seed give the same answer.
//!
//! A *round* measures every step of a ladder once, interleaved in time with the other rounds. A
//! noisy machine then moves the steps of one round alike, and what is compared is always compared
//! within a round. Rounds that miss a step are left out. An interval tells how far the rounds
//! differ, not whether the law that is fitted is the right one.
//!
//! `None` means that the numbers do not suffice; a caller must not read it as a good result.

use serde::{Deserialize, Serialize};

pub use self::exponent::exponent;
pub use self::jump::{Jump, SIDE_MIN, jump};
pub use self::proportional::proportional;
pub use self::ratio::{decline, growth};
pub use self::universal::{Universal, universal};

mod bootstrap;
mod exponent;
mod jump;
mod least_squares;
mod line;
mod noise;
mod proportional;
mod ratio;
#[cfg(test)]
mod synthetic;
mod table;
mod universal;

/// Rounds without which there is no interval.
pub const ROUNDS_MIN: usize = 3;

/// An estimate with its 95 % interval. All three are finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The most plausible value.
    pub estimate: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Interval {
    /// From logarithms back to the quantity itself.
    fn exp(&self) -> Self {
        let exp = |value: f64| value.exp().clamp(f64::MIN_POSITIVE, f64::MAX);
        Self {
            estimate: exp(self.estimate),
            low: exp(self.low),
            high: exp(self.high),
        }
    }

    /// The same, of a quantity that lies between these bounds.
    fn clamped(&self, low: f64, high: f64) -> Self {
        Self {
            estimate: self.estimate.clamp(low, high),
            low: self.low.clamp(low, high),
            high: self.high.clamp(low, high),
        }
    }
}
