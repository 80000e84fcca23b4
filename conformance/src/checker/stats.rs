//! `delivery/stats`: counts lie between what was certain and what was possible.
//!
//! A soft rule: Zaqar lets counts lag. Only the strict profile lets it decide.

use std::time::Duration;

use super::Findings;
use super::facts::{Facts, Index, Place, Queue};
use crate::environment::Instant;
use crate::history::Answer;

/// How long after its end a message may still be counted.
const EXPIRY_LAG: Duration = Duration::from_secs(60);

/// When the messages of a queue may, and certainly do, count; each list in order.
struct Bounds {
    /// Posts that may have happened, from their invocation on.
    possible_from: Vec<Instant>,
    /// From when on a message is certainly gone.
    gone_from: Vec<Instant>,
    /// From when on a message is certainly there.
    certain_from: Vec<Instant>,
    /// From when on a message that certainly was there may be gone.
    certain_until: Vec<Instant>,
}

impl Bounds {
    fn of(facts: &Facts<'_>, queue: &Queue<'_>) -> Self {
        let mut bounds = Self {
            possible_from: Vec::new(),
            gone_from: Vec::new(),
            certain_from: Vec::new(),
            certain_until: Vec::new(),
        };
        for message in queue.messages.iter().map(|&number| &facts.messages[number]) {
            let post = facts.record(message.post);
            if !post.is_possible() {
                continue;
            }
            let removed = facts.certain_removal(message).map(|(_, at)| at);
            let holders = facts.holders(message).into_iter();
            let kept = holders.map(|holder| facts.kept_alive_until(holder));
            let dies = kept.fold(facts.dies_as_posted(message), Instant::max);
            let gone = dies.plus(EXPIRY_LAG);
            let gone = removed.map_or(gone, |removed| removed.min(gone));
            bounds.possible_from.push(post.invoked_at);
            bounds.gone_from.push(gone.max(post.invoked_at));
            let Some(stored) = facts.stored_from(message) else {
                continue;
            };
            let until = facts.lives_until(message);
            let until = until.min(facts.may_be_gone_from(message, Index::MAX));
            if stored < until {
                bounds.certain_from.push(stored);
                bounds.certain_until.push(until);
            }
        }
        let Self {
            possible_from,
            gone_from,
            certain_from,
            certain_until,
        } = &mut bounds;
        for list in [possible_from, gone_from, certain_from, certain_until] {
            list.sort_unstable();
        }
        bounds
    }

    /// The fewest and the most messages that there can be for an operation from `from` to `until`.
    fn range(&self, from: Instant, until: Instant) -> (usize, usize) {
        let posted = self.possible_from.partition_point(|&at| at <= until);
        let gone = self.gone_from.partition_point(|&at| at < from);
        // What was stored in the very instant may have come after.
        let stored = self.certain_from.partition_point(|&at| at < from);
        // Of those that are too new to count, some may be among the gone: that only lowers the bound.
        let left = self.certain_until.partition_point(|&at| at <= until);
        (stored.saturating_sub(left), posted - gone)
    }
}

pub(super) fn stats(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut bounds: Option<(Place<'_>, Bounds)> = None;
    let is_target = |place| {
        let mut queues = facts.queues.values();
        queues.any(|queue| queue.dead_letters.iter().any(|to| to.target == place))
    };
    let mut outside = 0_u64;
    for (&place, queue) in &facts.queues {
        if queue.stats.is_empty() || !queue.dead_letters.is_empty() || is_target(place) {
            continue;
        }
        for &index in &queue.stats {
            let record = facts.record(index);
            let Some(&Answer::Stats {
                free,
                claimed,
                total,
            }) = record.answer()
            else {
                continue;
            };
            let of_queue = bounds.take().filter(|(of, _)| *of == place);
            let (_, here) =
                bounds.insert(of_queue.unwrap_or_else(|| (place, Bounds::of(facts, queue))));
            let (least, most) = here.range(record.invoked_at, record.completed_at);
            findings.exercised += 1;
            let is_possible = usize::try_from(total).is_ok_and(|it| (least..=most).contains(&it));
            let adds_up = free.checked_add(claimed) == Some(total);
            if is_possible && adds_up {
                continue;
            }
            outside += 1;
            if facts.history.header.profile.strict_stats {
                let summary = format!(
                    "{free} free and {claimed} claimed make {total}, although there were {least} to {most}"
                );
                findings.violate(|| facts.violation("", summary, [index]));
            }
        }
    }
    if outside > 0 && !facts.history.header.profile.strict_stats {
        findings.missing = Some(format!(
            "{outside} counts were outside their range, which decides in the strict profile alone"
        ));
    }
    findings
}
