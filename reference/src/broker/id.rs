//! Identifiers: drawn from the seed, opaque outside, an address inside.
//!
//! An id is a version 4 UUID of 90 random bits and the slot of the thing it names, masked with a
//! key that only this broker knows. So a look-up needs no index, and an id tells a client neither
//! the position of a message nor how many there are.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::slab::Slot;

/// Where in the spelling of a UUID the digits of each byte begin: behind the dashes.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The 128 bits of a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The UUID of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A version 4 UUID with the random bits of these bytes.
    #[must_use]
    pub const fn version_4(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The spelling that [`fmt::Display`] writes, for those who write many.
    #[must_use]
    pub fn to_ascii(self) -> [u8; 36] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        for (byte, at) in self.0.into_iter().zip(PAIRS) {
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 0x0f)];
        }
        text
    }

    /// Reads exactly the spelling that [`fmt::Display`] writes: lower case, with dashes.
    #[must_use]
    pub fn parse_canonical(text: &str) -> Option<Self> {
        let id = Self::parse_dashed(text)?;
        text.bytes()
            .all(|byte| !byte.is_ascii_uppercase())
            .then_some(id)
    }

    /// Reads 8-4-4-4-12 hexadecimal digits of either case.
    #[must_use]
    pub fn parse_dashed(text: &str) -> Option<Self> {
        let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
        if [8, 13, 18, 23].iter().any(|&at| text[at] != b'-') {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip(PAIRS) {
            *byte = hex_value(text[at])? << 4 | hex_value(text[at + 1])?;
        }
        Some(Self(bytes))
    }

    /// Reads 32 hexadecimal digits of either case.
    #[must_use]
    pub fn parse_plain(text: &str) -> Option<Self> {
        (text.len() == 32)
            .then(|| Self::parse_digits(text.bytes()))
            .flatten()
    }

    fn parse_digits(mut digits: impl Iterator<Item = u8>) -> Option<Self> {
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = hex_value(digits.next()?)? << 4 | hex_value(digits.next()?)?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_ascii();
        out.write_str(std::str::from_utf8(&text).expect("invariant: the digits are ASCII"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse_canonical(&text).ok_or_else(|| D::Error::custom("this is no UUID"))
    }
}

/// Names a message for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub Uuid);

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Names a claim for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClaimId(pub Uuid);

impl fmt::Display for ClaimId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Names a subscription for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionId(pub Uuid);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Draws ids from the seed.
#[derive(Serialize, Deserialize)]
pub(crate) struct IdSource {
    generator: ChaCha8Rng,
    mask_key: u64,
}

impl IdSource {
    pub(crate) fn new(seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let mask_key = generator.next_u64();
        Self {
            generator,
            mask_key,
        }
    }

    /// A secret that is drawn once and kept, such as the key of the markers.
    pub(crate) fn draw_key(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A fresh id for what lies in `slot`.
    pub(crate) fn draw(&mut self, slot: Slot) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.generator.next_u64().to_be_bytes());
        bytes[8..12].copy_from_slice(&self.generator.next_u32().to_be_bytes());
        let Uuid(mut bytes) = Uuid::version_4(bytes);
        let masked = slot.index() ^ self.mask(&bytes);
        bytes[12..].copy_from_slice(&masked.to_be_bytes());
        Uuid(bytes)
    }

    /// Where the thing with this id lies, if there is one. The caller compares the ids.
    pub(crate) fn slot_of(&self, Uuid(bytes): Uuid) -> Slot {
        let masked = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        Slot::from_index(masked ^ self.mask(&bytes))
    }

    fn mask(&self, bytes: &[u8; 16]) -> u32 {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *bytes;
        let high = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let low = u64::from(u32::from_be_bytes([i, j, k, l]));
        let mixed = mix(mix(high ^ self.mask_key) ^ low);
        u32::try_from(mixed >> 32).expect("invariant: the upper half of 64 bits is 32 bits")
    }
}

/// The finalizer of `SplitMix64`: a permutation in which every input bit reaches every output bit.
pub(crate) const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The value of each digit; of what is none, [`NO_DIGIT`].
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const NO_DIGIT: u8 = u8::MAX;

fn hex_value(digit: u8) -> Option<u8> {
    let value = VALUES[usize::from(digit)];
    (value != NO_DIGIT).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_slot() {
        let mut ids = IdSource::new(1);
        for index in [0, 1, 77, u32::MAX] {
            let id = ids.draw(Slot::from_index(index));
            assert_eq!(ids.slot_of(id).index(), index);
            assert_eq!(Uuid::parse_canonical(&id.to_string()), Some(id));
        }
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        let mut ids = IdSource::new(1);
        for index in 0..100 {
            let text = ids.draw(Slot::from_index(index)).to_string();
            assert_eq!(&text[14..15], "4", "{text}");
            assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        }
        let [low, high] = [0, 0xff].map(|byte| Uuid::version_4([byte; 16]).0);
        assert_eq!((low[6], low[8], high[6], high[8]), (0x40, 0x80, 0x4f, 0xbf));
    }

    /// The first number that `SplitMix64` draws from the seed 0, as its authors publish it.
    #[test]
    fn mixing_is_that_of_splitmix() {
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn equal_seeds_draw_equal_ids_and_others_do_not() {
        let slot = Slot::from_index(0);
        assert_eq!(IdSource::new(3).draw(slot), IdSource::new(3).draw(slot));
        assert_ne!(IdSource::new(3).draw(slot), IdSource::new(4).draw(slot));
    }

    #[test]
    fn only_the_canonical_spelling_of_an_id_names_anything() {
        let text = "0a0b0c0d-1111-4222-8333-444455556666";
        assert_eq!(Uuid::parse_canonical(text).unwrap().to_string(), text);
        assert!(Uuid::parse_canonical(&text.to_uppercase()).is_none());
        assert!(Uuid::parse_dashed(&text.to_uppercase()).is_some());
        for foreign in [
            "",
            "x",
            "0a0b0c0d11114222833344445555666",
            "0a0b0c0d-1111-4222-8333-44445555666g",
        ] {
            assert!(Uuid::parse_canonical(foreign).is_none(), "{foreign}");
            assert!(Uuid::parse_plain(foreign).is_none(), "{foreign}");
        }
    }
}
