//! A lane: the messages of one backlog in one state, in order of rank.
//!
//! Beside the members it keeps the *heads*: those whose predecessor in the lane is of another
//! client. So "the next message that is not of this client" takes two look-ups, however many of
//! the client's own messages lie between.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::message::{ClientId, Message, Rank};
use super::slab::{Slab, Slot};

#[derive(Default)]
pub(crate) struct Lane {
    members: BTreeMap<Rank, Slot>,
    heads: BTreeSet<Rank>,
}

impl Lane {
    pub(crate) fn insert(&mut self, rank: Rank, slot: Slot, messages: &Slab<Message>) {
        let client = &messages[slot].client;
        let replaced = self.members.insert(rank, slot);
        assert!(
            replaced.is_none(),
            "invariant: a rank belongs to one message"
        );
        if self
            .before(rank)
            .is_none_or(|previous| messages[previous].client != *client)
        {
            self.heads.insert(rank);
        }
        if let Some((next_rank, next)) = self.after(rank) {
            if messages[next].client == *client {
                self.heads.remove(&next_rank);
            } else {
                self.heads.insert(next_rank);
            }
        }
    }

    pub(crate) fn remove(&mut self, rank: Rank, messages: &Slab<Message>) {
        let removed = self.members.remove(&rank);
        assert!(
            removed.is_some(),
            "invariant: a message lies in the lane of its state"
        );
        let was_head = self.heads.remove(&rank);
        // Inside a run of one client nothing changes. Otherwise the next one may start a run now,
        // or continue the run before.
        let Some((next_rank, next)) = self.after(rank) else {
            return;
        };
        if !was_head && !self.heads.contains(&next_rank) {
            return;
        }
        let client = &messages[next].client;
        if self
            .before(rank)
            .is_some_and(|previous| messages[previous].client == *client)
        {
            self.heads.remove(&next_rank);
        } else {
            self.heads.insert(next_rank);
        }
    }

    /// Takes the oldest member out without regard to its neighbours: for lanes that are discarded.
    pub(crate) fn discard_first(&mut self) -> Option<Slot> {
        self.heads.pop_first();
        self.members.pop_first().map(|(_, slot)| slot)
    }

    /// The oldest members, at most `count`.
    pub(crate) fn first(&self, count: usize) -> Vec<Slot> {
        self.members.values().take(count).copied().collect()
    }

    /// The first member after a position that is not of the excluded client.
    pub(crate) fn next(
        &self,
        position: Option<Rank>,
        excluded: Option<&ClientId>,
        messages: &Slab<Message>,
    ) -> Option<(Rank, Slot)> {
        let found = match position {
            Some(rank) => self.after(rank),
            None => self.oldest(),
        }?;
        if excluded.is_none_or(|client| messages[found.1].client != *client) {
            return Some(found);
        }
        let (rank, _) = found;
        let head = self
            .heads
            .range((Bound::Excluded(rank), Bound::Unbounded))
            .next()?;
        Some((*head, self.members[head]))
    }

    pub(crate) fn oldest(&self) -> Option<(Rank, Slot)> {
        self.members
            .first_key_value()
            .map(|(rank, slot)| (*rank, *slot))
    }

    pub(crate) fn newest(&self) -> Option<(Rank, Slot)> {
        self.members
            .last_key_value()
            .map(|(rank, slot)| (*rank, *slot))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Rank, Slot)> {
        self.members.iter().map(|(rank, slot)| (*rank, *slot))
    }

    /// Compares the heads with a full scan.
    pub(crate) fn check(&self, messages: &Slab<Message>) {
        let mut previous: Option<&ClientId> = None;
        let mut heads = BTreeSet::new();
        for (rank, slot) in self.iter() {
            let client = &messages[slot].client;
            if previous != Some(client) {
                heads.insert(rank);
            }
            previous = Some(client);
        }
        assert_eq!(heads, self.heads, "heads are where the client changes");
    }

    fn before(&self, rank: Rank) -> Option<Slot> {
        self.members
            .range(..rank)
            .next_back()
            .map(|(_, slot)| *slot)
    }

    fn after(&self, rank: Rank) -> Option<(Rank, Slot)> {
        let mut later = self
            .members
            .range((Bound::Excluded(rank), Bound::Unbounded));
        later.next().map(|(rank, slot)| (*rank, *slot))
    }
}
