//! `delivery/lost`: what was accepted arrives.
//!
//! A message is lost when an observation that had to include it did not: a read by its identifier, or
//! a claim or pop that came back short while the message was *active for certain* throughout. Zaqar
//! calls claiming best effort, so a short answer counts only if nothing else was in flight on the
//! queue, operations without an answer until `i + λ` included (the *quiescent* profile). The closing
//! drain is full of such answers.

use super::Findings;
use super::facts::{Facts, Index, Message, Queue};
use crate::environment::Instant;
use crate::history::{Answer, Operation, Outcome};

pub(super) fn lost(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut open = 0_usize;
    absent(facts, &mut findings);
    for queue in facts.queues.values() {
        open += short(facts, queue, &mut findings);
    }
    if open > 0 {
        findings.missing = Some(format!(
            "{open} accepted messages were neither taken nor certainly missed: no closing drain"
        ));
    }
    findings
}

/// Reads by identifier that found nothing where something certainly was.
fn absent(facts: &Facts<'_>, findings: &mut Findings) {
    let mut ids = std::collections::BTreeMap::new();
    for (index, message) in facts.messages.iter().enumerate() {
        let post = facts.record(message.post);
        if let (Operation::Post { messages, .. }, Some(Answer::Post { ids: given })) =
            (&post.operation, post.answer())
        {
            let place = messages
                .iter()
                .position(|posted| posted.token == message.token);
            ids.extend(place.map(|place| (given[place].as_str(), index)));
        }
    }
    for (index, record) in facts.history.records.iter().enumerate() {
        let (Operation::Get { message: id, .. }, Some(Answer::Get { message: None })) =
            (&record.operation, record.answer())
        else {
            continue;
        };
        let Some(message) = ids
            .get(id.as_str())
            .map(|&message| &facts.messages[message])
        else {
            continue;
        };
        if present(facts, message, record.invoked_at, record.completed_at) {
            findings.exercised += 1;
            let summary = "absent, although it was certainly there".to_owned();
            let proof = [message.post, index];
            findings.violate(|| facts.violation(message.token, summary, proof));
        }
    }
}

/// Whether the message certainly is stored from `from` to `until`, claimed or not.
fn present(facts: &Facts<'_>, message: &Message<'_>, from: Instant, until: Instant) -> bool {
    let unanswered = &facts.queues[message.queue].unanswered;
    let popped = unanswered.iter().map(|&pop| facts.record(pop)).any(|pop| {
        matches!(pop.operation, Operation::Pop { .. })
            && pop.invoked_at <= until
            && facts.acts_until(pop) >= facts.record(message.post).invoked_at
    });
    let removed = facts
        .removals(message)
        .any(|index| facts.record(index).invoked_at <= until);
    facts
        .stored_from(message)
        .is_some_and(|stored| stored <= from)
        && until < facts.lives_until(message)
        && !popped
        && !removed
}

/// A message that a short answer may be blamed for.
struct Candidate<'f, 'h> {
    message: &'f Message<'h>,
    /// From when on it is active for certain, leases apart.
    active_from: Instant,
    /// Until when: a possible removal, or the early end of its lifetime.
    active_until: Instant,
    /// Whether it was missing once, and unanswered pops explain that.
    is_accounted_for: bool,
}

/// Judges the queue's short answers. Returns how many accepted messages stay open: never taken for
/// certain, never missed for certain.
fn short(facts: &Facts<'_>, queue: &Queue, findings: &mut Findings) -> usize {
    let mut waiting = candidates(facts, queue);
    findings.exercised += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
    waiting.sort_by_key(|candidate| candidate.active_from);
    let mut waiting = waiting.into_iter().peekable();
    let mut active: Vec<Candidate<'_, '_>> = Vec::new();
    for take in quiescent_short_takes(facts, queue) {
        let record = facts.record(take);
        let (from, until) = (record.invoked_at, record.completed_at);
        while let Some(candidate) = waiting.next_if(|next| next.active_from <= from) {
            active.push(candidate);
        }
        // Takes come in the order of time: what has ended by now is never judged again.
        active.retain(|candidate| until < candidate.active_until);
        let mut due: Vec<usize> = (0..active.len())
            .filter(|&index| {
                let message = active[index].message;
                !message.sightings.contains(&take) && !may_be_held(facts, message, from, until)
            })
            .collect();
        let (explained, excuses) = unanswered_takes(facts, queue, from, until);
        if due.len() <= explained {
            // What an unanswered pop took never comes back: no later answer will tell.
            if due.len() <= popped(facts, &excuses) {
                due.iter()
                    .for_each(|&index| active[index].is_accounted_for = true);
            }
            continue;
        }
        // Each is missed once; a later answer without it proves nothing new.
        due.reverse();
        for index in due {
            let message = active.remove(index).message;
            let summary = if explained == 0 {
                format!("not handed out at {from}, although it was active for certain")
            } else {
                format!(
                    "not handed out at {from}, although it was active for certain: more messages are \
                     missing than the {explained} that unanswered claims and pops explain"
                )
            };
            let proof = [message.post, take]
                .into_iter()
                .chain(excuses.iter().copied());
            let proof = proof.chain(facts.deliveries(message));
            findings.violate(|| facts.violation(message.token, summary, proof));
        }
    }
    let end = facts
        .history
        .records
        .iter()
        .map(|record| record.invoked_at)
        .max();
    let end = end.unwrap_or(Instant::START);
    let left = active.into_iter().chain(waiting);
    left.filter(|candidate| candidate.active_until > end && !candidate.is_accounted_for)
        .count()
}

/// The queue's messages that somebody was told are stored, or that were seen.
fn candidates<'f, 'h>(facts: &'f Facts<'h>, queue: &Queue) -> Vec<Candidate<'f, 'h>> {
    let slack = facts.history.header.slack();
    let messages = queue.messages.iter().map(|&index| &facts.messages[index]);
    messages
        .filter_map(|message| {
            let stored_from = facts.stored_from(message)?;
            let removed_at = facts
                .removals(message)
                .map(|index| facts.record(index).invoked_at);
            let removed_at = removed_at.min().unwrap_or(Instant::NEVER);
            Some(Candidate {
                message,
                active_from: stored_from.plus(slack),
                active_until: facts.lives_until(message).min(removed_at),
                is_accounted_for: false,
            })
        })
        .collect()
}

/// Whether a claim that was granted the message may hold it between `from` and `until`.
fn may_be_held(facts: &Facts<'_>, message: &Message<'_>, from: Instant, until: Instant) -> bool {
    facts.deliveries(message).any(|take| {
        let lease = facts.possible_lease(take);
        lease.from <= until && from < lease.until
    })
}

/// How many messages the queue's claims and pops without an answer may keep away between `from` and
/// `until`, together, and which those are.
fn unanswered_takes(
    facts: &Facts<'_>,
    queue: &Queue,
    from: Instant,
    until: Instant,
) -> (usize, Vec<Index>) {
    let may_matter = |&index: &Index| {
        let record = facts.record(index);
        // What a pop took stays away; what a claim took comes back when its lease has ended.
        let is_pop = matches!(record.operation, Operation::Pop { .. });
        record.invoked_at <= until && (is_pop || from < facts.possible_lease(index).until)
    };
    let excuses: Vec<Index> = queue
        .unanswered
        .iter()
        .copied()
        .filter(may_matter)
        .collect();
    (limits(facts, excuses.iter().copied()), excuses)
}

/// How many messages the pops among `takes` may have taken, together.
fn popped(facts: &Facts<'_>, takes: &[Index]) -> usize {
    let is_pop = |&index: &Index| matches!(facts.record(index).operation, Operation::Pop { .. });
    limits(facts, takes.iter().copied().filter(is_pop))
}

fn limits(facts: &Facts<'_>, takes: impl Iterator<Item = Index>) -> usize {
    takes
        .map(|index| match facts.record(index).operation {
            Operation::Claim { limit, .. } | Operation::Pop { limit, .. } => {
                usize::try_from(limit).unwrap_or(usize::MAX)
            }
            Operation::Post { .. }
            | Operation::Renew { .. }
            | Operation::Release { .. }
            | Operation::Delete { .. }
            | Operation::Get { .. } => 0,
        })
        .fold(0, usize::saturating_add)
}

/// Ok claims and pops that came back short while nothing else was in flight on the queue.
fn quiescent_short_takes(facts: &Facts<'_>, queue: &Queue) -> Vec<Index> {
    let mut takes = Vec::new();
    let mut busy_until = None;
    for (place, &index) in queue.operations.iter().enumerate() {
        let record = facts.record(index);
        // What ends in the instant in which another begins has acted before it.
        let alone_before = busy_until.is_none_or(|busy_until| busy_until <= record.invoked_at);
        let next = queue
            .operations
            .get(place + 1)
            .map(|&next| facts.record(next).invoked_at);
        let alone_after = next.is_none_or(|next| record.completed_at <= next);
        if alone_before && alone_after && is_short(&record.operation, &record.outcome) {
            takes.push(index);
        }
        busy_until = busy_until.max(Some(facts.acts_until(record)));
    }
    takes
}

fn is_short(operation: &Operation, outcome: &Outcome) -> bool {
    match (operation, outcome) {
        (Operation::Claim { limit, .. } | Operation::Pop { limit, .. }, Outcome::Ok(answer)) => {
            u64::try_from(answer.seen().len()).is_ok_and(|count| count < *limit)
        }
        _ => false,
    }
}
