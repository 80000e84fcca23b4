//! `delivery/duplicated`, `delivery/corrupted` and `delivery/isolation`: a message is one, is what was
//! posted, and is where it was posted.

use std::collections::BTreeMap;

use super::Findings;
use super::facts::{Facts, Index, Message, Place};
use crate::history::{Answer, Operation};

/// One token under two identifiers: one post made two messages. Where a fault repeats requests on
/// their way, nobody can tell.
pub(super) fn duplicated(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut faults = facts.history.faults.iter();
    if faults.any(|(_, fault)| fault.contains("duplicate")) {
        return findings;
    }
    for message in &facts.messages {
        let mut ids = ids_at_home(facts, message);
        let Some((mut proof, id)) = ids.next() else {
            continue;
        };
        for (index, other) in ids {
            findings.exercised += 1;
            if other != id {
                let summary = format!("two messages of one post: {id} and {other}");
                let both = [message.post, proof, index];
                findings.violate(|| facts.violation(message.token, summary, both));
                break;
            }
            proof = index;
        }
    }
    findings
}

/// The identifiers that answers give the message, in its own queue.
fn ids_at_home<'f>(
    facts: &'f Facts<'_>,
    message: &'f Message<'_>,
) -> impl Iterator<Item = (Index, &'f str)> {
    let told = match facts.record(message.post).answer() {
        Some(Answer::Post { ids }) => ids.get(message.place),
        _ => None,
    };
    let told = told.map(|id| (message.post, id.as_str()));
    let at_home = message.sightings.iter().copied();
    let at_home = at_home.filter(|&index| facts.place(index) == message.home);
    let seen = at_home.flat_map(move |index| {
        let seen = facts.record(index).answer().map_or(&[][..], Answer::seen);
        let mine = seen.iter().filter(|seen| seen.token == message.token);
        mine.map(move |seen| (index, seen.id.as_str()))
    });
    told.into_iter().chain(seen)
}

/// Another body than was posted, or two tokens under one identifier.
pub(super) fn corrupted(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut tokens: BTreeMap<(Place<'_>, &str), (&str, Index)> = BTreeMap::new();
    for message in &facts.messages {
        for (index, id) in ids_at_home(facts, message) {
            let known = tokens.entry((message.home, id));
            let &mut (token, first) = known.or_insert((message.token, index));
            if token != message.token {
                let summary = format!("has the identifier of {token}: {id}");
                let proof = [message.post, first, index];
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
        let Some(body) = &message.posted.body else {
            continue;
        };
        for &index in &message.sightings {
            let seen = facts.record(index).answer().map_or(&[][..], Answer::seen);
            findings.exercised += 1;
            let other = seen
                .iter()
                .find(|seen| seen.token == message.token && seen.body.as_ref() != Some(body));
            if other.is_some() {
                let summary = "another body than was posted".to_owned();
                let proof = [message.post, index];
                findings.violate(|| facts.violation(message.token, summary, proof));
                break;
            }
        }
    }
    findings
}

/// Seen through another project or queue than its own and its dead-letter queue, or through a claim
/// that was never granted it.
pub(super) fn isolation(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let has_others = facts.queues.len() > 1;
    for message in &facts.messages {
        let dead_letters = &facts.queues[&message.home].dead_letters;
        for &index in &message.sightings {
            let place = facts.place(index);
            let is_its_own =
                place == message.home || dead_letters.iter().any(|to| to.target == place);
            findings.exercised += u64::from(has_others);
            if !is_its_own {
                let (project, queue) = place;
                let summary = format!("seen in queue `{queue}` of project `{project}`");
                let proof = [message.post, index];
                findings.violate(|| facts.violation(message.token, summary, proof));
            } else if let Some(grant) = foreign_claim(facts, message, index, &mut findings) {
                let summary = "shown by a claim that was not granted it".to_owned();
                let proof = [message.post, grant, index];
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }
    findings
}

/// The grant of the claim that `index` looks at, if the message is not part of it.
fn foreign_claim(
    facts: &Facts<'_>,
    message: &Message<'_>,
    index: Index,
    findings: &mut Findings,
) -> Option<Index> {
    let Operation::ClaimGet { claim, .. } = &facts.record(index).operation else {
        return None;
    };
    let grant = facts.claim(facts.place(index), claim)?.grant?;
    findings.exercised += 1;
    let granted = facts.record(grant).answer()?.seen();
    let is_granted = granted.iter().any(|seen| seen.token == message.token);
    (!is_granted).then_some(grant)
}
