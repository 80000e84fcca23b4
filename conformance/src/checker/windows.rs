//! What is certain, and what is possible, about one message (`guarantees.md`, section 2).

use std::time::Duration;

use super::facts::{Facts, Index, Message};
use crate::environment::Instant;
use crate::history::Record;

/// A span of time, its end not included. Empty if it does not begin before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Instant,
    pub(super) until: Instant,
}

impl Window {
    /// Whether everything between `from` and `until`, both included, surely lies inside. What begins in
    /// the very instant in which the window does may have acted before.
    pub(super) fn covers(self, from: Instant, until: Instant) -> bool {
        self.from < from && until < self.until
    }
}

/// How long a claim or renewal asks for its lease to last.
fn lease_span(record: &Record) -> Duration {
    Duration::from_secs(record.operation.lease().map_or(0, |(ttl_secs, _)| ttl_secs))
}

/// How long a claim or renewal lets a message live beyond its lease.
fn grace_span(record: &Record) -> Duration {
    Duration::from_secs(
        record
            .operation
            .lease()
            .map_or(0, |(_, grace_secs)| grace_secs),
    )
}

impl Facts<'_> {
    pub(super) fn slack(&self) -> Duration {
        self.history.header.slack()
    }

    /// The latest instant at which a possible operation can have acted: `c`, or `i + λ`.
    pub(super) fn acts_until(&self, record: &Record) -> Instant {
        if record.is_info() {
            self.history.header.latest_effect(record.invoked_at)
        } else {
            record.completed_at
        }
    }

    /// Renewals of `take`'s claim that happened for certain and that no other surely follows, and
    /// renewals that may have happened; of those for which `counts` holds.
    fn renewals(
        &self,
        take: Index,
        counts: impl Fn(Index) -> bool,
    ) -> (Vec<&Record>, Vec<&Record>) {
        let renewals = self.claim_of(take).map_or(&[][..], |claim| &claim.renewals);
        let counted = renewals.iter().copied().filter(|&index| counts(index));
        let all: Vec<&Record> = counted.map(|index| self.record(index)).collect();
        let (ok, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|record| record.is_ok());
        let last_invoked_at = ok.iter().map(|record| record.invoked_at).max();
        let ok = ok
            .into_iter()
            .filter(|record| last_invoked_at.is_none_or(|last| last <= record.completed_at))
            .collect();
        let info = others.into_iter().filter(|record| record.is_info());
        (ok, info.collect())
    }

    /// When `take`'s lease of `message` is certain. Removals other than `judged` cut it, and so do
    /// releases, and renewals that did not end ok, at their invocation.
    pub(super) fn certain_lease(
        &self,
        message: &Message<'_>,
        take: Index,
        judged: Index,
    ) -> Window {
        let removals = self.removals(message).chain(self.sweeps(message));
        let removals = removals.filter(|&index| index != judged);
        let until = self.lease_cut_by(take, removals, judged);
        Window {
            from: self.record(take).completed_at,
            until,
        }
    }

    /// From when on another could be handed what `take` was granted. A removal of the message ends
    /// its lease, but makes it free for nobody.
    pub(super) fn free_from(&self, take: Index) -> Instant {
        self.lease_cut_by(take, std::iter::empty(), take)
    }

    /// The certain end of `take`'s lease, unless one of `cuts` comes first.
    fn lease_cut_by(
        &self,
        take: Index,
        cuts: impl Iterator<Item = Index>,
        judged: Index,
    ) -> Instant {
        let granted = self.record(take);
        let ends_at = |record: &Record| {
            record
                .invoked_at
                .plus(lease_span(record))
                .minus(self.slack())
        };
        let (renewals, _) = self.renewals(take, |index| index != judged);
        let until = renewals
            .into_iter()
            .map(ends_at)
            .min()
            .unwrap_or(ends_at(granted));
        let claim = self.claim_of(take);
        let releases = claim.map_or(&[][..], |claim| &claim.releases);
        let releases = releases.iter().copied();
        let releases = releases.filter(|&index| self.record(index).is_possible());
        let renewals = claim.map_or(&[][..], |claim| &claim.renewals);
        let renewals = renewals.iter().copied();
        let renewals = renewals.filter(|&index| !self.record(index).is_ok());
        let cut = cuts
            .chain(releases)
            .chain(renewals)
            .filter(|&index| index != judged)
            .map(|index| self.record(index).invoked_at)
            // What came before the claim was granted did not end it: it was granted all the same.
            .filter(|&at| at >= granted.invoked_at)
            .min();
        cut.map_or(until, |cut| cut.min(until))
    }

    /// When `take` may hold what it was granted.
    pub(super) fn possible_lease(&self, take: Index) -> Window {
        self.possible_lease_by(take, |_| true)
    }

    /// When the lease of `take` may end at the latest, as far as what came before the end of
    /// `judged`, and not `judged` itself, tells.
    pub(super) fn surely_ended_from(&self, take: Index, judged: Index) -> Instant {
        let judged_until = self.record(judged).completed_at;
        let counts = |index| index != judged && self.record(index).invoked_at <= judged_until;
        self.possible_lease_by(take, counts).until
    }

    fn possible_lease_by(&self, take: Index, counts: impl Fn(Index) -> bool) -> Window {
        let granted = self.record(take);
        let ends_at = |record: &Record| {
            self.acts_until(record)
                .plus(lease_span(record))
                .plus(self.slack())
        };
        let (ok, info) = self.renewals(take, counts);
        let until = ok
            .into_iter()
            .map(ends_at)
            .max()
            .unwrap_or(ends_at(granted));
        let until = info.into_iter().map(ends_at).fold(until, Instant::max);
        let releases = self.claim_of(take).map_or(&[][..], |claim| &claim.releases);
        let released_at = releases
            .iter()
            .map(|&index| self.record(index))
            // One that ended before the claim was granted can only have guessed its name.
            .filter(|record| record.is_ok() && record.completed_at >= granted.invoked_at)
            .map(|record| record.completed_at)
            .min();
        Window {
            from: granted.invoked_at,
            until: released_at.map_or(until, |released_at| released_at.min(until)),
        }
    }

    /// Until when the message certainly has not expired by what its producer said.
    pub(super) fn lives_as_posted(&self, message: &Message<'_>) -> Instant {
        let ttl = Duration::from_secs(message.ttl_secs);
        let posted_at = self.record(message.post).invoked_at;
        posted_at.plus(ttl).minus(self.slack())
    }

    /// Until when the message may still be there by what its producer said: the late end of its
    /// expiry window.
    pub(super) fn dies_as_posted(&self, message: &Message<'_>) -> Instant {
        let post = self.record(message.post);
        let stored_until = match self.stored_from(message) {
            Some(stored) if post.is_info() => stored.min(self.acts_until(post)),
            Some(_) | None => self.acts_until(post),
        };
        let ttl = Duration::from_secs(message.ttl_secs);
        stored_until.plus(ttl).plus(self.slack())
    }

    /// Until when a message that `holder` holds may be kept alive for its sake.
    pub(super) fn kept_alive_until(&self, holder: &Record) -> Instant {
        let span = lease_span(holder) + grace_span(holder);
        self.acts_until(holder).plus(span).plus(self.slack())
    }

    /// Until when the message certainly has not expired: the early end `L` of its expiry window, as
    /// its post and the claims and renewals that hold it make it.
    pub(super) fn lives_until(&self, message: &Message<'_>) -> Instant {
        let latest_as_posted = self.dies_as_posted(message);
        let holders = self.holders(message);
        let mut early = self.lives_as_posted(message);
        for (holder, record) in holders
            .iter()
            .enumerate()
            .filter(|(_, record)| record.is_ok())
        {
            let (lease, grace) = (lease_span(record), grace_span(record));
            // Whatever else may have held the message by then may have lengthened its life already.
            let others = holders
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != holder);
            let late = others
                .map(|(_, other)| other)
                .filter(|other| other.invoked_at <= record.completed_at)
                .map(|other| {
                    let acts = self.acts_until(other).min(record.completed_at);
                    acts.plus(lease_span(other) + grace_span(other))
                        .plus(self.slack())
                })
                .fold(latest_as_posted, Instant::max);
            let surely_extends = late < record.invoked_at.plus(lease);
            let extended = if surely_extends {
                grace
            } else {
                Duration::ZERO
            };
            early = early.max(record.invoked_at.plus(lease + extended).minus(self.slack()));
        }
        early
    }

    /// Claims and renewals that hold the message, or may.
    pub(super) fn holders(&self, message: &Message<'_>) -> Vec<&Record> {
        let mut holders: Vec<&Record> = Vec::new();
        for take in self.deliveries(message) {
            holders.push(self.record(take));
            let renewals = self.claim_of(take).map_or(&[][..], |claim| &claim.renewals);
            holders.extend(renewals.iter().map(|&index| self.record(index)));
        }
        let unanswered = &self.queues[&message.home].unanswered;
        holders.extend(unanswered.iter().map(|&index| self.record(index)));
        holders.retain(|record| record.is_possible() && !record.operation.is_pop());
        holders
    }
}
