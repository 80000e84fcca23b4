//! Markers: positions in the order of messages, as tokens a client can carry but not read.
//!
//! A marker is the rank of a message, permuted with a key of this broker, and a check. It is not
//! derived from the id of the message and stays valid after the message is gone.

use serde::{Deserialize, Serialize};

use super::id::{IdSource, mix};
use super::message::Rank;

const HALF_BITS: u32 = 32;
const ROUNDS: [u64; 4] = [1, 2, 3, 4];
const HALF_MASK: u64 = 0xffff_ffff;

/// Writes and reads markers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Markers {
    key: u64,
}

impl Markers {
    pub(crate) fn new(ids: &mut IdSource) -> Self {
        Self {
            key: ids.draw_key(),
        }
    }

    /// The token of a position.
    pub(crate) fn write(&self, rank: Rank) -> String {
        format!("{:016x}{:08x}", self.permute(rank.0), self.check(rank.0))
    }

    /// The position of a token; `None` if this broker never wrote it.
    pub(crate) fn read(&self, token: &str) -> Option<Rank> {
        if token.len() != 24
            || !token
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        let (position, check) = token.split_at(16);
        let rank = self.restore(u64::from_str_radix(position, 16).ok()?);
        (u64::from_str_radix(check, 16).ok()? == self.check(rank)).then_some(Rank(rank))
    }

    /// Four Feistel rounds: a permutation of the 64-bit numbers, whatever the key.
    fn permute(&self, number: u64) -> u64 {
        let (mut left, mut right) = (number >> HALF_BITS, number & HALF_MASK);
        for round in ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        left << HALF_BITS | right
    }

    fn restore(&self, number: u64) -> u64 {
        let (mut left, mut right) = (number >> HALF_BITS, number & HALF_MASK);
        for round in ROUNDS.into_iter().rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        left << HALF_BITS | right
    }

    fn round(&self, round: u64, half: u64) -> u64 {
        mix(self.key ^ mix(round << HALF_BITS | half)) >> HALF_BITS
    }

    fn check(&self, rank: u64) -> u64 {
        mix(mix(self.key) ^ rank) >> HALF_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_leads_back_to_its_position() {
        let markers = Markers::new(&mut IdSource::new(7));
        for rank in [0, 1, 2, 1 << 40, u64::MAX] {
            assert_eq!(markers.read(&markers.write(Rank(rank))), Some(Rank(rank)));
        }
    }

    #[test]
    fn a_marker_does_not_show_its_position() {
        let markers = Markers::new(&mut IdSource::new(7));
        let tokens = [1, 2, 3].map(|rank| markers.write(Rank(rank)));
        for (rank, token) in (1..).zip(&tokens) {
            assert_ne!(token[..16], format!("{rank:016x}"), "{token}");
            assert!(!token.contains("00000000"), "{token}");
        }
        let alike = tokens[0].bytes().zip(tokens[1].bytes());
        let alike = alike.filter(|(one, other)| one == other).count();
        assert!(alike < 12, "neighbours look alike: {tokens:?}");
    }

    #[test]
    fn a_foreign_token_is_no_position() {
        let markers = Markers::new(&mut IdSource::new(7));
        let other = Markers::new(&mut IdSource::new(8)).write(Rank(3));
        for token in [
            "",
            "3",
            "zz",
            other.as_str(),
            "00000000000000000000000g",
            "é",
        ] {
            assert_eq!(markers.read(token), None, "{token}");
        }
    }
}
