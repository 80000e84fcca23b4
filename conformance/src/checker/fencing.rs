//! `claims/fencing`: a claim that has ended opens nothing any more, and nothing but its claim opens
//! what is claimed.

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, NONE, Outcome};

/// What a delete of a claimed message is refused with.
const REFUSED: Outcome = Outcome::Fail { status: Some(403) };

/// A delete under a claim that had surely ended or does not hold the message, or under none inside another's certain lease, that
/// was accepted while the message was certainly there; or one under none was refused for a claim's sake
/// although no claim could hold the message.
pub(super) fn deletes(known: &Known<'_>, findings: &mut Findings) {
    for &delete in known.deletes() {
        deleted(known, delete, findings);
    }
    if known.facts.log.header.profile.bulk_delete_needs_claims {
        for &delete in known.bulk_deletes() {
            without_a_claim(known, delete, findings);
        }
    }
}

/// A renewal of, or an ok look at, a claim that had surely ended.
pub(super) fn uses(facts: &Facts<'_>, claim: u32, findings: &mut Findings) {
    let grant = facts.of_claim.grants[claim as usize];
    if grant == NONE {
        return;
    }
    let renewals = facts.of_claim.renewals.get(claim);
    for &used in renewals.iter().chain(facts.of_claim.reads.get(claim)) {
        let op = facts.op(used);
        if op.is_info() {
            continue;
        }
        let ended_at = facts.surely_ended_from(grant, used);
        if op.invoked_at <= ended_at {
            continue;
        }
        findings.exercised += 1;
        let found_nothing = matches!(
            op.act,
            Act::ClaimGet {
                is_found: false,
                ..
            }
        );
        if op.is_ok() && !found_nothing {
            let shown = facts.seen(op).first();
            let shown = shown.or_else(|| facts.seen(facts.op(grant)).first());
            findings.violate(shown.map_or(NONE, |sight| sight.token), || {
                let summary = format!("of use after its claim had surely ended, at {ended_at}");
                let proof = [grant, used].into_iter();
                (summary, proof.chain(renewals.iter().copied()).collect())
            });
        }
    }
}

fn deleted(known: &Known<'_>, delete: Index, findings: &mut Findings) {
    let facts = known.facts;
    let op = facts.op(delete);
    let claim = op.claim();
    if claim == NONE {
        return without_a_claim(known, delete, findings);
    }
    let grant = facts.of_claim.grants[claim as usize];
    if op.is_info() {
        return;
    }
    // Nobody was granted a claim of that name: it opens nothing that another holds.
    if grant == NONE {
        return inside_a_lease(known, delete, findings);
    }
    let ended_at = facts.surely_ended_from(grant, delete);
    let mut granted = facts.seen(facts.op(grant)).iter();
    let is_granted = granted.any(|sight| sight.token == known.message.token);
    let is_good = is_granted && op.invoked_at <= ended_at;
    if is_good || !is_there(known, delete) {
        return;
    }
    findings.exercised += 1;
    if op.is_ok() {
        findings.violate(known.message.token, || {
            let summary = if is_granted {
                format!("deleted under a claim that had surely ended, at {ended_at}")
            } else {
                "deleted under a claim that was not granted it".to_owned()
            };
            (summary, vec![known.message.post, grant, delete])
        });
    }
}

/// A delete that names no claim.
fn without_a_claim(known: &Known<'_>, delete: Index, findings: &mut Findings) {
    let facts = known.facts;
    let op = facts.op(delete);
    // Of many at once, nobody knows for whose sake they were refused.
    let is_one = matches!(op.act, Act::Delete { .. });
    // What may have been moved may be held where it is now.
    let is_home = op.place == known.message.home && op.completed_at < known.moved_from;
    if is_one && op.outcome == REFUSED && is_home {
        findings.exercised += 1;
        if !known.may_be_held(op.invoked_at, op.completed_at) {
            findings.violate(known.message.token, || {
                let summary = "kept for a claim, although none could hold it".to_owned();
                let proof = [known.message.post, delete].into_iter();
                (
                    summary,
                    proof.chain(known.deliveries.iter().copied()).collect(),
                )
            });
        }
        return;
    }
    inside_a_lease(known, delete, findings);
}

/// A delete inside a certain lease, and not under its claim.
fn inside_a_lease(known: &Known<'_>, delete: Index, findings: &mut Findings) {
    let facts = known.facts;
    let op = facts.op(delete);
    let mut claims = known.deliveries.iter().copied();
    let holder = claims.find(|&take| {
        !facts.op(take).is_pop()
            && facts.op(take).place == op.place
            && known
                .certain_lease(take, delete)
                .covers(op.invoked_at, op.completed_at)
    });
    let Some(holder) = holder else { return };
    if op.is_info() || !known.held_during(delete) {
        return;
    }
    findings.exercised += 1;
    if op.is_ok() {
        findings.violate(known.message.token, || {
            let summary = "deleted without its claim, inside a certain lease".to_owned();
            (summary, vec![known.message.post, holder, delete])
        });
    }
}

/// Whether the message certainly is where the delete looks for it.
fn is_there(known: &Known<'_>, delete: Index) -> bool {
    known.facts.op(delete).place == known.message.home && known.present_during(delete)
}
