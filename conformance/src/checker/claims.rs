//! `claims/overlap`: one holder at a time.

use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index};

/// Two deliveries of a message, neither of which can have come after the other: a claim and what
/// overlaps its certain lease, or two pops. Nothing explains the second: no lease before it may have
/// ended or been released.
pub(super) fn overlap(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let deliveries = &known.deliveries;
    let removed_at = known.removal.map(|(_, at)| at);
    for (place, &one) in deliveries.iter().enumerate() {
        findings.exercised += u64::from(is_challenged(known, one));
        for &other in &deliveries[place + 1..] {
            // What two pops returned is judged by `delivery/popped-twice`.
            let are_pops = facts.op(one).is_pop() && facts.op(other).is_pop();
            if are_pops || can_precede(known, one, other) || can_precede(known, other, one) {
                continue;
            }
            // What comes back after its removal is judged by `delivery/resurrected`.
            let later_at = facts.op(one).invoked_at.max(facts.op(other).invoked_at);
            if removed_at.is_some_and(|removed_at| removed_at < later_at) {
                continue;
            }
            let holder = if facts.op(one).is_pop() { other } else { one };
            findings.violate(known.message.token, || {
                let lease = known.certain_lease(holder, one.max(other));
                let summary = format!(
                    "handed out twice: granted at {} at the latest, and free for nobody else \
                     before {}",
                    lease.from,
                    facts.free_from(holder)
                );
                let renewals = facts.of_claim.renewals.get(facts.op(holder).claim());
                let proof = [known.message.post, one, other].into_iter();
                (summary, proof.chain(renewals.iter().copied()).collect())
            });
        }
    }
    listed(known, findings);
}

/// Lists that leave claimed messages out, and show one inside a certain lease of it.
fn listed(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    if known.deliveries.len() == known.sightings.len() {
        return;
    }
    for &index in known.sightings {
        let op = facts.op(index);
        let Act::List { page } = op.act else { continue };
        if facts.log.pages[page as usize].flags.include_claimed {
            continue;
        }
        let mut claims = known.deliveries.iter().copied();
        let held = claims.find(|&take| {
            !facts.op(take).is_pop()
                && known
                    .certain_lease(take, index)
                    .covers(op.invoked_at, op.completed_at)
        });
        findings.exercised += u64::from(held.is_some());
        if let Some(holder) = held {
            findings.violate(known.message.token, || {
                let summary = "listed as free inside a certain lease".to_owned();
                (summary, vec![known.message.post, holder, index])
            });
        }
    }
}

/// Whether the message can have been handed out by `first` and, after that, by `second`: the lease of
/// `first` may have ended by the time `second` is answered. What a pop took never comes back.
fn can_precede(known: &Known<'_>, first: Index, second: Index) -> bool {
    let facts = known.facts;
    let answered_at = facts.op(second).completed_at;
    !facts.op(first).is_pop()
        && facts.op(first).invoked_at <= answered_at
        && facts.free_from(first) <= answered_at
}

/// Whether some other claim or pop on the queue was surely decided inside the certain lease, and so
/// could have broken it.
fn is_challenged(known: &Known<'_>, holder: Index) -> bool {
    let facts = known.facts;
    if facts.op(holder).is_pop() {
        return false;
    }
    let lease = known.certain_lease(holder, holder);
    let later = facts.begun_from(&known.queue.takes, (holder, lease.from));
    later.first().is_some_and(|&take| {
        let op = facts.op(take);
        lease.covers(op.invoked_at, op.completed_at)
    })
}
