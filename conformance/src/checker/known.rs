//! What is known about one message: when it certainly is there, and when it may be gone or certainly is.

use std::borrow::Cow;
use std::time::Duration;

use super::facts::{Facts, Queue, secs};
use super::log::{Index, Message, NONE, Op};
use crate::environment::Instant;
use crate::history::QueueSettings;

mod life;
mod removal;

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
