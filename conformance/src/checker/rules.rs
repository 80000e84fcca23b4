//! All rules over one history: first those that look at one message, then those about whole queues,
//! claims and walks. Each in parts, whose findings add up in the order of the history.

use std::collections::BTreeSet;
use std::ops::Range;

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Index, Log, Place};
use super::lost::{self, Missing};
use super::marks::Mark;
use super::nowhere::Looks;
use super::parts::in_parts;
use super::story::{Records, tell};
use super::{RULES, Verdicts, claims, dead_letter, delivery, expired_early, fencing, identity};
use super::{lifetime, notify, order, pages, stats};
use crate::environment::Instant;

/// What every rule found; stories are still to be told.
#[derive(Debug, Default)]
pub(super) struct Draft {
    unexpected: Findings,
    corrupted: Findings,
    duplicated: Findings,
    resurrected: Findings,
    expired: Findings,
    early: Findings,
    order: Findings,
    page_gap: Findings,
    page_repeat: Findings,
    isolation: Findings,
    popped_twice: Findings,
    stats: Findings,
    overlap: Findings,
    fencing: Findings,
    expired_early: Findings,
    dead_letter: Findings,
    missed: Findings,
    phantom: Findings,
    missing: Missing,
}

impl Draft {
    /// Judges the history, on so many threads.
    pub(super) fn of(log: &Log, threads: usize) -> Self {
        let facts = Facts::gather(log);
        let facts = &facts;
        let mut draft = Self::default();
        delivery::unexpected_answers(facts, &mut draft.unexpected);
        identity::shared_ids(facts, &mut draft.corrupted);
        let end = facts.last_invoked_at();
        let mut marks = Vec::with_capacity(log.messages.len());
        let walks = pages::walks(facts);
        let looks = Looks::of(facts, &walks);
        let parts = in_parts(log.messages.len(), threads, |part| {
            of_messages(facts, &looks, part, end)
        });
        for (part, of_part) in parts {
            draft.add(part);
            marks.extend(of_part);
        }
        let claims = in_parts(log.claims.count(), threads, |part| {
            let mut findings = Findings::default();
            numbers(part).for_each(|claim| fencing::uses(facts, claim, &mut findings));
            findings
        });
        claims.into_iter().for_each(|part| draft.fencing.add(part));
        let takes = in_parts(log.operations.len(), threads, |part| {
            let mut findings = Findings::default();
            numbers(part).for_each(|index| order::of_take(facts, index, &mut findings));
            findings
        });
        draft.walks(facts, &walks, &marks, threads);
        takes.into_iter().for_each(|part| draft.order.add(part));
        order::disagreeing(facts, &mut draft.order);
        draft.queues(facts, &marks, threads);
        draft.missed = notify::missed(facts);
        draft.phantom = notify::phantom(facts);
        draft
    }

    /// Adds what was found about later messages.
    fn add(&mut self, later: Self) {
        self.unexpected.add(later.unexpected);
        self.corrupted.add(later.corrupted);
        self.duplicated.add(later.duplicated);
        self.resurrected.add(later.resurrected);
        self.expired.add(later.expired);
        self.early.add(later.early);
        self.isolation.add(later.isolation);
        self.popped_twice.add(later.popped_twice);
        self.overlap.add(later.overlap);
        self.fencing.add(later.fencing);
        self.expired_early.add(later.expired_early);
        self.dead_letter.add(later.dead_letter);
        self.missing.add(later.missing);
    }

    fn walks(&mut self, facts: &Facts<'_>, walks: &[Vec<Index>], marks: &[Mark], threads: usize) {
        let parts = in_parts(walks.len(), threads, |part| {
            let [mut order, mut repeats] = [Findings::default(), Findings::default()];
            for pages in &walks[part] {
                order::of_walk(facts, pages, &mut order);
                pages::repeats(facts, pages, &mut repeats);
            }
            (order, repeats)
        });
        for (order, repeats) in parts {
            self.order.add(order);
            self.page_repeat.add(repeats);
        }
        let mut by_place: Vec<(Place, &Vec<Index>)> = walks
            .iter()
            .map(|pages| (facts.op(pages[0]).place, pages))
            .collect();
        // Stable: each queue's walks stay in the order in which they began.
        by_place.sort_by_key(|&(place, _)| place);
        for walks in by_place.chunk_by(|(one, _), (other, _)| one == other) {
            let place = walks[0].0;
            let walks: Vec<&Vec<Index>> = walks.iter().map(|&(_, pages)| pages).collect();
            pages::gaps(facts, marks, (place, &walks), &mut self.page_gap);
        }
    }

    fn queues(&mut self, facts: &Facts<'_>, marks: &[Mark], threads: usize) {
        let targets = stats::targets(facts);
        let parts = in_parts(facts.queues.len(), threads, |part| {
            let mut missing = Missing::default();
            let mut counts = Findings::default();
            let mut outside = 0;
            for place in numbers(part) {
                let queue = facts.queue(place);
                missing.add(lost::left_out(facts, marks, queue));
                if !targets.contains(&place) {
                    outside += stats::stats(facts, marks, queue, &mut counts);
                }
            }
            (missing, counts, outside)
        });
        let mut outside = 0;
        for (missing, counts, of_part) in parts {
            self.missing.add(missing);
            self.stats.add(counts);
            outside += of_part;
        }
        self.missing.conclude();
        self.order.add(std::mem::take(&mut self.missing.passed));
        stats::conclude(facts, outside, &mut self.stats);
    }

    /// The operations that prove what was found.
    pub(super) fn proof(&self) -> BTreeSet<Index> {
        let told = self
            .findings()
            .into_iter()
            .flat_map(|findings| &findings.told);
        told.flat_map(|finding| finding.proof.iter().copied())
            .collect()
    }

    /// What each rule found, in the order of [`RULES`].
    fn findings(&self) -> [&Findings; RULES.len()] {
        [
            &self.missing.lost,
            &self.unexpected,
            &self.corrupted,
            &self.duplicated,
            &self.resurrected,
            &self.expired,
            &self.early,
            &self.missing.partial,
            &self.order,
            &self.page_gap,
            &self.page_repeat,
            &self.isolation,
            &self.popped_twice,
            &self.stats,
            &self.overlap,
            &self.fencing,
            &self.missing.stuck,
            &self.expired_early,
            &self.missing.lifetime,
            &self.dead_letter,
            &self.missed,
            &self.phantom,
        ]
    }

    /// The verdicts; stories are told of `records`.
    pub(super) fn conclude(&self, log: &Log, records: &Records<'_>) -> Verdicts {
        let rules = RULES.iter().zip(self.findings());
        let rules = rules.map(|(rule, findings)| {
            findings.conclude(rule.name, |finding| tell(log, records, finding))
        });
        Verdicts {
            rules: rules.collect(),
        }
    }
}

/// The rules that look at one message at a time, over some of them.
fn of_messages(
    facts: &Facts<'_>,
    looks: &Looks,
    part: Range<usize>,
    end: Instant,
) -> (Draft, Vec<Mark>) {
    let mut draft = Draft::default();
    let mut marks = Vec::with_capacity(part.len());
    for number in numbers(part) {
        let known = &Known::of(facts, number);
        marks.push(Mark::of(known));
        lost::absent(known, &mut draft.missing);
        delivery::unexpected(known, &mut draft.unexpected);
        delivery::resurrected(known, &mut draft.resurrected);
        delivery::popped_twice(known, &mut draft.popped_twice);
        identity::corrupted(known, &mut draft.corrupted);
        identity::duplicated(known, &mut draft.duplicated);
        identity::isolation(known, &mut draft.isolation);
        lifetime::early(known, &mut draft.early);
        lifetime::expired(known, end, &mut draft.expired);
        claims::overlap(known, &mut draft.overlap);
        fencing::deletes(known, &mut draft.fencing);
        expired_early::expired_early(known, &mut draft.expired_early);
        dead_letter::dead_letter(known, looks, &mut draft.dead_letter);
    }
    (draft, marks)
}

/// The same stretch, in numbers of a history.
fn numbers(part: Range<usize>) -> Range<u32> {
    let number = |at| u32::try_from(at).expect("a history holds fewer than 2^32 of anything");
    number(part.start)..number(part.end)
}
