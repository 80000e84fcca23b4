//! Things by number: constant-time insertion, look-up and removal, and slots that are used again.
//!
//! Storage grows by pages, so that no insertion moves what is already there.

use serde::{Deserialize, Serialize};

const PAGE_SLOTS: u32 = 1_024;

/// The number of a place in a [`Slab`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) const fn from_index(index: u32) -> Self {
        Self(index)
    }

    pub(crate) const fn index(self) -> u32 {
        self.0
    }

    fn page(self) -> usize {
        to_usize(self.0 / PAGE_SLOTS)
    }

    fn offset(self) -> usize {
        to_usize(self.0 % PAGE_SLOTS)
    }
}

#[derive(Serialize, Deserialize)]
enum Entry<T> {
    Occupied(T),
    Vacant { next: Option<Slot> },
}

/// A collection whose members keep their number for as long as they are in it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Slab<T> {
    pages: Vec<Vec<Entry<T>>>,
    vacant: Option<Slot>,
    entries: u32,
    len: usize,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            pages: Vec::new(),
            vacant: None,
            entries: 0,
            len: 0,
        }
    }

    /// Puts in what `make` returns, which is told its slot.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Slot) -> T) -> Slot {
        self.len += 1;
        if let Some(slot) = self.vacant {
            let entry = &mut self.pages[slot.page()][slot.offset()];
            let Entry::Vacant { next } = *entry else {
                panic!("invariant: the list of vacant slots holds vacant slots")
            };
            self.vacant = next;
            *entry = Entry::Occupied(make(slot));
            return slot;
        }
        let slot = Slot(self.entries);
        self.entries = self
            .entries
            .checked_add(1)
            .expect("invariant: fewer than 2^32 things fit");
        if slot.page() == self.pages.len() {
            self.pages.push(Vec::with_capacity(to_usize(PAGE_SLOTS)));
        }
        self.pages[slot.page()].push(Entry::Occupied(make(slot)));
        slot
    }

    /// Takes out what lies in `slot`.
    pub(crate) fn remove(&mut self, slot: Slot) -> T {
        let entry = &mut self.pages[slot.page()][slot.offset()];
        let taken = std::mem::replace(entry, Entry::Vacant { next: self.vacant });
        let Entry::Occupied(taken) = taken else {
            panic!("invariant: only occupied slots are removed")
        };
        self.vacant = Some(slot);
        self.len -= 1;
        taken
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        match self.pages.get(slot.page())?.get(slot.offset())? {
            Entry::Occupied(thing) => Some(thing),
            Entry::Vacant { .. } => None,
        }
    }

    /// All that is in it, in order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let slots = (0..self.entries).map(Slot);
        slots.filter_map(|slot| Some((slot, self.get(slot)?)))
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl<T> std::ops::Index<Slot> for Slab<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        self.get(slot)
            .expect("invariant: a slot kept in an index is occupied")
    }
}

impl<T> std::ops::IndexMut<Slot> for Slab<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        match &mut self.pages[slot.page()][slot.offset()] {
            Entry::Occupied(thing) => thing,
            Entry::Vacant { .. } => panic!("invariant: a slot kept in an index is occupied"),
        }
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).expect("invariant: addresses have at least 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_after_its_removal() {
        let mut slab = Slab::new();
        let slots: Vec<Slot> = (0..3_000).map(|n| slab.insert_with(|_| n)).collect();
        assert_eq!(slab[slots[2_500]], 2_500);
        assert_eq!(slab.remove(slots[7]), 7);
        assert!(slab.get(slots[7]).is_none());
        assert_eq!(slab.insert_with(|_| 9), slots[7]);
        assert_eq!((slab.len(), slab[slots[7]]), (3_000, 9));
    }

    #[test]
    fn a_slot_that_never_was_holds_nothing() {
        let slab: Slab<u8> = Slab::new();
        assert!(slab.get(Slot::from_index(u32::MAX)).is_none());
    }
}
