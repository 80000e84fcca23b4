//! All rules over one history: first those that look at one message, then those about whole queues,
//! claims and walks. Each in parts, whose findings add up in the order of the history.

use std::collections::BTreeSet;
use std::ops::Range;

use super::budget::{self, WholeWalks};
use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Index, Log, Place};
use super::lost::{self, Missing};
use super::marks::{Mark, Marks};
use super::nowhere::Looks;
use super::parts::{PART_COUNT_MIN, both, in_parts};
use super::story::{Records, tell};
use super::telling::{self, Telling};
use super::{RULES, Verdicts, agreement, claims, dead_letter, delivery, expired_early, fencing};
use super::{identity, lifetime, notify, order, pages, stats};
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
        let facts = Facts::gather(log, threads);
        let facts = &facts;
        let mut draft = Self::default();
        let looked_at = || {
            let telling = telling::of_queues(facts);
            let walks = pages::walks(facts);
            let looks = Looks::of(facts, &walks, &telling);
            (telling, walks, looks)
        };
        let answers = || {
            let [mut unexpected, mut corrupted] = [Findings::default(), Findings::default()];
            delivery::unexpected_answers(facts, &mut unexpected);
            identity::shared_ids(facts, &mut corrupted);
            (unexpected, corrupted)
        };
        let ((unexpected, corrupted), (telling, walks, looks)) = both(threads, answers, looked_at);
        (draft.unexpected, draft.corrupted) = (unexpected, corrupted);
        let end = facts.last_invoked_at();
        let parts = in_parts(log.messages.len(), threads, |part| {
            of_messages(facts, &looks, part, end)
        });
        let of_part = |(part, marks)| {
            draft.add(part);
            marks
        };
        let marks: Marks = parts.into_iter().map(of_part).collect();
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
        // Many queues are done in parts, but most histories have few.
        let others = || {
            let mut order = Findings::default();
            agreement::contradictions(facts, &mut order);
            (order, notify::missed(facts), notify::phantom(facts))
        };
        let (of_queues, (order, missed, phantom)) = both(
            threads,
            || OfQueues::of(facts, (&marks, &telling, &walks), threads),
            others,
        );
        draft.order.add(order);
        draft.queues(facts, of_queues);
        (draft.missed, draft.phantom) = (missed, phantom);
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

    fn walks(&mut self, facts: &Facts<'_>, walks: &[Vec<Index>], marks: &Marks, threads: usize) {
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

    fn queues(&mut self, facts: &Facts<'_>, of_queues: OfQueues) {
        let OfQueues {
            missing,
            counts,
            outside,
        } = of_queues;
        self.missing.add(missing);
        self.stats.add(counts);
        self.missing.conclude(telling::has_drain(facts));
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

/// What the rules about whole queues found.
#[derive(Default)]
struct OfQueues {
    missing: Missing,
    counts: Findings,
    /// How many counts were outside their range.
    outside: u64,
}

impl OfQueues {
    fn of(
        facts: &Facts<'_>,
        (marks, telling, walks): (&Marks, &[Vec<Telling>], &[Vec<Index>]),
        threads: usize,
    ) -> Self {
        let targets = stats::targets(facts);
        let walks = WholeWalks::of(facts, walks);
        // Many queues are done side by side, few one after the other, with the messages of each in parts.
        let are_few = facts.queues.len() <= PART_COUNT_MIN;
        let within = if are_few { threads } else { 1 };
        let parts = in_parts(facts.queues.len(), threads, |part| {
            let mut of_part = Self::default();
            for place in numbers(part) {
                let queue = facts.queue(place);
                let takes = &telling[place as usize];
                let left_out = lost::left_out(facts, marks, (queue, takes), within);
                of_part.missing.add(left_out);
                budget::judge(facts, marks, (place, &walks), &mut of_part.missing);
                if !targets.contains(&place) {
                    of_part.outside += stats::stats(facts, marks, queue, &mut of_part.counts);
                }
            }
            of_part
        });
        let mut all = Self::default();
        for part in parts {
            all.missing.add(part.missing);
            all.counts.add(part.counts);
            all.outside += part.outside;
        }
        all
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
        delivery::unexpected(known, &mut draft.unexpected);
        identity::corrupted(known, &mut draft.corrupted);
        identity::isolation(known, &mut draft.isolation);
        if identity::is_two(known) {
            marks.push(Mark::UNKNOWN);
            continue;
        }
        marks.push(Mark::of(known));
        lost::absent(known, &mut draft.missing);
        delivery::resurrected(known, &mut draft.resurrected);
        delivery::popped_twice(known, &mut draft.popped_twice);
        identity::duplicated(known, &mut draft.duplicated);
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
