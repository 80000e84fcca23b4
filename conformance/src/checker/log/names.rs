//! Strings as numbers, so that rules compare and look up numbers.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// No name, no message, no claim.
pub(in crate::checker) const NONE: u32 = u32::MAX;

/// Bytes of a scope before each of its names.
const SCOPE_BYTES: usize = size_of::<u32>();

/// Bytes of a name and its scope, generously: room for text that is never written is no memory yet.
const NAME_BYTES_EXPECTED: usize = 48;

/// Names, numbered in the order in which they came. The same name in two scopes is two names.
///
/// The table is asked for one name at a time and never walked, so its order shows nowhere.
#[derive(Debug, Default)]
pub(in crate::checker) struct Names {
    /// Scope and name, one after the other, so that one look compares both.
    text: Vec<u8>,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    table: HashTable<Slot>,
}

/// A name's number, and the part of its hash that settles most comparisons.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    number: u32,
}

impl Slot {
    /// The hash that the table works with: the stored half, spread over all bits.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

fn hash(scope: u32, name: &str) -> u32 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write_u32(scope);
    hasher.write(name.as_bytes());
    let hash = hasher.finish();
    u32::try_from(hash >> 32).expect("invariant: half of 64 bits")
}

impl Names {
    /// How many there are.
    pub(in crate::checker) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Makes room for so many more, so that the table does not grow step by step.
    pub(in crate::checker) fn reserve(&mut self, count: usize) {
        self.text.reserve(count * NAME_BYTES_EXPECTED);
        self.ends.reserve(count);
        self.table.reserve(count, |slot| Slot::spread(slot.hash));
    }

    /// The number of `name` in `scope`, if it has one.
    pub(in crate::checker) fn find(&self, scope: u32, name: &str) -> Option<u32> {
        self.find_hashed(hash(scope, name), scope, name)
    }

    /// The number of `name` in `scope`: a new one if it was not there.
    pub(in crate::checker) fn number(&mut self, scope: u32, name: &str) -> u32 {
        let hash = hash(scope, name);
        if let Some(number) = self.find_hashed(hash, scope, name) {
            return number;
        }
        let number = u32::try_from(self.ends.len()).expect("invariant: fewer than 2^32 names");
        self.text.extend_from_slice(&scope.to_le_bytes());
        self.text.extend_from_slice(name.as_bytes());
        self.ends.push(self.text.len());
        let slot = Slot { hash, number };
        let spread = |slot: &Slot| Slot::spread(slot.hash);
        self.table.insert_unique(Slot::spread(hash), slot, spread);
        number
    }

    fn find_hashed(&self, hash: u32, scope: u32, name: &str) -> Option<u32> {
        let is_it = |slot: &Slot| {
            slot.hash == hash && {
                let (its_scope, its_name) = self.entry(slot.number);
                its_scope == scope.to_le_bytes() && its_name == name.as_bytes()
            }
        };
        let found = self.table.find(Slot::spread(hash), is_it);
        found.map(|slot| slot.number)
    }

    /// The scope and the name of that number, as they are stored.
    fn entry(&self, number: u32) -> (&[u8], &[u8]) {
        let number = number as usize;
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text[from..self.ends[number]].split_at(SCOPE_BYTES)
    }

    /// The name of that number; empty for [`NONE`].
    pub(in crate::checker) fn name(&self, number: u32) -> &str {
        if number == NONE {
            return "";
        }
        let (_, name) = self.entry(number);
        std::str::from_utf8(name).expect("invariant: it was a string when it came")
    }

    /// Whether that is the name of that number.
    pub(in crate::checker) fn is_name(&self, number: u32, name: &str) -> bool {
        self.entry(number).1 == name.as_bytes()
    }

    /// The scope in which that name was given.
    pub(in crate::checker) fn scope(&self, number: u32) -> u32 {
        let (scope, _) = self.entry(number);
        u32::from_le_bytes(scope.try_into().expect("invariant: a scope's bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_keeps_its_number_in_its_scope() {
        let mut names = Names::default();
        let numbers = ["a", "", "b", "a"].map(|name| names.number(0, name));
        assert_eq!(numbers, [0, 1, 2, 0]);
        assert_eq!(names.number(1, "a"), 3);
        assert_eq!(
            (names.name(2), names.name(1), names.name(NONE)),
            ("b", "", "")
        );
        assert_eq!((names.scope(3), names.count()), (1, 4));
    }

    #[test]
    fn many_names_are_all_found_again() {
        let mut names = Names::default();
        let given: Vec<u32> = (0..10_000)
            .map(|n| names.number(n % 7, &n.to_string()))
            .collect();
        let again: Vec<u32> = (0..10_000)
            .map(|n| names.number(n % 7, &n.to_string()))
            .collect();
        assert_eq!(given, again);
        assert_eq!(names.count(), 10_000);
    }
}
