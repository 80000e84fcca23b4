//! A backlog: all messages of a queue, by state.
//!
//! What ended by itself (a message, a delay, a claim) may still lie where it lay before: every
//! question says what time it is, and gets the answer of that time. [`Backlog::take_expired`] and
//! [`Backlog::take_ready`] then take such messages out, some at a time.
//!
//! Knows nothing of claims beyond that a message may be in one; whoever detaches a claimed message
//! tells the claim.

use serde::{Deserialize, Serialize};

use super::clients::ClientKey;
use super::lane::{Entry, Held, Lane, Over, Ready, Wanted, Work};
use super::message::{BacklogId, Message, Rank, State};
use super::slab::{Slab, Slot};
use super::timestamp::Timestamp;

/// Which messages a listing shows beside the active ones, and whose it leaves out.
pub(crate) struct View {
    pub(crate) delayed: bool,
    pub(crate) claimed: bool,
    pub(crate) excluded: Option<ClientKey>,
}

/// When a question is asked, and who counts what it costs.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) now: Timestamp,
    pub(crate) work: &'a Work,
}

impl<'a> Look<'a> {
    /// For messages that have not expired.
    const fn alive(self) -> Wanted<'a> {
        Wanted {
            now: self.now,
            ready: false,
            excluded: None,
            work: self.work,
        }
    }

    /// For messages that are active.
    const fn active(self) -> Wanted<'a> {
        Wanted {
            now: self.now,
            ready: true,
            excluded: None,
            work: self.work,
        }
    }

    const fn over(self) -> Over<'a> {
        Over {
            now: self.now,
            work: self.work,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Backlog {
    pub(crate) id: BacklogId,
    delayed: Lane,
    active: Lane,
    claimed: Lane,
}

impl Backlog {
    pub(crate) const fn new(id: BacklogId) -> Self {
        Self {
            id,
            delayed: Lane::new(),
            active: Lane::new(),
            claimed: Lane::new(),
        }
    }

    /// Indexes a message, which already says that it belongs here.
    pub(crate) fn attach(&mut self, slot: Slot, messages: &Slab<Message>) {
        let message = &messages[slot];
        assert_eq!(
            message.backlog, self.id,
            "invariant: a message is where it says it is"
        );
        self.lane(message.state).insert(Entry::of(slot, message));
    }

    /// Forgets a message, which stays in the slab.
    pub(crate) fn detach(&mut self, slot: Slot, messages: &Slab<Message>) {
        let message = &messages[slot];
        assert_eq!(
            message.backlog, self.id,
            "invariant: a message is where it says it is"
        );
        self.lane(message.state).remove(message.rank);
    }

    /// Moves a message to another state. It keeps its rank.
    pub(crate) fn turn(&mut self, slot: Slot, state: State, messages: &mut Slab<Message>) {
        self.detach(slot, messages);
        messages[slot].state = state;
        self.attach(slot, messages);
    }

    /// Takes over when a message expires and when it is ready, after either has changed.
    pub(crate) fn refresh(&mut self, slot: Slot, messages: &Slab<Message>) {
        let message = &messages[slot];
        self.lane(message.state).replace(Entry::of(slot, message));
    }

    /// Takes one message out: for backlogs that are discarded. The message is to be removed from
    /// the slab. `None`: nothing is left.
    pub(crate) fn discard_first(&mut self) -> Option<Slot> {
        // Every entry is ready at the end of time.
        let any = Ready {
            now: Timestamp::from_nanos(u64::MAX),
            work: &Work::default(),
        };
        let mut lanes = [&mut self.active, &mut self.claimed, &mut self.delayed].into_iter();
        lanes.find_map(|lane| Some(lane.take(&any, 1).first()?.slot))
    }

    /// When the next thing happens to a message by itself, but for the ends of claims. No message
    /// expires before the claim that holds it.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let (active, delayed) = (&self.active, &self.delayed);
        let ends = [
            active.next_expiry(),
            delayed.next_expiry(),
            delayed.next_ready(),
        ];
        ends.into_iter().flatten().min()
    }

    /// Takes out messages that have expired, at most `count`. They stay in the slab.
    pub(crate) fn take_expired(&mut self, look: Look<'_>, count: usize) -> Vec<Slot> {
        let mut taken = self.active.take(&look.over(), count);
        taken.extend(self.delayed.take(&look.over(), count - taken.len()));
        taken.into_iter().map(|entry| entry.slot).collect()
    }

    /// Takes out messages whose delay is over, at most `count`. They are to be attached again.
    pub(crate) fn take_ready(&mut self, look: Look<'_>, count: usize) -> Vec<Slot> {
        let ready = Ready {
            now: look.now,
            work: look.work,
        };
        let taken = self.delayed.take(&ready, count);
        taken.into_iter().map(|entry| entry.slot).collect()
    }

    /// The oldest messages that are active by now and still lie elsewhere, if they are among the
    /// `count` oldest of all active ones.
    pub(crate) fn first_unsettled(&self, look: Look<'_>, count: usize) -> Vec<Slot> {
        let due = |lane: &Lane| lane.next_ready().is_some_and(|at| at <= look.now);
        if !due(&self.delayed) && !due(&self.claimed) {
            return Vec::new();
        }
        let view = View {
            delayed: false,
            claimed: false,
            excluded: None,
        };
        let entries = self.page(look, None, count, &view);
        let unsettled = entries
            .into_iter()
            .filter(|entry| entry.ready_at > Timestamp::default());
        unsettled.map(|entry| entry.slot).collect()
    }

    /// Takes out the oldest active messages, at most `count`. They stay in the slab.
    ///
    /// Invariant: none of them is one of [`Self::first_unsettled`].
    pub(crate) fn take_active(&mut self, look: Look<'_>, count: usize) -> Vec<Slot> {
        let taken = self.active.take(&look.active(), count);
        taken.into_iter().map(|entry| entry.slot).collect()
    }

    /// The oldest messages after a position that the view shows, at most `count`.
    pub(crate) fn page(
        &self,
        look: Look<'_>,
        position: Option<Rank>,
        count: usize,
        view: &View,
    ) -> Vec<Entry> {
        let lanes = [
            (&self.active, true),
            (&self.delayed, view.delayed),
            (&self.claimed, view.claimed),
        ];
        let mut page = Vec::new();
        for (lane, is_shown) in lanes {
            let wanted = Wanted {
                now: look.now,
                ready: !is_shown,
                excluded: view.excluded,
                work: look.work,
            };
            lane.find(position, &wanted, count, &mut page);
        }
        page.sort_unstable_by_key(|entry| entry.rank);
        page.truncate(count);
        page
    }

    /// The first message by rank, in any state.
    pub(crate) fn oldest(&self, look: Look<'_>) -> Option<Slot> {
        let found = self.lanes().map(|lane| lane.next(None, &look.alive()));
        let oldest = found.into_iter().flatten().min_by_key(|entry| entry.rank);
        oldest.map(|entry| entry.slot)
    }

    /// The last message by rank, in any state.
    pub(crate) fn newest(&self, look: Look<'_>) -> Option<Slot> {
        let found = self.lanes().map(|lane| lane.last(&look.alive()));
        let newest = found.into_iter().flatten().max_by_key(|entry| entry.rank);
        newest.map(|entry| entry.slot)
    }

    /// Messages that are under a live claim, and the others.
    pub(crate) fn counts(&self, look: Look<'_>) -> (usize, usize) {
        let held = Held {
            now: look.now,
            work: look.work,
        };
        let alive = self.lanes().map(|lane| lane.count(&look.alive()));
        // No message expires before the claim that holds it.
        let claimed = self.claimed.count(&held);
        (claimed, alive.iter().sum::<usize>() - claimed)
    }

    /// All that is in it, what is over included.
    pub(crate) fn len(&self) -> usize {
        self.lane_lens().iter().sum()
    }

    /// The same by state: delayed, active, claimed.
    pub(crate) fn lane_lens(&self) -> [usize; 3] {
        self.lanes().map(Lane::len)
    }

    /// Visits the claimed messages, in order of rank. For tests.
    pub(crate) fn each_claimed(&self, visit: &mut impl FnMut(Slot)) {
        self.claimed.each(&mut |entry| visit(entry.slot));
    }

    /// Compares the indexes with a full scan.
    pub(crate) fn check(&self, messages: &Slab<Message>) {
        for (lane, name) in self
            .lanes()
            .into_iter()
            .zip(["delayed", "active", "claimed"])
        {
            lane.check();
            lane.each(&mut |entry| {
                let message = &messages[entry.slot];
                assert_eq!(message.backlog, self.id);
                assert_eq!(*entry, Entry::of(entry.slot, message), "an entry agrees");
                let state = match message.state {
                    State::Delayed { .. } => "delayed",
                    State::Active => "active",
                    State::Claimed { until, .. } => {
                        assert!(until <= message.expires_at, "it outlives its claim");
                        "claimed"
                    }
                };
                assert_eq!(state, name, "a message lies in the lane of its state");
            });
        }
    }

    const fn lane(&mut self, state: State) -> &mut Lane {
        match state {
            State::Delayed { .. } => &mut self.delayed,
            State::Active => &mut self.active,
            State::Claimed { .. } => &mut self.claimed,
        }
    }

    const fn lanes(&self) -> [&Lane; 3] {
        [&self.delayed, &self.active, &self.claimed]
    }
}
