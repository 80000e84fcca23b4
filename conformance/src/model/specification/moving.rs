//! Contract 7.2: messages move to the dead letter queue, or perhaps.
//!
//! A claim that reaches its limit need not look at the messages behind it, and near the end of a lease
//! nobody knows whether it did. Such a message has an entry in both queues, its twins, until an answer
//! tells which is the true one.

use super::super::certainty::{Certainty, Window};
use super::super::operation::{DEAD_LETTERS, Place};
use super::Specification;
use super::state::Message;
use crate::suite::Sent;

impl Specification {
    /// Whether the message is certainly active, if it is in its queue at all.
    pub(super) fn is_active_if_here(&self, message: &Message, sent: Sent) -> bool {
        let Message { expiry, .. } = message;
        let is_hidden = [
            expiry.over(sent),
            Self::held(message, sent),
            Self::delayed(message, sent),
        ];
        is_hidden.into_iter().all(|hidden| hidden == Certainty::No)
    }

    /// Moves messages of `place`: for certain if they are there, or perhaps.
    pub(super) fn move_spent(&mut self, place: Place, spent: &[(usize, bool)], sent: Sent) {
        let target = Place {
            queue: DEAD_LETTERS,
            ..place
        };
        for &(index, moves) in spent {
            let there = self.entry_of_moved(target, index, (place, sent));
            let (here, twin) = (self.messages[index].presence, self.messages[index].twin);
            match (here, moves) {
                (Certainty::Yes, true) => {
                    self.messages[index].presence = Certainty::No;
                    self.messages[there].presence = Certainty::Yes;
                }
                (Certainty::Yes, false) => {
                    for (one, other) in [(index, there), (there, index)] {
                        self.messages[one].presence = Certainty::Maybe;
                        self.messages[one].twin = Some(other);
                    }
                }
                // It moved now, if it had not before.
                (Certainty::Maybe, true) => {
                    let known = if twin == Some(there) {
                        Certainty::Yes
                    } else {
                        Certainty::Maybe
                    };
                    self.remove(index);
                    self.messages[there].presence = known;
                }
                (Certainty::Maybe, false) => self.messages[there].presence = Certainty::Maybe,
                (Certainty::No, _) => {}
            }
            let queue = self.queue(target);
            queue.exists = queue.exists.max(Certainty::Maybe);
        }
    }

    /// The entry in `target` of a message that may move there now from `place`.
    fn entry_of_moved(
        &mut self,
        target: Place,
        index: usize,
        (place, sent): (Place, Sent),
    ) -> usize {
        let ttl = self.setting(place, "_dead_letter_queue_messages_ttl");
        let whole = ttl.map(|ttl| self.window(sent, ttl));
        let rank = self.next_rank();
        let entry = &self.messages[index];
        let expiry = whole.unwrap_or(entry.expiry);
        // What may have expired before was not revived.
        let earliest = match self.alive(entry, sent) {
            Certainty::No => entry.expiry.earliest,
            Certainty::Maybe if entry.expiry.over(sent) != Certainty::No => entry.expiry.earliest,
            Certainty::Maybe | Certainty::Yes => expiry.earliest,
        };
        let is_same = |other: &Message| other.place == target && other.id == entry.id;
        if let Some(there) = self.messages.iter().position(is_same) {
            // It may have moved before; then nobody knows when.
            let moved = &mut self.messages[there];
            moved.is_ranked = false;
            moved.expiry = Window {
                earliest: moved.expiry.earliest.min(earliest),
                latest: moved.expiry.latest.max(expiry.latest),
            };
            moved.own_end = moved.expiry.earliest;
            return there;
        }
        let moved = Message {
            id: entry.id.clone(),
            first_entry: entry.first_entry,
            key: entry.key,
            place: target,
            rank,
            is_ranked: true,
            client: entry.client,
            body: entry.body.clone(),
            posted: entry.posted,
            ttl: entry.ttl,
            is_as_posted: false,
            presence: Certainty::No,
            expiry: Window { earliest, ..expiry },
            own_end: earliest,
            ready: Window::PAST,
            lease: None,
            last_holder: None,
            deliveries: entry.deliveries,
            twin: None,
        };
        self.messages.push(moved);
        self.messages.len() - 1
    }
}
