//! `delivery/order`: answers show what is older before what is younger.
//!
//! Older is what was posted earlier in the same batch, or by a post that ended before the other began:
//! one of the same producer, or in the strict profile of any. Nothing is said about separate claims or
//! pops, nor about what was moved to a dead-letter queue.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::findings::Findings;
use super::log::{Index, NONE, Sight};
use crate::environment::Instant;
use crate::history::OrderProfile;

/// Along one walk.
pub(super) fn of_walk(facts: &Facts<'_>, pages: &[Index], findings: &mut Findings) {
    let mut scan = Scan::default();
    for &page in pages {
        scan.follow(facts, page, findings);
    }
}

/// Within the answer of one claim or pop.
pub(super) fn of_take(facts: &Facts<'_>, take: Index, findings: &mut Findings) {
    let op = facts.op(take);
    if op.is_take() && op.is_ok() && op.seen.count > 1 {
        Scan::default().follow(facts, take, findings);
    }
}

/// A message that was passed.
#[derive(Clone, Copy)]
struct Passed {
    message: u32,
    /// The answer that showed it.
    shown: Index,
}

/// What was passed so far, in one answer or along one walk.
#[derive(Default)]
struct Scan {
    /// By producer: the message passed whose post began last, and when.
    youngest: BTreeMap<u32, (Instant, Passed)>,
    /// By post: the last place in the batch that was passed.
    batches: BTreeMap<Index, (u32, Passed)>,
}

impl Scan {
    fn follow(&mut self, facts: &Facts<'_>, index: Index, findings: &mut Findings) {
        let op = facts.op(index);
        for sight in facts.seen(op) {
            let Some(number) = facts.log.message_of(sight.token) else {
                continue;
            };
            let message = &facts.log.messages[number as usize];
            if !facts.is_in_order(message, op.place) {
                continue;
            }
            if is_copy(facts, sight, number) {
                continue;
            }
            if let Some(passed) = self.pass(facts, number, index, findings) {
                findings.violate(message.token, || {
                    let younger = &facts.log.messages[passed.message as usize];
                    let name = facts.log.tokens.name(younger.token);
                    let summary = format!("comes after {name}, which is younger");
                    let proof = [message.post, younger.post, passed.shown, index].into_iter();
                    (summary, proof.chain(facts.told_by_sight(number)).collect())
                });
            }
        }
    }

    /// What is younger than the message, and was passed before it.
    fn pass(
        &mut self,
        facts: &Facts<'_>,
        number: u32,
        shown: Index,
        findings: &mut Findings,
    ) -> Option<Passed> {
        let message = &facts.log.messages[number as usize];
        let post = facts.op(message.post);
        let producer = producer(facts, number);
        let batch = self.batches.get(&message.post).copied();
        let youngest = self.youngest.get(&producer).copied();
        findings.exercised += u64::from(batch.is_some() || youngest.is_some());
        let in_batch = batch.filter(|&(place, _)| place > message.place);
        let in_time = youngest.filter(|&(began_at, _)| facts.posted_by(number) < began_at);
        let passed = Passed {
            message: number,
            shown,
        };
        if batch.is_none_or(|(place, _)| place < message.place) {
            self.batches.insert(message.post, (message.place, passed));
        }
        if youngest.is_none_or(|(began_at, _)| began_at < post.invoked_at) {
            self.youngest.insert(producer, (post.invoked_at, passed));
        }
        let younger = in_batch.map(|(_, passed)| passed);
        younger.or(in_time.map(|(_, passed)| passed))
    }
}

/// Whether a fault may have repeated the post of the message, and this is not the one that its answer tells of: it may
/// have been posted again behind what is younger.
fn is_copy(facts: &Facts<'_>, sight: &Sight, message: u32) -> bool {
    let message = &facts.log.messages[message as usize];
    let post = facts.op(message.post);
    let told = facts.log.seen(post).get(message.place as usize);
    facts.may_be_repeated(post) && told.is_none_or(|told| told.id != sight.id)
}

/// Whose messages have an order among themselves: a process's, or in the strict profile everybody's.
pub(super) fn producer(facts: &Facts<'_>, message: u32) -> u32 {
    match facts.log.header.profile.order {
        OrderProfile::Producer => {
            let post = facts.log.messages[message as usize].post;
            facts.op(post).process
        }
        OrderProfile::Strict => NONE,
    }
}
