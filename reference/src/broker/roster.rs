//! Rosters: the subscriptions to one name of a queue. Owns the ways to find them and their ends.
//!
//! A roster outlives its queue, and may be older than it: subscriptions are to a name. It exists
//! for as long as it has members.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::id::SubscriptionId;
use super::input::Project;
use super::notification::DeliveryCounts;
use super::outbox::Outbox;
use super::queue::QueueName;
use super::slab::{Slab, Slot};
use super::snapshot::pairs;
use super::subscription::{Subscriber, Subscription};
use super::timestamp::Timestamp;
use super::{Broker, Retired};

/// Tells a roster from a later one in the same slot. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RosterSerial(pub(crate) u64);

/// The subscriptions to one name.
#[derive(Serialize, Deserialize)]
pub(crate) struct Roster {
    pub(crate) serial: RosterSerial,
    pub(crate) project: Project,
    pub(crate) queue: QueueName,
    pub(crate) members: BTreeMap<SubscriptionId, Slot>,
    #[serde(with = "pairs")]
    subscribers: BTreeMap<Subscriber, Slot>,
    ends: BTreeSet<(Timestamp, Slot)>,
    pub(crate) outbox: Outbox,
    /// What became of the deliveries to members, and to those who were.
    pub(crate) counts: DeliveryCounts,
    /// The alarm set for this roster, so that it can be found and moved.
    alarm: Option<Timestamp>,
}

impl Roster {
    fn new(serial: RosterSerial, project: Project, queue: QueueName) -> Self {
        Self {
            serial,
            project,
            queue,
            members: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            ends: BTreeSet::new(),
            outbox: Outbox::default(),
            counts: DeliveryCounts::default(),
            alarm: None,
        }
    }

    pub(crate) fn insert(&mut self, slot: Slot, subscription: &Subscription) {
        let known = [
            self.members.insert(subscription.id, slot),
            self.subscribers
                .insert(subscription.subscriber.clone(), slot),
        ];
        assert_eq!(
            known, [None; 2],
            "invariant: ids and subscribers are unique"
        );
        self.ends.insert((subscription.expires_at, slot));
    }

    pub(crate) fn remove(&mut self, slot: Slot, subscription: &Subscription) {
        let known = [
            self.members.remove(&subscription.id),
            self.subscribers.remove(&subscription.subscriber),
        ];
        assert_eq!(
            known,
            [Some(slot); 2],
            "invariant: every index knows a member"
        );
        self.ends.remove(&(subscription.expires_at, slot));
    }

    /// Takes a member out without regard to the other indexes: for rosters that are discarded.
    pub(super) fn discard_first(&mut self) -> Option<Slot> {
        self.subscribers.pop_first();
        self.ends.pop_first();
        self.members.pop_first().map(|(_, slot)| slot)
    }

    pub(crate) fn find(&self, subscriber: &Subscriber) -> Option<Slot> {
        self.subscribers.get(subscriber).copied()
    }

    /// When the next thing happens here by itself.
    fn next_due(&self) -> Option<Timestamp> {
        let end = self.ends.first().map(|(at, _)| *at);
        let retry = self.outbox.next_waiting().map(|(at, _)| at);
        end.into_iter().chain(retry).min()
    }

    fn check(&self, subscriptions: &Slab<Subscription>) {
        let mut expected = Self::new(self.serial, self.project.clone(), self.queue.clone());
        for &slot in self.members.values() {
            expected.insert(slot, &subscriptions[slot]);
            assert_eq!(
                subscriptions[slot].roster.1, self.serial,
                "a member knows its roster"
            );
        }
        assert_eq!(
            expected.members, self.members,
            "members are found by their id"
        );
        assert_eq!(
            expected.subscribers, self.subscribers,
            "and by their subscriber"
        );
        assert_eq!(expected.ends, self.ends, "and by their end");
        let deliveries = self.members.values();
        self.outbox
            .check(deliveries.map(|slot| (*slot, &subscriptions[*slot].delivery)));
        assert!(
            self.outbox.in_line || !self.outbox.has_work(),
            "who has work is in line"
        );
        assert_eq!(
            self.alarm,
            self.next_due(),
            "the alarm is set for the next ending"
        );
    }
}

impl Broker {
    /// The roster, with everything carried out that is due in it. It is finished after the input.
    pub(super) fn settled_roster(&mut self, project: &Project, queue: &QueueName) -> Option<Slot> {
        let slot = self.find_roster(project, queue)?;
        self.touched_roster = Some(slot);
        while self.settle_roster_once(slot) {}
        Some(slot)
    }

    pub(super) fn find_or_create_roster(&mut self, project: &Project, queue: &QueueName) -> Slot {
        if let Some(slot) = self.find_roster(project, queue) {
            return slot;
        }
        self.next_roster_serial += 1;
        let serial = RosterSerial(self.next_roster_serial);
        let roster = Roster::new(serial, project.clone(), queue.clone());
        let slot = self.rosters.insert_with(|_| roster);
        let names = self.directory.entry(project.clone()).or_default();
        names.insert(queue.clone(), slot);
        self.touched_roster = Some(slot);
        slot
    }

    /// Ends one subscription that is due, or lets one retry come up; false if nothing is due.
    pub(super) fn settle_roster_once(&mut self, slot: Slot) -> bool {
        let roster = &self.rosters[slot];
        let end = roster.ends.first().copied();
        if let Some((_, subscription)) = end.filter(|(at, _)| *at <= self.now) {
            self.remove_subscription(slot, subscription);
            return true;
        }
        let retry = roster.outbox.next_waiting();
        if let Some((_, subscription)) = retry.filter(|(at, _)| *at <= self.now) {
            self.make_due(subscription);
            return true;
        }
        false
    }

    /// Moves the alarm to where it belongs, gives the roster back if nobody is on it, and puts it
    /// in line if it has something to send.
    pub(super) fn finish_roster(&mut self, slot: Slot) {
        let roster = &mut self.rosters[slot];
        let due = roster.next_due();
        let old = std::mem::replace(&mut roster.alarm, due);
        if old != due {
            self.roster_alarms.extend(due.map(|at| (at, slot)));
            if let Some(at) = old {
                self.roster_alarms.remove(&(at, slot));
            }
        }
        if self.rosters[slot].members.is_empty() {
            self.take_roster(slot);
        } else {
            self.queue_roster(slot);
        }
    }

    /// All subscriptions are gone at once; their memory is given back little by little.
    pub(super) fn purge_subscriptions(&mut self, project: &Project, queue: &QueueName) {
        if let Some(slot) = self.find_roster(project, queue) {
            let roster = self.take_roster(slot);
            self.retired.push_back(Retired::Roster(roster));
        }
    }

    pub(super) fn find_roster(&self, project: &Project, queue: &QueueName) -> Option<Slot> {
        self.directory.get(project)?.get(queue).copied()
    }

    /// Takes the roster away, members and all.
    fn take_roster(&mut self, slot: Slot) -> Roster {
        let roster = self.rosters.remove(slot);
        if let Some(alarm) = roster.alarm {
            self.roster_alarms.remove(&(alarm, slot));
        }
        let names = self.directory.get_mut(&roster.project);
        let names = names.expect("invariant: a roster is in the directory");
        names.remove(&roster.queue);
        if names.is_empty() {
            self.directory.remove(&roster.project);
        }
        roster
    }

    pub(super) fn rosters_alive(&self) -> impl Iterator<Item = &Roster> {
        let slots = self.directory.values().flat_map(BTreeMap::values);
        slots.map(|slot| &self.rosters[*slot])
    }

    pub(super) fn rosters_retired(&self) -> impl Iterator<Item = &Roster> {
        self.retired.iter().filter_map(|retired| match retired {
            Retired::Roster(roster) => Some(roster),
            Retired::Backlog { .. } => None,
        })
    }

    /// Compares every index of subscriptions with a full scan. For tests.
    pub(super) fn check_rosters(&self) {
        let (mut rosters, mut subscriptions, mut alarms) = (0, 0, BTreeSet::new());
        for (project, names) in &self.directory {
            for (queue, slot) in names {
                let roster = &self.rosters[*slot];
                assert_eq!((&roster.project, &roster.queue), (project, queue));
                assert!(!roster.members.is_empty(), "a roster has members");
                roster.check(&self.subscriptions);
                rosters += 1;
                subscriptions += roster.members.len();
                alarms.extend(roster.alarm.map(|at| (at, *slot)));
            }
        }
        subscriptions += self
            .rosters_retired()
            .map(|roster| roster.members.len())
            .sum::<usize>();
        assert_eq!(rosters, self.rosters.len(), "every roster has a name");
        assert_eq!(
            subscriptions,
            self.subscriptions.len(),
            "every subscription is on a roster"
        );
        assert_eq!(
            alarms, self.roster_alarms,
            "every alarm belongs to a roster"
        );
    }
}
