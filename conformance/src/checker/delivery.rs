//! `delivery/unexpected`, `delivery/resurrected` and `delivery/popped-twice`: what is seen must have
//! been posted, and what is gone must stay gone.

use super::Findings;
use super::facts::{Facts, Index};
use crate::history::{Answer, Outcome};

/// A token never attempted, or whose post certainly failed, or before its post, is seen; or an answer
/// holds more messages than its limit.
pub(super) fn unexpected(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for &(token, seen) in &facts.strangers {
        findings.exercised += 1;
        findings.violate(|| {
            facts.violation(token, "seen, but nobody ever posted it".to_owned(), [seen])
        });
    }
    for message in &facts.messages {
        let post = facts.record(message.post);
        for &seen in &message.sightings {
            findings.exercised += 1;
            let summary = if matches!(post.outcome, Outcome::Fail { .. }) {
                "seen, but its post certainly failed"
            } else if facts.record(seen).completed_at < post.invoked_at {
                "seen before it was posted"
            } else {
                continue;
            };
            let proof = [message.post, seen];
            findings.violate(|| facts.violation(message.token, summary.to_owned(), proof));
        }
    }
    for (index, record) in facts.history.records.iter().enumerate() {
        let Some(limit) = record.operation.limit() else {
            continue;
        };
        let seen = record.answer().map_or(&[][..], Answer::seen);
        if u64::try_from(seen.len()).is_ok_and(|count| count > limit) {
            let summary = format!("{} messages came, but the limit was {limit}", seen.len());
            let token = seen.first().map_or("", |seen| seen.token.as_str());
            findings.violate(|| facts.violation(token, summary, [index]));
        }
    }
    findings
}

/// A message returned, or its delete refused, by an operation invoked after its certain removal. That
/// two pops return it is judged by `delivery/popped-twice`.
pub(super) fn resurrected(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        let Some((removal, removed_at)) = facts.certain_removal(message) else {
            continue;
        };
        // The removal could have been broken by every later look at the queue.
        let takes = &facts.queues[&message.home].takes;
        let later = |&&take: &&Index| facts.record(take).invoked_at > removed_at;
        findings.exercised += u64::from(takes.last().is_some_and(|take| later(&take)));
        let refused = message.deletes.iter().filter(|&&delete| {
            let refusals = [Some(400), Some(403)];
            matches!(facts.record(delete).outcome, Outcome::Fail { status } if refusals.contains(&status))
        });
        let is_pop = |index: Index| facts.record(index).operation.is_pop();
        let observed = message.sightings.iter().chain(refused).filter(later);
        for &seen in observed.filter(|&&seen| !(is_pop(removal) && is_pop(seen))) {
            let mut proof = vec![message.post, removal, seen];
            // An unanswered post happened for certain only because its message was seen.
            proof.extend(message.sightings.first());
            let summary = format!("observed after its removal, certain from {removed_at}");
            findings.violate(|| facts.violation(message.token, summary, proof));
        }
    }
    findings
}

/// A message returned by two pops: the first took it, whatever else is known.
pub(super) fn popped_twice(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for message in &facts.messages {
        let pops: Vec<Index> = facts.pops(message).collect();
        let Some((&first, others)) = pops.split_first() else {
            continue;
        };
        // Every pop that comes after could have returned it again.
        let takes = &facts.queues[&message.home].takes;
        let later = takes.last().is_some_and(|&last| {
            last != first && facts.record(last).invoked_at >= facts.record(first).invoked_at
        });
        findings.exercised += u64::from(later || !others.is_empty());
        for &other in others {
            let summary = "popped twice".to_owned();
            let proof = [message.post, first, other];
            findings.violate(|| facts.violation(message.token, summary, proof));
        }
    }
    findings
}
