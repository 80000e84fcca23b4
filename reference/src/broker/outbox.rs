//! Outboxes: what the subscribers of one roster are still to be sent, and whose turn it is.
//!
//! A post appends its messages once, however many subscriptions there are: every subscription has
//! a position in the common log, and the log forgets what all have passed.
//!
//! ```text
//!             picked                failed, to be tried again
//!  Idle ────────────────► InFlight ─────────────────────────► Waiting
//!    ▲                     │    ▲                                │
//!    └─────────────────────┘    └─────────────── Due ◄───────────┘
//!     delivered, or given up       picked           the delay is over
//! ```

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::notification::{AttemptId, Content, Notice, PostedMessage};
use super::slab::Slot;
use super::timestamp::Timestamp;

/// A position in the log of an outbox. Positions are counted from the first message ever.
pub(crate) type Position = u64;
/// Orders what is urgent by when it became so.
pub(crate) type Turn = u64;

/// What one subscription is about to be sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// The first message it has not been sent. `None`: it gets no messages.
    pub(crate) position: Option<Position>,
    /// A notice that comes before any message.
    pub(crate) notice: Option<(Turn, Notice)>,
    pub(crate) stage: Stage,
}

/// Where a subscription stands with what it is sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Stage {
    #[default]
    Idle,
    InFlight {
        attempt: AttemptId,
        parcel: Parcel,
    },
    Waiting {
        until: Timestamp,
        parcel: Parcel,
    },
    Due {
        turn: Turn,
        parcel: Parcel,
    },
}

/// What is sent, and sent again until it arrives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Parcel {
    pub(crate) content: Content,
    /// Of a message, its place in the log.
    pub(crate) position: Option<Position>,
    pub(crate) retries: u32,
    /// Whether something else is to be said since it was sent: then it is not sent again. Of a
    /// message, its position tells.
    pub(crate) superseded: bool,
}

/// The bounds of a log. Beyond them the oldest messages fall off, for those who lack them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogBounds {
    pub(crate) messages_max: usize,
    pub(crate) bytes_max: usize,
}

/// What the members of a roster are to be sent.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Outbox {
    log: VecDeque<PostedMessage>,
    /// The position of the first message in the log.
    first: Position,
    log_bytes: usize,
    /// Members that get messages.
    positions: BTreeSet<(Position, Slot)>,
    /// Those of them that nothing is under way to, those furthest behind first.
    idle: BTreeSet<(Position, Slot)>,
    /// Members with a notice or a retry that is due.
    urgent: BTreeSet<(Turn, Slot)>,
    waiting: BTreeSet<(Timestamp, Slot)>,
    /// Whether the last one picked was urgent; then others come first once.
    was_urgent: bool,
    /// Whether the outbox is in the line of its project.
    pub(crate) in_line: bool,
}

impl Outbox {
    /// Enters a member into the indexes of its stage.
    pub(crate) fn file(&mut self, slot: Slot, delivery: &Delivery) {
        self.positions
            .extend(delivery.position.map(|at| (at, slot)));
        match (&delivery.stage, delivery.notice) {
            (Stage::Idle, Some((turn, _))) | (&Stage::Due { turn, .. }, _) => {
                self.urgent.insert((turn, slot));
            }
            (Stage::Idle, None) => self.idle.extend(delivery.position.map(|at| (at, slot))),
            (Stage::Waiting { until, .. }, _) => {
                self.waiting.insert((*until, slot));
            }
            (Stage::InFlight { .. }, _) => {}
        }
        self.forget_passed();
    }

    /// Takes a member out of the indexes of its stage, until it is filed again.
    pub(crate) fn unfile(&mut self, slot: Slot, delivery: &Delivery) {
        if let Some(at) = delivery.position {
            self.positions.remove(&(at, slot));
            self.idle.remove(&(at, slot));
        }
        if let Some((turn, _)) = delivery.notice {
            self.urgent.remove(&(turn, slot));
        }
        match delivery.stage {
            Stage::Due { turn, .. } => {
                self.urgent.remove(&(turn, slot));
            }
            Stage::Waiting { until, .. } => {
                self.waiting.remove(&(until, slot));
            }
            Stage::Idle | Stage::InFlight { .. } => {}
        }
    }

    /// Takes a member out for good.
    pub(crate) fn leave(&mut self, slot: Slot, delivery: &Delivery) {
        self.unfile(slot, delivery);
        self.forget_passed();
    }

    /// Appends messages for all members that get any.
    pub(crate) fn append(
        &mut self,
        messages: impl IntoIterator<Item = PostedMessage>,
        bounds: LogBounds,
    ) {
        for message in messages {
            self.log_bytes += message.body.as_str().len();
            self.log.push_back(message);
            while self.log.len() > bounds.messages_max || self.log_bytes > bounds.bytes_max {
                self.forget_first();
            }
        }
    }

    /// The member whose turn it is. It is still filed.
    pub(crate) fn pick(&mut self) -> Option<Slot> {
        let urgent = self.urgent.first().map(|&(_, slot)| slot);
        let behind = self.first_behind();
        self.was_urgent = urgent.is_some() && !(self.was_urgent && behind.is_some());
        if self.was_urgent { urgent } else { behind }
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.urgent.is_empty() || self.first_behind().is_some()
    }

    /// The message at a position, or the next one if that has fallen off.
    pub(crate) fn message(&self, position: Position) -> Option<(Position, &PostedMessage)> {
        let position = position.max(self.first);
        let index = usize::try_from(position - self.first).ok()?;
        self.log.get(index).map(|message| (position, message))
    }

    /// How many members get messages.
    pub(crate) fn receivers(&self) -> usize {
        self.positions.len()
    }

    /// The position of the next message.
    pub(crate) fn end(&self) -> Position {
        self.first + u64::try_from(self.log.len()).expect("invariant: memory is finite")
    }

    /// When the next delay of a retry is over, and whose.
    pub(crate) fn next_waiting(&self) -> Option<(Timestamp, Slot)> {
        self.waiting.first().copied()
    }

    fn first_behind(&self) -> Option<Slot> {
        let first = self.idle.first().filter(|(at, _)| *at < self.end());
        first.map(|&(_, slot)| slot)
    }

    fn forget_passed(&mut self) {
        let passed = self.positions.first().map_or(self.end(), |(at, _)| *at);
        while self.first < passed && !self.log.is_empty() {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(message) = self.log.pop_front() {
            self.log_bytes -= message.body.as_str().len();
            self.first += 1;
        }
    }

    /// Compares the indexes with what a full scan finds.
    pub(crate) fn check<'a>(&self, members: impl Iterator<Item = (Slot, &'a Delivery)>) {
        let mut expected = Self {
            first: self.first,
            ..Self::default()
        };
        for (slot, delivery) in members {
            expected.file(slot, delivery);
        }
        assert_eq!(
            expected.positions, self.positions,
            "every receiver has a position"
        );
        assert_eq!(expected.idle, self.idle, "nothing is under way to the idle");
        assert_eq!(expected.urgent, self.urgent, "what is due is urgent");
        assert_eq!(expected.waiting, self.waiting, "what failed waits");
        let bytes: usize = self
            .log
            .iter()
            .map(|message| message.body.as_str().len())
            .sum();
        assert_eq!(bytes, self.log_bytes, "bytes are counted");
        let passed = self.positions.first().map_or(self.end(), |(at, _)| *at);
        assert!(
            self.log.is_empty() || passed <= self.first,
            "what all have passed is forgotten"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_to_confirm(turn: Turn) -> Delivery {
        Delivery {
            notice: Some((turn, Notice::ConfirmationRequest)),
            ..Delivery::default()
        }
    }

    #[test]
    fn what_is_urgent_comes_turn_by_turn_and_without_a_break_if_there_is_nothing_else() {
        let mut outbox = Outbox::default();
        for turn in [3, 1, 2] {
            let slot = Slot::from_index(u32::try_from(turn).unwrap());
            outbox.file(slot, &asked_to_confirm(turn));
        }
        for turn in 1..4 {
            let slot = outbox.pick().unwrap();
            assert_eq!(u64::from(slot.index()), turn);
            outbox.unfile(slot, &asked_to_confirm(turn));
        }
        assert_eq!(outbox.pick(), None);
    }
}
