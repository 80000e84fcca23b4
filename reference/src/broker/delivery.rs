//! Deliveries: from a post to attempts, and from the outcome of an attempt to what follows.
//!
//! Invariants: for one subscription at most one attempt is under way, and for one project at most
//! `Limits::deliveries_per_project_max`. Projects take turns, and so do the queues of a project
//! and the subscriptions to a queue, so whoever answers slowly delays nobody but itself, and its
//! own project when it is that with all its subscriptions.
//!
//! What was posted is sent, even if it has been claimed, deleted or purged since, or if its queue
//! has: as in Zaqar, a notification says that something was posted. Dead letters are moved, not
//! posted, and tell nobody.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Broker;
use super::id::SubscriptionId;
use super::input::Project;
use super::limits::ConfirmationRule;
use super::notification::{
    AttemptId, Content, DeliveryCounts, Notice, Notification, Outcome, PostedMessage,
};
use super::outbox::{Delivery, LogBounds, Parcel, Position, Stage, Turn};
use super::queue::QueueName;
use super::retry::RetryPolicy;
use super::roster::RosterSerial;
use super::slab::Slot;
use super::timestamp::Timestamp;

/// An attempt whose outcome is not known yet.
#[derive(Serialize, Deserialize)]
pub(crate) struct Attempt {
    project: Project,
    slot: Slot,
    subscription: SubscriptionId,
}

/// The deliveries of one project.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Sender {
    /// Outboxes with something to send, each once. One that is gone is skipped.
    line: VecDeque<(Slot, RosterSerial)>,
    in_flight: usize,
    /// Whether the project is in the line of projects.
    in_line: bool,
}

impl Broker {
    /// What is to be sent next, if anything is. To be drained after every input, or as fast as
    /// there is room to send: what is not taken yet waits in logs that have bounds.
    pub fn poll_output(&mut self) -> Option<Notification> {
        while let Some(project) = self.project_line.pop_front() {
            let sender = self.senders.get_mut(&project);
            let sender = sender.expect("invariant: a project in line has a sender");
            sender.in_line = false;
            let Some((slot, serial)) = sender.line.pop_front() else {
                self.queue_project(&project);
                continue;
            };
            let roster = self
                .rosters
                .get(slot)
                .filter(|roster| roster.serial == serial);
            if roster.is_none() {
                self.queue_project(&project);
                continue;
            }
            self.rosters[slot].outbox.in_line = false;
            while self.settle_roster_once(slot) {}
            let notification = self.attempt_next(slot);
            self.finish_roster(slot);
            self.queue_project(&project);
            if notification.is_some() {
                return notification;
            }
        }
        None
    }

    /// Whether [`Self::poll_output`] may have something.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.project_line.is_empty()
    }

    /// Learns what came of an attempt. Of an attempt that it did not make, or whose outcome it
    /// knows already, it learns nothing.
    ///
    /// # Panics
    /// If `now` is before an earlier `now`.
    pub fn handle_outcome(&mut self, now: Timestamp, attempt: AttemptId, outcome: Outcome) {
        self.advance(now);
        let Some(made) = self.attempts.remove(&attempt) else {
            return;
        };
        let sender = self.senders.get_mut(&made.project);
        sender
            .expect("invariant: who attempts has a sender")
            .in_flight -= 1;
        if let Some(roster_slot) = self.roster_of(&made) {
            self.conclude((roster_slot, made.slot), attempt, outcome);
            self.finish_roster(roster_slot);
        }
        self.queue_project(&made.project);
    }

    /// What became of all deliveries.
    #[must_use]
    pub const fn delivery_counts(&self) -> DeliveryCounts {
        self.counts
    }

    /// What became of the deliveries to the subscribers of a queue, those that are gone included,
    /// since the queue last had none.
    #[must_use]
    pub fn queue_delivery_counts(&self, project: &Project, queue: &QueueName) -> DeliveryCounts {
        let slot = self.find_roster(project, queue);
        slot.map(|slot| self.rosters[slot].counts)
            .unwrap_or_default()
    }

    /// What became of the deliveries of one subscription; `None` if there is no such subscription.
    #[must_use]
    pub fn subscription_delivery_counts(
        &self,
        project: &Project,
        queue: &QueueName,
        id: SubscriptionId,
    ) -> Option<DeliveryCounts> {
        let roster = &self.rosters[self.find_roster(project, queue)?];
        let subscription = &self.subscriptions[*roster.members.get(&id)?];
        let mut counts = subscription.counts;
        let position = subscription.delivery.position;
        let pending = position.map_or(0, |at| roster.outbox.end() - at);
        counts.owed =
            counts.delivered + counts.given_up + counts.overflowed + counts.abandoned + pending;
        Some(counts)
    }

    /// Hands messages that were stored just now to all who are to be notified.
    pub(super) fn notify(
        &mut self,
        project: &Project,
        queue: &QueueName,
        posted: Vec<PostedMessage>,
    ) {
        let Some(slot) = self.settled_roster(project, queue) else {
            return;
        };
        let bounds = LogBounds {
            messages_max: self.limits.notifications_pending_max,
            bytes_max: self.limits.notification_bytes_pending_max,
        };
        let roster = &mut self.rosters[slot];
        let receivers = roster.outbox.receivers();
        if receivers == 0 {
            return;
        }
        let owed = u64::try_from(receivers.saturating_mul(posted.len())).unwrap_or(u64::MAX);
        roster.counts.owed += owed;
        self.counts.owed += owed;
        roster.outbox.append(posted, bounds);
    }

    /// Starts or stops the messages of a subscription, and sends a notice if there is one. Both
    /// replace what was to be sent before.
    pub(super) fn direct(&mut self, slot: Slot, notice: Option<Notice>) {
        let receives = match self.limits.confirmation_rule {
            ConfirmationRule::NotNeeded => true,
            ConfirmationRule::Required => self.subscriptions[slot].confirmed,
        };
        let notice = notice.map(|notice| (self.draw_turn(), notice));
        let roster_slot = self.subscriptions[slot].roster.0;
        let end = self.rosters[roster_slot].outbox.end();
        let old = self.subscriptions[slot].delivery.position;
        if let (Some(at), false) = (old, receives) {
            self.count(slot, |counts| counts.abandoned += end - at);
        }
        self.with_delivery(slot, |delivery| {
            delivery.position = receives.then(|| old.unwrap_or(end));
            delivery.notice = notice;
            let stays = match &mut delivery.stage {
                Stage::Idle => true,
                Stage::InFlight { parcel, .. } => {
                    parcel.superseded = true;
                    true
                }
                Stage::Waiting { parcel, .. } | Stage::Due { parcel, .. } => match parcel.content {
                    Content::Message(_) => receives,
                    Content::Notice(_) => false,
                },
            };
            if !stays {
                delivery.stage = Stage::Idle;
            }
        });
    }

    /// Counts what a subscription that ends is still owed.
    pub(super) fn count_abandoned(&mut self, slot: Slot, end: Position) {
        if let Some(at) = self.subscriptions[slot].delivery.position {
            self.count(slot, |counts| counts.abandoned += end - at);
        }
    }

    /// The delay of a retry is over.
    pub(super) fn make_due(&mut self, slot: Slot) {
        let turn = self.draw_turn();
        self.with_delivery(slot, |delivery| {
            if let Stage::Waiting { parcel, .. } = std::mem::take(&mut delivery.stage) {
                delivery.stage = Stage::Due { turn, parcel };
            }
        });
    }

    /// Puts a roster in the line of its project if it has something to send.
    pub(super) fn queue_roster(&mut self, slot: Slot) {
        let roster = &mut self.rosters[slot];
        if roster.outbox.in_line || !roster.outbox.has_work() {
            return;
        }
        roster.outbox.in_line = true;
        let project = roster.project.clone();
        let sender = self.senders.entry(project.clone()).or_default();
        sender.line.push_back((slot, roster.serial));
        self.queue_project(&project);
    }

    /// Puts a project in line if it has something to send and may; forgets it if nothing is left.
    fn queue_project(&mut self, project: &Project) {
        let Some(sender) = self.senders.get_mut(project) else {
            return;
        };
        let may_send = sender.in_flight < self.limits.deliveries_per_project_max;
        if sender.line.is_empty() && sender.in_flight == 0 && !sender.in_line {
            self.senders.remove(project);
        } else if !sender.in_line && may_send && !sender.line.is_empty() {
            sender.in_line = true;
            self.project_line.push_back(project.clone());
        }
    }

    /// Begins the next attempt of a roster.
    fn attempt_next(&mut self, roster_slot: Slot) -> Option<Notification> {
        let slot = self.rosters[roster_slot].outbox.pick()?;
        let parcel = self.next_parcel(roster_slot, slot)?;
        self.next_attempt += 1;
        let attempt = AttemptId(self.next_attempt);
        let content = parcel.content.clone();
        if parcel.retries > 0 && parcel.position.is_some() {
            self.count(slot, |counts| counts.retried += 1);
        }
        self.with_delivery(slot, |delivery| {
            // What fell off the log before this message was counted; it is not owed any more.
            if let (Stage::Idle, Some(at)) = (&delivery.stage, parcel.position) {
                delivery.position = Some(at);
            }
            if parcel.position.is_none() && parcel.retries == 0 {
                delivery.notice = None;
            }
            delivery.stage = Stage::InFlight { attempt, parcel };
        });
        let (roster, subscription) = (&self.rosters[roster_slot], &self.subscriptions[slot]);
        let sender = self.senders.get_mut(&roster.project);
        sender
            .expect("invariant: who attempts has a sender")
            .in_flight += 1;
        self.attempts.insert(
            attempt,
            Attempt {
                project: roster.project.clone(),
                slot,
                subscription: subscription.id,
            },
        );
        Some(Notification {
            attempt,
            project: roster.project.clone(),
            queue: roster.queue.clone(),
            subscription: subscription.id,
            subscription_expires_at: subscription.expires_at,
            subscriber: subscription.subscriber.clone(),
            options: subscription.options.clone(),
            content,
        })
    }

    /// What a member gets whose turn it is: what is to be tried again, a notice, or a message.
    fn next_parcel(&mut self, roster_slot: Slot, slot: Slot) -> Option<Parcel> {
        let delivery = &self.subscriptions[slot].delivery;
        if let Stage::Due { parcel, .. } = &delivery.stage {
            return Some(parcel.clone());
        }
        if let Some((_, notice)) = delivery.notice {
            return Some(Parcel {
                content: Content::Notice(notice),
                position: None,
                retries: 0,
                superseded: false,
            });
        }
        let position = delivery.position?;
        let outbox = &self.rosters[roster_slot].outbox;
        let Some((found, message)) = outbox.message(position) else {
            // Everything that was left fell off.
            let end = outbox.end();
            self.count(slot, |counts| counts.overflowed += end - position);
            self.with_delivery(slot, |delivery| delivery.position = Some(end));
            return None;
        };
        let content = Content::Message(message.clone());
        self.count(slot, |counts| counts.overflowed += found - position);
        Some(Parcel {
            content,
            position: Some(found),
            retries: 0,
            superseded: false,
        })
    }

    /// Draws the consequence of an outcome.
    fn conclude(
        &mut self,
        (roster_slot, slot): (Slot, Slot),
        concluded: AttemptId,
        outcome: Outcome,
    ) {
        let stage = std::mem::take(&mut self.subscriptions[slot].delivery.stage);
        let Stage::InFlight {
            attempt,
            mut parcel,
        } = stage
        else {
            panic!("invariant: an attempt is under way to whoever it was made for")
        };
        assert_eq!(attempt, concluded, "invariant: one attempt at a time");
        // It was in no index but that of positions, and is not now.
        let delivery = self.subscriptions[slot].delivery.clone();
        self.rosters[roster_slot].outbox.unfile(slot, &delivery);
        let owed = match parcel.position {
            None => !parcel.superseded,
            at => at == delivery.position,
        };
        let retry = match outcome {
            Outcome::Failed if owed => self.policy_of(roster_slot, slot).delay_secs(parcel.retries),
            Outcome::Failed | Outcome::Refused | Outcome::Delivered => None,
        };
        let stage = match retry {
            None => Stage::Idle,
            Some(secs) => {
                parcel.retries += 1;
                let (turn, until) = (self.draw_turn(), self.now.plus_secs(secs.into()));
                let parcel = parcel.clone();
                match secs {
                    0 => Stage::Due { turn, parcel },
                    _ => Stage::Waiting { until, parcel },
                }
            }
        };
        let concluded = matches!(stage, Stage::Idle);
        // Of a message that is not owed any more, the fate was counted before.
        if concluded && owed {
            self.count_concluded(slot, parcel.position, outcome);
        }
        let delivery = &mut self.subscriptions[slot].delivery;
        delivery.stage = stage;
        self.rosters[roster_slot].outbox.file(slot, delivery);
    }

    /// Counts what will not be attempted again, and goes on behind it.
    fn count_concluded(&mut self, slot: Slot, position: Option<Position>, outcome: Outcome) {
        if let Some(at) = position {
            self.subscriptions[slot].delivery.position = Some(at + 1);
        }
        self.count(slot, |counts| match (outcome, position) {
            (Outcome::Delivered, Some(_)) => counts.delivered += 1,
            (Outcome::Refused | Outcome::Failed, Some(_)) => counts.given_up += 1,
            (Outcome::Delivered, None) => {}
            (Outcome::Refused | Outcome::Failed, None) => counts.notices_given_up += 1,
        });
    }

    fn policy_of(&self, roster_slot: Slot, slot: Slot) -> RetryPolicy {
        let roster = &self.rosters[roster_slot];
        let queue = self.find_queue(&roster.project, &roster.queue);
        let queue = queue.and_then(|queue| self.queues[queue].attributes.retry_policy);
        RetryPolicy::choose(queue, self.subscriptions[slot].retry_policy)
    }

    /// Where the subscription is that an attempt was made for, if it has not ended.
    fn roster_of(&self, attempt: &Attempt) -> Option<Slot> {
        let subscription = self.subscriptions.get(attempt.slot)?;
        let (slot, serial) = subscription.roster;
        let roster = self.rosters.get(slot)?;
        (subscription.id == attempt.subscription && roster.serial == serial).then_some(slot)
    }

    /// Changes a delivery, and moves it from its old indexes to its new ones.
    fn with_delivery(&mut self, slot: Slot, change: impl FnOnce(&mut Delivery)) {
        let subscription = &mut self.subscriptions[slot];
        let outbox = &mut self.rosters[subscription.roster.0].outbox;
        outbox.unfile(slot, &subscription.delivery);
        change(&mut subscription.delivery);
        outbox.file(slot, &subscription.delivery);
    }

    /// Counts for a subscription, its queue and all. The roster may be retired.
    fn count(&mut self, slot: Slot, add: impl Fn(&mut DeliveryCounts)) {
        let subscription = &mut self.subscriptions[slot];
        add(&mut subscription.counts);
        add(&mut self.counts);
        let (roster, serial) = subscription.roster;
        if self
            .rosters
            .get(roster)
            .is_some_and(|roster| roster.serial == serial)
        {
            add(&mut self.rosters[roster].counts);
        }
    }

    const fn draw_turn(&mut self) -> Turn {
        self.next_turn += 1;
        self.next_turn
    }

    /// Compares what is counted and under way with a full scan. For tests.
    pub(super) fn check_deliveries(&self) {
        let mut in_flight = std::collections::BTreeMap::<&Project, usize>::new();
        for attempt in self.attempts.values() {
            *in_flight.entry(&attempt.project).or_default() += 1;
        }
        for (project, sender) in &self.senders {
            let count = in_flight.remove(project).unwrap_or_default();
            assert_eq!(count, sender.in_flight, "what is under way is counted");
            assert!(count <= self.limits.deliveries_per_project_max);
            let lines = self.project_line.iter().filter(|other| *other == project);
            assert_eq!(
                lines.count(),
                usize::from(sender.in_line),
                "one place in line each"
            );
        }
        assert!(in_flight.is_empty(), "who attempts has a sender");
        let mut pending = 0;
        for roster in self.rosters_alive().chain(self.rosters_retired()) {
            for slot in roster.members.values() {
                let position = self.subscriptions[*slot].delivery.position;
                pending += position.map_or(0, |at| roster.outbox.end() - at);
            }
        }
        assert_eq!(
            self.counts.pending(),
            pending,
            "nothing is lost without being counted"
        );
    }
}
