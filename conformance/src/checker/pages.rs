//! `delivery/page-gap` and `delivery/page-repeat`: a walk that follows the markers shows everything
//! that stays, once.
//!
//! A gap is told only of walks from the head of a queue, and of messages that certainly were there,
//! and qualified under the walk's own flags, from before its first page on. Where the walk has passed
//! them: it showed something younger, or found nothing more.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::facts::{Facts, Index, Message};
use crate::environment::Instant;
use crate::history::{Answer, Operation, OrderProfile};

/// The ok pages of each walk, in the order of their invocations, as far as each follows the marker
/// that the one before named.
pub(super) fn walks(facts: &Facts<'_>) -> BTreeMap<u64, Vec<Index>> {
    let mut walks: BTreeMap<u64, Vec<Index>> = BTreeMap::new();
    let mut broken: BTreeSet<u64> = BTreeSet::new();
    for (index, record) in facts.history.records.iter().enumerate() {
        let Operation::List { chain, marker, .. } = &record.operation else {
            continue;
        };
        // A page without an answer moves no marker: the walk goes on where it was.
        if !record.is_ok() || broken.contains(chain) {
            continue;
        }
        let pages = walks.entry(*chain).or_default();
        let follows = match pages.last().and_then(|&last| facts.record(last).answer()) {
            None => marker.is_none(),
            Some(Answer::List { next, .. }) => {
                let last = pages.last().map(|&last| facts.record(last));
                let is_later = last.is_some_and(|last| last.completed_at <= record.invoked_at);
                is_later && next.is_some() && next == marker
            }
            Some(_) => false,
        };
        if follows {
            pages.push(index);
        } else {
            broken.insert(*chain);
        }
    }
    walks
}

/// The same walk returned a message twice.
pub(super) fn page_repeat(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for pages in walks(facts).values() {
        let mut shown: BTreeMap<&str, Index> = BTreeMap::new();
        for (number, &page) in pages.iter().enumerate() {
            let seen = facts.record(page).answer().map_or(&[][..], Answer::seen);
            findings.exercised += u64::from(number > 0 && !seen.is_empty());
            for seen in seen {
                if let Some(first) = shown.insert(&seen.token, page) {
                    let summary = "returned twice by one walk".to_owned();
                    let proof = [first, page];
                    findings.violate(|| facts.violation(&seen.token, summary, proof));
                }
            }
        }
    }
    findings
}

/// The walk passed a message that certainly was there.
pub(super) fn page_gap(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for pages in walks(facts).values() {
        let Some(&first) = pages.first() else {
            continue;
        };
        let began_at = facts.record(first).invoked_at;
        let mut shown: BTreeSet<&str> = BTreeSet::new();
        let passed = Passed::along(facts, pages, &mut shown);
        for &number in &facts.queues[&facts.place(first)].messages {
            let message = &facts.messages[number];
            let is_stored = facts.stored_from(message).is_some_and(|at| at < began_at);
            let Some(page) = passed.at(facts, message).filter(|_| is_stored) else {
                continue;
            };
            let until = facts.record(page).completed_at;
            let stays = facts.present(message, (began_at, until), page);
            if !stays || !qualifies(facts, message, pages, (began_at, until)) {
                continue;
            }
            findings.exercised += 1;
            if !shown.contains(message.token) {
                let summary = "passed over by a walk, although it was certainly there".to_owned();
                let proof = std::iter::once(message.post).chain(pages.iter().copied());
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }
    findings
}

/// How far a walk came.
struct Passed {
    /// By producer, or for all: the latest beginning of a post among what it showed so far, and the
    /// page that showed it.
    shown: BTreeMap<Option<u64>, Vec<(Instant, Index)>>,
    /// The first page that was empty: nothing more was there.
    empty: Option<Index>,
}

impl Passed {
    fn along<'h>(facts: &Facts<'h>, pages: &[Index], tokens: &mut BTreeSet<&'h str>) -> Self {
        let mut passed = Self {
            shown: BTreeMap::new(),
            empty: None,
        };
        for &page in pages {
            let seen = facts.record(page).answer().map_or(&[][..], Answer::seen);
            if seen.is_empty() {
                passed.empty.get_or_insert(page);
            }
            for seen in seen {
                tokens.insert(&seen.token);
                let Some(message) = facts.message(&seen.token) else {
                    continue;
                };
                if message.home == facts.place(page) {
                    let producer = producer(facts, message);
                    let began_at = facts.record(message.post).invoked_at;
                    let shown = passed.shown.entry(producer).or_default();
                    // The latest so far, so that the list is in order.
                    let latest = shown
                        .last()
                        .map_or(began_at, |&(latest, _)| began_at.max(latest));
                    shown.push((latest, page));
                }
            }
        }
        passed
    }

    /// The first page by which the walk had surely passed the message.
    fn at(&self, facts: &Facts<'_>, message: &Message<'_>) -> Option<Index> {
        let ended_at = facts.acts_until(facts.record(message.post));
        let shown = self.shown.get(&producer(facts, message));
        let shown = shown.map_or(&[][..], Vec::as_slice);
        let first = shown.partition_point(|&(began_at, _)| began_at <= ended_at);
        let younger = shown.get(first).map(|&(_, page)| page);
        younger.into_iter().chain(self.empty).min()
    }
}

/// Whose messages have an order among themselves.
fn producer(facts: &Facts<'_>, message: &Message<'_>) -> Option<u64> {
    match facts.history.header.profile.order {
        OrderProfile::Producer => Some(facts.record(message.post).process),
        OrderProfile::Strict => None,
    }
}

/// Whether the message certainly qualifies under the flags of the walk, from `from` to `until`.
fn qualifies(
    facts: &Facts<'_>,
    message: &Message<'_>,
    pages: &[Index],
    (from, until): (Instant, Instant),
) -> bool {
    let record = facts.record(pages[0]);
    let Operation::List {
        echo,
        include_claimed,
        include_delayed,
        ..
    } = record.operation
    else {
        return false;
    };
    let post = facts.record(message.post);
    let delay_ends_at = facts.stored_from(message).map(|stored| {
        stored
            .plus(facts.delay_at_most(message))
            .plus(facts.slack())
    });
    // Processes may share a walk: then each page leaves out what is its process's own.
    let is_own = pages
        .iter()
        .any(|&page| facts.record(page).process == post.process);
    let is_active = delay_ends_at.is_some_and(|at| at <= from);
    (echo || !is_own)
        && (include_claimed || !facts.may_be_held(message, from, until))
        && (include_delayed || is_active)
}
