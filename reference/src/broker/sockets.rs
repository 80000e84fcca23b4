//! Sockets: connections that subscribed themselves. Owns which subscriptions are theirs.
//!
//! A socket is known here by its subscriptions alone: it need not be opened, only closed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Broker;
use super::slab::Slot;
use super::subscription::Subscriber;
use super::timestamp::Timestamp;

/// Subscriptions that one call of [`Broker::close_socket`] ends, at most.
const CLOSED_PER_CALL: usize = 64;

/// Names a connection. Whoever opens connections numbers them, and uses no number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SocketId(pub u64);

/// The subscriptions of every socket that has any.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sockets(BTreeMap<SocketId, BTreeSet<Slot>>);

impl Sockets {
    /// Notes a new subscription, if it is one of a socket.
    pub(crate) fn enter(&mut self, subscriber: &Subscriber, slot: Slot) {
        if let Subscriber::Socket(socket) = subscriber {
            self.0.entry(*socket).or_default().insert(slot);
        }
    }

    /// Forgets a subscription that ended or was given to somebody else.
    pub(crate) fn leave(&mut self, subscriber: &Subscriber, slot: Slot) {
        if let Subscriber::Socket(socket) = subscriber
            && let Some(slots) = self.0.get_mut(socket)
        {
            slots.remove(&slot);
            if slots.is_empty() {
                self.0.remove(socket);
            }
        }
    }

    fn first(&self, socket: SocketId) -> Option<Slot> {
        self.0.get(&socket)?.first().copied()
    }
}

impl Broker {
    /// Ends the subscriptions of a socket that closed: a bounded number of them. To be called
    /// until it returns false, for then none is left.
    ///
    /// # Panics
    /// If `now` is before an earlier `now`.
    pub fn close_socket(&mut self, now: Timestamp, socket: SocketId) -> bool {
        self.advance(now);
        for _ in 0..CLOSED_PER_CALL {
            let Some(slot) = self.sockets.first(socket) else {
                return false;
            };
            let (roster_slot, serial) = self.subscriptions[slot].roster;
            let roster = self.rosters.get(roster_slot);
            if roster.is_some_and(|roster| roster.serial == serial) {
                self.remove_subscription(roster_slot, slot);
                self.finish_roster(roster_slot);
            } else {
                // It was purged, and is given back with its roster.
                self.sockets.leave(&Subscriber::Socket(socket), slot);
            }
        }
        self.sockets.first(socket).is_some()
    }

    /// Compares what is noted with a full scan. For tests.
    pub(super) fn check_sockets(&self) {
        let mut expected = Sockets::default();
        for roster in self.rosters_alive() {
            for &slot in roster.members.values() {
                expected.enter(&self.subscriptions[slot].subscriber, slot);
            }
        }
        // Of those that were purged, all are noted until they are given back or their socket closes.
        for roster in self.rosters_retired() {
            for &slot in roster.members.values() {
                let subscriber = &self.subscriptions[slot].subscriber;
                if let Subscriber::Socket(socket) = subscriber
                    && let Some(slots) = self.sockets.0.get(socket)
                    && slots.contains(&slot)
                {
                    expected.enter(subscriber, slot);
                }
            }
        }
        assert_eq!(expected, self.sockets, "a socket's subscriptions are noted");
    }
}
