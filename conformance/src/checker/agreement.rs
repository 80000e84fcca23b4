//! `delivery/order`: all answers agree with one order.
//!
//! The messages of a queue have one order, whoever posted them, and none changes its place. So of two that an answer
//! shows next to each other, the first is before the second for ever, and a circle of such pairs contradicts itself:
//! two answers that order two messages differently, or three that order three of them in turn.
//!
//! Identifiers have numbers, nearly in the order of posts. A pair whose second number is the lower one spans all numbers
//! between the two. A circle goes down as far as it goes up, so it lies within spans that overlap: elsewhere nothing is
//! looked for, and where every post is answered before the next one there are no spans at all.

use std::collections::{BTreeMap, VecDeque};

use super::facts::Facts;
use super::findings::Findings;
use super::log::{Act, Index, NONE};
use super::spans::merged;

/// So many identifiers of a circle are looked at for a shorter one, and so many pairs in all.
const STARTS_MAX: usize = 64;
const VISITED_MAX: usize = 100_000;

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

/// A short circle among these pairs, in the order of their first, whose numbers are `start` to
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
    // Who is left is on a circle, or behind one, and so is somebody right before each.
    let is_left = |number: u32| before[place(number)] > 0;
    let mut ahead: Vec<Option<Pair>> = vec![None; before.len()];
    for &pair in pairs.iter().filter(|pair| is_left(pair.first)) {
        ahead[place(pair.second)] = Some(pair);
    }
    // So whoever goes back for ever comes to where it was.
    let mut number = (start..=end).find(|&it| is_left(it))?;
    let mut was_met = vec![false; before.len()];
    while !std::mem::replace(&mut was_met[place(number)], true) {
        number = ahead[place(number)]?.first;
    }
    let mut found = vec![ahead[place(number)]?];
    while found[found.len() - 1].first != number {
        found.push(ahead[place(found[found.len() - 1].first)]?);
    }
    found.reverse();
    let starts: Vec<u32> = found
        .iter()
        .map(|pair| pair.first)
        .take(STARTS_MAX)
        .collect();
    let mut budget = VISITED_MAX;
    for first in starts {
        // Two is the fewest.
        if found.len() == 2 {
            break;
        }
        if let Some(way) = shortest(behind, first, &mut budget)
            && way.len() < found.len()
        {
            found = way;
        }
    }
    Some(found)
}

/// The shortest way from there back to there, by what is behind each number; `None` if none was found within `budget`.
fn shortest<'p, B: Iterator<Item = &'p Pair>>(
    behind: impl Fn(u32) -> B,
    start: u32,
    budget: &mut usize,
) -> Option<Vec<Pair>> {
    // By number: the pair by which it was reached.
    let mut by: BTreeMap<u32, Pair> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while !by.contains_key(&start) {
        for &pair in behind(next.pop_front()?) {
            *budget = budget.checked_sub(1)?;
            by.entry(pair.second).or_insert_with(|| {
                next.push_back(pair.second);
                pair
            });
        }
    }
    let mut way = vec![by[&start]];
    while way[way.len() - 1].first != start {
        way.push(by[&way[way.len() - 1].first]);
    }
    way.reverse();
    Some(way)
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
