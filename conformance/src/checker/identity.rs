//! `delivery/duplicated`, `delivery/corrupted` and `delivery/isolation`: a message is one, is what was
//! posted, and is where it was posted.

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, NONE};

/// One token under two identifiers: one post made two messages. Where a fault repeats requests on
/// their way, nobody can tell.
pub(super) fn duplicated(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    if facts.is_repeating {
        return;
    }
    let mut ids = ids_at_home(known);
    let Some((mut proof, id)) = ids.next() else {
        return;
    };
    for (index, other) in ids {
        findings.exercised += 1;
        if other != id {
            findings.violate(known.message.token, || {
                let [id, other] = [id, other].map(|id| facts.log.ids.name(id));
                let summary = format!("two messages of one post: {id} and {other}");
                (summary, vec![known.message.post, proof, index])
            });
            break;
        }
        proof = index;
    }
}

/// The identifiers that answers give the message, in its own queue.
fn ids_at_home<'f>(known: &'f Known<'_>) -> impl Iterator<Item = (Index, u32)> + 'f {
    let log = known.facts.log;
    let told = log.seen(known.post).get(known.message.place as usize);
    let told = told.map(|sight| (known.message.post, sight.id));
    let seen = known.sightings.iter().flat_map(move |&index| {
        let op = log.op(index);
        let is_at_home = op.place == known.message.home;
        let mine =
            move |sight: &&super::log::Sight| is_at_home && sight.token == known.message.token;
        let seen = log.seen(op).iter().filter(mine);
        seen.map(move |sight| (index, sight.id))
    });
    told.into_iter().chain(seen)
}

/// Another body than was posted.
pub(super) fn corrupted(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let body = known.message.body;
    if body == NONE {
        return;
    }
    for &index in known.sightings {
        let seen = facts.seen(facts.op(index)).iter();
        let mine = seen.filter(|sight| sight.token == known.message.token);
        // Not every answer says what the body was.
        let told = mine.map(|sight| sight.body).filter(|&told| told != NONE);
        let told: Vec<u32> = told.collect();
        findings.exercised += u64::from(!told.is_empty());
        if told.iter().any(|&told| told != body) {
            findings.violate(known.message.token, || {
                let summary = "another body than was posted".to_owned();
                (summary, vec![known.message.post, index])
            });
            break;
        }
    }
}

/// Two tokens under one identifier.
pub(super) fn shared_ids(facts: &Facts<'_>, findings: &mut Findings) {
    let log = facts.log;
    let mut tokens = vec![(NONE, NONE); log.ids.count()];
    for (index, op) in log.numbered() {
        for sight in log.seen(op) {
            let Some(message) = log.message_of(sight.token) else {
                continue;
            };
            let message = log.messages[message as usize];
            if message.home != op.place {
                continue;
            }
            let (token, first) = &mut tokens[sight.id as usize];
            if *token == NONE {
                (*token, *first) = (sight.token, index);
            } else if *token != sight.token {
                findings.violate(sight.token, || {
                    let [other, id] = [log.tokens.name(*token), log.ids.name(sight.id)];
                    let summary = format!("has the identifier of {other}: {id}");
                    (summary, vec![message.post, *first, index])
                });
            }
        }
    }
}

/// Seen through another project or queue than its own and its dead-letter queue, or through a claim
/// that was never granted it.
pub(super) fn isolation(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let has_others = facts.queues.len() > 1;
    for &index in known.sightings {
        let place = facts.op(index).place;
        let mut dead_letters = known.queue.dead_letters.iter();
        let is_its_own = place == known.message.home || dead_letters.any(|to| to.target == place);
        findings.exercised += u64::from(has_others);
        if !is_its_own {
            findings.violate(known.message.token, || {
                let (project, queue) = facts.log.place_names(place);
                let summary = format!("seen in queue `{queue}` of project `{project}`");
                (summary, vec![known.message.post, index])
            });
        } else if let Some(grant) = foreign_claim(known, index, findings) {
            findings.violate(known.message.token, || {
                let summary = "shown by a claim that was not granted it".to_owned();
                (summary, vec![known.message.post, grant, index])
            });
        }
    }
}

/// The grant of the claim that `index` looks at, if the message is not part of it.
fn foreign_claim(known: &Known<'_>, index: Index, findings: &mut Findings) -> Option<Index> {
    let facts = known.facts;
    let Act::ClaimGet { claim, .. } = facts.op(index).act else {
        return None;
    };
    let grant = facts.of_claim.grants[claim as usize];
    if grant == NONE {
        return None;
    }
    findings.exercised += 1;
    let mut granted = facts.seen(facts.op(grant)).iter();
    let is_granted = granted.any(|sight| sight.token == known.message.token);
    (!is_granted).then_some(grant)
}
