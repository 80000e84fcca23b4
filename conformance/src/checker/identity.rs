//! `delivery/duplicated`, `delivery/corrupted` and `delivery/isolation`: a message is one, is what was
//! posted, and is where it was posted.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, NONE, Place, Sight};

/// So many characters of two bodies are told, so many of them before the first that differs.
const EXCERPT_CHARS: usize = 60;
const EXCERPT_BEFORE: usize = 20;

/// One token under two identifiers in one queue: one post made two messages. Where a fault may have repeated the
/// post on its way, nobody can tell.
pub(super) fn duplicated(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    if facts.may_be_repeated(known.post) {
        return;
    }
    let moved = known.sightings.iter().map(|&seen| facts.op(seen).place);
    let moved: BTreeSet<Place> = moved.filter(|&place| place != known.message.home).collect();
    for place in std::iter::once(known.message.home).chain(moved) {
        let mut ids = ids_at(known, place);
        let Some((mut proof, id)) = ids.next() else {
            continue;
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
}

/// Whether a fault repeated the post of the message, and there are two of it: nothing that is known of one tells
/// anything about the other.
pub(super) fn is_two(known: &Known<'_>) -> bool {
    let mut ids = ids_at(known, known.message.home).map(|(_, id)| id);
    known.facts.may_be_repeated(known.post)
        && ids
            .next()
            .is_some_and(|first| ids.any(|other| other != first))
}

/// The identifiers that answers give the message, in that queue.
fn ids_at<'f>(known: &'f Known<'_>, place: Place) -> impl Iterator<Item = (Index, u32)> + 'f {
    let log = known.facts.log;
    let told = log.seen(known.post).get(known.message.place as usize);
    let told = told.filter(|_| place == known.message.home);
    let told = told.map(|sight| (known.message.post, sight.id));
    let seen = known.sightings.iter().flat_map(move |&index| {
        let op = log.op(index);
        let mine = move |sight: &&Sight| op.place == place && sight.token == known.message.token;
        let seen = log.seen(op).iter().filter(mine);
        seen.map(move |sight| (index, sight.id))
    });
    told.into_iter().chain(seen)
}

/// Another body than was posted; or, if the post does not say what it was, than was seen first.
pub(super) fn corrupted(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let mut body = known.message.body;
    let mut proof = known.message.post;
    for &index in known.sightings {
        let seen = facts.seen(facts.op(index)).iter();
        let mine = seen.filter(|sight| sight.token == known.message.token);
        // Not every answer says what the body was.
        let told = mine.map(|sight| sight.body).filter(|&told| told != NONE);
        let told: Vec<u32> = told.collect();
        if body == NONE {
            (body, proof) = told.first().map_or((body, proof), |&told| (told, index));
        } else {
            findings.exercised += u64::from(!told.is_empty());
        }
        if let Some(&other) = told.iter().find(|&&told| told != body) {
            findings.violate(known.message.token, || {
                let when = if proof == known.message.post {
                    "was posted"
                } else {
                    "before"
                };
                let bodies = &facts.log.bodies;
                let (first, other) = apart(bodies.name(body), bodies.name(other));
                let summary = format!("another body than {when}: {other}, not {first}");
                (summary, vec![known.message.post, proof, index])
            });
            break;
        }
    }
}

/// The part of each that shows how they differ, quoted.
fn apart(one: &str, other: &str) -> (String, String) {
    let pairs = one.chars().zip(other.chars());
    let same = pairs.take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(EXCERPT_BEFORE);
    let excerpt = |text: &str| {
        let is_whole = text.chars().count() <= from + EXCERPT_CHARS;
        let part: String = text.chars().skip(from).take(EXCERPT_CHARS).collect();
        let (before, behind) = (
            if from == 0 { "" } else { "…" },
            if is_whole { "" } else { "…" },
        );
        format!("{before}{part:?}{behind}")
    };
    (excerpt(one), excerpt(other))
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
        let is_its_own = facts.is_home(known.message, place);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_told_where_they_differ() {
        let told = |one: &str, other: &str| {
            let (one, other) = apart(one, other);
            format!("{one} {other}")
        };
        assert_eq!(told("é\n", "\u{1}"), r#""é\n" "\u{1}""#);
        assert_eq!(told("", "c"), r#""" "c""#);
        let same = "s".repeat(50);
        let (before, behind) = ("s".repeat(20), "b".repeat(39));
        let long = |differs: char| format!("{same}{differs}{}", "b".repeat(40));
        let expected = format!("…\"{before}1{behind}\"… …\"{before}2{behind}\"…");
        assert_eq!(told(&long('1'), &long('2')), expected);
    }
}
