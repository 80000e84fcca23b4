//! The search tree of a lane: entries in leaves, and branches that sum up what is below them.
//!
//! Leaves fill up when entries come in order, which they mostly do: ranks only grow. Neighbours
//! that fit into one room are put together, so a tree that shrinks gives its memory back.

use super::query::Query;
use super::summary::Summary;
use super::{Entry, Rank};

/// Entries in a leaf, at most.
const LEAF_MAX: usize = 32;
/// Children of a branch, at most.
const BRANCH_MAX: usize = 16;

pub(super) enum Node {
    Leaf(Vec<Entry>),
    Branch(Vec<Child>),
}

/// A part of a branch; never empty.
pub(super) struct Child {
    /// No rank below it is smaller.
    first: Rank,
    summary: Summary,
    node: Node,
}

impl Child {
    fn of(node: Node) -> Self {
        let first = match &node {
            Node::Leaf(entries) => entries.first().map(|entry| entry.rank),
            Node::Branch(children) => children.first().map(|child| child.first),
        };
        let (first, summary) = first
            .zip(node.summary())
            .expect("invariant: no part of a branch is empty");
        Self {
            first,
            summary,
            node,
        }
    }

    fn sum_up(&mut self) {
        if let Some(summary) = self.node.summary() {
            self.summary = summary;
        }
    }
}

impl Node {
    pub(super) const fn new() -> Self {
        Self::Leaf(Vec::new())
    }

    /// Inserts into a root, which becomes higher if it has to.
    pub(super) fn grow(&mut self, entry: Entry) {
        if let Some(sibling) = self.insert(entry) {
            let left = Child::of(std::mem::replace(self, Self::new()));
            *self = Self::Branch(vec_of(BRANCH_MAX, [left, sibling]));
        }
    }

    /// Makes a root lower if it can be.
    pub(super) fn shrink(&mut self) {
        while let Self::Branch(children) = self {
            *self = match children.len() {
                0 => Self::new(),
                1 => children.remove(0).node,
                _ => return,
            };
        }
    }

    /// Inserts; what no longer fits becomes a sibling to the right.
    fn insert(&mut self, entry: Entry) -> Option<Child> {
        match self {
            Self::Leaf(entries) => insert_into_leaf(entries, entry),
            Self::Branch(children) => {
                let index = index_of(children, entry.rank);
                let child = &mut children[index];
                child.first = child.first.min(entry.rank);
                let Some(sibling) = child.node.insert(entry) else {
                    child.summary = child.summary.with(Summary::of(&entry));
                    return None;
                };
                child.sum_up();
                children.insert(index + 1, sibling);
                if children.len() <= BRANCH_MAX {
                    return None;
                }
                let kept = if index + 2 == children.len() {
                    BRANCH_MAX
                } else {
                    BRANCH_MAX / 2
                };
                let right = vec_of(BRANCH_MAX, children.drain(kept..));
                Some(Child::of(Self::Branch(right)))
            }
        }
    }

    pub(super) fn remove(&mut self, rank: Rank) -> Option<Entry> {
        match self {
            Self::Leaf(entries) => {
                let at = entries.binary_search_by_key(&rank, |entry| entry.rank);
                at.ok().map(|at| entries.remove(at))
            }
            Self::Branch(children) => {
                let index = index_of(children, rank);
                let removed = children[index].node.remove(rank)?;
                tidy(children, index);
                Some(removed)
            }
        }
    }

    /// Whether there was one of its rank to be replaced.
    pub(super) fn replace(&mut self, entry: Entry) -> bool {
        match self {
            Self::Leaf(entries) => {
                let at = entries.binary_search_by_key(&entry.rank, |other| other.rank);
                at.map(|at| entries[at] = entry).is_ok()
            }
            Self::Branch(children) => {
                let index = index_of(children, entry.rank);
                let child = &mut children[index];
                let replaced = child.node.replace(entry);
                child.sum_up();
                replaced
            }
        }
    }

    /// Moves the first that are admitted into `taken`, until those are `count`.
    pub(super) fn take(&mut self, query: &impl Query, count: usize, taken: &mut Vec<Entry>) {
        match self {
            Self::Leaf(entries) => {
                query.work().add(entries.len());
                let mut missing = count - taken.len();
                taken.extend(entries.extract_if(.., |entry| {
                    let takes = missing > 0 && query.admits(entry);
                    missing -= usize::from(takes);
                    takes
                }));
            }
            Self::Branch(children) => {
                let mut index = 0;
                while index < children.len() && taken.len() < count {
                    query.work().add(1);
                    let before = children.len();
                    if query.may_admit(&children[index].summary) {
                        children[index].node.take(query, count, taken);
                        tidy(children, index);
                    }
                    // What was put together with its neighbour is looked at once more.
                    index += usize::from(children.len() == before);
                }
            }
        }
    }

    /// Adds the first after a position that are admitted to `found`, until those are `count`.
    pub(super) fn find(
        &self,
        position: Option<Rank>,
        query: &impl Query,
        count: usize,
        found: &mut Vec<Entry>,
    ) {
        match self {
            Self::Leaf(entries) => {
                let start = position.map_or(0, |position| {
                    entries.partition_point(|entry| entry.rank <= position)
                });
                let mut looks = 0;
                let looked_at = entries[start..].iter().inspect(|_| looks += 1);
                let admitted = looked_at.filter(|entry| query.admits(entry));
                found.extend(admitted.take(count - found.len()));
                query.work().add(looks);
            }
            Self::Branch(children) => {
                let start = position.map_or(0, |position| index_of(children, position));
                for (index, child) in children.iter().enumerate().skip(start) {
                    query.work().add(1);
                    if query.may_admit(&child.summary) {
                        let position = position.filter(|_| index == start);
                        child.node.find(position, query, count, found);
                        if found.len() == count {
                            return;
                        }
                    }
                }
            }
        }
    }

    pub(super) fn last(&self, query: &impl Query) -> Option<Entry> {
        match self {
            Self::Leaf(entries) => {
                let mut looks = 0;
                let mut looked_at = entries.iter().rev().inspect(|_| looks += 1);
                let last = looked_at.find(|entry| query.admits(entry)).copied();
                query.work().add(looks);
                last
            }
            Self::Branch(children) => children.iter().rev().find_map(|child| {
                query.work().add(1);
                let may = query.may_admit(&child.summary);
                may.then(|| child.node.last(query)).flatten()
            }),
        }
    }

    pub(super) fn count(&self, query: &impl Query) -> usize {
        match self {
            Self::Leaf(entries) => {
                query.work().add(entries.len());
                entries.iter().filter(|entry| query.admits(entry)).count()
            }
            Self::Branch(children) => {
                let counts = children.iter().map(|child| {
                    query.work().add(1);
                    if query.admits_all(&child.summary) {
                        usize::try_from(child.summary.len).unwrap_or(usize::MAX)
                    } else if query.may_admit(&child.summary) {
                        child.node.count(query)
                    } else {
                        0
                    }
                });
                counts.sum()
            }
        }
    }

    /// Of all that is in it; `None` if nothing is.
    pub(super) fn summary(&self) -> Option<Summary> {
        match self {
            Self::Leaf(entries) => entries.iter().map(Summary::of).reduce(Summary::with),
            Self::Branch(children) => {
                let summaries = children.iter().map(|child| child.summary);
                summaries.reduce(Summary::with)
            }
        }
    }

    pub(super) fn each(&self, visit: &mut impl FnMut(&Entry)) {
        match self {
            Self::Leaf(entries) => entries.iter().for_each(visit),
            Self::Branch(children) => {
                for child in children {
                    child.node.each(visit);
                }
            }
        }
    }

    /// Compares the summaries with what they sum up. Returns the height.
    pub(super) fn check(&self) -> usize {
        let Self::Branch(children) = self else {
            return 0;
        };
        assert!((1..=BRANCH_MAX).contains(&children.len()));
        let heights = children.iter().map(|child| {
            assert_eq!(Some(child.summary), child.node.summary(), "summaries agree");
            let mut ranks = Vec::new();
            child.node.each(&mut |entry| ranks.push(entry.rank));
            assert!(child.first <= ranks[0], "no rank is below the first");
            child.node.check()
        });
        let heights: Vec<usize> = heights.collect();
        assert!(heights.iter().all(|height| *height == heights[0]));
        heights[0] + 1
    }

    /// Leaves, for tests.
    #[cfg(test)]
    pub(super) fn rooms(&self) -> usize {
        match self {
            Self::Leaf(_) => 1,
            Self::Branch(children) => children.iter().map(|child| child.node.rooms()).sum(),
        }
    }

    /// How many parts it has, and how many it may have.
    const fn fill(&self) -> (usize, usize) {
        match self {
            Self::Leaf(entries) => (entries.len(), LEAF_MAX),
            Self::Branch(children) => (children.len(), BRANCH_MAX),
        }
    }

    /// Moves all parts of a right neighbour of the same height into this node.
    fn absorb(&mut self, right: Self) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => left.extend(right),
            (Self::Branch(left), Self::Branch(right)) => left.extend(right),
            (Self::Leaf(_), Self::Branch(_)) | (Self::Branch(_), Self::Leaf(_)) => {
                panic!("invariant: neighbours are of one height")
            }
        }
    }
}

fn insert_into_leaf(entries: &mut Vec<Entry>, entry: Entry) -> Option<Child> {
    let at = match entries.last() {
        Some(last) if last.rank > entry.rank => {
            entries.partition_point(|other| other.rank < entry.rank)
        }
        Some(_) | None => entries.len(),
    };
    assert!(
        entries.get(at).is_none_or(|other| other.rank != entry.rank)
            && (at == 0 || entries[at - 1].rank < entry.rank),
        "invariant: a rank belongs to one message"
    );
    if entries.len() < LEAF_MAX {
        entries.insert(at, entry);
        return None;
    }
    if at == entries.len() {
        return Some(Child::of(Node::Leaf(vec_of(LEAF_MAX, [entry]))));
    }
    let mut right = vec_of(LEAF_MAX, entries.drain(LEAF_MAX / 2..));
    match at.checked_sub(LEAF_MAX / 2) {
        Some(at) if at > 0 => right.insert(at, entry),
        Some(_) | None => entries.insert(at, entry),
    }
    Some(Child::of(Node::Leaf(right)))
}

/// After something was taken out of a child: away with it if nothing is left, and together with a
/// neighbour if both fit into one.
fn tidy(children: &mut Vec<Child>, index: usize) {
    let (parts, parts_max) = children[index].node.fill();
    if parts == 0 {
        children.remove(index);
        return;
    }
    children[index].sum_up();
    if parts > parts_max / 4 {
        return;
    }
    let fits = |other: Option<&Child>| {
        other.is_some_and(|other| other.node.fill().0 + parts <= parts_max / 4 * 3)
    };
    let left = if fits(children.get(index + 1)) {
        index
    } else if index > 0 && fits(children.get(index - 1)) {
        index - 1
    } else {
        return;
    };
    let right = children.remove(left + 1);
    children[left].node.absorb(right.node);
    children[left].sum_up();
}

/// The child that a rank belongs to.
fn index_of(children: &[Child], rank: Rank) -> usize {
    let after = children.partition_point(|child| child.first <= rank);
    after.saturating_sub(1)
}

/// A vector with room for as many parts as there may ever be, so that none is moved.
fn vec_of<T>(capacity: usize, parts: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut vector = Vec::with_capacity(capacity);
    vector.extend(parts);
    vector
}
