//! `delivery/lost`: what was accepted has to be there whenever somebody looks; and the rules that are
//! broken instead if more is known about why it was missing: `claims/stuck`, `claims/lifetime`,
//! `delivery/partial-batch`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::facts::{Facts, Queue};
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index};
use super::marks::Mark;
use super::short::{is_popped_by, telling_short_takes, unanswered_takes};
use crate::environment::Instant;

/// What was missing, by the rule that it breaks.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) lost: Findings,
    /// `claims/stuck`: missing from a short answer, and still there afterwards.
    pub(super) stuck: Findings,
    /// `claims/lifetime`: missing after the end that its producer set, although a claim extended it.
    pub(super) lifetime: Findings,
    /// `delivery/partial-batch`: nobody was told that it is stored, but others of its batch are.
    pub(super) partial: Findings,
    /// Accepted messages of which nobody can tell what became of them.
    open: usize,
}

impl Missing {
    /// Adds what was found in a later part.
    pub(super) fn add(&mut self, later: Self) {
        self.lost.add(later.lost);
        self.stuck.add(later.stuck);
        self.lifetime.add(later.lifetime);
        self.partial.add(later.partial);
        self.open += later.open;
    }

    /// All parts are there: says so if evidence is too thin.
    pub(super) fn conclude(&mut self) {
        if self.open > 0 {
            self.lost.missing = Some(format!(
                "{} accepted messages were neither taken nor certainly missed: no closing drain",
                self.open
            ));
        }
    }

    /// The rule that is broken if the message is missing from the answer of `index`.
    fn rule(&mut self, known: &Known<'_>, index: Index) -> &mut Findings {
        let op = known.facts.op(index);
        let is_seen_later = || {
            let mut sightings = known.sightings.iter();
            sightings.any(|&seen| known.facts.op(seen).invoked_at >= op.completed_at)
        };
        if known.stored_from.is_none() {
            &mut self.partial
        } else if op.completed_at >= known.lives_as_posted() {
            &mut self.lifetime
        } else if op.is_take() && is_seen_later() {
            &mut self.stuck
        } else {
            &mut self.lost
        }
    }

    /// Counts what a message that was never missed could have broken.
    fn count(&mut self, facts: &Facts<'_>, candidate: &Candidate, mark: &Mark) {
        let is_exercised = candidate.is_accounted_for || mark.deliveries > 0;
        self.lost.exercised += u64::from(is_exercised);
        // It was held, and came again.
        self.stuck.exercised += u64::from(mark.deliveries > 1);
        self.lifetime.exercised += u64::from(mark.outlived);
        let post = facts.op(facts.log.messages[candidate.message as usize].post);
        let is_batch = matches!(post.act, Act::Post { count, .. } if count > 1);
        self.partial.exercised += u64::from(post.is_info() && is_batch);
    }
}

/// Reads by identifier that found nothing where something certainly was.
pub(super) fn absent(known: &Known<'_>, missing: &mut Missing) {
    let of_message = &known.facts.of_message;
    let is_judged = |&index: &Index| {
        known.facts.op(index).place == known.message.home && known.present_during(index)
    };
    let finds = of_message.finds.get(known.number).iter().copied();
    for index in finds.filter(is_judged) {
        missing.rule(known, index).exercised += 1;
    }
    let absences = of_message.absences.get(known.number).iter().copied();
    for index in absences.filter(is_judged) {
        let rule = missing.rule(known, index);
        rule.exercised += 1;
        rule.violate(known.message.token, || {
            let summary = "absent, although it was certainly there".to_owned();
            let proof = [known.message.post, index].into_iter();
            let proof = proof.chain(known.sightings.first().copied());
            (
                summary,
                proof.chain(known.deliveries.iter().copied()).collect(),
            )
        });
    }
}

/// A message that a short answer may be blamed for.
#[derive(Clone, Copy)]
struct Candidate {
    message: u32,
    /// From when on it is active for certain, leases apart.
    active_from: Instant,
    /// Until when.
    active_until: Instant,
    /// Whether it was missing once, and unanswered pops explain that.
    is_accounted_for: bool,
    /// Whether nobody was told that it is stored, but others of its batch are.
    is_inferred: bool,
}

impl Candidate {
    /// Whether nobody can tell what became of it: it was never handed out, though nothing certainly
    /// took it away; or it was, and its holder never finished, and nobody looked again.
    fn is_open(&self, mark: &Mark, end: Instant) -> bool {
        let is_settled = self.is_accounted_for || mark.is_removed;
        !is_settled && !self.is_inferred && (mark.deliveries == 0 || self.active_until > end)
    }
}

/// Judges the queue's short answers.
pub(super) fn short(facts: &Facts<'_>, marks: &[Mark], queue: &Queue) -> Missing {
    let mut missing = Missing::default();
    let mut candidates = candidates(facts, marks, queue);
    let takes = telling_short_takes(facts, queue);
    if !takes.is_empty() {
        candidates.sort_by_key(|candidate| candidate.active_from);
        candidates = Judged::by(facts, queue, takes, candidates, &mut missing);
    }
    let end = facts.last_invoked_at();
    for candidate in &candidates {
        let mark = &marks[candidate.message as usize];
        missing.count(facts, candidate, mark);
        missing.open += usize::from(candidate.is_open(mark, end));
    }
    missing
}

/// The queue's messages while its short answers are judged, one after the other.
struct Judged {
    /// Those that every answer had to hold, unless something explains their absence.
    active: Vec<Candidate>,
    /// Those that a claim may hold, by when its lease has ended for certain; and their places.
    held: BinaryHeap<(Reverse<Instant>, usize)>,
    asleep: Vec<Candidate>,
    /// Those that are never judged again.
    past: Vec<Candidate>,
}

impl Judged {
    /// Judges `takes`, which are in the order of time. Each message is missed once: a later answer
    /// without it proves nothing new. Returns those that were never missed.
    fn by(
        facts: &Facts<'_>,
        queue: &Queue,
        takes: Vec<Index>,
        waiting: Vec<Candidate>,
        missing: &mut Missing,
    ) -> Vec<Candidate> {
        let mut waiting = waiting.into_iter().peekable();
        let mut judged = Self {
            active: Vec::new(),
            held: BinaryHeap::new(),
            asleep: Vec::new(),
            past: Vec::new(),
        };
        for take in takes {
            let from = facts.op(take).invoked_at;
            while let Some(candidate) = waiting.next_if(|next| next.active_from <= from) {
                judged.active.push(candidate);
            }
            judged.wake(from);
            let mut gone = judged.missing(facts, queue, take);
            gone.sort_unstable();
            for message in gone {
                let known = Known::of(facts, message);
                let rule = missing.rule(&known, take);
                rule.exercised += 1;
                rule.violate(known.message.token, || tell(&known, take));
            }
        }
        let Self {
            mut active,
            held,
            asleep,
            past,
        } = judged;
        active.extend(past);
        active.extend(held.into_iter().map(|(_, place)| asleep[place]));
        active.extend(waiting);
        active
    }

    /// Leases that ended before `from` hold nothing any more.
    fn wake(&mut self, from: Instant) {
        while let Some(&(Reverse(until), place)) = self.held.peek() {
            if until >= from {
                return;
            }
            self.held.pop();
            self.active.push(self.asleep[place]);
        }
    }

    /// Which of the active messages the short answer of `take` certainly had to hold, and did not.
    /// They are active no more.
    fn missing(&mut self, facts: &Facts<'_>, queue: &Queue, take: Index) -> Vec<u32> {
        let op = facts.op(take);
        let span = (op.invoked_at, op.completed_at);
        let mut free = Vec::new();
        for candidate in std::mem::take(&mut self.active) {
            // Takes come in the order of time: what has ended by now is never judged again.
            if candidate.active_until <= span.1 {
                self.past.push(candidate);
            } else if let Some(until) = facts.held_until(candidate.message, span) {
                self.held.push((Reverse(until), self.asleep.len()));
                self.asleep.push(candidate);
            } else if facts
                .of_message
                .sightings
                .get(candidate.message)
                .contains(&take)
            {
                self.active.push(candidate);
            } else {
                free.push(candidate);
            }
        }
        if free.is_empty() {
            return Vec::new();
        }
        let excuses = unanswered_takes(facts, queue, span);
        // An unanswered claim or pop can have taken only what was posted before its latest effect.
        let explained_until = excuses
            .iter()
            .map(|&index| facts.acts_until(facts.op(index)));
        let explained_until = explained_until.max();
        let is_excused = |candidate: &Candidate| {
            let post = facts.log.messages[candidate.message as usize].post;
            explained_until.is_some_and(|until| facts.op(post).invoked_at <= until)
        };
        let (mut excused, mut missing): (Vec<_>, Vec<_>) = free.into_iter().partition(is_excused);
        if excused.len() > limits(facts, excuses.iter().copied()) {
            missing.append(&mut excused);
        } else if excused.len() <= limits(facts, excuses.into_iter().filter(is_popped_by(facts))) {
            // What an unanswered pop took never comes back: no later answer will tell.
            for candidate in &mut excused {
                candidate.is_accounted_for = true;
            }
        }
        self.active.append(&mut excused);
        missing
            .into_iter()
            .map(|candidate| candidate.message)
            .collect()
    }
}

fn tell(known: &Known<'_>, take: Index) -> (String, Vec<Index>) {
    let op = known.facts.op(take);
    let (from, until) = (op.invoked_at, op.completed_at);
    let excuses = unanswered_takes(known.facts, known.queue, (from, until));
    let mut summary = format!("not handed out at {from}, although it was active for certain");
    if !excuses.is_empty() {
        summary += ": more messages are missing than unanswered claims and pops explain";
    }
    let proof = [known.message.post, take].into_iter().chain(excuses);
    (
        summary,
        proof.chain(known.deliveries.iter().copied()).collect(),
    )
}

/// The queue's messages that somebody was told are stored, or that were seen.
fn candidates(facts: &Facts<'_>, marks: &[Mark], queue: &Queue) -> Vec<Candidate> {
    let slack = facts.slack();
    let candidate = |&number: &u32| {
        let message = &facts.log.messages[number as usize];
        let mark = &marks[number as usize];
        let is_inferred = mark.stored_from == Instant::NEVER;
        let stored_from = if is_inferred {
            batch_stored_from(facts, marks, number)?
        } else {
            mark.stored_from
        };
        Some(Candidate {
            message: number,
            active_from: stored_from.plus(facts.delay_at_most(message)).plus(slack),
            active_until: mark.active_until,
            is_accounted_for: false,
            is_inferred,
        })
    };
    queue.messages.iter().filter_map(candidate).collect()
}

/// From when on others of its batch certainly are stored, and it has to be.
fn batch_stored_from(facts: &Facts<'_>, marks: &[Mark], number: u32) -> Option<Instant> {
    let post = facts.op(facts.log.messages[number as usize].post);
    let Act::Post { first, count } = post.act else {
        return None;
    };
    let batch = &marks[first as usize..(first + count) as usize];
    let first = batch.iter().map(|mark| mark.stored_from).min();
    first.filter(|&at| at < Instant::NEVER)
}

/// How many messages `takes` may have handed out together.
fn limits(facts: &Facts<'_>, takes: impl Iterator<Item = Index>) -> usize {
    takes
        .filter_map(|index| facts.log.limit(facts.op(index)))
        .map(|limit| limit as usize)
        .fold(0, usize::saturating_add)
}
