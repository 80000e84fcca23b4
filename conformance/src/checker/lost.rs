//! `delivery/lost`: what was accepted has to be there whenever somebody looks; and the rules that are
//! broken instead if more is known about why it was missing: `claims/stuck`, `claims/lifetime`,
//! `delivery/partial-batch`.

use std::collections::BTreeSet;

use super::facts::{Facts, Queue};
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, Index};
use super::marks::Marks;
use super::parts::in_parts;
use super::sweep::{Candidate, Sweep};
use super::telling::{Telling, unanswered_takes};
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
    /// `delivery/order`: left out of an answer that handed out what is younger, while it lived as posted.
    pub(super) passed: Findings,
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
        self.passed.add(later.passed);
        self.open += later.open;
    }

    /// All parts are there: says so if evidence is too thin.
    pub(super) fn conclude(&mut self, has_drain: bool) {
        if self.open > 0 {
            self.lost.missing = Some(format!(
                "{} accepted messages were neither taken nor certainly missed: no closing drain{}",
                self.open,
                if has_drain {
                    " while they certainly lived"
                } else {
                    ""
                }
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
    fn count(&mut self, facts: &Facts<'_>, candidate: Candidate, marks: &Marks) {
        let mark = &marks[candidate.message];
        let is_exercised = candidate.is_accounted_for || mark.deliveries > 0;
        self.lost.exercised += u64::from(is_exercised);
        // It was held, and came again.
        self.stuck.exercised += u64::from(mark.deliveries > 1);
        self.lifetime.exercised += u64::from(mark.outlived);
        let post = facts.op(facts.log.messages[candidate.message as usize].post);
        let is_batch = matches!(post.act, Act::Post { count, .. } if count > 1);
        let is_told = post.is_info() && is_batch && !candidate.is_inferred;
        self.partial.exercised += u64::from(is_told);
        let is_open = candidate.is_open(mark, facts.last_invoked_at());
        self.open += usize::from(is_open);
    }
}

/// Reads by identifier that found nothing where something certainly was.
pub(super) fn absent(known: &Known<'_>, missing: &mut Missing) {
    let of_message = &known.facts.of_message;
    let is_judged = |&index: &Index| {
        known.facts.op(index).place == known.message.home
            && (known.present_during(index) || known.is_held_through(index))
    };
    let finds = of_message.finds.get(known.number).iter().copied();
    for index in finds.filter(is_judged) {
        missing.rule(known, index).exercised += 1;
    }
    let absences = of_message.absences.get(known.number).iter().copied();
    let popped_from = known.popped_from();
    let is_missed = |&index: &Index| {
        let op = known.facts.op(index);
        let is_unpopped = op.completed_at < popped_from;
        op.place == known.message.home
            && ((is_unpopped && known.is_missed_by(index)) || known.is_held_through(index))
    };
    for index in absences.filter(is_missed) {
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

/// Judges `takes`, the queue's answers that tell what they leave out, on so many threads.
pub(super) fn left_out(
    facts: &Facts<'_>,
    marks: &Marks,
    (queue, takes): (&Queue, &[Telling]),
    threads: usize,
) -> Missing {
    let mut missing = Missing::default();
    let began_at = |take: &Telling| facts.op(take.index).invoked_at;
    let first_at = takes.first().map_or(Instant::NEVER, began_at);
    let last_short_at = takes.iter().rfind(|take| take.is_short).map(began_at);
    let parts = in_parts(queue.messages.len(), threads, |part| {
        let mut of_part = Missing::default();
        let mut waiting = Vec::new();
        for &message in &queue.messages[part] {
            match Candidate::of(facts, marks, message) {
                // Most messages are gone before anybody looks.
                Some(gone) if gone.active_until <= first_at => {
                    of_part.count(facts, gone.looked_for(last_short_at), marks);
                }
                Some(candidate) => waiting.push((candidate.active_from, message)),
                None => {}
            }
        }
        (of_part, waiting)
    });
    let mut waiting = Vec::with_capacity(parts.iter().map(|(_, waiting)| waiting.len()).sum());
    for (of_part, of_waiting) in parts {
        missing.add(of_part);
        waiting.extend(of_waiting);
    }
    waiting.sort_by_key(|&(active_from, _)| active_from);
    let mut sweep = Sweep::of((facts, marks), queue, waiting);
    let mut passed = Vec::new();
    let mut gone = BTreeSet::new();
    // Each message is missed once: a later answer without it proves nothing new.
    for take in takes {
        let of_take = sweep.judge(take.index, take.is_short);
        for message in of_take.missing {
            let known = Known::of(facts, message);
            let rule = missing.rule(&known, take.index);
            rule.exercised += 1;
            rule.violate(known.message.token, || tell_missing(&known, take.index));
            gone.insert(message);
        }
        missing.passed.exercised += u64::from(of_take.could_pass);
        let of_take = of_take.passed.into_iter();
        passed.extend(of_take.map(|(message, younger)| (message, younger, take.index)));
        for past in sweep.take_past() {
            missing.count(facts, past.looked_for(last_short_at), marks);
        }
    }
    // What turned out to be missing altogether was not passed over by that answer alone.
    passed.retain(|(message, ..)| !gone.contains(message));
    for (message, younger, take) in passed {
        let known = Known::of(facts, message);
        let is_over = facts.op(take).completed_at >= known.lives_as_posted();
        let rule = if is_over {
            &mut missing.lifetime
        } else {
            &mut missing.passed
        };
        rule.violate(known.message.token, || tell_passed(&known, younger, take));
    }
    for candidate in sweep.finish() {
        missing.count(facts, candidate.looked_for(last_short_at), marks);
    }
    missing
}

fn tell_missing(known: &Known<'_>, take: Index) -> (String, Vec<Index>) {
    let op = known.facts.op(take);
    let (from, until) = (op.invoked_at, op.completed_at);
    let excuses = unanswered_takes(known.facts, known.queue, (from, until));
    let mut summary = format!("not handed out at {from}, although it was active for certain");
    if !excuses.is_empty() {
        summary += ": more messages are missing than unanswered claims and pops explain";
    }
    // What was seen later was not popped before.
    let seen = known
        .sightings
        .last()
        .copied()
        .filter(|_| !excuses.is_empty());
    let proof = [known.message.post, take].into_iter();
    let proof = proof.chain(excuses).chain(seen);
    (
        summary,
        proof.chain(known.deliveries.iter().copied()).collect(),
    )
}

fn tell_passed(known: &Known<'_>, younger: u32, take: Index) -> (String, Vec<Index>) {
    let log = known.facts.log;
    let younger = &log.messages[younger as usize];
    let name = log.tokens.name(younger.token);
    let summary = format!(
        "left out, although it was active for certain, of an answer with {name}, which is younger"
    );
    let proof = [known.message.post, younger.post, take].into_iter();
    let proof = proof.chain(known.facts.told_by_sight(known.number));
    (
        summary,
        proof.chain(known.deliveries.iter().copied()).collect(),
    )
}
