//! `delivery/order`: all answers agree with one order.
//!
//! The messages of a queue have one order, whoever posted them, and none changes its place. So of two that an answer
//! shows next to each other, the first is before the second for ever, and a circle of such pairs contradicts itself:
//! two answers that order two messages differently, or three that order three of them in turn.
//!
//! Identifiers have numbers, nearly in the order of posts. A pair whose second number is the lower one spans all numbers
//! between the two. A circle goes down as far as it goes up, so it lies within spans that overlap: elsewhere nothing is
//! looked for, and where nobody posts at the same time as somebody else there are no spans at all.

use std::collections::VecDeque;

use super::facts::Facts;
use super::findings::Findings;
use super::log::{Act, Index, NONE};

/// So many identifiers of a contradiction are looked at for its shortest circle.
const STARTS_MAX: usize = 64;

/// Two messages that an answer shows one after the other, by the numbers of their identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    first: u32,
    second: u32,
    answer: Index,
}

/// Claims, pops and pages that no order of the queue explains.
pub(super) fn contradictions(facts: &Facts<'_>, findings: &mut Findings) {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    each_pair(facts, |pair, was_shown| {
        findings.exercised += u64::from(was_shown);
        if pair.second < pair.first {
            spans.push((pair.second, pair.first));
        }
    });
    if spans.is_empty() {
        return;
    }
    let spans = merged(spans);
    let mut pairs: Vec<Pair> = Vec::new();
    each_pair(facts, |pair, _| {
        let (low, high) = (pair.first.min(pair.second), pair.first.max(pair.second));
        let span = spans.partition_point(|&(start, _)| start <= low);
        if span > 0 && high <= spans[span - 1].1 {
            pairs.push(pair);
        }
    });
    // The same pair is the same pair, whoever shows it.
    pairs.sort_unstable();
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    for &(start, end) in &spans {
        let from = pairs.partition_point(|pair| pair.first < start);
        let until = pairs.partition_point(|pair| pair.first <= end);
        if let Some(circle) = circle(&pairs[from..until], start, end) {
            tell(facts, &circle, findings);
        }
    }
}

/// Hands over every pair of every answer, and whether both were shown before, beside whatever else.
fn each_pair(facts: &Facts<'_>, mut take: impl FnMut(Pair, bool)) {
    let log = facts.log;
    // By identifier: the latest answer that showed it.
    let mut shown_by = vec![NONE; log.ids.count()];
    for (answer, op) in log.numbered() {
        let has_order = op.is_take() || matches!(op.act, Act::List { .. });
        if !has_order || op.seen.count < 2 || !op.is_ok() {
            continue;
        }
        let mut before: Option<(u32, bool)> = None;
        for sight in facts.seen(op) {
            let message = log.message_of(sight.token);
            let message = message.map(|message| &log.messages[message as usize]);
            let shown = &mut shown_by[sight.id as usize];
            // What one answer shows twice is for other rules.
            if *shown == answer || !message.is_some_and(|it| facts.is_in_order(it, op.place)) {
                continue;
            }
            let was_shown = std::mem::replace(shown, answer) != NONE;
            if let Some((first, too)) = before {
                let second = sight.id;
                let pair = Pair {
                    first,
                    second,
                    answer,
                };
                take(pair, was_shown && too);
            }
            before = Some((sight.id, was_shown));
        }
    }
}

/// The same numbers, in spans that do not overlap.
fn merged(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            Some(_) | None => merged.push((start, end)),
        }
    }
    merged
}

/// The shortest circle that was found among these pairs, in the order of their first, whose numbers are `start` to
/// `end`.
fn circle(pairs: &[Pair], start: u32, end: u32) -> Option<Vec<Pair>> {
    let place = |number: u32| (number - start) as usize;
    let behind = |number: u32| {
        let from = pairs.partition_point(|pair| pair.first < number);
        pairs[from..]
            .iter()
            .take_while(move |pair| pair.first == number)
    };
    // Kahn 1962: whoever has nobody before it is taken away, as long as there is somebody.
    let mut before = vec![0_u32; place(end) + 1];
    pairs
        .iter()
        .for_each(|pair| before[place(pair.second)] += 1);
    let mut free: Vec<u32> = (start..=end).filter(|&it| before[place(it)] == 0).collect();
    while let Some(number) = free.pop() {
        for pair in behind(number) {
            let count = &mut before[place(pair.second)];
            *count -= 1;
            if *count == 0 {
                free.push(pair.second);
            }
        }
    }
    // Who is left is on a circle, or behind one.
    let left = (start..=end).filter(|&it| before[place(it)] > 0);
    let circles = left.take(STARTS_MAX).filter_map(|first| {
        // By number: the pair by which it was reached.
        let mut by: Vec<Option<Pair>> = vec![None; before.len()];
        let mut next = VecDeque::from([first]);
        while let Some(number) = next.pop_front() {
            for &pair in behind(number)
                .filter(|pair| by[place(pair.second)].is_none())
                .collect::<Vec<_>>()
            {
                by[place(pair.second)] = Some(pair);
                next.push_back(pair.second);
            }
            if by[place(first)].is_some() {
                break;
            }
        }
        let mut way = vec![by[place(first)]?];
        while way[way.len() - 1].first != first {
            way.push(by[place(way[way.len() - 1].first)]?);
        }
        way.reverse();
        Some(way)
    });
    circles.min_by_key(Vec::len)
}

/// Tells of the first message that it comes before itself.
fn tell(facts: &Facts<'_>, circle: &[Pair], findings: &mut Findings) {
    let log = facts.log;
    // Where one answer goes on with what another one ended with: of a long answer both ends suffice.
    let turns = (0..circle.len()).filter(|&at| {
        let previous = circle[(at + circle.len() - 1) % circle.len()];
        previous.answer != circle[at].answer
    });
    let turns: Vec<Pair> = turns.map(|at| circle[at]).collect();
    let message = |id: u32| facts.owner(id).map(|it| log.messages[it as usize]);
    let all: Option<Vec<_>> = turns.iter().map(|pair| message(pair.first)).collect();
    let Some(all) = all.filter(|all| !all.is_empty()) else {
        return;
    };
    findings.violate(all[0].token, || {
        let names: Vec<&str> = all[1..]
            .iter()
            .map(|it| log.tokens.name(it.token))
            .collect();
        let summary = match names.as_slice() {
            [other] => format!("comes after {other} here, and before it elsewhere"),
            others => format!(
                "comes before {}, and that before it",
                others.join(", that before ")
            ),
        };
        let answers = turns.iter().map(|pair| pair.answer);
        let posts = all.iter().map(|message| message.post);
        (summary, posts.chain(answers).collect())
    });
}
