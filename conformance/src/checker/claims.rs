//! `claims/overlap`: one holder at a time.

use super::Findings;
use super::facts::{Facts, Index, Message};
use crate::history::Operation;

/// Two deliveries of a message, neither of which can have come after the other: a claim and what
/// overlaps its certain lease, or two pops. Nothing explains the second: no lease before it may have
/// ended or been released.
pub(super) fn overlap(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        let deliveries: Vec<Index> = facts.deliveries(message).collect();
        let removed_at = facts.certain_removal(message).map(|(_, at)| at);
        for (place, &one) in deliveries.iter().enumerate() {
            findings.exercised += u64::from(is_challenged(facts, message, one));
            for &other in &deliveries[place + 1..] {
                // What two pops returned is judged by `delivery/popped-twice`.
                let are_pops = is_pop(facts, one) && is_pop(facts, other);
                let is_explained = can_precede(facts, one, other) || can_precede(facts, other, one);
                if are_pops || is_explained {
                    continue;
                }
                // What comes back after its removal is judged by `delivery/resurrected`.
                let later_at = facts
                    .record(one)
                    .invoked_at
                    .max(facts.record(other).invoked_at);
                if removed_at.is_some_and(|removed_at| removed_at < later_at) {
                    continue;
                }
                let holder = if is_pop(facts, one) { other } else { one };
                let lease = facts.certain_lease(message, holder, one.max(other));
                let free_from = facts.free_from(holder);
                let summary = format!(
                    "handed out twice: granted at {} at the latest, and free for nobody else \
                     before {free_from}",
                    lease.from
                );
                let renewals = facts
                    .claim_of(holder)
                    .map_or(&[][..], |claim| &claim.renewals);
                let proof = [message.post, one, other].into_iter();
                let proof = proof.chain(renewals.iter().copied());
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
        listed(facts, message, &deliveries, &mut findings);
    }
    findings
}

/// Lists that leave claimed messages out, and show one inside a certain lease of it.
fn listed(facts: &Facts<'_>, message: &Message<'_>, deliveries: &[Index], findings: &mut Findings) {
    for &page in &message.sightings {
        let record = facts.record(page);
        let leaves_out = matches!(
            record.operation,
            Operation::List {
                include_claimed: false,
                ..
            }
        );
        if !leaves_out {
            continue;
        }
        let held = deliveries.iter().copied().find(|&take| {
            !is_pop(facts, take)
                && facts
                    .certain_lease(message, take, page)
                    .covers(record.invoked_at, record.completed_at)
        });
        findings.exercised += u64::from(held.is_some());
        if let Some(holder) = held {
            let summary = "listed as free inside a certain lease".to_owned();
            let proof = [message.post, holder, page];
            findings.violate(|| facts.violation(message.token, summary, proof));
        }
    }
}

/// Whether the message can have been handed out by `first` and, after that, by `second`: the lease of
/// `first` may have ended by the time `second` is answered. What a pop took never comes back.
fn can_precede(facts: &Facts<'_>, first: Index, second: Index) -> bool {
    let answered_at = facts.record(second).completed_at;
    !is_pop(facts, first)
        && facts.record(first).invoked_at <= answered_at
        && facts.free_from(first) <= answered_at
}

fn is_pop(facts: &Facts<'_>, take: Index) -> bool {
    facts.record(take).operation.is_pop()
}

/// Whether some other claim or pop on the queue was surely decided inside the certain lease, and so
/// could have broken it.
fn is_challenged(facts: &Facts<'_>, message: &Message<'_>, holder: Index) -> bool {
    if is_pop(facts, holder) {
        return false;
    }
    let lease = facts.certain_lease(message, holder, holder);
    let takes = &facts.queues[&message.home].takes;
    let first = takes.partition_point(|&take| facts.record(take).invoked_at < lease.from);
    takes[first..].first().is_some_and(|&take| {
        let record = facts.record(take);
        lease.covers(record.invoked_at, record.completed_at)
    })
}
