//! `claims/dead-letter`: a message is handed out as often as its queue allows, and then moved.
//!
//! Judged only where the queue's settings are certain: told and answered before the post, and not changed since.

use super::facts::Facts;
use super::findings::Findings;
use super::known::Known;
use super::log::{Index, Place};
use super::nowhere::{Looks, nowhere};
use crate::environment::Instant;

pub(super) fn dead_letter(known: &Known<'_>, looks: &Looks, findings: &mut Findings) {
    let facts = known.facts;
    let seen = known.sightings.last();
    let seen_by = seen.map_or(known.post.invoked_at, |&last| facts.op(last).completed_at);
    let dead_letters = |until: Instant| {
        let settings = known.settled_until(until)?;
        facts.dead_letters(known.message.home, settings)
    };
    let Some(to) = dead_letters(seen_by) else {
        return;
    };
    // What is moved to where it is may be handed out again.
    if to.target == known.message.home {
        return;
    }
    handed_out_too_often(known, to.max_claim_count, findings);
    moved(known, (to.target, to.max_claim_count), findings);
    if dead_letters(Instant::NEVER).is_some() {
        nowhere(known, to.target, looks, findings);
    }
}

/// Deliveries of the message at home that count, in the order of their completions.
fn counted(known: &Known<'_>) -> Vec<Index> {
    let facts = known.facts;
    let pops_count = facts.log.header.profile.pops_count;
    let deliveries = known.deliveries.iter().copied().filter(|&take| {
        let op = facts.op(take);
        (pops_count || !op.is_pop()) && op.place == known.message.home
    });
    deliveries.collect()
}

fn handed_out_too_often(known: &Known<'_>, most: u64, findings: &mut Findings) {
    let deliveries = counted(known);
    findings.exercised += u64::from(!deliveries.is_empty());
    let allowed = usize::try_from(most).unwrap_or(usize::MAX);
    if deliveries.len() > allowed {
        findings.violate(known.message.token, || {
            let summary = format!(
                "handed out {} times, although its queue moves it after {most}",
                deliveries.len()
            );
            let proof = std::iter::once(known.message.post).chain(deliveries);
            (summary, proof.collect())
        });
    }
}

/// Seen in the dead-letter queue too early, or at home after that.
fn moved(known: &Known<'_>, (target, most): (Place, u64), findings: &mut Findings) {
    let facts = known.facts;
    let Some(there) = known.first_seen_at(target) else {
        return;
    };
    findings.exercised += 1;
    let seen_at = facts.op(there).completed_at;
    let delivered = known.possible_deliveries(seen_at);
    let attempts = attempts(known, seen_at);
    let allowed = usize::try_from(most).unwrap_or(usize::MAX);
    if delivered < allowed || attempts <= allowed {
        findings.violate(known.message.token, || {
            let summary = format!(
                "moved to the dead-letter queue after {delivered} deliveries and {attempts} \
                 attempts at most, although its queue allows {most} deliveries"
            );
            let proof = [known.message.post, there].into_iter();
            (summary, proof.chain(counted(known)).collect())
        });
    }
    if known.may_come_back() {
        return;
    }
    let back = known.sightings.iter().copied().find(|&index| {
        let op = facts.op(index);
        op.place == known.message.home && op.invoked_at > seen_at
    });
    if let Some(back) = back {
        findings.violate(known.message.token, || {
            let summary =
                format!("in its queue, although it was in the dead-letter queue by {seen_at}");
            (summary, vec![known.message.post, there, back])
        });
    }
}

/// Claims at home, and pops if they count, that may have acted on the message until then.
fn attempts(known: &Known<'_>, until: Instant) -> usize {
    let attempts = &known.queue.attempts;
    let posted_at = known.post.invoked_at;
    let began = attempts.began.partition_point(|&at| at <= until);
    // What had ended by the time of the post had begun by then as well.
    let ended = attempts.ended.partition_point(|&at| at < posted_at);
    began - ended
}

/// Claims of one queue, and pops if they count, with an answer or without.
#[derive(Default)]
pub(super) struct Attempts {
    /// When they began, in order.
    began: Vec<Instant>,
    /// When they can have acted last, in order.
    ended: Vec<Instant>,
}

impl Attempts {
    /// Whether any of them may act at `at` or later, having begun by then.
    pub(super) fn are_under_way(&self, at: Instant) -> bool {
        let began = self.began.partition_point(|&began| began <= at);
        began > self.ended.partition_point(|&ended| ended < at)
    }

    /// Of all `takes`, if anybody will ask.
    pub(super) fn of(facts: &Facts<'_>, takes: impl Iterator<Item = Index>) -> Self {
        let pops_count = facts.log.header.profile.pops_count;
        let takes = takes.map(|take| facts.op(take));
        let takes = takes.filter(|op| pops_count || !op.is_pop());
        let (mut began, mut ended): (Vec<_>, Vec<_>) = takes
            .map(|op| (op.invoked_at, facts.acts_until(op)))
            .unzip();
        began.sort_unstable();
        ended.sort_unstable();
        Self { began, ended }
    }
}
