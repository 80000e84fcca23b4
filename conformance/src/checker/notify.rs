//! `notify/missed` and `notify/phantom`: what is stored is pushed, and what is pushed was posted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::Facts;
use super::findings::Findings;
use super::log::{Act, Index, Outcome, Place};
use crate::environment::Instant;

/// A push of a message that was certainly not stored: never attempted, its post certainly failed, or
/// not yet begun.
pub(super) fn phantom(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let log = facts.log;
    for push in &log.pushes {
        findings.exercised += 1;
        let subscriber = log.subscribers.name(push.subscriber);
        let Some(message) = log.message_of(push.token) else {
            findings.violate(push.token, || {
                let summary = format!("pushed at {}, but nobody ever posted it", push.at);
                (summary, Vec::new())
            });
            continue;
        };
        let message = log.messages[message as usize];
        let post = log.op(message.post);
        let why = if matches!(post.outcome, Outcome::Fail { .. }) {
            "its post certainly failed"
        } else if push.at < post.invoked_at {
            "it was not posted yet"
        } else if !facts.is_home(&message, push.place) {
            "it was posted elsewhere"
        } else {
            continue;
        };
        findings.violate(push.token, || {
            let summary = format!("pushed to {subscriber} at {}, but {why}", push.at);
            (summary, vec![message.post])
        });
    }
    findings
}

/// An accepted message that was not pushed in time to a subscriber that could be reached.
pub(super) fn missed(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let log = facts.log;
    let Some(within) = log.header.profile.pushed_within_ns else {
        if !log.pushes.is_empty() {
            findings.missing = Some("the profile does not say when a push is due".to_owned());
        }
        return findings;
    };
    let within = Duration::from_nanos(within) + facts.slack();
    let pushes = log.pushes.iter();
    let pushed: BTreeSet<(Place, u32, u32)> = pushes
        .map(|push| (push.place, push.subscriber, push.token))
        .collect();
    let backlogs = backlogs(facts, within);
    let subscriptions = subscriptions(facts);
    let reach = Reach::of(facts);
    let end = facts.ends_at();
    for message in &log.messages {
        let post = log.op(message.post);
        if !post.is_ok() {
            continue;
        }
        for &subscription in subscriptions.get(&message.home).into_iter().flatten() {
            let Act::Subscribe { subscription: told } = facts.op(subscription).act else {
                continue;
            };
            let subscriber = log.subscriptions[told as usize].subscriber;
            let due_after = |from: Instant| {
                let due_at = from.plus(within);
                let due = (post.invoked_at, due_at);
                let is_due = covers(facts, subscription, due)
                    && due_at <= end
                    && reach.is_reachable(facts, subscriber, due);
                is_due.then_some(due_at)
            };
            if due_after(post.completed_at).is_none() {
                continue;
            }
            if !pushed.contains(&(message.home, subscriber, message.token)) {
                let backlog = backlogs.get(&subscriber).copied();
                let waits_from = backlog.map_or(post.completed_at, |at| at.max(post.completed_at));
                let Some(due_at) = due_after(waits_from) else {
                    continue;
                };
                findings.violate(message.token, || {
                    let subscriber = log.subscribers.name(subscriber);
                    let summary = format!("never pushed to {subscriber}, due by {due_at}");
                    (summary, vec![subscription, message.post])
                });
            }
            findings.exercised += 1;
        }
    }
    findings
}

/// Ok subscriptions, by queue.
fn subscriptions(facts: &Facts<'_>) -> BTreeMap<Place, Vec<Index>> {
    let mut subscriptions: BTreeMap<Place, Vec<Index>> = BTreeMap::new();
    for (index, op) in facts.log.numbered() {
        if op.is_ok() && matches!(op.act, Act::Subscribe { .. }) {
            subscriptions.entry(op.place).or_default().push(index);
        }
    }
    subscriptions
}

/// When each subscriber was last pushed something new too late. That shows a backlog: a subscriber that takes its
/// time is told late and not too little, so what it has not got is missed only once no such push has come for as
/// long as one may take. What it has already may come again for ever.
fn backlogs(facts: &Facts<'_>, within: Duration) -> BTreeMap<u32, Instant> {
    let log = facts.log;
    let mut told = BTreeSet::new();
    let new = log
        .pushes
        .iter()
        .filter(|push| told.insert((push.subscriber, push.token)));
    let late = new.filter(|push| {
        let message = log.message_of(push.token);
        let post = message.map(|message| log.op(log.messages[message as usize].post));
        post.is_some_and(|post| post.completed_at.plus(within) < push.at)
    });
    late.map(|push| (push.subscriber, push.at)).collect()
}

/// Whether the subscription certainly lasts from `from` to `until`.
fn covers(facts: &Facts<'_>, subscription: Index, (from, until): (Instant, Instant)) -> bool {
    let op = facts.op(subscription);
    let Act::Subscribe { subscription } = op.act else {
        return false;
    };
    let subscription = facts.log.subscriptions[subscription as usize];
    let ttl = super::facts::secs(subscription.ttl_secs);
    let ends_at = op.invoked_at.plus(ttl).minus(facts.slack());
    // Some services forget subscriptions with their queue.
    let is_swept = facts
        .queue(op.place)
        .sweeps
        .operations
        .iter()
        .any(|&sweep| {
            let sweep = facts.op(sweep);
            sweep.invoked_at <= until && facts.acts_until(sweep) >= op.invoked_at
        });
    op.completed_at <= from && until < ends_at && !is_swept
}

/// What kept pushes from subscribers.
struct Reach {
    /// When each subscriber refused a push, in order.
    refused: BTreeSet<(u32, Instant)>,
}

impl Reach {
    fn of(facts: &Facts<'_>) -> Self {
        let refused = facts.log.pushes.iter().filter(|push| !push.is_accepted);
        Self {
            refused: refused.map(|push| (push.subscriber, push.at)).collect(),
        }
    }

    /// Whether nothing kept pushes from the subscriber: no fault was under way, and it refused none.
    fn is_reachable(
        &self,
        facts: &Facts<'_>,
        subscriber: u32,
        (from, until): (Instant, Instant),
    ) -> bool {
        let (faults, heals) = (&facts.log.faults, &facts.log.heals);
        // Both are in the order of time.
        let begun = faults.partition_point(|(at, _)| *at <= until);
        let ended = heals.partition_point(|(at, _)| *at < from);
        let mut refused = self.refused.range((subscriber, from)..=(subscriber, until));
        begun <= ended && refused.next().is_none()
    }
}
