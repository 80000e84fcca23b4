//! Seconds as scenario files have them: whole, or with up to three decimals.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The most that can be written: beyond it a number with decimals is no longer exact.
const MILLIS_MAX: u64 = 1 << 50;

/// So many milliseconds, written as seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(u64);

impl Seconds {
    pub(super) const ZERO: Self = Self(0);

    /// Rounded down to a millisecond.
    pub(super) fn of(span: Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn span(self) -> Duration {
        Duration::from_millis(self.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Seconds {
    /// No more than it takes: `2`, `2.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, millis) = (self.0 / 1_000, self.0 % 1_000);
        if millis == 0 {
            return write!(f, "{whole}");
        }
        let text = format!("{whole}.{millis:03}");
        f.write_str(text.trim_end_matches('0'))
    }
}

impl fmt::Debug for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds, with three decimals at most")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Seconds, E> {
                let seconds = u64::try_from(number).ok();
                let millis = seconds.and_then(|seconds| seconds.checked_mul(1_000));
                let millis = millis.filter(|millis| *millis <= MILLIS_MAX);
                let wrong = || E::invalid_value(serde::de::Unexpected::Signed(number), &self);
                millis.map(Seconds).ok_or_else(wrong)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Seconds, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Float(number), &self);
                let span = Duration::try_from_secs_f64(number).map_err(|_| wrong())?;
                // The nearest millisecond has to be the one that was meant.
                let seconds = Seconds::of(span.saturating_add(Duration::from_micros(500)));
                let again: Result<f64, _> = seconds.to_string().parse();
                if seconds.0 <= MILLIS_MAX && again == Ok(number) {
                    return Ok(seconds);
                }
                Err(wrong())
            }
        }
        from.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        at: Seconds,
    }

    fn read(number: &str) -> Option<String> {
        let file: Option<File> = toml::from_str(&format!("at = {number}")).ok();
        file.map(|file| file.at.to_string())
    }

    #[test]
    fn seconds_are_written_as_they_are_read_and_no_longer_than_they_must() {
        for (number, expected) in [
            ("0", "0"),
            ("17", "17"),
            ("2.5", "2.5"),
            ("2.0", "2"),
            ("0.001", "0.001"),
            ("604799.999", "604799.999"),
            ("1e2", "100"),
        ] {
            assert_eq!(read(number).as_deref(), Some(expected), "{number}");
            assert_eq!(read(expected).as_deref(), Some(expected), "{number}");
        }
        for number in [
            "-1", "-0.5", "2.5001", "0.0004", "nan", "inf", "1e300", "'2'",
        ] {
            assert_eq!(read(number), None, "{number}");
        }
    }
}
