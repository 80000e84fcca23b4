//! `delivery/lost`: what was accepted arrives.
//!
//! A message is lost when an observation that had to include it did not: a read by its identifier, or
//! a claim or pop that came back short while the message was *active for certain* throughout. Zaqar
//! calls claiming best effort, so a short answer counts only if nothing else was in flight on the
//! queue, operations without an answer until `i + λ` included (the *quiescent* profile). The closing
//! drain is full of such answers.

use std::collections::BTreeSet;

use super::facts::{Facts, Index, Message, Queue};
use super::{Findings, Violation};
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
    for message in &facts.messages {
        for &read in &message.reads {
            let record = facts.record(read);
            if !present(
                facts,
                message,
                (record.invoked_at, record.completed_at),
                read,
            ) {
                continue;
            }
            findings.exercised += 1;
            if matches!(record.answer(), Some(Answer::Get { message: None })) {
                let summary = "absent, although it was certainly there".to_owned();
                let proof = [message.post, read]
                    .into_iter()
                    .chain(message.sightings.first().copied());
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }
}

/// Whether the message certainly is stored from `from` to `until`, claimed or not, as far as others
/// than `judged` tell.
fn present(
    facts: &Facts<'_>,
    message: &Message<'_>,
    (from, until): (Instant, Instant),
    judged: Index,
) -> bool {
    let unanswered = &facts.queues[message.queue].unanswered;
    let popped = unanswered.iter().map(|&pop| facts.record(pop)).any(|pop| {
        pop.operation.is_pop()
            && pop.invoked_at <= until
            && facts.acts_until(pop) >= facts.record(message.post).invoked_at
    });
    let removed = facts
        .removals(message)
        .any(|index| facts.record(index).invoked_at <= until);
    let absent_before = message.reads.iter().any(|&read| {
        let record = facts.record(read);
        let is_absence = matches!(record.answer(), Some(Answer::Get { message: None }));
        is_absence && read != judged && record.invoked_at <= until
    });
    facts
        .stored_from(message)
        .is_some_and(|stored| stored <= from)
        && until < facts.lives_until(message)
        && !absent_before
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

impl Candidate<'_, '_> {
    fn is_delivered(&self, facts: &Facts<'_>) -> bool {
        facts.deliveries(self.message).next().is_some()
    }

    /// Whether nobody can tell what became of it: it was never handed out, though nothing certainly
    /// took it away; or it was, and its holder never finished, and nobody looked again.
    fn is_open(&self, facts: &Facts<'_>, end: Instant) -> bool {
        let is_settled = self.is_accounted_for || facts.certain_removal(self.message).is_some();
        !is_settled && (!self.is_delivered(facts) || self.active_until > end)
    }
}

/// Judges the queue's short answers. Returns how many accepted messages stay open.
fn short(facts: &Facts<'_>, queue: &Queue, findings: &mut Findings) -> usize {
    let mut waiting = candidates(facts, queue);
    waiting.sort_by_key(|candidate| candidate.active_from);
    let mut waiting = waiting.into_iter().peekable();
    let mut active: Vec<Candidate<'_, '_>> = Vec::new();
    let mut past: Vec<Candidate<'_, '_>> = Vec::new();
    for take in quiescent_short_takes(facts, queue) {
        let record = facts.record(take);
        while let Some(candidate) = waiting.next_if(|next| next.active_from <= record.invoked_at) {
            active.push(candidate);
        }
        // Takes come in the order of time: what has ended by now is never judged again.
        past.extend(active.extract_if(.., |candidate| {
            candidate.active_until <= record.completed_at
        }));
        let missing = missing(facts, queue, take, &mut active);
        // Each is missed once; a later answer without it proves nothing new.
        for candidate in active.extract_if(.., |candidate| {
            missing.contains(&candidate.message.post_place())
        }) {
            findings.exercised += 1;
            findings.violate(|| tell(facts, queue, take, candidate.message));
        }
    }
    let end = facts
        .history
        .records
        .iter()
        .map(|record| record.invoked_at)
        .max();
    let end = end.unwrap_or(Instant::START);
    let mut open = 0;
    for candidate in past.into_iter().chain(active).chain(waiting) {
        let is_exercised = candidate.is_accounted_for || candidate.is_delivered(facts);
        findings.exercised += u64::from(is_exercised);
        open += usize::from(candidate.is_open(facts, end));
    }
    open
}

/// Which of the active messages the short answer of `take` certainly had to hold, and did not.
fn missing(
    facts: &Facts<'_>,
    queue: &Queue,
    take: Index,
    active: &mut [Candidate<'_, '_>],
) -> BTreeSet<(Index, usize)> {
    let record = facts.record(take);
    let (from, until) = (record.invoked_at, record.completed_at);
    let excuses = unanswered_takes(facts, queue, from, until);
    // An unanswered claim or pop can have taken only what was posted before its latest effect.
    let explains = |excuse: Index, message: &Message<'_>| {
        facts.record(message.post).invoked_at <= facts.acts_until(facts.record(excuse))
    };
    let mut missing = BTreeSet::new();
    let mut excused: Vec<&mut Candidate<'_, '_>> = Vec::new();
    for candidate in active {
        let message = candidate.message;
        if message.sightings.contains(&take) || may_be_held(facts, message, from, until) {
            continue;
        }
        if excuses.iter().any(|&excuse| explains(excuse, message)) {
            excused.push(candidate);
        } else {
            missing.insert(message.post_place());
        }
    }
    if excused.len() > limits(facts, excuses.iter().copied()) {
        missing.extend(
            excused
                .iter()
                .map(|candidate| candidate.message.post_place()),
        );
    } else if excused.len() <= popped(facts, &excuses) {
        // What an unanswered pop took never comes back: no later answer will tell.
        excused
            .into_iter()
            .for_each(|candidate| candidate.is_accounted_for = true);
    }
    missing
}

fn tell(facts: &Facts<'_>, queue: &Queue, take: Index, message: &Message<'_>) -> Violation {
    let record = facts.record(take);
    let (from, until) = (record.invoked_at, record.completed_at);
    let excuses = unanswered_takes(facts, queue, from, until);
    let mut summary = format!("not handed out at {from}, although it was active for certain");
    if !excuses.is_empty() {
        summary += ": more messages are missing than unanswered claims and pops explain";
    }
    let proof = [message.post, take].into_iter().chain(excuses);
    let proof = proof.chain(facts.deliveries(message));
    facts.violation(message.token, summary, proof)
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
        lease.from <= until && from <= lease.until
    })
}

/// The queue's claims and pops without an answer that may keep messages away between `from` and
/// `until`. Together they explain at most the sum of their limits.
fn unanswered_takes(facts: &Facts<'_>, queue: &Queue, from: Instant, until: Instant) -> Vec<Index> {
    let may_matter = |&index: &Index| {
        let record = facts.record(index);
        // What a pop took stays away; what a claim took comes back when its lease has ended.
        let is_pop = record.operation.is_pop();
        record.invoked_at <= until && (is_pop || from <= facts.possible_lease(index).until)
    };
    queue
        .unanswered
        .iter()
        .copied()
        .filter(may_matter)
        .collect()
}

/// How many messages the pops among `takes` may have taken, together.
fn popped(facts: &Facts<'_>, takes: &[Index]) -> usize {
    let is_pop = |&index: &Index| facts.record(index).operation.is_pop();
    limits(facts, takes.iter().copied().filter(is_pop))
}

fn limits(facts: &Facts<'_>, takes: impl Iterator<Item = Index>) -> usize {
    takes
        .filter_map(|index| facts.record(index).operation.limit())
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
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
