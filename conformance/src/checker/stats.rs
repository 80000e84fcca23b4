//! `delivery/stats`: counts lie between what was certain and what was possible.
//!
//! A soft rule: Zaqar lets counts lag. Only the strict profile lets it decide.

use std::collections::BTreeSet;
use std::time::Duration;

use super::facts::{Facts, Queue};
use super::findings::Findings;
use super::known::Known;
use super::log::{Act, NONE, Place};
use super::marks::Marks;
use crate::environment::Instant;

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
    fn of(facts: &Facts<'_>, marks: &Marks, queue: &Queue) -> Self {
        let mut bounds = Self {
            possible_from: Vec::new(),
            gone_from: Vec::new(),
            certain_from: Vec::new(),
            certain_until: Vec::new(),
        };
        for &message in &queue.messages {
            let known = Known::of(facts, message);
            if !known.post.is_possible() {
                continue;
            }
            let gone = known.kept_until().plus(EXPIRY_LAG);
            let gone = known.removal.map_or(gone, |(_, removed)| removed.min(gone));
            let posted_at = known.post.invoked_at;
            bounds.possible_from.push(posted_at);
            bounds.gone_from.push(gone.max(posted_at));
            let mark = &marks[message];
            if mark.stored_from < mark.stays_until {
                bounds.certain_from.push(mark.stored_from);
                bounds.certain_until.push(mark.stays_until);
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

/// Queues that others' messages may be moved to.
pub(super) fn targets(facts: &Facts<'_>) -> BTreeSet<Place> {
    let dead_letters = facts.queues.iter().flat_map(|queue| &queue.dead_letters);
    dead_letters.map(|to| to.target).collect()
}

/// The counts of one queue, which no message is moved to or from. Returns how many were outside their
/// range.
pub(super) fn stats(
    facts: &Facts<'_>,
    marks: &Marks,
    queue: &Queue,
    findings: &mut Findings,
) -> u64 {
    let mut outside = 0;
    if queue.stats.is_empty() || !queue.dead_letters.is_empty() {
        return outside;
    }
    let bounds = Bounds::of(facts, marks, queue);
    for &index in &queue.stats {
        let op = facts.op(index);
        let Act::Stats { counts } = op.act else {
            continue;
        };
        if counts == NONE {
            continue;
        }
        let counts = facts.log.counts[counts as usize];
        let (free, claimed, total) = (counts.free, counts.claimed, counts.total);
        let (least, most) = bounds.range(op.invoked_at, op.completed_at);
        findings.exercised += 1;
        let is_possible = usize::try_from(total).is_ok_and(|it| (least..=most).contains(&it));
        let adds_up = free.checked_add(claimed) == Some(total);
        if is_possible && adds_up {
            continue;
        }
        outside += 1;
        if facts.log.header.profile.strict_stats {
            findings.violate(NONE, || {
                let summary = format!(
                    "{free} free and {claimed} claimed make {total}, although there were {least} to {most}"
                );
                (summary, vec![index])
            });
        }
    }
    outside
}

/// Says that counts were `outside` their range, where that does not decide.
pub(super) fn conclude(facts: &Facts<'_>, outside: u64, findings: &mut Findings) {
    if outside > 0 && !facts.log.header.profile.strict_stats {
        findings.missing = Some(format!(
            "{outside} counts were outside their range, which decides in the strict profile alone"
        ));
    }
}
