//! Claims and pops of one queue that nobody has an answer to: each may hold anything of the queue.
//!
//! A history can have many of them, and each may matter to every message. So they are asked for by spans
//! of time and never walked: they are in the order of their invocations, and by that also in the order of
//! their latest effects.

use std::ops::Range;
use std::time::Duration;

use super::facts::Facts;
use super::log::Index;
use crate::environment::Instant;

/// Claims and pops without an answer, in the order of their invocations.
#[derive(Default)]
pub(super) struct Unanswered {
    pub(super) takes: Vec<Index>,
    pops: Vec<Index>,
    claims: Vec<Index>,
    /// Along `claims`: how long each may keep a message alive, from when it acted.
    keeps: RangeMax<Duration>,
    /// Along `claims`: until when each may keep a message alive.
    kept: RangeMax<Instant>,
    /// Along `claims`: until when each may hold a message.
    holds: RangeMax<Instant>,
}

impl Unanswered {
    /// Works out what is asked for later; `takes` is complete.
    pub(super) fn settle(&mut self, facts: &Facts<'_>) {
        let is_pop = |&index: &Index| facts.op(index).is_pop();
        (self.pops, self.claims) = self.takes.iter().partition(|index| is_pop(index));
        let spans = |index: &Index| {
            let (lease, grace) = facts.spans(facts.op(*index));
            lease + grace
        };
        self.keeps = RangeMax::of(self.claims.iter().map(spans));
        let kept = |index: &Index| facts.kept_alive_until(facts.op(*index));
        self.kept = RangeMax::of(self.claims.iter().map(kept));
        let holds = |index: &Index| facts.lease_ends_by(facts.op(*index));
        self.holds = RangeMax::of(self.claims.iter().map(holds));
    }

    /// Those that may have acted at `from` or later, in the order of their invocations.
    pub(super) fn takes_from(&self, facts: &Facts<'_>, from: Instant) -> &[Index] {
        later(facts, &self.takes, from)
    }

    /// Pops, in the order of their invocations.
    pub(super) fn pops(&self) -> &[Index] {
        &self.pops
    }

    /// The first pop that may have acted at `from` or later: when it began.
    pub(super) fn popped_from(&self, facts: &Facts<'_>, from: Instant) -> Option<Instant> {
        let pop = later(facts, &self.pops, from).first();
        pop.map(|&index| facts.op(index).invoked_at)
    }

    /// Claims that may have acted at `from` or later and began by `until`.
    fn claims_between(&self, facts: &Facts<'_>, from: Instant, until: Instant) -> Range<usize> {
        let start = self.claims.len() - later(facts, &self.claims, from).len();
        let began = |&index: &Index| facts.op(index).invoked_at <= until;
        let end = self.claims.partition_point(began);
        start..end.max(start)
    }

    /// Whether a claim may hold a message that was posted at `posted_at` between `from` and `until`.
    pub(super) fn may_hold(
        &self,
        facts: &Facts<'_>,
        posted_at: Instant,
        (from, until): (Instant, Instant),
    ) -> bool {
        let claims = self.claims_between(facts, posted_at, until);
        self.holds.max(claims).is_some_and(|until| from <= until)
    }

    /// Until when claims that began by `until` may keep a message alive that was posted at `posted_at`,
    /// whatever they do after `acted_by`.
    pub(super) fn keep_alive_until(
        &self,
        facts: &Facts<'_>,
        posted_at: Instant,
        (until, acted_by): (Instant, Instant),
    ) -> Option<Instant> {
        let claims = self.claims_between(facts, posted_at, until);
        // Those that can only have acted before, each as late as it can; then the others.
        let is_before = |&index: &Index| facts.acts_until(facts.op(index)) < acted_by;
        let between = claims.start + self.claims[claims.clone()].partition_point(is_before);
        let early = claims.start..between;
        let late = self.keeps.max(between..claims.end);
        let late = late.map(|span| acted_by.plus(span).plus(facts.slack()));
        self.kept.max(early).max(late)
    }
}

/// Those of `takes` that may have acted at `from` or later.
fn later<'t>(facts: &Facts<'_>, takes: &'t [Index], from: Instant) -> &'t [Index] {
    let first = takes.partition_point(|&index| facts.acts_until(facts.op(index)) < from);
    &takes[first..]
}

/// The greatest of any stretch of a list, in logarithmic time: a tree of maxima.
struct RangeMax<T> {
    count: usize,
    /// The items from `count` on; each node before them is the greater of its two children.
    nodes: Vec<Option<T>>,
}

impl<T> Default for RangeMax<T> {
    fn default() -> Self {
        Self {
            count: 0,
            nodes: Vec::new(),
        }
    }
}

impl<T: Copy + Ord> RangeMax<T> {
    fn of(items: impl ExactSizeIterator<Item = T>) -> Self {
        let count = items.len();
        let mut nodes: Vec<Option<T>> = vec![None; count];
        nodes.extend(items.map(Some));
        for node in (1..count).rev() {
            nodes[node] = nodes[2 * node].max(nodes[2 * node + 1]);
        }
        Self { count, nodes }
    }

    fn max(&self, range: Range<usize>) -> Option<T> {
        let (mut from, mut until) = (range.start + self.count, range.end + self.count);
        let mut most = None;
        while from < until {
            if from % 2 == 1 {
                most = most.max(self.nodes[from]);
                from += 1;
            }
            if until % 2 == 1 {
                until -= 1;
                most = most.max(self.nodes[until]);
            }
            (from, until) = (from / 2, until / 2);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greatest_of_every_stretch_is_found() {
        for count in 0..20_usize {
            let items: Vec<usize> = (0..count).map(|n| n * 7919 % 31).collect();
            let tree = RangeMax::of(items.iter().copied());
            for from in 0..=count {
                for until in from..=count {
                    let most = items[from..until].iter().copied().max();
                    assert_eq!(tree.max(from..until), most, "{items:?}, {from}..{until}");
                }
            }
        }
    }
}
