//! What may have taken a message away, and what certainly did.

use std::collections::BTreeMap;

use super::Known;
use crate::checker::log::{Act, Index, NONE, Op, Place};
use crate::environment::Instant;

impl<'f> Known<'f> {
    /// Deletes of it by its identifier.
    pub(in crate::checker) fn deletes(&self) -> &'f [Index] {
        self.facts.of_message.deletes.get(self.number)
    }

    /// The same, of many messages at once.
    pub(in crate::checker) fn bulk_deletes(&self) -> &'f [Index] {
        self.facts.of_message.bulk_deletes.get(self.number)
    }

    pub(super) fn absences(&self) -> &'f [Index] {
        self.facts.of_message.absences.get(self.number)
    }

    /// Possible removals of the message that are known by its identifier: deletes and pops.
    pub(super) fn removals(&self) -> impl Iterator<Item = Index> {
        let deletes = self.deletes().iter().chain(self.bulk_deletes()).copied();
        deletes
            .filter(|&index| self.may_have_taken(self.facts.op(index)))
            .chain(self.pops())
    }

    /// Whether what asks for its removal may have taken it: nothing did that can only have acted before it was seen.
    fn may_have_taken(&self, op: &Op) -> bool {
        let is_disproved = op.is_info() && self.facts.acts_until(op) < self.seen_from;
        op.is_possible() && !is_disproved
    }

    /// Purges and deletes of its queue that may have taken the message away.
    pub(super) fn sweeps(&self) -> impl Iterator<Item = Index> {
        let posted_at = self.post.invoked_at;
        let sweeps = self.queue.sweeps_from(posted_at).iter().copied();
        sweeps.filter(move |&index| {
            let op = self.facts.op(index);
            self.facts.acts_until(op) >= posted_at && self.may_have_taken(op)
        })
    }

    /// The first removal that certainly happened to a message that certainly was there, and from when
    /// on: a delete, a pop or a sweep, or a read that found nothing any more.
    pub(super) fn find_removal(&self) -> Option<(Index, Instant)> {
        let stored_from = self.stored_from?;
        let facts = self.facts;
        let named = self.deletes().iter().chain(self.bulk_deletes());
        let named = named.chain(self.absences()).copied();
        // Who names a message knows it already.
        let named = named.filter(|&index| stored_from <= facts.op(index).invoked_at);
        let is_certain = |&index: &Index| {
            let op = facts.op(index);
            let is_where_it_is = if op.place == self.message.home {
                op.completed_at < self.moved_from
            } else {
                self.is_seen_at(op.place, op.invoked_at)
            };
            op.is_ok() && is_where_it_is && self.certainly_lives(op)
        };
        let when = |index: Index| (index, facts.op(index).completed_at);
        // A pop that returned the message took it, whatever else is known.
        let known = named.filter(is_certain).chain(self.pops()).map(when);
        let known = known.min_by_key(|&(index, at)| (at, index));
        // A sweep in the very instant may have come before.
        let swept = self.sweeps().filter(|&index| {
            let op = facts.op(index);
            let (from, until) = (op.invoked_at, op.completed_at);
            // Some services keep what is claimed when a queue is purged.
            let is_kept = op.act == Act::Purge && self.may_be_held(from, until);
            stored_from < from && !is_kept && is_certain(&index)
        });
        // They come in the order of their invocations: what begins later than one ended is no earlier.
        let mut first = known;
        for (index, at) in swept.map(when) {
            if first.is_some_and(|(_, first)| first < facts.op(index).invoked_at) {
                break;
            }
            if first.is_none_or(|(other, first)| (at, index) < (first, other)) {
                first = Some((index, at));
            }
        }
        let elsewhere = self.swept_elsewhere();
        let elsewhere = elsewhere.filter(|(index, _)| is_certain(index));
        first
            .into_iter()
            .chain(elsewhere)
            .min_by_key(|&(index, at)| (at, index))
    }

    /// Purges and deletes of queues that it was moved to and seen in before: what they are, and when they ended.
    fn swept_elsewhere(&self) -> impl Iterator<Item = (Index, Instant)> + '_ {
        let facts = self.facts;
        let mut places: BTreeMap<Place, Instant> = BTreeMap::new();
        for op in self.sightings.iter().map(|&seen| facts.op(seen)) {
            if op.place != self.message.home {
                places.entry(op.place).or_insert(op.completed_at);
            }
        }
        places.into_iter().flat_map(move |(place, seen_by)| {
            let queue = facts.queue(place);
            let sweeps = queue.sweeps_from(seen_by).iter();
            let sweeps = sweeps.map(|&index| (index, facts.op(index)));
            let sweeps = sweeps.filter(move |(_, op)| {
                let span = (op.invoked_at, op.completed_at);
                // Some services keep what is claimed when a queue is purged.
                let is_kept = op.act == Act::Purge
                    && (self.held_until(span.0, span.1).is_some()
                        || queue.unanswered.may_hold(facts, self.moved_from, span));
                seen_by < op.invoked_at && !is_kept
            });
            sweeps.map(|(index, op)| (index, op.completed_at))
        })
    }

    /// Whether what was moved out of its queue may be moved back.
    pub(in crate::checker) fn may_come_back(&self) -> bool {
        let mut targets = self.queue.dead_letters.iter().map(|to| to.target);
        targets.any(|target| target != NONE && !self.facts.queue(target).dead_letters.is_empty())
    }

    /// The first delete, or read that found nothing, after which the message cannot be at home any more:
    /// it was removed, or had been moved, and what was moved does not come back.
    pub(in crate::checker) fn left_home(&self) -> Option<(Index, Instant)> {
        let stored_from = self.stored_from?;
        let facts = self.facts;
        if self.may_come_back() {
            return None;
        }
        let named = self.deletes().iter().chain(self.bulk_deletes());
        let named = named.chain(self.absences()).copied();
        let at_home = named.filter(|&index| {
            let op = facts.op(index);
            let is_there = op.place == self.message.home && stored_from <= op.invoked_at;
            op.is_ok() && is_there && self.certainly_lives(op)
        });
        let ended = at_home.map(|index| (index, facts.op(index).completed_at));
        ended.min_by_key(|&(index, at)| (at, index))
    }

    /// The observation that first told that the message is there.
    pub(in crate::checker) fn first_seen_at(&self, place: Place) -> Option<Index> {
        let mut seen = self.sightings.iter().copied();
        seen.find(|&index| self.facts.op(index).place == place)
    }

    /// Whether the message was seen there, by an operation that ended before `until`.
    pub(super) fn is_seen_at(&self, place: Place, until: Instant) -> bool {
        let first = self.first_seen_at(place);
        first.is_some_and(|first| self.facts.op(first).completed_at <= until)
    }
}
