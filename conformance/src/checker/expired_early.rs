//! `claims/expired-early`: a holder's claim is good until its lease ends.

use super::Findings;
use super::facts::{Facts, Index, Message};
use crate::history::{Answer, Operation, Outcome};

/// Refused within its certain lease: the holder's renewal or delete, or a look at its claim that does
/// not show what it holds. A claim whose messages are all gone may be gone as well, so a message has
/// to be there for certain.
pub(super) fn expired_early(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        for take in facts.deliveries(message) {
            if facts.record(take).operation.is_pop() || facts.place(take) != message.home {
                continue;
            }
            let Some(claim) = facts.claim_of(take) else {
                continue;
            };
            let uses = claim.renewals.iter().chain(&claim.reads).copied();
            for used in uses.chain(deletes_under(facts, message, take)) {
                judge(facts, (message, take), used, &mut findings);
            }
        }
    }
    findings
}

fn judge(
    facts: &Facts<'_>,
    (message, take): (&Message<'_>, Index),
    used: Index,
    findings: &mut Findings,
) {
    let record = facts.record(used);
    let lease = facts.certain_lease(message, take, used);
    // A process asks one thing after the other: what it asks next comes after its grant, be it in the
    // same instant.
    let is_next = facts.record(take).process == record.process
        && take < used
        && lease.from == record.invoked_at
        && record.completed_at < lease.until;
    let is_inside = is_next || lease.covers(record.invoked_at, record.completed_at);
    if record.is_info() || !is_inside || !facts.present_during(message, used) {
        return;
    }
    let status = match record.outcome {
        Outcome::Fail { status } => status,
        Outcome::Ok(_) | Outcome::Info => None,
    };
    let broken = match (&record.operation, record.answer()) {
        (Operation::ClaimGet { .. }, Some(Answer::ClaimGet { messages: None })) => {
            Some("the claim was not there, although its lease surely lasted")
        }
        (Operation::ClaimGet { .. }, Some(answer)) => {
            let holds = answer.seen().iter().any(|seen| seen.token == message.token);
            (!holds).then_some("the claim did not show it, although its lease surely lasted")
        }
        (Operation::Renew { .. }, None) if status == Some(404) => {
            Some("the renewal was refused, although the lease surely lasted")
        }
        (Operation::Delete { .. }, None) if matches!(status, Some(400 | 403 | 404)) => {
            Some("the holder's delete was refused, although its lease surely lasted")
        }
        // What was refused for another reason, or never sent, tells nothing.
        (_, None) => return,
        (_, Some(_)) => None,
    };
    findings.exercised += 1;
    if let Some(summary) = broken {
        let proof = [message.post, take, used];
        findings.violate(|| facts.violation(message.token, summary.to_owned(), proof));
    }
}

/// Deletes of the message under the claim that `take` was granted.
fn deletes_under<'f>(
    facts: &'f Facts<'_>,
    message: &'f Message<'_>,
    take: Index,
) -> impl Iterator<Item = Index> + 'f {
    let granted = match facts.record(take).answer() {
        Some(Answer::Claim { claim, .. }) => claim.as_ref(),
        _ => None,
    };
    message.deletes.iter().copied().filter(move |&delete| {
        matches!(&facts.record(delete).operation,
            Operation::Delete { claim: Some(claim), .. } if Some(claim) == granted)
    })
}
