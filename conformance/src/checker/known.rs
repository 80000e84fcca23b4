//! What is known about one message: when it certainly is there, and when it may be gone or certainly is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::{Facts, Queue, secs};
use super::log::{Act, Index, Message, NONE, Op, Place};
use crate::environment::Instant;
use crate::history::QueueSettings;

/// One message, and all that the history tells of it. Worked out once; then every rule looks at it.
pub(super) struct Known<'f> {
    pub(super) facts: &'f Facts<'f>,
    /// Its number among all messages.
    pub(super) number: u32,
    pub(super) message: &'f Message,
    pub(super) post: &'f Op,
    /// Where it was posted.
    pub(super) queue: &'f Queue,
    /// Ok observations of it, in the order of their completions.
    pub(super) sightings: &'f [Index],
    /// Those that handed it out: claims and pops.
    pub(super) deliveries: Cow<'f, [Index]>,
    /// From when on it is certain that the message was stored; `None` if it never is.
    pub(super) stored_from: Option<Instant>,
    /// When the last observation of it began, if it was never missed before: what cannot have acted later took nothing
    /// away.
    seen_from: Instant,
    /// When the first read ended that did not find it.
    absent_by: Instant,
    /// Until when the message certainly has not expired: the early end `L` of its expiry window.
    pub(super) lives_until: Instant,
    /// From when on the message may have been moved to a dead-letter queue.
    pub(super) moved_from: Instant,
    /// The first removal that certainly happened, and from when on.
    pub(super) removal: Option<(Index, Instant)>,
    /// From when on something may have taken the message away: a delete, a pop that returned it, or a
    /// sweep; its number, and when the next one did.
    taken: (Instant, Index, Instant),
    /// From when on it may be gone by what nobody saw: a pop without an answer, or whatever took it
    /// before a read did not find it; as `taken`.
    unseen: (Instant, Index, Instant),
}

/// A claim or a renewal that holds the message, or may.
struct Holder<'f> {
    op: &'f Op,
    acts_until: Instant,
    kept_until: Instant,
}

impl<'f> Known<'f> {
    pub(super) fn of(facts: &'f Facts<'f>, number: u32) -> Self {
        let message = &facts.log.messages[number as usize];
        let sightings = facts.of_message.sightings.get(number);
        let is_take = |index: &Index| facts.op(*index).is_take();
        let deliveries = if sightings.iter().all(is_take) {
            Cow::Borrowed(sightings)
        } else {
            sightings.iter().copied().filter(is_take).collect()
        };
        let mut known = Self {
            facts,
            number,
            message,
            post: facts.op(message.post),
            queue: facts.queue(message.home),
            sightings,
            deliveries,
            stored_from: None,
            seen_from: Instant::START,
            absent_by: Instant::NEVER,
            lives_until: Instant::NEVER,
            moved_from: Instant::NEVER,
            removal: None,
            taken: (Instant::NEVER, NONE, Instant::NEVER),
            unseen: (Instant::NEVER, NONE, Instant::NEVER),
        };
        known.stored_from = facts.stored_from(number);
        let absences = facts.of_message.absences.get(number).iter().copied();
        let absent_by = absences.clone().map(|index| facts.op(index).completed_at);
        known.absent_by = absent_by.min().unwrap_or(Instant::NEVER);
        let seen = known.sightings.iter();
        let seen = seen.map(|&index| facts.op(index).invoked_at).max();
        // What came back may have been away.
        let seen = seen.filter(|&seen| seen <= known.absent_by);
        known.seen_from = seen.unwrap_or(Instant::START);
        known.moved_from = known.find_moved_from();
        known.removal = known.find_removal();
        known.taken = known.first_two(known.removals().chain(known.sweeps().take(2)));
        known.unseen = known.first_two(absences);
        let popped = known.popped_from();
        if popped < Instant::NEVER {
            let (at, index, next) = known.unseen;
            // No rule judges what has no answer: which pop it is does not matter.
            known.unseen = if popped < at {
                (popped, NONE, popped)
            } else {
                (at, index, next.min(popped))
            };
        }
        known.lives_until = known.find_lives_until(Instant::NEVER);
        known
    }

    /// When the first of them began, which it is, and when the next one did.
    fn first_two(&self, all: impl Iterator<Item = Index>) -> (Instant, Index, Instant) {
        let mut first = (Instant::NEVER, NONE, Instant::NEVER);
        for index in all {
            let at = self.facts.op(index).invoked_at;
            if at < first.0 {
                first = (at, index, first.0);
            } else if index != first.1 {
                first.2 = first.2.min(at);
            }
        }
        first
    }

    /// Pops that returned the message.
    pub(super) fn pops(&self) -> impl Iterator<Item = Index> {
        let is_pop = |index: &Index| self.facts.op(*index).is_pop();
        self.deliveries.iter().copied().filter(is_pop)
    }

    /// Deletes of it by its identifier.
    pub(super) fn deletes(&self) -> &'f [Index] {
        self.facts.of_message.deletes.get(self.number)
    }

    /// The same, of many messages at once.
    pub(super) fn bulk_deletes(&self) -> &'f [Index] {
        self.facts.of_message.bulk_deletes.get(self.number)
    }

    fn absences(&self) -> &'f [Index] {
        self.facts.of_message.absences.get(self.number)
    }

    /// Possible removals of the message that are known by its identifier: deletes and pops.
    fn removals(&self) -> impl Iterator<Item = Index> {
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
    fn sweeps(&self) -> impl Iterator<Item = Index> {
        let posted_at = self.post.invoked_at;
        let sweeps = self.queue.sweeps_from(posted_at).iter().copied();
        sweeps.filter(move |&index| {
            let op = self.facts.op(index);
            self.facts.acts_until(op) >= posted_at && self.may_have_taken(op)
        })
    }

    /// When `take`'s lease of the message is certain. Removals other than `judged` cut it, and so do
    /// releases, and renewals that did not end ok, at their invocation.
    pub(super) fn certain_lease(&self, take: Index, judged: Index) -> super::windows::Window {
        let granted_at = self.facts.op(take).invoked_at;
        let began = |index: Index| self.facts.op(index).invoked_at;
        let cuts = self.removals().filter(|&index| index != judged);
        let cuts = cuts.map(began).filter(|&at| at >= granted_at).min();
        // Sweeps come in the order of their invocations.
        let swept = self.sweeps().filter(|&index| index != judged);
        let swept = swept.map(began).find(|&at| at >= granted_at);
        let cut = cuts.into_iter().chain(swept).min();
        self.facts.certain_lease(take, judged, cut)
    }

    /// From when on the message may have been moved to a dead-letter queue: since the delivery that
    /// may have been the last that it was allowed.
    fn find_moved_from(&self) -> Instant {
        let counts = self.queue.dead_letters.iter().map(|to| to.max_claim_count);
        let posted_at = self.post.invoked_at;
        let is_elsewhere = |&seen: &Index| self.facts.op(seen).place != self.message.home;
        match counts.min() {
            None => Instant::NEVER,
            // It was moved, be it too early: nobody knows when.
            Some(_) if self.sightings.iter().any(is_elsewhere) => posted_at,
            Some(0) => posted_at,
            Some(count) => self.nth_possible_delivery(count).unwrap_or(Instant::NEVER),
        }
    }

    /// When each delivery at home began, in order, of those that returned the message.
    fn delivered_at(&self) -> Vec<Instant> {
        let at_home = self.deliveries.iter().map(|&take| self.facts.op(take));
        let at_home = at_home.filter(|op| op.place == self.message.home);
        let mut at: Vec<Instant> = at_home.map(|op| op.invoked_at).collect();
        at.sort_unstable();
        at
    }

    /// Claims and pops without an answer that may have returned the message.
    fn unanswered(&self) -> &'f [Index] {
        self.queue
            .unanswered
            .takes_from(self.facts, self.post.invoked_at)
    }

    /// When the `nth` delivery at home may have begun, the first being 1: of those that returned the
    /// message, and those without an answer.
    fn nth_possible_delivery(&self, nth: u64) -> Option<Instant> {
        let delivered = self.delivered_at();
        let unanswered = self.unanswered();
        let (mut from, mut unanswered_from) = (0, 0);
        let mut at = None;
        for _ in 0..nth {
            let one = delivered.get(from).copied();
            let other = unanswered.get(unanswered_from);
            let other = other.map(|&index| self.facts.op(index).invoked_at);
            let is_known = one.is_some_and(|one| other.is_none_or(|other| one <= other));
            at = if is_known { one } else { other };
            at?;
            from += usize::from(is_known);
            unanswered_from += usize::from(!is_known);
        }
        at
    }

    /// How many deliveries at home may have begun by then.
    pub(super) fn possible_deliveries(&self, until: Instant) -> usize {
        let delivered = self.delivered_at().partition_point(|&at| at <= until);
        let began = |&index: &Index| self.facts.op(index).invoked_at <= until;
        delivered + self.unanswered().partition_point(began)
    }

    /// From when on a delete, a pop that returned it, or a sweep may have taken the message away.
    pub(super) fn removed_from(&self) -> Instant {
        self.taken.0
    }

    /// From when on something other than `judged` may have taken the message away: a delete, a pop
    /// that returned it, a sweep, or a move.
    pub(super) fn taken_from(&self, judged: Index) -> Instant {
        self.moved_from.min(other_than(self.taken, judged))
    }

    /// The same, but also what nobody saw: a pop without an answer, or whatever took it before an
    /// observation did not find it.
    pub(super) fn may_be_gone_from(&self, judged: Index) -> Instant {
        self.taken_from(judged).min(other_than(self.unseen, judged))
    }

    /// Whether the message certainly is stored from `from` to `until`, claimed or not, as far as
    /// others than `judged` tell.
    pub(super) fn present(&self, (from, until): (Instant, Instant), judged: Index) -> bool {
        self.stored_from.is_some_and(|stored| stored <= from)
            && until < self.lives_until
            && until < self.may_be_gone_from(judged)
    }

    /// The same while the read `judged`, which did not find it, is under way, but for pops without an answer: others
    /// that did not find it excuse that only if they ended before.
    pub(super) fn is_missed_by(&self, judged: Index) -> bool {
        let op = self.facts.op(judged);
        self.stored_from
            .is_some_and(|stored| stored <= op.invoked_at)
            && self.certainly_lives(op)
            && op.completed_at < self.taken_from(judged)
            && op.invoked_at <= self.absent_by
    }

    /// When the first pop without an answer began that may have taken the message.
    pub(super) fn popped_from(&self) -> Instant {
        let from = self.post.invoked_at.max(self.seen_from);
        let popped = self.queue.unanswered.popped_from(self.facts, from);
        popped.unwrap_or(Instant::NEVER)
    }

    /// Whether the message certainly is stored while `judged` is under way, as far as others tell, since all of that
    /// lies inside a certain lease of it.
    pub(super) fn is_held_through(&self, judged: Index) -> bool {
        let op = self.facts.op(judged);
        let mut claims = self.deliveries.iter().copied();
        self.certainly_lives(op)
            && self.held_during(judged)
            && claims.any(|take| {
                let granted = self.facts.op(take);
                let lease = || self.certain_lease(take, judged);
                !granted.is_pop()
                    && granted.place == op.place
                    && lease().covers(op.invoked_at, op.completed_at)
            })
    }

    /// Whether the message certainly is stored while `judged` is under way, as far as others tell, if all of that lies
    /// inside a certain lease of it: what is held is neither moved nor popped.
    pub(super) fn held_during(&self, judged: Index) -> bool {
        let op = self.facts.op(judged);
        if op.place != self.message.home {
            return self.is_held_elsewhere(judged);
        }
        self.stored_from
            .is_some_and(|stored| stored <= op.invoked_at)
            && op.completed_at < self.lives_until
            && op.completed_at < other_than(self.taken, judged)
    }

    /// The same, if `judged` looks where the message was moved to.
    fn is_held_elsewhere(&self, judged: Index) -> bool {
        let op = self.facts.op(judged);
        let mut sweeps = self
            .facts
            .queue(op.place)
            .sweeps_from(self.moved_from)
            .iter();
        let swept_from = sweeps.next().map(|&sweep| self.facts.op(sweep).invoked_at);
        self.is_seen_at(op.place, op.invoked_at)
            && self.certainly_lives(op)
            && op.completed_at < other_than(self.taken, judged)
            && swept_from.is_none_or(|swept_from| op.completed_at < swept_from)
    }

    /// Whether the message certainly is stored while `judged` is under way, as far as others tell.
    pub(super) fn present_during(&self, judged: Index) -> bool {
        let op = self.facts.op(judged);
        self.present((op.invoked_at, op.completed_at), judged)
    }

    /// The first removal that certainly happened to a message that certainly was there, and from when
    /// on: a delete, a pop or a sweep, or a read that found nothing any more.
    fn find_removal(&self) -> Option<(Index, Instant)> {
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
    pub(super) fn may_come_back(&self) -> bool {
        let mut targets = self.queue.dead_letters.iter().map(|to| to.target);
        targets.any(|target| target != NONE && !self.facts.queue(target).dead_letters.is_empty())
    }

    /// The first delete, or read that found nothing, after which the message cannot be at home any more:
    /// it was removed, or had been moved, and what was moved does not come back.
    pub(super) fn left_home(&self) -> Option<(Index, Instant)> {
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
    pub(super) fn first_seen_at(&self, place: Place) -> Option<Index> {
        let mut seen = self.sightings.iter().copied();
        seen.find(|&index| self.facts.op(index).place == place)
    }

    /// Whether the message was seen there, by an operation that ended before `until`.
    fn is_seen_at(&self, place: Place, until: Instant) -> bool {
        let mut seen = self.sightings.iter().map(|&index| self.facts.op(index));
        seen.any(|op| op.place == place && op.completed_at <= until)
    }

    /// Whether a claim, granted the message or without an answer, may hold it between `from` and
    /// `until`.
    pub(super) fn may_be_held(&self, from: Instant, until: Instant) -> bool {
        let unanswered = &self.queue.unanswered;
        self.held_until(from, until).is_some()
            || unanswered.may_hold(self.facts, self.post.invoked_at, (from, until))
    }

    /// Until when claims that were granted the message may hold it, if any may between `from` and
    /// `until`.
    pub(super) fn held_until(&self, from: Instant, until: Instant) -> Option<Instant> {
        self.facts.held_until(self.number, (from, until))
    }

    /// Until when the message certainly has not expired by what its producer said.
    pub(super) fn lives_as_posted(&self) -> Instant {
        self.post
            .invoked_at
            .plus(self.ttl())
            .minus(self.facts.slack())
    }

    fn ttl(&self) -> Duration {
        secs(u64::from(self.message.ttl_secs))
    }

    /// Until when the message may still be there by what its producer said: the late end of its
    /// expiry window.
    pub(super) fn dies_as_posted(&self) -> Instant {
        let acts_until = self.facts.acts_until(self.post);
        let stored_until = match self.stored_from {
            Some(stored) if self.post.is_info() => stored.min(acts_until),
            Some(_) | None => acts_until,
        };
        stored_until.plus(self.ttl()).plus(self.facts.slack())
    }

    /// Claims and renewals that hold the message, in the order of their invocations.
    fn holders(&self) -> Vec<Holder<'f>> {
        let facts = self.facts;
        let mut holders: Vec<Index> = Vec::new();
        for &take in self.deliveries.iter() {
            let claim = facts.op(take).claim();
            if !facts.op(take).is_pop() {
                holders.push(take);
            }
            if claim != NONE {
                holders.extend(facts.of_claim.renewals.get(claim));
            }
        }
        holders.sort_unstable();
        let holder = |index: Index| {
            let op = facts.op(index);
            Holder {
                op,
                acts_until: facts.acts_until(op),
                kept_until: facts.kept_alive_until(op),
            }
        };
        let holders = holders.into_iter().map(holder);
        holders.filter(|holder| holder.op.is_possible()).collect()
    }

    /// Whether the message certainly has not expired when `op` ends, as far as is known before it begins. Where one
    /// clock says that it has and another that it has not, it is not there for one and still there for the other.
    pub(super) fn certainly_lives(&self, op: &Op) -> bool {
        let lives = || {
            op.completed_at < self.lives_as_posted()
                || op.completed_at < self.find_lives_until(op.invoked_at)
        };
        if op.place == self.message.home {
            return lives();
        }
        // Where it was moved to it may have another life.
        let targets = self.queue.dead_letters.iter();
        let mut ttls = targets.map(|to| to.ttl_secs);
        ttls.all(|ttl_secs| {
            ttl_secs.map_or_else(&lives, |ttl_secs| {
                op.completed_at < self.lives_moved_until(ttl_secs)
            })
        })
    }

    /// Until when it certainly has not expired in a queue that it was moved to, and that gives it a life of its own.
    pub(super) fn lives_moved_until(&self, ttl_secs: u64) -> Instant {
        // What was seen at home had not been moved before.
        let seen = self.sightings.iter().map(|&index| self.facts.op(index));
        let seen = seen.filter(|op| op.place == self.message.home);
        let seen = seen.map(|op| op.invoked_at).max();
        let moved_from = seen.map_or(self.moved_from, |seen| seen.max(self.moved_from));
        moved_from.plus(secs(ttl_secs)).minus(self.facts.slack())
    }

    /// The early end `L` of its life, as far as claims and renewals tell that ended by `by`.
    fn find_lives_until(&self, by: Instant) -> Instant {
        let facts = self.facts;
        let mut early = self.lives_as_posted();
        if self.deliveries.is_empty() {
            return early;
        }
        let latest_as_posted = self.dies_as_posted();
        let holders = self.holders();
        // So far: the latest effect, and the latest end of a life.
        let start = (Instant::START, Instant::START);
        let so_far = holders.iter().scan(start, |(acts, kept), holder| {
            (*acts, *kept) = (holder.acts_until.max(*acts), holder.kept_until.max(*kept));
            Some((*acts, *kept))
        });
        let so_far: Vec<(Instant, Instant)> = so_far.collect();
        for (place, holder) in holders.iter().enumerate() {
            if !holder.op.is_ok() || holder.op.completed_at > by {
                continue;
            }
            let Op {
                invoked_at,
                completed_at,
                ..
            } = *holder.op;
            let (lease, grace) = facts.spans(holder.op);
            // Whatever else may have held the message by then may have lengthened its life already.
            let mut late = latest_as_posted;
            let began = holders.partition_point(|other| other.op.invoked_at <= completed_at);
            for other in (0..began).rev() {
                let (acts, kept) = so_far[other];
                if acts <= completed_at && other < place {
                    late = late.max(kept);
                    break;
                }
                if other != place {
                    let (lease, grace) = facts.spans(holders[other].op);
                    let acts = holders[other].acts_until.min(completed_at);
                    late = late.max(acts.plus(lease + grace).plus(facts.slack()));
                }
            }
            let posted_at = self.post.invoked_at;
            let by_then = (completed_at, completed_at);
            let unanswered = &self.queue.unanswered;
            let unanswered = unanswered.keep_alive_until(facts, posted_at, by_then);
            late = unanswered.map_or(late, |unanswered| unanswered.max(late));
            let surely_extends = late < invoked_at.plus(lease);
            let extended = if surely_extends {
                grace
            } else {
                Duration::ZERO
            };
            early = early.max(invoked_at.plus(lease + extended).minus(facts.slack()));
        }
        early
    }

    /// The late end `U` of a life in the queue at `place` that ends at `dies_at` if nobody holds the message, as far as
    /// claims and renewals tell that began before `before`: whoever may have held the message while it lived may have
    /// kept it alive, for `lag` more.
    pub(super) fn dies_by(
        &self,
        (place, dies_at): (Place, Instant),
        before: Instant,
        lag: Duration,
    ) -> Instant {
        let facts = self.facts;
        let mut dies_at = dies_at.plus(lag);
        let holders = self.holders();
        let mut holders = holders.iter().peekable();
        loop {
            let known_at = dies_at;
            let began = |holder: &&Holder<'_>| {
                holder.op.invoked_at < before && holder.op.invoked_at <= dies_at
            };
            if let Some(holder) = holders.next_if(began) {
                dies_at = dies_at.max(holder.kept_until.plus(lag));
                continue;
            }
            let until = dies_at.min(before.minus(Duration::from_nanos(1)));
            let unanswered = &facts.queue(place).unanswered;
            let within = (until, Instant::NEVER);
            let kept = unanswered.keep_alive_until(facts, self.post.invoked_at, within);
            dies_at = kept.map_or(dies_at, |kept| kept.plus(lag).max(dies_at));
            if dies_at == known_at {
                return dies_at;
            }
        }
    }

    /// Until when the message may be counted at all: whatever may hold it keeps it alive.
    pub(super) fn kept_until(&self) -> Instant {
        let kept = self.holders().into_iter().map(|holder| holder.kept_until);
        let whole = (Instant::NEVER, Instant::NEVER);
        let unanswered = &self.queue.unanswered;
        let unanswered = unanswered.keep_alive_until(self.facts, self.post.invoked_at, whole);
        kept.chain(unanswered)
            .fold(self.dies_as_posted(), Instant::max)
    }

    /// The delay that the message certainly has, if it has one.
    pub(super) fn delay(&self) -> Option<Duration> {
        let settings = self.settled_until(self.facts.acts_until(self.post))?;
        let default = settings.default_delay_secs.filter(|&delay| delay > 0)?;
        let delay = match self.message.delay_secs {
            NONE => default,
            delay => u64::from(delay),
        };
        (delay > 0).then_some(secs(delay))
    }

    /// The settings of its queue that certainly hold from when it was posted until then.
    pub(super) fn settled_until(&self, until: Instant) -> Option<&'f QueueSettings> {
        self.facts
            .settled(self.queue, (self.post.invoked_at, until))
    }
}

impl Facts<'_> {
    /// From when on it is certain that the message was stored; `None` if it never is. An answered
    /// post settles it at once, one without an answer when its message was first seen.
    pub(super) fn stored_from(&self, message: u32) -> Option<Instant> {
        let post = self.op(self.log.messages[message as usize].post);
        let sighted = self.of_message.sightings.get(message).first();
        let sighted = sighted.map(|&index| self.op(index).completed_at);
        if post.is_ok() {
            let answered = post.completed_at;
            return Some(sighted.map_or(answered, |sighted| sighted.min(answered)));
        }
        sighted.filter(|_| post.is_info())
    }

    /// Until when claims that were granted the message may hold it, if any may between `from` and
    /// `until`.
    pub(super) fn held_until(
        &self,
        message: u32,
        (from, until): (Instant, Instant),
    ) -> Option<Instant> {
        let sightings = self.of_message.sightings.get(message).iter().copied();
        let deliveries = sightings.filter(|&index| self.op(index).is_take());
        let leases = deliveries.map(|take| self.possible_lease(take));
        let held = leases.filter(|lease| lease.from <= until && from <= lease.until);
        held.map(|lease| lease.until).max()
    }

    /// The longest delay that the message may have.
    pub(super) fn delay_at_most(&self, message: &Message) -> Duration {
        match message.delay_secs {
            NONE => self.queue(message.home).longest_delay,
            delay => secs(u64::from(delay)),
        }
    }
}

/// The first of two that is not `judged`.
fn other_than((at, index, next): (Instant, Index, Instant), judged: Index) -> Instant {
    if index == judged && index != NONE {
        next
    } else {
        at
    }
}
