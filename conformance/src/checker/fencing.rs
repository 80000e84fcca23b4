//! `claims/fencing`: a claim that has ended opens nothing any more, and nothing but its claim opens
//! what is claimed.

use super::Findings;
use super::facts::{Facts, Index, Message};
use crate::history::{Answer, Operation};

/// A delete under a claim that had surely ended, or under none inside another's certain lease, that
/// was accepted while the message was certainly there; a renewal of, or an ok look at, a claim that
/// had surely ended.
pub(super) fn fencing(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        for &delete in &message.deletes {
            deleted(facts, message, delete, &mut findings);
        }
        if facts.history.header.profile.bulk_delete_needs_claims {
            for &delete in &message.bulk_deletes {
                without_a_claim(facts, message, delete, &mut findings);
            }
        }
    }
    for claim in facts.claims.values() {
        let Some(grant) = claim.grant else { continue };
        for &used in claim.renewals.iter().chain(&claim.reads) {
            let record = facts.record(used);
            let ended_at = facts.surely_ended_from(grant, used);
            if record.is_info() || record.invoked_at <= ended_at {
                continue;
            }
            findings.exercised += 1;
            let found_nothing = Some(&Answer::ClaimGet { messages: None });
            if record.is_ok() && record.answer() != found_nothing {
                let summary = format!("of use after its claim had surely ended, at {ended_at}");
                let token = record.answer().and_then(|answer| answer.seen().first());
                let granted = facts.record(grant).answer();
                let granted = granted.and_then(|answer| answer.seen().first());
                let token = token.or(granted).map_or("", |seen| seen.token.as_str());
                let proof = [grant, used].into_iter();
                let proof = proof.chain(claim.renewals.iter().copied());
                findings.violate(|| facts.violation(token, summary, proof));
            }
        }
    }
    findings
}

fn deleted(facts: &Facts<'_>, message: &Message<'_>, delete: Index, findings: &mut Findings) {
    let record = facts.record(delete);
    let Operation::Delete { claim, .. } = &record.operation else {
        return;
    };
    let Some(claim) = claim else {
        return without_a_claim(facts, message, delete, findings);
    };
    let claim = facts.claim(facts.place(delete), claim);
    let Some(grant) = claim.and_then(|claim| claim.grant) else {
        return;
    };
    let ended_at = facts.surely_ended_from(grant, delete);
    let has_ended = record.invoked_at > ended_at;
    if !has_ended || record.is_info() || !is_there(facts, message, delete) {
        return;
    }
    findings.exercised += 1;
    if record.is_ok() {
        let summary = format!("deleted under a claim that had surely ended, at {ended_at}");
        let proof = [message.post, grant, delete];
        findings.violate(|| facts.violation(message.token, summary, proof));
    }
}

/// A delete that names no claim.
fn without_a_claim(
    facts: &Facts<'_>,
    message: &Message<'_>,
    delete: Index,
    findings: &mut Findings,
) {
    let record = facts.record(delete);
    let holder = facts.deliveries(message).find(|&take| {
        !facts.record(take).operation.is_pop()
            && facts
                .certain_lease(message, take, delete)
                .covers(record.invoked_at, record.completed_at)
    });
    let Some(holder) = holder else { return };
    if record.is_info() || !is_there(facts, message, delete) {
        return;
    }
    findings.exercised += 1;
    if record.is_ok() {
        let summary = "deleted without its claim, inside a certain lease".to_owned();
        let proof = [message.post, holder, delete];
        findings.violate(|| facts.violation(message.token, summary, proof));
    }
}

/// Whether the message certainly is where the delete looks for it.
fn is_there(facts: &Facts<'_>, message: &Message<'_>, delete: Index) -> bool {
    facts.place(delete) == message.home && facts.present_during(message, delete)
}
