//! What reads of a whole queue tell together: that part of a batch is missing, which is
//! `delivery/partial-batch`; and that more messages are missing than pops without an answer can have taken,
//! which is `delivery/lost`.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Queue};
use super::known::Known;
use super::log::{Act, Index, Place};
use super::lost::Missing;
use super::marks::Marks;
use super::nowhere::{Look, walk};
use super::sweep::{batch_stored_from, limits};
use crate::environment::Instant;

/// Walks from the head of a queue to an empty page that leave nothing out, by place, in the order in which they
/// began; with the pages of each.
pub(super) struct WholeWalks<'w> {
    of_place: BTreeMap<Place, Vec<(Look, &'w [Index])>>,
}

impl<'w> WholeWalks<'w> {
    pub(super) fn of(facts: &Facts<'_>, walks: &'w [Vec<Index>]) -> Self {
        let mut of_place: BTreeMap<Place, Vec<(Look, &[Index])>> = BTreeMap::new();
        for pages in walks {
            if let Some(look) = walk(facts, pages) {
                let place = facts.op(pages[0]).place;
                let whole = pages.partition_point(|&page| page <= look.told);
                of_place
                    .entry(place)
                    .or_default()
                    .push((look, &pages[..whole]));
            }
        }
        Self { of_place }
    }

    fn at(&self, place: Place) -> &[(Look, &'w [Index])] {
        self.of_place.get(&place).map_or(&[][..], Vec::as_slice)
    }
}

/// Judges the queue at `place`.
pub(super) fn judge(
    facts: &Facts<'_>,
    marks: &Marks,
    (place, walks): (Place, &WholeWalks<'_>),
    missing: &mut Missing,
) {
    let queue = facts.queue(place);
    let walks = walks.at(place);
    partial(facts, marks, (queue, walks), missing);
    unexplained(facts, marks, (queue, walks), missing);
}

/// Messages that nobody ever saw, others of whose batch were there before a walk that shows everything.
fn partial(
    facts: &Facts<'_>,
    marks: &Marks,
    (queue, walks): (&Queue, &[(Look, &[Index])]),
    missing: &mut Missing,
) {
    if walks.is_empty() {
        return;
    }
    for &number in &queue.messages {
        let message = &facts.log.messages[number as usize];
        let post = facts.op(message.post);
        let mark = &marks[number];
        if !post.is_info() || mark.stored_from < Instant::NEVER {
            continue;
        }
        let Some(stored_from) = batch_stored_from(facts, marks, number) else {
            continue;
        };
        let first = walks.partition_point(|(look, _)| look.began_at <= stored_from);
        let told = walks[first..].first();
        let told = told.filter(|(look, _)| look.ended_at < mark.stays_until);
        let Some((_, pages)) = told else { continue };
        missing.partial.exercised += 1;
        missing.partial.violate(message.token, || {
            let summary =
                "passed over by a walk, although others of its batch were there".to_owned();
            let proof = std::iter::once(message.post).chain(seen_of_batch(facts, message.post));
            (summary, proof.chain(pages.iter().copied()).collect())
        });
    }
}

/// The first look at any of a batch.
fn seen_of_batch(facts: &Facts<'_>, post: Index) -> Option<Index> {
    let Act::Post { first, count } = facts.op(post).act else {
        return None;
    };
    let seen = (first..first + count).filter_map(|other| {
        let sightings = facts.of_message.sightings.get(other);
        sightings.first().copied()
    });
    seen.min_by_key(|&seen| facts.op(seen).completed_at)
}

/// Messages that were not there when somebody looked, which nothing but a pop without an answer explains: if they
/// are more than those pops asked for.
fn unexplained(
    facts: &Facts<'_>,
    marks: &Marks,
    (queue, walks): (&Queue, &[(Look, &[Index])]),
    missing: &mut Missing,
) {
    let pops = queue.unanswered.pops();
    if pops.is_empty() {
        return;
    }
    let mut unexplained = absent(facts, queue);
    if let Some(walk) = walks.last() {
        passed_over(facts, marks, queue, walk, &mut unexplained);
    }
    let mut unexplained: Vec<(Instant, u32, Index)> = unexplained
        .into_iter()
        .map(|(number, told)| (facts.op(told).completed_at, number, told))
        .collect();
    unexplained.sort_unstable();
    missing.lost.exercised += u64::from(!unexplained.is_empty());
    for (count, &(told_at, number, _)) in (1..).zip(&unexplained) {
        let began = pops.partition_point(|&pop| facts.op(pop).invoked_at <= told_at);
        let most = limits(facts, pops[..began].iter().copied());
        if count <= most {
            continue;
        }
        let token = facts.log.messages[number as usize].token;
        missing.lost.violate(token, || {
            let summary = format!(
                "absent, one of {count} that were certainly there: pops without an answer explain {most} at most"
            );
            let absent = unexplained[..count].iter();
            let absent = absent.flat_map(|&(_, number, told)| {
                [facts.log.messages[number as usize].post, told]
            });
            (summary, absent.chain(pops[..began].iter().copied()).collect())
        });
        return;
    }
}

/// By message, the first read by its identifier that did not find it.
fn absent(facts: &Facts<'_>, queue: &Queue) -> BTreeMap<u32, Index> {
    let mut all = BTreeMap::new();
    for &number in &queue.messages {
        let absences = facts.of_message.absences.get(number);
        if absences.is_empty() {
            continue;
        }
        let known = Known::of(facts, number);
        let is_popped = |&index: &Index| {
            let op = facts.op(index);
            op.place == known.message.home
                && known.popped_from() <= op.completed_at
                && known.is_missed_by(index)
                && !known.is_held_through(index)
        };
        let first = absences.iter().copied().find(is_popped);
        all.extend(first.map(|index| (number, index)));
    }
    all
}

/// Adds those that a walk does not show.
fn passed_over(
    facts: &Facts<'_>,
    marks: &Marks,
    queue: &Queue,
    (look, pages): &(Look, &[Index]),
    all: &mut BTreeMap<u32, Index>,
) {
    let seen = pages.iter().flat_map(|&page| facts.seen(facts.op(page)));
    let shown: BTreeSet<u32> = seen.map(|sight| sight.token).collect();
    for &number in &queue.messages {
        let mark = &marks[number];
        let token = facts.log.messages[number as usize].token;
        let is_there = mark.stored_from < look.began_at && look.ended_at < mark.active_until;
        let is_popped = is_there
            && !shown.contains(&token)
            && facts.certainly_lives(number, facts.op(look.told))
            && Known::of(facts, number).popped_from() <= look.ended_at;
        if is_popped {
            let told = all.entry(number).or_insert(look.told);
            if look.ended_at < facts.op(*told).completed_at {
                *told = look.told;
            }
        }
    }
}
