//! Fingerprints: whether two machines saw the same, without sending it from one to the other.

use serde::{Deserialize, Serialize};

/// A number that stands for texts. That of many is the sum of theirs, whoever adds them up, in any order. It tells
/// what differs by chance or by mistake; it is no protection against somebody who means to deceive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of one text: 64-bit FNV-1a, the same in every build.
    pub fn of(text: &str) -> Self {
        let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// Of what this stands for, and of `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl From<Fingerprint> for String {
    fn from(Fingerprint(sum): Fingerprint) -> Self {
        format!("{sum:016x}")
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_the_algorithm_and_can_be_read_again() {
        // The published test vectors of FNV-1a.
        for (text, expected) in [
            ("", "cbf29ce484222325"),
            ("a", "af63dc4c8601ec8c"),
            ("foobar", "85944171f73967e8"),
        ] {
            let written = String::from(Fingerprint::of(text));
            assert_eq!(written, expected);
            assert_eq!(Fingerprint::try_from(written), Ok(Fingerprint::of(text)));
        }
        let [one, other] = ["one", "other"].map(Fingerprint::of);
        assert_eq!(one.and(other), other.and(one));
        assert_ne!(one.and(other), one);
    }
}
