//! `claims/dead-letter`: a message is handed out as often as its queue allows, and then moved.
//!
//! Judged only where the queue's settings are certain: told once, and answered before the post.

use super::Findings;
use super::facts::{Facts, Index, Message, Place};
use crate::environment::Instant;

pub(super) fn dead_letter(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        let posted_at = facts.record(message.post).invoked_at;
        let Some(settings) = facts.settled(message.home, posted_at) else {
            continue;
        };
        if let (Some(target), Some(most)) = (&settings.dead_letter_queue, settings.max_claim_count)
        {
            handed_out_too_often(facts, message, most, &mut findings);
            moved(
                facts,
                message,
                (message.home.0, target),
                most,
                &mut findings,
            );
        }
    }
    findings
}

/// Deliveries of the message at home that count, in the order of their completions.
fn counted(facts: &Facts<'_>, message: &Message<'_>) -> Vec<Index> {
    let pops_count = facts.history.header.profile.pops_count;
    let deliveries = facts.deliveries(message).filter(|&take| {
        let is_counted = pops_count || !facts.record(take).operation.is_pop();
        is_counted && facts.place(take) == message.home
    });
    deliveries.collect()
}

fn handed_out_too_often(
    facts: &Facts<'_>,
    message: &Message<'_>,
    most: u64,
    findings: &mut Findings,
) {
    let deliveries = counted(facts, message);
    findings.exercised += u64::from(!deliveries.is_empty());
    let allowed = usize::try_from(most).unwrap_or(usize::MAX);
    if deliveries.len() > allowed {
        let summary = format!(
            "handed out {} times, although its queue moves it after {most}",
            deliveries.len()
        );
        let proof = std::iter::once(message.post).chain(deliveries);
        findings.violate(|| facts.violation(message.token, summary, proof));
    }
}

/// Seen in the dead-letter queue too early, or at home after that.
fn moved(
    facts: &Facts<'_>,
    message: &Message<'_>,
    target: Place<'_>,
    most: u64,
    findings: &mut Findings,
) {
    if target == message.home {
        return;
    }
    let mut sightings = message.sightings.iter().copied();
    let Some(there) = sightings.find(|&index| facts.place(index) == target) else {
        return;
    };
    findings.exercised += 1;
    let seen_at = facts.record(there).completed_at;
    let deliveries = facts.possible_deliveries(message);
    let delivered = deliveries.partition_point(|&at| at <= seen_at);
    let attempts = attempts(facts, message, seen_at);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if delivered < most || attempts <= most {
        let summary = format!(
            "moved to the dead-letter queue after {delivered} deliveries and {attempts} attempts \
             at most, although its queue allows {most} deliveries"
        );
        let proof = [message.post, there].into_iter();
        let proof = proof.chain(counted(facts, message));
        findings.violate(|| facts.violation(message.token, summary, proof));
    }
    let back = message.sightings.iter().copied().find(|&index| {
        facts.place(index) == message.home && facts.record(index).invoked_at > seen_at
    });
    if let Some(back) = back {
        let summary =
            format!("in its queue, although it was in the dead-letter queue by {seen_at}");
        let proof = [message.post, there, back];
        findings.violate(|| facts.violation(message.token, summary, proof));
    }
}

/// Claims at home, and pops if they count, that may have acted on the message until then.
fn attempts(facts: &Facts<'_>, message: &Message<'_>, until: Instant) -> usize {
    let pops_count = facts.history.header.profile.pops_count;
    let posted_at = facts.record(message.post).invoked_at;
    let queue = &facts.queues[&message.home];
    let all = queue.takes.iter().chain(&queue.unanswered).copied();
    all.map(|take| facts.record(take))
        .filter(|record| pops_count || !record.operation.is_pop())
        .filter(|record| record.invoked_at <= until && facts.acts_until(record) >= posted_at)
        .count()
}
