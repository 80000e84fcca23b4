//! `delivery/early` and `delivery/expired`: a message is there from the end of its delay to the end of
//! its life.

use super::facts::secs;
use super::findings::Findings;
use super::known::Known;
use super::log::{Index, Place};
use crate::environment::Instant;

/// A delayed message claimed or popped although its delay was surely not over.
pub(super) fn early(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let Some(delay) = known.delay() else {
        return;
    };
    let posted_at = known.post.invoked_at;
    let ends_at = posted_at.plus(delay).minus(facts.slack());
    // Every claim or pop meanwhile could have taken it.
    let takes = &known.queue.takes;
    let first = takes.partition_point(|&take| facts.op(take).invoked_at < posted_at);
    let challenged = takes.get(first);
    let is_challenged = challenged.is_some_and(|&take| facts.op(take).completed_at < ends_at);
    findings.exercised += u64::from(is_challenged);
    for &take in known.deliveries.iter() {
        if facts.op(take).completed_at < ends_at {
            findings.violate(known.message.token, || {
                let summary = format!("handed out before its delay ended, at {ends_at} or later");
                let proof = [known.message.post, take].into_iter();
                let proof = proof.chain(known.queue.settings.operations.iter().copied());
                (summary, proof.collect())
            });
        }
    }
}

/// When the life of the message in that queue ends at the latest, if nobody holds it and it can be told.
fn life_at(known: &Known<'_>, place: Place) -> Option<Instant> {
    let facts = known.facts;
    let as_posted = known.dies_as_posted();
    if place == known.message.home {
        return (!known.may_come_back()).then_some(as_posted);
    }
    // From there it may go on.
    if !facts.queue(place).dead_letters.is_empty() {
        return None;
    }
    let seen_by = facts.op(known.first_seen_at(place)?).completed_at;
    let targets = known.queue.dead_letters.iter();
    let targets = targets.filter(|to| to.target == place);
    let ends = targets.map(|to| {
        to.ttl_secs.map_or(as_posted, |ttl_secs| {
            seen_by.plus(secs(ttl_secs)).plus(facts.slack())
        })
    });
    ends.max()
}

/// A message returned by an operation invoked after it had surely expired, the history's last having
/// begun at `end`.
pub(super) fn expired(known: &Known<'_>, end: Instant, findings: &mut Findings) {
    let facts = known.facts;
    let lag = facts.log.header.profile.expiry_lag();
    let may_be_moved = known.moved_from < Instant::NEVER;
    if !may_be_moved && known.dies_as_posted().plus(lag) > end {
        return;
    }
    let mut sightings = known.sightings.to_vec();
    sightings.sort_unstable();
    let mut sightings = sightings.into_iter();
    // What began later is judged by what is known by then.
    let is_dead = |&seen: &Index| {
        let op = facts.op(seen);
        let ends_at = life_at(known, op.place).filter(|life| life.plus(lag) < op.invoked_at);
        ends_at.is_some_and(|ends_at| {
            known.dies_by((op.place, ends_at), op.invoked_at, lag) < op.invoked_at
        })
    };
    let witness = sightings.find(is_dead);
    let is_challenged = || {
        let life = (known.message.home, known.dies_as_posted());
        let dies_at = known.dies_by(life, Instant::NEVER, lag);
        let later = known.queue.takes.last().copied();
        later.is_some_and(|take| facts.op(take).invoked_at > dies_at)
    };
    let is_exercised = witness.is_some() || (!known.may_come_back() && is_challenged());
    findings.exercised += u64::from(is_exercised);
    if let Some(seen) = witness {
        findings.violate(known.message.token, || {
            let summary = "seen after it had surely expired".to_owned();
            let proof = [known.message.post, seen].into_iter();
            let proof = proof.chain(known.deliveries.iter().copied());
            // Where it was moved to it has another life.
            let place = facts.op(seen).place;
            let moved = known.first_seen_at(place);
            let settings = known.queue.settings.operations.iter().copied();
            let why = moved.into_iter().chain(settings);
            let why = why.filter(|_| place != known.message.home);
            (summary, proof.chain(why).collect())
        });
    }
}
