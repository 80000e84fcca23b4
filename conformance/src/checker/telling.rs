//! Answers that tell by what they leave out: claims and pops that handed out fewer messages than they
//! could have, and those that handed out younger ones.

use super::facts::{Facts, Queue};
use super::known::Known;
use super::log::{Act, Index, Op};
use crate::environment::Instant;
use crate::history::{Phase, ShortAnswers};

/// A claim or pop whose answer tells what it leaves out.
pub(super) struct Telling {
    pub(super) index: Index,
    /// Whether it had room for more: then nothing more was there. If not, then nothing older was.
    pub(super) is_short: bool,
}

/// Those of every queue, by place, in the order of their invocations.
pub(super) fn of_queues(facts: &Facts<'_>) -> Vec<Vec<Telling>> {
    let queues = facts.queues.iter();
    queues.map(|queue| takes(facts, queue)).collect()
}

fn takes(facts: &Facts<'_>, queue: &Queue) -> Vec<Telling> {
    let profile = facts.log.header.profile.short_answers;
    let drained_from = drained_from(facts);
    let moves = moves(facts, queue);
    let mut takes = Vec::new();
    let mut busy_until = None;
    for (place, &index) in queue.operations.iter().enumerate() {
        let op = facts.op(index);
        // What ends in the instant in which another begins has acted before it.
        let alone_before = busy_until.is_none_or(|busy_until| busy_until <= op.invoked_at);
        let next = queue.operations.get(place + 1);
        let next = next.map(|&next| facts.op(next).invoked_at);
        let alone_after = next.is_none_or(|next| op.completed_at <= next);
        let is_alone = alone_before && alone_after;
        let tells = match profile {
            ShortAnswers::Strict => true,
            ShortAnswers::Quiescent => is_alone,
            ShortAnswers::Drain => is_alone && op.invoked_at >= drained_from,
        };
        // What it moved to a dead-letter queue takes up room in its answer, and is not replaced.
        let moved = moves.partition_point(|&at| at <= op.completed_at);
        if tells && op.is_take() && op.is_ok() {
            let is_short = is_short(op, moved);
            takes.push(Telling { index, is_short });
        }
        busy_until = busy_until.max(Some(facts.acts_until(op)));
    }
    takes
}

/// From when on each of the queue's messages may have been moved to a dead-letter queue, in order.
fn moves(facts: &Facts<'_>, queue: &Queue) -> Vec<Instant> {
    if queue.dead_letters.is_empty() {
        return Vec::new();
    }
    let messages = queue.messages.iter();
    let mut moves: Vec<Instant> = messages
        .map(|&number| Known::of(facts, number).moved_from)
        .collect();
    moves.sort_unstable();
    moves
}

fn is_short(op: &Op, moved: usize) -> bool {
    let (Act::Claim { limit, .. } | Act::Pop { limit }) = op.act else {
        return false;
    };
    let accounted = (op.seen.count as usize).saturating_add(moved);
    accounted < limit as usize
}

/// When the closing drain begins; never if there is none.
fn drained_from(facts: &Facts<'_>) -> Instant {
    let mut phases = facts.log.phases.iter();
    let drain = phases.find(|(_, phase)| *phase == Phase::Drain);
    drain.map_or(Instant::NEVER, |&(at, _)| at)
}

/// Whether there is a closing drain.
pub(super) fn has_drain(facts: &Facts<'_>) -> bool {
    drained_from(facts) < Instant::NEVER
}

/// The queue's claims and pops without an answer that may keep messages away between `from` and
/// `until`. Together they explain at most the sum of their limits.
pub(super) fn unanswered_takes(
    facts: &Facts<'_>,
    queue: &Queue,
    (from, until): (Instant, Instant),
) -> Vec<Index> {
    let takes = &queue.unanswered.takes;
    let began = takes.partition_point(|&index| facts.op(index).invoked_at <= until);
    let may_matter = |&index: &Index| {
        // What a pop took stays away; what a claim took comes back when its lease has ended.
        facts.op(index).is_pop() || from <= facts.possible_lease(index).until
    };
    takes[..began].iter().copied().filter(may_matter).collect()
}

/// Whether a take is a pop.
pub(super) fn is_popped_by(facts: &Facts<'_>) -> impl Fn(&Index) -> bool {
    |&index| facts.op(index).is_pop()
}
