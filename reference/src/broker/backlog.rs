//! A backlog: all messages of a queue, by state and by the moment something happens to them.
//!
//! Knows nothing of claims beyond that a message may be in one; whoever detaches a claimed message
//! tells the claim.

use std::collections::BTreeSet;

use super::lane::Lane;
use super::message::{BacklogId, ClientId, Message, Rank, State};
use super::slab::{Slab, Slot};
use super::timestamp::Timestamp;

/// What happens to a message by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    DelayEnds(Slot),
    MessageExpires(Slot),
}

/// Which messages a listing shows beside the active ones, and whose it leaves out.
pub(crate) struct View<'a> {
    pub(crate) delayed: bool,
    pub(crate) claimed: bool,
    pub(crate) excluded: Option<&'a ClientId>,
}

pub(crate) struct Backlog {
    pub(crate) id: BacklogId,
    delayed: Lane,
    active: Lane,
    claimed: Lane,
    timers: BTreeSet<(Timestamp, Timer)>,
}

impl Backlog {
    pub(crate) fn new(id: BacklogId) -> Self {
        Self {
            id,
            delayed: Lane::default(),
            active: Lane::default(),
            claimed: Lane::default(),
            timers: BTreeSet::new(),
        }
    }

    /// Indexes a message, which already says that it belongs here.
    pub(crate) fn attach(&mut self, slot: Slot, messages: &Slab<Message>) {
        let message = &messages[slot];
        assert_eq!(
            message.backlog, self.id,
            "invariant: a message is where it says it is"
        );
        self.timers
            .insert((message.expires_at, Timer::MessageExpires(slot)));
        if let State::Delayed { until } = message.state {
            self.timers.insert((until, Timer::DelayEnds(slot)));
        }
        self.lane(message.state)
            .insert(message.rank, slot, messages);
    }

    /// Forgets a message, which stays in the slab.
    pub(crate) fn detach(&mut self, slot: Slot, messages: &Slab<Message>) {
        let message = &messages[slot];
        assert_eq!(
            message.backlog, self.id,
            "invariant: a message is where it says it is"
        );
        self.timers
            .remove(&(message.expires_at, Timer::MessageExpires(slot)));
        if let State::Delayed { until } = message.state {
            self.timers.remove(&(until, Timer::DelayEnds(slot)));
        }
        self.lane(message.state).remove(message.rank, messages);
    }

    /// Moves a message to another state. It keeps its rank.
    pub(crate) fn turn(&mut self, slot: Slot, state: State, messages: &mut Slab<Message>) {
        let message = &messages[slot];
        if let State::Delayed { until } = message.state {
            self.timers.remove(&(until, Timer::DelayEnds(slot)));
        }
        let rank = message.rank;
        self.lane(message.state).remove(rank, messages);
        messages[slot].state = state;
        self.lane(state).insert(rank, slot, messages);
    }

    /// Gives a message another end.
    pub(crate) fn extend(
        &mut self,
        slot: Slot,
        expires_at: Timestamp,
        ttl_secs: u32,
        messages: &mut Slab<Message>,
    ) {
        let message = &mut messages[slot];
        self.timers
            .remove(&(message.expires_at, Timer::MessageExpires(slot)));
        message.expires_at = expires_at;
        message.ttl_secs = ttl_secs;
        self.timers
            .insert((expires_at, Timer::MessageExpires(slot)));
    }

    /// Takes one message out without regard to the others: for backlogs that are discarded. The
    /// message is to be removed from the slab. `None`: nothing is left.
    pub(crate) fn discard_first(&mut self) -> Option<Slot> {
        // At most two timers per message, so none is left once the messages are gone.
        self.timers.pop_first();
        self.timers.pop_first();
        self.active
            .discard_first()
            .or_else(|| self.claimed.discard_first())
            .or_else(|| self.delayed.discard_first())
    }

    pub(crate) fn next_timer(&self) -> Option<(Timestamp, Timer)> {
        self.timers.first().copied()
    }

    /// The oldest active messages, at most `count`.
    pub(crate) fn first_active(&self, count: usize) -> Vec<Slot> {
        self.active.first(count)
    }

    /// The oldest messages after a position that the view shows, at most `count`.
    pub(crate) fn page(
        &self,
        mut position: Option<Rank>,
        count: usize,
        view: &View<'_>,
        messages: &Slab<Message>,
    ) -> Vec<Slot> {
        let mut lanes = vec![&self.active];
        lanes.extend(view.delayed.then_some(&self.delayed));
        lanes.extend(view.claimed.then_some(&self.claimed));
        let mut page = Vec::new();
        while page.len() < count {
            let candidates = lanes
                .iter()
                .filter_map(|lane| lane.next(position, view.excluded, messages));
            let Some((rank, slot)) = candidates.min() else {
                break;
            };
            page.push(slot);
            position = Some(rank);
        }
        page
    }

    pub(crate) fn oldest(&self) -> Option<Slot> {
        self.lanes()
            .into_iter()
            .filter_map(Lane::oldest)
            .min()
            .map(|(_, slot)| slot)
    }

    pub(crate) fn newest(&self) -> Option<Slot> {
        self.lanes()
            .into_iter()
            .filter_map(Lane::newest)
            .max()
            .map(|(_, slot)| slot)
    }

    /// Messages that are active or delayed.
    pub(crate) fn free_count(&self) -> usize {
        self.active.len() + self.delayed.len()
    }

    pub(crate) fn delayed_count(&self) -> usize {
        self.delayed.len()
    }

    pub(crate) fn claimed_count(&self) -> usize {
        self.claimed.len()
    }

    /// Compares the indexes with a full scan.
    pub(crate) fn check(&self, messages: &Slab<Message>) {
        let mut timers = BTreeSet::new();
        for (lane, name) in self
            .lanes()
            .into_iter()
            .zip(["delayed", "active", "claimed"])
        {
            lane.check(messages);
            for (rank, slot) in lane.iter() {
                let message = &messages[slot];
                assert_eq!((message.rank, message.backlog), (rank, self.id));
                timers.insert((message.expires_at, Timer::MessageExpires(slot)));
                let state = match message.state {
                    State::Delayed { until } => {
                        timers.insert((until, Timer::DelayEnds(slot)));
                        "delayed"
                    }
                    State::Active => "active",
                    State::Claimed { .. } => "claimed",
                };
                assert_eq!(state, name, "a message lies in the lane of its state");
            }
        }
        assert_eq!(
            timers, self.timers,
            "every message has its timers, and there are no others"
        );
    }

    fn lane(&mut self, state: State) -> &mut Lane {
        match state {
            State::Delayed { .. } => &mut self.delayed,
            State::Active => &mut self.active,
            State::Claimed { .. } => &mut self.claimed,
        }
    }

    fn lanes(&self) -> [&Lane; 3] {
        [&self.delayed, &self.active, &self.claimed]
    }
}
