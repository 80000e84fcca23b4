//! `claims/overlap`: one holder at a time.

use super::Findings;
use super::facts::{Facts, Index, Message};
use crate::history::Operation;

/// Two claims held a message in overlapping certain leases, or a claim or pop was granted it inside
/// another's certain lease.
pub(super) fn overlap(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        let deliveries: Vec<Index> = facts.deliveries(message).collect();
        for &holder in &deliveries {
            if is_pop(facts, holder) {
                continue;
            }
            findings.exercised += u64::from(is_challenged(facts, message, holder));
            for &taker in deliveries.iter().filter(|&&taker| taker != holder) {
                if overlaps(facts, message, holder, taker) {
                    let lease = facts.certain_lease(message, holder, taker);
                    let summary = format!(
                        "handed out while another held it for certain from {} until {}",
                        lease.from, lease.until
                    );
                    let renewals = facts
                        .claim_of(holder)
                        .map_or(&[][..], |claim| &claim.renewals);
                    let proof = [message.post, holder, taker].into_iter();
                    let proof = proof.chain(renewals.iter().copied());
                    findings.violate(|| facts.violation(message.token, summary, proof));
                }
            }
        }
    }
    findings
}

fn is_pop(facts: &Facts<'_>, take: Index) -> bool {
    matches!(facts.record(take).operation, Operation::Pop { .. })
}

/// Whether `taker` was handed the message inside the holder's certain lease.
fn overlaps(facts: &Facts<'_>, message: &Message<'_>, holder: Index, taker: Index) -> bool {
    let held = facts.certain_lease(message, holder, taker);
    let taken = facts.record(taker);
    if held.covers(taken.invoked_at, taken.completed_at) {
        return true;
    }
    // Neither grant is surely inside the other's lease, but both leases are certain at one time. Of
    // such a pair only one order is told.
    holder < taker
        && !is_pop(facts, taker)
        && held.meets(facts.certain_lease(message, taker, holder))
        && !facts.certain_lease(message, taker, holder).covers(
            facts.record(holder).invoked_at,
            facts.record(holder).completed_at,
        )
}

/// Whether some other claim or pop on the queue was surely decided inside the certain lease, and so
/// could have broken it.
fn is_challenged(facts: &Facts<'_>, message: &Message<'_>, holder: Index) -> bool {
    let lease = facts.certain_lease(message, holder, holder);
    let takes = &facts.queues[message.queue].takes;
    let first = takes.partition_point(|&take| facts.record(take).invoked_at < lease.from);
    takes[first..].first().is_some_and(|&take| {
        let record = facts.record(take);
        lease.covers(record.invoked_at, record.completed_at)
    })
}
