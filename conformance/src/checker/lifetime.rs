//! `delivery/early` and `delivery/expired`: a message is there from the end of its delay to the end of
//! its life.

use std::time::Duration;

use super::Findings;
use super::facts::{Facts, Index, Message};
use crate::environment::Instant;
use crate::history::Record;

/// A delayed message claimed or popped although its delay was surely not over.
pub(super) fn early(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        let Some(delay) = facts.delay(message) else {
            continue;
        };
        let posted_at = facts.record(message.post).invoked_at;
        let ends_at = posted_at.plus(delay).minus(facts.slack());
        // Every claim or pop meanwhile could have taken it.
        let takes = &facts.queues[&message.home].takes;
        let first = takes.partition_point(|&take| facts.record(take).invoked_at < posted_at);
        let challenged = takes[first..].first();
        let is_challenged =
            challenged.is_some_and(|&take| facts.record(take).completed_at < ends_at);
        findings.exercised += u64::from(is_challenged);
        for take in facts.deliveries(message) {
            if facts.record(take).completed_at < ends_at {
                let summary = format!("handed out before its delay ended, at {ends_at} or later");
                let proof = [message.post, take].into_iter();
                let proof = proof.chain(facts.queues[&message.home].settings.iter().copied());
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }
    findings
}

/// A message returned by an operation invoked after it had surely expired.
pub(super) fn expired(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let lag = facts.history.header.profile.expiry_lag();
    let end = facts.history.records.last();
    let end = end.map_or(Instant::START, |record| record.invoked_at);
    for message in &facts.messages {
        // A move restarts its lifetime, and nobody saw when that was.
        if facts.moved_from(message) < Instant::NEVER {
            continue;
        }
        let dies_at = facts.dies_as_posted(message).plus(lag);
        if dies_at > end {
            continue;
        }
        judge_expired(facts, message, dies_at, lag, &mut findings);
    }
    findings
}

/// Follows the message through time: whoever held it before it died may have kept it alive.
fn judge_expired(
    facts: &Facts<'_>,
    message: &Message<'_>,
    mut dies_at: Instant,
    lag: Duration,
    findings: &mut Findings,
) {
    let mut holders: Vec<&Record> = facts.holders(message);
    holders.sort_by_key(|record| record.invoked_at);
    let mut holders = holders.into_iter().peekable();
    let mut sightings = message.sightings.clone();
    sightings.sort_by_key(|&index| (facts.record(index).invoked_at, index));
    let queue = &facts.queues[&message.home];
    let mut witness: Option<Index> = None;
    for seen in sightings {
        let seen_at = facts.record(seen).invoked_at;
        while let Some(holder) = holders.next_if(|holder| holder.invoked_at < seen_at) {
            if holder.invoked_at <= dies_at {
                dies_at = dies_at.max(facts.kept_alive_until(holder).plus(lag));
            }
        }
        if seen_at > dies_at {
            witness.get_or_insert(seen);
        }
    }
    for holder in holders {
        if holder.invoked_at <= dies_at {
            dies_at = dies_at.max(facts.kept_alive_until(holder).plus(lag));
        }
    }
    let later = queue.takes.last().copied();
    let is_challenged = later.is_some_and(|take| facts.record(take).invoked_at > dies_at);
    findings.exercised += u64::from(witness.is_some() || is_challenged);
    if let Some(seen) = witness {
        let summary = "seen after it had surely expired".to_owned();
        let proof = [message.post, seen].into_iter();
        let proof = proof.chain(facts.deliveries(message));
        findings.violate(|| facts.violation(message.token, summary, proof));
    }
}
