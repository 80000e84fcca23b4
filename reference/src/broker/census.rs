//! The census: how many things of each kind and state there are, at any time, at no cost.
//!
//! A queue knows its own counts. What is kept here is their sum: whenever an input is done with a
//! queue, what was counted of it before is taken out and what it holds now is put in.

use serde::{Deserialize, Serialize};

use super::Broker;
use super::queue::Queue;
use super::slab::Slot;

/// How much a broker holds. Endings that are due but were not carried out are not counted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Queues.
    pub queues: usize,
    /// Messages that can be claimed.
    pub active: usize,
    /// Messages whose delay is not over.
    pub delayed: usize,
    /// Messages that a claim holds.
    pub claimed: usize,
    /// Claims that live, be they empty.
    pub claims: usize,
    /// Subscriptions, and those that a purge has left to be given back.
    pub subscriptions: usize,
}

/// What is counted of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueCensus {
    active: usize,
    delayed: usize,
    claimed: usize,
    claims: usize,
}

impl QueueCensus {
    fn of(queue: &Queue) -> Self {
        let [delayed, active, claimed] = queue.backlog.lane_lens();
        Self {
            active,
            delayed,
            claimed,
            claims: queue.claim_ends.len(),
        }
    }

    const fn add(&mut self, other: &Self) {
        self.active += other.active;
        self.delayed += other.delayed;
        self.claimed += other.claimed;
        self.claims += other.claims;
    }

    const fn take_out(&mut self, other: &Self) {
        self.active -= other.active;
        self.delayed -= other.delayed;
        self.claimed -= other.claimed;
        self.claims -= other.claims;
    }
}

impl Broker {
    /// How much there is of everything.
    #[must_use]
    pub const fn census(&self) -> Census {
        let QueueCensus {
            active,
            delayed,
            claimed,
            claims,
        } = self.queues_census;
        Census {
            queues: self.queues.len(),
            active,
            delayed,
            claimed,
            claims,
            subscriptions: self.subscriptions.len(),
        }
    }

    /// Counts a queue again, after it may have changed.
    pub(super) fn recount(&mut self, slot: Slot) {
        let queue = &mut self.queues[slot];
        let counted = QueueCensus::of(queue);
        let before = std::mem::replace(&mut queue.census, counted);
        self.queues_census.take_out(&before);
        self.queues_census.add(&counted);
    }

    /// Counts a queue no more.
    pub(super) const fn strike_out(&mut self, queue: &Queue) {
        self.queues_census.take_out(&queue.census);
    }

    /// Compares the sums with a full scan.
    pub(super) fn check_census(&self) {
        let mut sum = QueueCensus::default();
        for slot in self.projects.values().flat_map(|names| names.values()) {
            let queue = &self.queues[*slot];
            assert_eq!(queue.census, QueueCensus::of(queue), "a queue is counted");
            sum.add(&queue.census);
        }
        assert_eq!(sum, self.queues_census, "the census is the sum");
    }
}
