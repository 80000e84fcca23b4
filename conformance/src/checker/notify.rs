//! `notify/missed` and `notify/phantom`: what is stored is pushed, and what is pushed was posted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Findings;
use super::facts::{Facts, Index, Place};
use crate::environment::Instant;
use crate::history::{Operation, Outcome, Push};

/// A push of a message that was certainly not stored: never attempted, its post certainly failed, or
/// not yet begun.
pub(super) fn phantom(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for push in &facts.history.pushes {
        findings.exercised += 1;
        let Some(message) = facts.message(&push.token) else {
            let summary = format!("pushed at {}, but nobody ever posted it", push.at);
            findings.violate(|| facts.violation(&push.token, summary, []));
            continue;
        };
        let post = facts.record(message.post);
        let why = if matches!(post.outcome, Outcome::Fail { .. }) {
            "its post certainly failed"
        } else if push.at < post.invoked_at {
            "it was not posted yet"
        } else if message.home != place_of(push) {
            "it was posted elsewhere"
        } else {
            continue;
        };
        let summary = format!("pushed to {} at {}, but {why}", push.subscriber, push.at);
        findings.violate(|| facts.violation(message.token, summary, [message.post]));
    }
    findings
}

fn place_of(push: &Push) -> Place<'_> {
    (&push.project, &push.queue)
}

/// An accepted message that was not pushed in time to a subscriber that could be reached.
pub(super) fn missed(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let Some(within) = facts.history.header.profile.pushed_within_ns else {
        if !facts.history.pushes.is_empty() {
            findings.missing = Some("the profile does not say when a push is due".to_owned());
        }
        return findings;
    };
    let within = Duration::from_nanos(within);
    let pushed: BTreeSet<(Place<'_>, &str, &str)> = facts
        .history
        .pushes
        .iter()
        .map(|push| {
            (
                place_of(push),
                push.subscriber.as_str(),
                push.token.as_str(),
            )
        })
        .collect();
    let subscriptions = subscriptions(facts);
    let end = facts.ends_at();
    for message in &facts.messages {
        let post = facts.record(message.post);
        if !post.is_ok() {
            continue;
        }
        let due_at = post.completed_at.plus(within).plus(facts.slack());
        let due = (post.invoked_at, due_at);
        for &subscription in subscriptions.get(&message.home).into_iter().flatten() {
            let Some(subscriber) = covers(facts, subscription, due) else {
                continue;
            };
            if due_at > end || !is_reachable(facts, subscriber, due) {
                continue;
            }
            findings.exercised += 1;
            if !pushed.contains(&(message.home, subscriber, message.token)) {
                let summary = format!("never pushed to {subscriber}, due by {due_at}");
                let proof = [subscription, message.post];
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }
    findings
}

/// Ok subscriptions, by queue.
fn subscriptions<'h>(facts: &Facts<'h>) -> BTreeMap<Place<'h>, Vec<Index>> {
    let mut subscriptions: BTreeMap<Place<'h>, Vec<Index>> = BTreeMap::new();
    for (index, record) in facts.history.records.iter().enumerate() {
        if record.is_ok() && matches!(record.operation, Operation::Subscribe { .. }) {
            let of_queue = subscriptions.entry(facts.place(index)).or_default();
            of_queue.push(index);
        }
    }
    subscriptions
}

/// The subscriber, if the subscription certainly lasts from `from` to `until`.
fn covers<'h>(
    facts: &Facts<'h>,
    subscription: Index,
    (from, until): (Instant, Instant),
) -> Option<&'h str> {
    let record = facts.record(subscription);
    let Operation::Subscribe {
        subscriber,
        ttl_secs,
        ..
    } = &record.operation
    else {
        return None;
    };
    let ttl = Duration::from_secs(*ttl_secs);
    let ends_at = record.invoked_at.plus(ttl).minus(facts.slack());
    // Some services forget subscriptions with their queue.
    let queue = &facts.queues[&facts.place(subscription)];
    let is_swept = queue.sweeps.iter().any(|&sweep| {
        let sweep = facts.record(sweep);
        sweep.invoked_at <= until && facts.acts_until(sweep) >= record.invoked_at
    });
    let is_live = record.completed_at <= from && until < ends_at && !is_swept;
    is_live.then_some(subscriber.as_str())
}

/// Whether nothing kept pushes from the subscriber: no fault was under way, and it refused none.
fn is_reachable(facts: &Facts<'_>, subscriber: &str, (from, until): (Instant, Instant)) -> bool {
    let (faults, heals) = (&facts.history.faults, &facts.history.heals);
    let begun = faults.iter().filter(|(at, _)| *at <= until).count();
    let ended = heals.iter().filter(|(at, _)| *at < from).count();
    let mut pushes = facts.history.pushes.iter();
    let refused = pushes.any(|push| {
        let is_accepted = push
            .status
            .is_some_and(|status| (200..300).contains(&status));
        push.subscriber == subscriber && !is_accepted && from <= push.at && push.at <= until
    });
    begun <= ended && !refused
}
