//! `delivery/unexpected`, `delivery/resurrected` and `delivery/popped-twice`: what is seen must have
//! been posted, and what is gone must stay gone.

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index, NONE, Op, Outcome, Sight};

/// A message whose post certainly failed is seen, or one before its post.
pub(super) fn unexpected(known: &Known<'_>, findings: &mut Findings) {
    let is_refused = matches!(known.post.outcome, Outcome::Fail { .. });
    for &seen in known.sightings {
        findings.exercised += 1;
        let summary = if is_refused {
            "seen, but its post certainly failed"
        } else if known.facts.op(seen).completed_at < known.post.invoked_at {
            "seen before it was posted"
        } else {
            continue;
        };
        findings.violate(known.message.token, || {
            (summary.to_owned(), vec![known.message.post, seen])
        });
    }
}

/// A token never attempted is seen; or an answer holds more messages than its limit, one twice, or others than it
/// was asked for.
pub(super) fn unexpected_answers(facts: &Facts<'_>, findings: &mut Findings) {
    for &(token, seen) in &facts.strangers {
        findings.exercised += 1;
        findings.violate(token, || {
            ("seen, but nobody ever posted it".to_owned(), vec![seen])
        });
    }
    for (index, op) in facts.log.numbered() {
        not_asked_for(facts, index, findings);
        if let Some(sight) = shown_twice(facts, op) {
            findings.violate(sight.token, || {
                ("handed out twice in one answer".to_owned(), vec![index])
            });
        }
        let count = op.seen.count;
        if let Some(limit) = facts.log.limit(op).filter(|&limit| count > limit) {
            let first = facts.seen(op).first();
            findings.violate(first.map_or(NONE, |sight| sight.token), || {
                let summary = format!("{count} messages came, but the limit was {limit}");
                (summary, vec![index])
            });
        }
    }
}

/// What a claim or a pop hands out twice at once.
fn shown_twice<'f>(facts: &'f Facts<'_>, op: &Op) -> Option<&'f Sight> {
    if !op.is_take() {
        return None;
    }
    let seen = facts.seen(op);
    let mut numbered = seen.iter().enumerate();
    numbered
        .find(|&(place, sight)| {
            let mut before = seen[..place].iter();
            before.any(|before| (before.id, before.token) == (sight.id, sight.token))
        })
        .map(|(_, sight)| sight)
}

/// What a read by identifiers shows, but was not asked for.
fn not_asked_for(facts: &Facts<'_>, index: Index, findings: &mut Findings) {
    let op = facts.op(index);
    if !matches!(op.act, Act::Get { .. } | Act::GetMany { .. }) {
        return;
    }
    let asked = facts.log.ids(op);
    for sight in facts.seen(op) {
        findings.exercised += 1;
        if !asked.contains(&sight.id) {
            findings.violate(sight.token, || {
                let id = facts.log.ids.name(sight.id);
                (
                    format!("came as {id}, which was not asked for"),
                    vec![index],
                )
            });
        }
    }
}

/// A message returned, or its delete refused, by an operation invoked after its certain removal. That
/// two pops return it is judged by `delivery/popped-twice`.
pub(super) fn resurrected(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let Some((removal, removed_at)) = known.removal else {
        return back_home(known, findings);
    };
    // The removal could have been broken by every later look at the queue.
    let later = |&&index: &&Index| facts.op(index).invoked_at > removed_at;
    let takes = &known.queue.takes;
    findings.exercised += u64::from(takes.last().is_some_and(|take| later(&take)));
    let refused = known.deletes().iter().filter(|&&delete| {
        matches!(
            facts.op(delete).outcome,
            Outcome::Fail {
                status: Some(400 | 403)
            }
        )
    });
    let observed = known.sightings.iter().chain(refused).filter(later);
    let is_pop = |index: Index| facts.op(index).is_pop();
    for &seen in observed.filter(|&&seen| !(is_pop(removal) && is_pop(seen))) {
        findings.violate(known.message.token, || {
            let mut proof = vec![known.message.post, removal, seen];
            // An unanswered post happened for certain only because its message was seen, and what was moved is
            // removed only where it was seen before.
            proof.extend(known.sightings.first());
            proof.extend(known.first_seen_at(facts.op(removal).place));
            let summary = format!("observed after its removal, certain from {removed_at}");
            (summary, proof)
        });
    }
}

/// A message that was removed, or may have been moved before that: either way it is not at home any more.
fn back_home(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let Some((removal, removed_at)) = known.left_home() else {
        return;
    };
    findings.exercised += 1;
    let mut seen = known.sightings.iter().copied();
    let back = seen.find(|&index| {
        let op = facts.op(index);
        op.place == known.message.home && op.invoked_at > removed_at
    });
    if let Some(back) = back {
        findings.violate(known.message.token, || {
            let summary = format!(
                "in its queue, although it was removed, or moved before that, by {removed_at}"
            );
            (summary, vec![known.message.post, removal, back])
        });
    }
}

/// A message returned by two pops: the first took it, whatever else is known.
pub(super) fn popped_twice(known: &Known<'_>, findings: &mut Findings) {
    let facts = known.facts;
    let mut pops = known.pops();
    let Some(first) = pops.next() else {
        return;
    };
    let others: Vec<Index> = pops.collect();
    // Every pop that comes after could have returned it again.
    let later = known.queue.takes.last().is_some_and(|&last| {
        last != first && facts.op(last).invoked_at >= facts.op(first).invoked_at
    });
    findings.exercised += u64::from(later || !others.is_empty());
    for other in others {
        findings.violate(known.message.token, || {
            (
                "popped twice".to_owned(),
                vec![known.message.post, first, other],
            )
        });
    }
}
