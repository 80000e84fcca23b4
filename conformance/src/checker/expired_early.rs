//! `claims/expired-early`: a holder's claim is good until its lease ends.

use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, NONE, Outcome};

/// Refused within its certain lease: the holder's renewal or delete, or a look at its claim that does
/// not show what it holds. A claim whose messages are all gone may be gone as well, so a message has
/// to be there for certain.
pub(super) fn expired_early(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    for &take in known.deliveries.iter() {
        let claim = facts.op(take).claim();
        if claim == NONE {
            continue;
        }
        let renewals = facts.of_claim.renewals.get(claim).iter();
        let uses = renewals.chain(facts.of_claim.reads.get(claim));
        // Deletes of the message under that claim.
        let is_under = |delete: &&Index| facts.op(**delete).claim() == claim;
        let deletes = known.deletes().iter().filter(is_under);
        for &used in uses.chain(deletes) {
            judge(known, take, used, findings);
        }
    }
}

fn judge(known: &Known<'_>, take: Index, used: Index, findings: &mut Findings) {
    let facts = known.facts;
    let op = facts.op(used);
    if op.is_info() {
        return;
    }
    let lease = known.certain_lease(take, used);
    // A process asks one thing after the other: what it asks next comes after its grant, be it in the
    // same instant.
    let is_next = facts.op(take).process == op.process
        && take < used
        && lease.from == op.invoked_at
        && op.completed_at < lease.until;
    let is_inside = is_next || lease.covers(op.invoked_at, op.completed_at);
    if !is_inside || !known.held_during(used) {
        return;
    }
    let status = match op.outcome {
        Outcome::Fail { status } => status,
        Outcome::Ok | Outcome::Info => None,
    };
    let is_renewal = matches!(op.act, Act::Renew { .. });
    let is_delete = matches!(op.act, Act::Delete { .. });
    let is_shown = || {
        let mut shown = facts.seen(op).iter();
        shown.any(|sight| sight.token == known.message.token)
    };
    let broken = if op.is_ok() {
        let is_look = matches!(op.act, Act::ClaimGet { .. });
        if matches!(
            op.act,
            Act::ClaimGet {
                is_found: false,
                ..
            }
        ) {
            Some("the claim was not there, although its lease surely lasted")
        } else {
            (is_look && !is_shown())
                .then_some("the claim did not show it, although its lease surely lasted")
        }
    } else if is_renewal && status == Some(404) {
        Some("the renewal was refused, although the lease surely lasted")
    } else if is_delete && matches!(status, Some(400 | 403 | 404)) {
        Some("the holder's delete was refused, although its lease surely lasted")
    } else {
        // What was refused for another reason, or never sent, tells nothing.
        return;
    };
    findings.exercised += 1;
    if let Some(summary) = broken {
        findings.violate(known.message.token, || {
            (summary.to_owned(), vec![known.message.post, take, used])
        });
    }
}
