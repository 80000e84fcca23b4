//! `delivery/early` and `delivery/expired`: a message is there from the end of its delay to the end of
//! its life.

use super::findings::Findings;
use super::known::Known;
use super::log::Index;
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

/// A message returned by an operation invoked after it had surely expired, the history's last having
/// begun at `end`.
pub(super) fn expired(known: &Known<'_>, end: Instant, findings: &mut Findings) {
    let facts = known.facts;
    let lag = facts.log.header.profile.expiry_lag();
    // A move restarts its lifetime, and nobody saw when that was.
    let is_moved = known.moved_from < Instant::NEVER;
    if is_moved || known.dies_as_posted().plus(lag) > end {
        return;
    }
    let mut sightings = known.sightings.to_vec();
    sightings.sort_unstable();
    let mut sightings = sightings.into_iter();
    // What began later is judged by what is known by then.
    let is_dead = |&seen: &Index| {
        let seen_at = facts.op(seen).invoked_at;
        known.dies_as_posted().plus(lag) < seen_at && known.dies_by(seen_at, lag) < seen_at
    };
    let witness = sightings.find(is_dead);
    let dies_at = known.dies_by(Instant::NEVER, lag);
    let later = known.queue.takes.last().copied();
    let is_challenged = later.is_some_and(|take| facts.op(take).invoked_at > dies_at);
    findings.exercised += u64::from(witness.is_some() || is_challenged);
    if let Some(seen) = witness {
        findings.violate(known.message.token, || {
            let summary = "seen after it had surely expired".to_owned();
            let proof = [known.message.post, seen].into_iter();
            let proof = proof.chain(known.deliveries.iter().copied());
            (summary, proof.collect())
        });
    }
}
