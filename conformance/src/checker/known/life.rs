//! How long a message certainly lives, and how long it may: by what its producer said, by whoever holds it, and by
//! where it was moved to.

use std::time::Duration;

use super::Known;
use crate::checker::facts::{Facts, secs};
use crate::checker::log::{Index, NONE, Op, Place};
use crate::environment::Instant;

/// A claim or a renewal that holds the message, or may.
struct Holder<'f> {
    op: &'f Op,
    acts_until: Instant,
    kept_until: Instant,
}

impl<'f> Known<'f> {
    /// Until when the message certainly has not expired by what its producer said.
    pub(in crate::checker) fn lives_as_posted(&self) -> Instant {
        self.facts.lives_as_posted(self.number)
    }

    fn ttl(&self) -> Duration {
        secs(u64::from(self.message.ttl_secs))
    }

    /// Until when the message may still be there by what its producer said: the late end of its
    /// expiry window.
    pub(in crate::checker) fn dies_as_posted(&self) -> Instant {
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
    pub(in crate::checker) fn certainly_lives(&self, op: &Op) -> bool {
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
    pub(in crate::checker) fn lives_moved_until(&self, ttl_secs: u64) -> Instant {
        // What was seen at home had not been moved before.
        let seen = self.sightings.iter().map(|&index| self.facts.op(index));
        let seen = seen.filter(|op| op.place == self.message.home);
        let seen = seen.map(|op| op.invoked_at).max();
        let moved_from = seen.map_or(self.moved_from, |seen| seen.max(self.moved_from));
        moved_from.plus(secs(ttl_secs)).minus(self.facts.slack())
    }

    /// The early end `L` of its life, as far as claims and renewals tell that ended by `by`.
    pub(super) fn find_lives_until(&self, by: Instant) -> Instant {
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
    pub(in crate::checker) fn dies_by(
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
    pub(in crate::checker) fn kept_until(&self) -> Instant {
        let kept = self.holders().into_iter().map(|holder| holder.kept_until);
        let whole = (Instant::NEVER, Instant::NEVER);
        let unanswered = &self.queue.unanswered;
        let unanswered = unanswered.keep_alive_until(self.facts, self.post.invoked_at, whole);
        kept.chain(unanswered)
            .fold(self.dies_as_posted(), Instant::max)
    }
}

impl Facts<'_> {
    /// Until when the message certainly has not expired by what its producer said.
    fn lives_as_posted(&self, message: u32) -> Instant {
        let message = &self.log.messages[message as usize];
        let ttl = secs(u64::from(message.ttl_secs));
        let posted_at = self.op(message.post).invoked_at;
        posted_at.plus(ttl).minus(self.slack())
    }

    /// As [`Known::certainly_lives`], for who does not know the message: most live as they were posted.
    pub(in crate::checker) fn certainly_lives(&self, message: u32, op: &Op) -> bool {
        op.completed_at < self.lives_as_posted(message)
            || Known::of(self, message).certainly_lives(op)
    }
}
