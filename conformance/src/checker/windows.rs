//! What is certain, and what is possible, about leases (`guarantees.md`, section 2).

use std::time::Duration;

use super::facts::{Facts, secs};
use super::log::{Act, Index, NONE, Op};
use crate::environment::Instant;

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

impl Facts<'_> {
    /// How long a claim or renewal asks for its lease to last, and a message to live beyond it.
    pub(super) fn spans(&self, op: &Op) -> (Duration, Duration) {
        let (Act::Claim { lease, .. } | Act::Renew { lease, .. }) = op.act else {
            return (Duration::ZERO, Duration::ZERO);
        };
        let lease = self.log.leases[lease as usize];
        (secs(lease.ttl_secs), secs(lease.grace_secs))
    }

    /// The early end of the lease that `op` asks for.
    pub(super) fn lease_ends_from(&self, op: &Op) -> Instant {
        op.invoked_at.plus(self.spans(op).0).minus(self.slack())
    }

    /// The late end of the lease that `op` asks for.
    pub(super) fn lease_ends_by(&self, op: &Op) -> Instant {
        self.acts_until(op)
            .plus(self.spans(op).0)
            .plus(self.slack())
    }

    /// Until when a message that `op` holds may be kept alive for its sake.
    pub(super) fn kept_alive_until(&self, op: &Op) -> Instant {
        let (lease, grace) = self.spans(op);
        self.acts_until(op).plus(lease + grace).plus(self.slack())
    }

    /// Ok renewals of `claim`, of those that began by `until` and are not `judged`, that no other
    /// surely follows; of all, or only of those that surely found the lease.
    fn last_renewals(
        &self,
        claim: u32,
        (until, judged): (Instant, Index),
        only_sure: bool,
    ) -> impl Iterator<Item = &Op> {
        let start = self.of_claim.renewals.start(claim);
        let renewals = self.of_claim.renewals.get(claim);
        let began = |&index: &Index| self.op(index).invoked_at <= until;
        let count = match renewals.last() {
            Some(last) if !began(last) => renewals.partition_point(began),
            _ => renewals.len(),
        };
        let mut last_invoked_at = None;
        let backwards = (0..count).rev().map_while(move |place| {
            let ends = self.of_claim.renewed_until[start + place];
            if last_invoked_at.is_some_and(|last| ends < last) {
                return None;
            }
            let index = renewals[place];
            let op = self.op(index);
            let is_sure = !only_sure || self.of_claim.is_sure[start + place];
            if index == judged || !op.is_ok() || !is_sure {
                return Some(None);
            }
            let last = *last_invoked_at.get_or_insert(op.invoked_at);
            Some((last <= op.completed_at).then_some(op))
        });
        backwards.flatten()
    }

    /// The certain end of `take`'s lease, unless something cuts it first: what is not `judged`, and
    /// began when `take` did or later.
    fn lease_cut(&self, take: Index, judged: Index) -> Instant {
        let granted = self.op(take);
        let claim = granted.claim();
        if claim == NONE {
            return self.lease_ends_from(granted);
        }
        let ends_from = |only_sure: bool| {
            let renewals = self.last_renewals(claim, (Instant::NEVER, judged), only_sure);
            let until = renewals.map(|op| self.lease_ends_from(op)).min();
            until.unwrap_or_else(|| self.lease_ends_from(granted))
        };
        // What may have come too late does not prolong it for certain, but may have shortened it.
        let until = ends_from(true).min(ends_from(false));
        // What came before the claim was granted did not end it: it was granted all the same.
        let later = |list: &[Index]| {
            let first = list.partition_point(|&at| self.op(at).invoked_at < granted.invoked_at);
            let mut later = list[first..].iter().map(|&index| (index, self.op(index)));
            let cut = later.find(|(index, op)| *index != judged && !is_refused_release(op));
            cut.map(|(_, op)| op.invoked_at)
        };
        let released = later(self.of_claim.releases.get(claim));
        let failed = later(self.of_claim.failed_renewals.get(claim));
        released.into_iter().chain(failed).fold(until, Instant::min)
    }

    /// From when on another could be handed what `take` was granted. A removal of the message ends
    /// its lease, but makes it free for nobody.
    pub(super) fn free_from(&self, take: Index) -> Instant {
        self.lease_cut(take, take)
    }

    /// When `take`'s lease is certain, but for what removes its message at `cut`.
    pub(super) fn certain_lease(&self, take: Index, judged: Index, cut: Option<Instant>) -> Window {
        let until = self.lease_cut(take, judged);
        Window {
            from: self.op(take).completed_at,
            until: cut.map_or(until, |cut| cut.min(until)),
        }
    }

    /// When `take` may hold what it was granted.
    pub(super) fn possible_lease(&self, take: Index) -> Window {
        self.possible_lease_by(take, (Instant::NEVER, NONE))
    }

    /// When the lease of `take` may end at the latest, as far as what came before the end of
    /// `judged`, and not `judged` itself, tells. `judged` has an answer.
    pub(super) fn surely_ended_from(&self, take: Index, judged: Index) -> Instant {
        let until = self.op(judged).completed_at;
        self.possible_lease_by(take, (until, judged)).until
    }

    fn possible_lease_by(&self, take: Index, (until, judged): (Instant, Index)) -> Window {
        let granted = self.op(take);
        let claim = granted.claim();
        let mut ends_at = self.lease_ends_by(granted);
        if claim != NONE {
            let renewals = self.last_renewals(claim, (until, judged), false);
            let renewed = renewals.map(|op| self.lease_ends_by(op)).max();
            ends_at = renewed.unwrap_or(ends_at);
            ends_at = ends_at.max(self.maybe_renewed_until(claim, until));
            let releases = self.of_claim.releases.get(claim).iter();
            let released = releases
                .map(|&index| self.op(index))
                // One that ended before the claim was granted can only have guessed its name.
                .filter(|op| op.is_ok() && op.completed_at >= granted.invoked_at)
                .map(|op| op.completed_at);
            ends_at = released.fold(ends_at, Instant::min);
        }
        Window {
            from: granted.invoked_at,
            until: ends_at,
        }
    }

    /// The latest end of a lease by renewals of `claim` without an answer that began by `until`.
    fn maybe_renewed_until(&self, claim: u32, until: Instant) -> Instant {
        let renewals = self.of_claim.renewals.get(claim);
        let count = renewals.partition_point(|&index| self.op(index).invoked_at <= until);
        let start = self.of_claim.renewals.start(claim);
        count.checked_sub(1).map_or(Instant::START, |last| {
            self.of_claim.maybe_until[start + last]
        })
    }
}

/// Whether it is a release that certainly did not happen.
fn is_refused_release(op: &Op) -> bool {
    matches!(op.act, Act::Release { .. }) && !op.is_possible()
}
