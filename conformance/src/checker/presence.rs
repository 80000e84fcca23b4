//! When a message certainly is there, and when it may be gone or certainly is.

use std::time::Duration;

use super::facts::{Facts, Index, Message, Place};
use crate::environment::Instant;
use crate::history::{Operation, QueueSettings};

impl<'h> Facts<'h> {
    /// Pops that returned the message.
    pub(super) fn pops(&self, message: &Message<'_>) -> impl Iterator<Item = Index> {
        let is_pop = |&index: &Index| self.record(index).operation.is_pop();
        self.deliveries(message).filter(is_pop)
    }

    /// Possible removals of the message that are known by its identifier: deletes and pops.
    pub(super) fn removals(&self, message: &Message<'_>) -> impl Iterator<Item = Index> {
        let deletes = message.deletes.iter().chain(&message.bulk_deletes).copied();
        deletes
            .filter(|&index| self.record(index).is_possible())
            .chain(self.pops(message))
    }

    /// Purges and deletes of its queue that may have taken the message away.
    pub(super) fn sweeps<'f>(
        &'f self,
        message: &'f Message<'_>,
    ) -> impl Iterator<Item = Index> + 'f {
        let posted_at = self.record(message.post).invoked_at;
        let sweeps = self.queues[&message.home].sweeps.iter().copied();
        sweeps.filter(move |&index| self.acts_until(self.record(index)) >= posted_at)
    }

    /// From when on the message may have been moved to a dead-letter queue: since the delivery that
    /// may have been the last that it was allowed.
    pub(super) fn moved_from(&self, message: &Message<'_>) -> Instant {
        let queue = &self.queues[&message.home];
        let counts = queue.dead_letters.iter().map(|to| to.max_claim_count);
        let posted_at = self.record(message.post).invoked_at;
        let mut sightings = message.sightings.iter();
        match counts.min() {
            None => Instant::NEVER,
            // It was moved, be it too early: nobody knows when.
            Some(_) if sightings.any(|&seen| self.place(seen) != message.home) => posted_at,
            Some(0) => posted_at,
            Some(count) => {
                let delivered = self.possible_deliveries(message);
                let last = usize::try_from(count - 1).unwrap_or(usize::MAX);
                delivered.get(last).copied().unwrap_or(Instant::NEVER)
            }
        }
    }

    /// When deliveries at home may have begun, in order: those that returned the message, and claims
    /// without an answer.
    pub(super) fn possible_deliveries(&self, message: &Message<'_>) -> Vec<Instant> {
        let posted_at = self.record(message.post).invoked_at;
        let at_home = self
            .deliveries(message)
            .filter(|&take| self.place(take) == message.home);
        let unanswered = self.queues[&message.home].unanswered.iter().copied();
        let unanswered =
            unanswered.filter(|&index| self.acts_until(self.record(index)) >= posted_at);
        let all = at_home.chain(unanswered);
        let mut at: Vec<Instant> = all.map(|index| self.record(index).invoked_at).collect();
        at.sort_unstable();
        at
    }

    /// From when on something other than `judged` may have taken the message away: a delete, a pop
    /// that returned it, a sweep, or a move.
    pub(super) fn taken_from(&self, message: &Message<'_>, judged: Index) -> Instant {
        let all = self.removals(message).chain(self.sweeps(message));
        let all = all.filter(|&index| index != judged);
        let first = all.map(|index| self.record(index).invoked_at).min();
        let first = first.unwrap_or(Instant::NEVER);
        first.min(self.moved_from(message))
    }

    /// The same, but also what nobody saw: a pop without an answer, or whatever took it before an
    /// observation did not find it.
    pub(super) fn may_be_gone_from(&self, message: &Message<'_>, judged: Index) -> Instant {
        let posted_at = self.record(message.post).invoked_at;
        let unanswered = self.queues[&message.home].unanswered.iter().copied();
        let pops = unanswered.filter(|&index| {
            let record = self.record(index);
            record.operation.is_pop() && self.acts_until(record) >= posted_at
        });
        let absences = message.reads.iter().filter(|read| !read.is_found);
        let absences = absences.map(|read| read.index);
        let all = pops.chain(absences).filter(|&index| index != judged);
        let first = all.map(|index| self.record(index).invoked_at).min();
        let taken = self.taken_from(message, judged);
        first.map_or(taken, |first| first.min(taken))
    }

    /// Whether the message certainly is stored from `from` to `until`, claimed or not, as far as
    /// others than `judged` tell.
    pub(super) fn present(
        &self,
        message: &Message<'_>,
        (from, until): (Instant, Instant),
        judged: Index,
    ) -> bool {
        self.stored_from(message)
            .is_some_and(|stored| stored <= from)
            && until < self.lives_until(message)
            && until < self.may_be_gone_from(message, judged)
    }

    /// Whether the message certainly is stored while `judged` is under way, as far as others tell.
    pub(super) fn present_during(&self, message: &Message<'_>, judged: Index) -> bool {
        let record = self.record(judged);
        self.present(message, (record.invoked_at, record.completed_at), judged)
    }

    /// The first removal that certainly happened to a message that certainly was there, and from when
    /// on: a delete, a pop or a sweep, or a read that found nothing any more.
    pub(super) fn certain_removal(&self, message: &Message<'_>) -> Option<(Index, Instant)> {
        let stored_from = self.stored_from(message)?;
        let moved_from = self.moved_from(message);
        let absences = message.reads.iter().filter(|read| !read.is_found);
        let absences = absences.map(|read| read.index);
        let deletes = message.deletes.iter().chain(&message.bulk_deletes).copied();
        // Some services keep what is claimed when a queue is purged.
        let sweeps = self.sweeps(message).filter(|&index| {
            let record = self.record(index);
            let is_purge = matches!(record.operation, Operation::Purge { .. });
            let (from, until) = (record.invoked_at, record.completed_at);
            !(is_purge && self.may_be_held(message, from, until))
        });
        let by_name = deletes.chain(absences).chain(sweeps).filter(|&index| {
            let record = self.record(index);
            // Who names a message knows it already; a sweep in the very instant may have come before.
            let is_sweep = matches!(
                record.operation,
                Operation::Purge { .. } | Operation::DeleteQueue { .. }
            );
            let was_there =
                stored_from < record.invoked_at || (stored_from == record.invoked_at && !is_sweep);
            let is_at_home = self.place(index) == message.home;
            let is_where_it_is = if is_at_home {
                record.completed_at < moved_from
            } else {
                self.is_seen_at(message, self.place(index), record.invoked_at)
            };
            record.is_ok() && was_there && is_where_it_is
        });
        // A pop that returned the message took it, whatever else is known.
        by_name
            .chain(self.pops(message))
            .map(|index| (index, self.record(index).completed_at))
            .min_by_key(|&(index, at)| (at, index))
    }

    /// Whether the message was seen there, by an operation that ended before `until`.
    fn is_seen_at(&self, message: &Message<'_>, place: Place<'_>, until: Instant) -> bool {
        message
            .sightings
            .iter()
            .any(|&index| self.place(index) == place && self.record(index).completed_at <= until)
    }

    /// Whether a claim, granted the message or without an answer, may hold it between `from` and
    /// `until`.
    pub(super) fn may_be_held(&self, message: &Message<'_>, from: Instant, until: Instant) -> bool {
        let unanswered = self.queues[&message.home].unanswered.iter().copied();
        let unanswered = unanswered.filter(|&index| !self.record(index).operation.is_pop());
        self.deliveries(message).chain(unanswered).any(|take| {
            let lease = self.possible_lease(take);
            lease.from <= until && from <= lease.until
        })
    }

    /// The settings of a queue that certainly hold from `at` on: it was told once, and answered.
    pub(super) fn settled(&self, place: Place<'_>, at: Instant) -> Option<&'h QueueSettings> {
        let queue = self.queues.get(&place)?;
        let [index] = queue.settings[..] else {
            return None;
        };
        let is_deleted = queue
            .sweeps
            .iter()
            .any(|&sweep| matches!(self.record(sweep).operation, Operation::DeleteQueue { .. }));
        let record = self.record(index);
        let (Operation::CreateQueue { settings, .. } | Operation::SetMetadata { settings, .. }) =
            &record.operation
        else {
            return None;
        };
        (record.is_ok() && record.completed_at <= at && !is_deleted).then_some(settings)
    }

    /// The longest delay that the message may have.
    pub(super) fn delay_at_most(&self, message: &Message<'_>) -> Duration {
        let told = self.queues[&message.home].settings.iter();
        let default = |&index: &Index| {
            let operation = &self.record(index).operation;
            if let Operation::CreateQueue { settings, .. }
            | Operation::SetMetadata { settings, .. } = operation
            {
                settings.default_delay_secs
            } else {
                None
            }
        };
        let delay = message.posted.delay_secs;
        let delay = delay.or_else(|| told.filter_map(default).max());
        Duration::from_secs(delay.unwrap_or(0))
    }

    /// The delay that the message certainly has, if it has one.
    pub(super) fn delay(&self, message: &Message<'_>) -> Option<Duration> {
        let settings = self.settled(message.home, self.record(message.post).invoked_at)?;
        let default = settings.default_delay_secs.filter(|&delay| delay > 0)?;
        let delay = message.posted.delay_secs.unwrap_or(default);
        (delay > 0).then_some(Duration::from_secs(delay))
    }
}
