//! `delivery/lost`, `delivery/partial-batch`, `claims/stuck` and `claims/lifetime`: what was accepted
//! arrives.
//!
//! A message is lost when an observation that had to include it did not: a read by its identifier, or
//! a claim or pop that came back short while the message was *active for certain* throughout. Zaqar
//! calls claiming best effort, so a short answer counts only if nothing else was in flight on the
//! queue, operations without an answer until `i + λ` included (the *quiescent* profile). The closing
//! drain is full of such answers.

use std::collections::BTreeSet;

use super::facts::{Facts, Index, Message, Place, Queue};
use super::{Findings, Violation};
use crate::environment::Instant;
use crate::history::{Operation, Outcome, Phase, ShortAnswers};

/// What was missing, by the rule that it breaks.
#[derive(Default)]
pub(super) struct Missing {
    pub(super) lost: Findings,
    /// `claims/stuck`: missing from a short answer, and still there afterwards.
    pub(super) stuck: Findings,
    /// `claims/lifetime`: missing after the end that its producer set, although a claim extended it.
    pub(super) lifetime: Findings,
    /// `delivery/partial-batch`: nobody was told that it is stored, but others of its batch are.
    pub(super) partial: Findings,
}

impl Missing {
    /// The rule that is broken if `message` is missing from the answer of `index`.
    fn rule(&mut self, facts: &Facts<'_>, message: &Message<'_>, index: Index) -> &mut Findings {
        let record = facts.record(index);
        let is_seen_later = || {
            let mut sightings = message.sightings.iter();
            sightings.any(|&seen| facts.record(seen).invoked_at >= record.completed_at)
        };
        if facts.stored_from(message).is_none() {
            &mut self.partial
        } else if record.completed_at >= facts.lives_as_posted(message) {
            &mut self.lifetime
        } else if record.operation.is_take() && is_seen_later() {
            &mut self.stuck
        } else {
            &mut self.lost
        }
    }
}

pub(super) fn missing_messages(facts: &Facts<'_>) -> Missing {
    let mut findings = Missing::default();
    let mut open = 0_usize;
    absent(facts, &mut findings);
    for (place, queue) in &facts.queues {
        open += short(facts, (*place, queue), &mut findings);
    }
    if open > 0 {
        findings.lost.missing = Some(format!(
            "{open} accepted messages were neither taken nor certainly missed: no closing drain"
        ));
    }
    findings
}

/// Reads by identifier that found nothing where something certainly was.
fn absent(facts: &Facts<'_>, findings: &mut Missing) {
    for message in &facts.messages {
        for read in &message.reads {
            let is_judged = facts.place(read.index) == message.home
                && facts.present_during(message, read.index);
            if !is_judged {
                continue;
            }
            let rule = findings.rule(facts, message, read.index);
            rule.exercised += 1;
            if !read.is_found {
                let summary = "absent, although it was certainly there".to_owned();
                let proof = [message.post, read.index]
                    .into_iter()
                    .chain(message.sightings.first().copied())
                    .chain(facts.deliveries(message));
                rule.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }
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
    /// Whether nobody was told that it is stored, but others of its batch are.
    is_inferred: bool,
}

impl Candidate<'_, '_> {
    fn is_delivered(&self, facts: &Facts<'_>) -> bool {
        facts.deliveries(self.message).next().is_some()
    }

    /// Whether nobody can tell what became of it: it was never handed out, though nothing certainly
    /// took it away; or it was, and its holder never finished, and nobody looked again.
    fn is_open(&self, facts: &Facts<'_>, end: Instant) -> bool {
        let is_settled = self.is_accounted_for || facts.certain_removal(self.message).is_some();
        !is_settled && !self.is_inferred && (!self.is_delivered(facts) || self.active_until > end)
    }
}

/// Judges the queue's short answers. Returns how many accepted messages stay open.
fn short(
    facts: &Facts<'_>,
    (place, queue): (Place<'_>, &Queue<'_>),
    findings: &mut Missing,
) -> usize {
    let mut waiting = candidates(facts, queue);
    waiting.sort_by_key(|candidate| candidate.active_from);
    let mut waiting = waiting.into_iter().peekable();
    let mut active: Vec<Candidate<'_, '_>> = Vec::new();
    let mut past: Vec<Candidate<'_, '_>> = Vec::new();
    for take in telling_short_takes(facts, queue) {
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
            let rule = findings.rule(facts, candidate.message, take);
            rule.exercised += 1;
            rule.violate(|| tell(facts, queue, take, candidate.message));
        }
    }
    let end = facts.history.records.iter().map(|record| record.invoked_at);
    let end = end.max().unwrap_or(Instant::START);
    let mut open = 0;
    for candidate in past.into_iter().chain(active).chain(waiting) {
        debug_assert_eq!(candidate.message.home, place);
        count(facts, &candidate, findings);
        open += usize::from(candidate.is_open(facts, end));
    }
    open
}

/// Counts what a message that was never missed could have broken.
fn count(facts: &Facts<'_>, candidate: &Candidate<'_, '_>, findings: &mut Missing) {
    let message = candidate.message;
    let deliveries: Vec<Index> = facts.deliveries(message).collect();
    let is_exercised = candidate.is_accounted_for || !deliveries.is_empty();
    findings.lost.exercised += u64::from(is_exercised);
    // It was held, and came again.
    findings.stuck.exercised += u64::from(deliveries.len() > 1);
    let posted_end = facts.lives_as_posted(message);
    let outlives = |&&seen: &&Index| facts.record(seen).invoked_at >= posted_end;
    let outlived = message.sightings.iter().filter(outlives).count();
    let outlived = u64::try_from(outlived).unwrap_or(u64::MAX);
    findings.lifetime.exercised += outlived;
    let is_recovered = facts.record(message.post).is_info() && facts.is_batch(message);
    findings.partial.exercised += u64::from(is_recovered);
}

/// Which of the active messages the short answer of `take` certainly had to hold, and did not.
fn missing(
    facts: &Facts<'_>,
    queue: &Queue<'_>,
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
        if message.sightings.contains(&take) || may_be_held_by_known(facts, message, from, until) {
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

fn tell(facts: &Facts<'_>, queue: &Queue<'_>, take: Index, message: &Message<'_>) -> Violation {
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
fn candidates<'f, 'h>(facts: &'f Facts<'h>, queue: &Queue<'_>) -> Vec<Candidate<'f, 'h>> {
    let slack = facts.history.header.slack();
    let messages = queue.messages.iter().map(|&index| &facts.messages[index]);
    messages
        .filter_map(|message| {
            let known_from = facts.stored_from(message);
            let stored_from = known_from.or_else(|| facts.batch_stored_from(message))?;
            let delay = facts.delay_at_most(message);
            let taken_from = facts.taken_from(message, Index::MAX);
            Some(Candidate {
                message,
                active_from: stored_from.plus(delay).plus(slack),
                active_until: facts.lives_until(message).min(taken_from),
                is_accounted_for: false,
                is_inferred: known_from.is_none(),
            })
        })
        .collect()
}

/// Whether a claim that was granted the message may hold it between `from` and `until`.
fn may_be_held_by_known(
    facts: &Facts<'_>,
    message: &Message<'_>,
    from: Instant,
    until: Instant,
) -> bool {
    facts.deliveries(message).any(|take| {
        let lease = facts.possible_lease(take);
        lease.from <= until && from <= lease.until
    })
}

/// The queue's claims and pops without an answer that may keep messages away between `from` and
/// `until`. Together they explain at most the sum of their limits.
fn unanswered_takes(
    facts: &Facts<'_>,
    queue: &Queue<'_>,
    from: Instant,
    until: Instant,
) -> Vec<Index> {
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

/// Ok claims and pops that came back short, and tell by it that nothing more was there.
fn telling_short_takes(facts: &Facts<'_>, queue: &Queue<'_>) -> Vec<Index> {
    let profile = facts.history.header.profile.short_answers;
    let drained_from = facts.drained_from();
    let mut moves: Vec<Instant> = Vec::new();
    if !queue.dead_letters.is_empty() {
        let messages = queue.messages.iter().map(|&index| &facts.messages[index]);
        moves.extend(messages.map(|message| facts.moved_from(message)));
        moves.sort_unstable();
    }
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
        let is_alone = alone_before && alone_after;
        let tells = match profile {
            ShortAnswers::Strict => true,
            ShortAnswers::Quiescent => is_alone,
            ShortAnswers::Drain => is_alone && record.invoked_at >= drained_from,
        };
        // What it moved to a dead-letter queue takes up room in its answer, and is not replaced.
        let moved = moves.partition_point(|&at| at <= record.completed_at);
        if tells && is_short(&record.operation, &record.outcome, moved) {
            takes.push(index);
        }
        busy_until = busy_until.max(Some(facts.acts_until(record)));
    }
    takes
}

fn is_short(operation: &Operation, outcome: &Outcome, moved: usize) -> bool {
    match (operation, outcome) {
        (Operation::Claim { limit, .. } | Operation::Pop { limit, .. }, Outcome::Ok(answer)) => {
            let accounted = answer.seen().len().saturating_add(moved);
            u64::try_from(accounted).is_ok_and(|count| count < *limit)
        }
        _ => false,
    }
}

impl Facts<'_> {
    /// When the closing drain begins; never if there is none.
    fn drained_from(&self) -> Instant {
        let mut phases = self.history.phases.iter();
        let drain = phases.find(|(_, phase)| *phase == Phase::Drain);
        drain.map_or(Instant::NEVER, |&(at, _)| at)
    }

    /// Whether the message was posted with others.
    fn is_batch(&self, message: &Message<'_>) -> bool {
        let operation = &self.record(message.post).operation;
        matches!(operation, Operation::Post { messages, .. } if messages.len() > 1)
    }

    /// From when on others of its batch certainly are stored, and it has to be.
    fn batch_stored_from(&self, message: &Message<'_>) -> Option<Instant> {
        let Operation::Post { messages, .. } = &self.record(message.post).operation else {
            return None;
        };
        let first = self.message_number(message) - message.place;
        let batch = &self.messages[first..first + messages.len()];
        batch
            .iter()
            .filter_map(|other| self.stored_from(other))
            .min()
    }

    /// Its place among all messages: those of one batch stand together.
    fn message_number(&self, message: &Message<'_>) -> usize {
        self.messages
            .partition_point(|other| other.post_place() < message.post_place())
    }
}
