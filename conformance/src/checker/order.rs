//! `delivery/order`: answers show what is older before what is younger.
//!
//! Older is what was posted earlier in the same batch, or by a post that ended before the other began:
//! one of the same producer, or in the strict profile of any. Nothing is said about separate claims or
//! pops, nor about what was moved to a dead-letter queue.

use std::collections::BTreeMap;

use super::Findings;
use super::facts::{Facts, Index, Message};
use super::pages::walks;
use crate::environment::Instant;
use crate::history::{Answer, OrderProfile};

pub(super) fn order(facts: &Facts<'_>) -> Findings {
    let mut findings = Findings::default();
    for pages in walks(facts).values() {
        let mut scan = Scan::default();
        for &page in pages {
            scan.follow(facts, page, &mut findings);
        }
    }
    let takes = facts.queues.values().flat_map(|queue| &queue.takes);
    for &take in takes {
        Scan::default().follow(facts, take, &mut findings);
    }
    findings
}

/// What was passed so far, in one answer or along one walk.
#[derive(Default)]
struct Scan<'f, 'h> {
    /// By producer: the message passed whose post began last, and the answer that showed it.
    youngest: BTreeMap<Option<u64>, (Instant, &'f Message<'h>, Index)>,
    /// By post: the last place in the batch that was passed.
    batches: BTreeMap<Index, (usize, &'f Message<'h>, Index)>,
}

impl<'f, 'h> Scan<'f, 'h> {
    fn follow(&mut self, facts: &'f Facts<'h>, index: Index, findings: &mut Findings) {
        let place = facts.place(index);
        let seen = facts.record(index).answer().map_or(&[][..], Answer::seen);
        for seen in seen {
            let Some(message) = facts.message(&seen.token) else {
                continue;
            };
            // What was moved here has the rank of its move.
            if message.home != place {
                continue;
            }
            if let Some((younger, shown)) = self.pass(facts, message, index, findings) {
                let summary = format!("comes after {}, which is younger", younger.token);
                let proof = [message.post, younger.post, shown, index];
                findings.violate(|| facts.violation(message.token, summary, proof));
            }
        }
    }

    /// What is younger than `message`, and was passed before it.
    fn pass(
        &mut self,
        facts: &'f Facts<'h>,
        message: &'f Message<'h>,
        index: Index,
        findings: &mut Findings,
    ) -> Option<(&'f Message<'h>, Index)> {
        let post = facts.record(message.post);
        let producer = match facts.history.header.profile.order {
            OrderProfile::Producer => Some(post.process),
            OrderProfile::Strict => None,
        };
        let batch = self.batches.get(&message.post).copied();
        let youngest = self.youngest.get(&producer).copied();
        findings.exercised += u64::from(batch.is_some() || youngest.is_some());
        let in_batch = batch.filter(|&(place, ..)| place > message.place);
        let in_time = youngest.filter(|&(began_at, ..)| facts.acts_until(post) < began_at);
        if batch.is_none_or(|(place, ..)| place < message.place) {
            let passed = (message.place, message, index);
            self.batches.insert(message.post, passed);
        }
        if youngest.is_none_or(|(began_at, ..)| began_at < post.invoked_at) {
            let passed = (post.invoked_at, message, index);
            self.youngest.insert(producer, passed);
        }
        let younger = in_batch.map(|(_, message, index)| (message, index));
        younger.or(in_time.map(|(_, message, index)| (message, index)))
    }
}
