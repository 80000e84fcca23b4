//! The broker: one entry ([`Broker::handle`]), one exit ([`Broker::poll_output`]) and one alarm
//! ([`Broker::poll_timeout`]). What came of an output comes back ([`Broker::handle_outcome`]).
//!
//! Owns projects, queues, messages, claims, subscriptions and pools. Must not know HTTP, sockets, clocks
//! or threads. Same inputs, same outputs, byte for byte.
//!
//! What happens by itself (a delay, a claim or a message ends) is seen to have happened at once:
//! every look-up says what time it is. Queues are *settled*, what is due in them is carried out,
//! little by little: a bounded number of endings with every input. Likewise what a deletion or a
//! purge leaves behind is given back. So nobody ever pays for a million messages that just ended.
//!
//! Every step is O(log n) in all that a user can grow. The exceptions are listings with filters,
//! which visit the project's queues. Subscribers cost a post nothing, however many: see
//! [`Broker::poll_output`]. What was looked at is counted: [`Broker::work_done`].

pub mod attributes;
mod backlog;
mod catalogue;
mod claim;
mod clients;
mod delivery;
mod error;
mod flavors;
mod id;
mod input;
mod json_text;
mod lane;
pub mod limits;
mod marker;
mod message;
mod notification;
mod outbox;
mod output;
mod placement;
mod pools;
mod posting;
mod queue;
mod retry;
mod roster;
mod slab;
mod snapshot;
mod sockets;
mod subscription;
mod timestamp;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

pub use attributes::{AttributeFault, Metadata};
pub use error::BrokerError;
pub use flavors::{FlavorInput, FlavorName, FlavorOutput, FlavorView};
pub use id::{ClaimId, MessageId, SubscriptionId, Uuid};
pub use input::{
    Caller, Change, ClaimTerms, Fence, Input, MessageListing, NewMessage, NewSubscription, Project,
    PurgeScope, QueueListing, RequestedDelay, SubscriptionInput, SubscriptionListing,
    SubscriptionUpdate,
};
pub use json_text::JsonText;
pub use limits::{
    BulkDeleteRule, ClientIdRule, ConfirmationRule, Limits, PoolingRule, VirtualPoolRule,
};
pub use message::ClientId;
pub use notification::{
    AttemptId, Content, DeliveryCounts, Notice, Notification, Outcome, PostedMessage,
};
pub use output::{
    ClaimView, MessageView, Output, QueueView, Stats, StatsMessage, SubscriptionOutput,
    SubscriptionView,
};
pub use pools::{CatalogueListing, NewPool, PoolInput, PoolName, PoolOutput, PoolUpdate, PoolView};
pub use queue::QueueName;
pub use snapshot::RestoreError;
pub use sockets::SocketId;
pub use subscription::{Subscriber, TRUST_ID};
pub use timestamp::Timestamp;

use backlog::{Backlog, Look};
use catalogue::Catalogue;
use claim::Claim;
use clients::Clients;
use delivery::{Attempt, Sender};
use id::IdSource;
pub(crate) use id::mix;
use lane::Work;
use marker::Markers;
use message::{BacklogId, Message, Rank, State};
use queue::Queue;
use roster::Roster;
use slab::{Slab, Slot};
use sockets::Sockets;
use subscription::Subscription;

/// How many endings and removals an input carries out beyond what it needs itself, and what it
/// posts. Few, so that an input costs the same whether much is over or nothing.
const COLLECTED_PER_INPUT: usize = 1;
/// How many are carried out when nothing is asked but that time passes.
const COLLECTED_PER_ADVANCE: usize = 256;
/// How many more for each message it posts: the end of a delay and the end of the message. So
/// however large the posts, what is over does not pile up behind them.
const COLLECTED_PER_MESSAGE: usize = 2;

/// The state of a whole service.
#[derive(Serialize, Deserialize)]
pub struct Broker {
    limits: Limits,
    now: Timestamp,
    ids: IdSource,
    markers: Markers,
    next_rank: u64,
    next_backlog_id: u64,
    next_queue_serial: u64,
    projects: BTreeMap<Project, BTreeMap<QueueName, Slot>>,
    queues: Slab<Queue>,
    messages: Slab<Message>,
    clients: Clients,
    claims: Slab<Claim>,
    /// The next ending of each queue.
    alarms: BTreeSet<(Timestamp, Slot)>,
    retired: VecDeque<Retired>,
    /// The queue whose alarm the current input may have to move.
    #[serde(skip)]
    touched: Option<Slot>,
    next_roster_serial: u64,
    /// The subscriptions of a name, whether there is a queue of it or not.
    directory: BTreeMap<Project, BTreeMap<QueueName, Slot>>,
    rosters: Slab<Roster>,
    subscriptions: Slab<Subscription>,
    /// The next ending of each roster.
    roster_alarms: BTreeSet<(Timestamp, Slot)>,
    /// The roster whose alarm the current input may have to move.
    #[serde(skip)]
    touched_roster: Option<Slot>,
    /// The subscriptions of sockets.
    sockets: Sockets,
    /// What is under way to subscribers.
    attempts: BTreeMap<AttemptId, Attempt>,
    next_attempt: u64,
    next_turn: u64,
    senders: BTreeMap<Project, Sender>,
    /// Projects with something to send, each once.
    project_line: VecDeque<Project>,
    counts: DeliveryCounts,
    work: Work,
    catalogue: Catalogue,
}

/// What a deletion or a purge cut off. Nothing leads there any more; only its memory is owed.
#[derive(Serialize, Deserialize)]
enum Retired {
    Backlog {
        backlog: Backlog,
        claim_ends: BTreeSet<(Timestamp, Slot)>,
    },
    Roster(Roster),
}

impl Broker {
    /// A broker without queues. Ids are drawn from the seed.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let mut ids = IdSource::new(seed);
        let markers = Markers::new(&mut ids);
        Self {
            limits,
            now: Timestamp::default(),
            ids,
            markers,
            next_rank: 0,
            next_backlog_id: 0,
            next_queue_serial: 0,
            projects: BTreeMap::new(),
            queues: Slab::new(),
            messages: Slab::new(),
            clients: Clients::new(),
            claims: Slab::new(),
            alarms: BTreeSet::new(),
            retired: VecDeque::new(),
            touched: None,
            next_roster_serial: 0,
            directory: BTreeMap::new(),
            rosters: Slab::new(),
            subscriptions: Slab::new(),
            roster_alarms: BTreeSet::new(),
            touched_roster: None,
            sockets: Sockets::default(),
            attempts: BTreeMap::new(),
            next_attempt: 0,
            next_turn: 0,
            senders: BTreeMap::new(),
            project_line: VecDeque::new(),
            counts: DeliveryCounts::default(),
            work: Work::default(),
            catalogue: Catalogue::new(seed),
        }
    }

    /// Carries out one request, completely or not at all.
    ///
    /// # Errors
    /// If the request cannot be carried out. Nothing a client can see has changed then, but for
    /// the passing of time.
    ///
    /// # Panics
    /// If `now` is before an earlier `now`, or a post has no message.
    pub fn handle(
        &mut self,
        now: Timestamp,
        caller: &Caller,
        input: Input,
    ) -> Result<Output, BrokerError> {
        assert!(now >= self.now, "time does not go backwards");
        self.now = now;
        let posted = if let Input::PostMessages { messages, .. } = &input {
            messages.len()
        } else {
            0
        };
        self.collect(COLLECTED_PER_INPUT + COLLECTED_PER_MESSAGE * posted);
        let result = self.dispatch(caller, input);
        if let Some(slot) = self.touched.take() {
            self.set_alarm(slot);
        }
        if let Some(slot) = self.touched_roster.take() {
            self.finish_roster(slot);
        }
        result
    }

    /// Lets time pass, and carries out a bounded part of what is due.
    ///
    /// # Panics
    /// If `now` is before an earlier `now`.
    pub fn advance(&mut self, now: Timestamp) {
        assert!(now >= self.now, "time does not go backwards");
        self.now = now;
        self.collect(COLLECTED_PER_ADVANCE);
    }

    /// Carries out everything that is due. Of what clients see it changes nothing, for what is due
    /// is never visible; but retries of deliveries come up only with this or with another input.
    ///
    /// # Panics
    /// If `now` is before an earlier `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        assert!(now >= self.now, "time does not go backwards");
        self.now = now;
        self.collect(usize::MAX);
    }

    /// When something may happen next by itself, and never after it does. In the past if it is due
    /// and was not carried out.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.retired.is_empty() {
            return Some(self.now);
        }
        let alarms = [self.alarms.first(), self.roster_alarms.first()];
        alarms.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// The bounds this broker keeps.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many entries and branches of indexes were looked at for messages, since the beginning.
    /// What an input adds to it is its cost, whatever the machine.
    #[must_use]
    pub fn work_done(&self) -> u64 {
        self.work.done()
    }

    fn dispatch(&mut self, caller: &Caller, input: Input) -> Result<Output, BrokerError> {
        match input {
            Input::Ping => Ok(Output::Pong),
            Input::ListQueues(listing) => Ok(self.list_queues(caller, listing)),
            Input::CreateQueue { queue, metadata } => self.create_queue(caller, queue, metadata),
            Input::ReadQueue { queue } => Ok(self.read_queue(caller, &queue)),
            Input::PatchQueue { queue, changes } => self.patch_queue(caller, &queue, changes),
            Input::DeleteQueue { queue } => Ok(self.delete_queue(caller, &queue)),
            Input::QueueStats { queue } => Ok(self.queue_stats(caller, queue)),
            Input::PurgeQueue { queue, scope } => Ok(self.purge_queue(caller, &queue, scope)),
            Input::PostMessages {
                queue,
                bytes,
                messages,
            } => self.post_messages(caller, queue, (bytes, messages)),
            Input::ListMessages { queue, listing } => {
                Ok(self.list_messages(caller, queue, listing))
            }
            Input::ReadMessages { queue, ids } => self.read_messages(caller, queue, ids),
            Input::ReadMessage { queue, id } => self.read_message(caller, queue, id),
            Input::DeleteMessage { queue, id, fence } => {
                self.delete_message(caller, &queue, (id, fence))
            }
            Input::DeleteMessages { queue, ids, claims } => {
                self.delete_messages(caller, &queue, (ids, claims))
            }
            Input::PopMessages { queue, limit } => Ok(self.pop_messages(caller, &queue, limit)),
            Input::ClaimMessages {
                queue,
                limit,
                terms,
            } => self.claim_messages(caller, queue, (limit, terms)),
            Input::ReadClaim { queue, id } => self.read_claim(caller, queue, id),
            Input::RenewClaim { queue, id, terms } => self.renew_claim(caller, &queue, (id, terms)),
            Input::ReleaseClaim { queue, id } => Ok(self.release_claim(caller, &queue, id)),
            Input::Subscriptions { queue, input } => {
                self.handle_subscriptions(caller, queue, input)
            }
            Input::Pools(input) => self.handle_pools(caller, input),
            Input::Flavors(input) => self.handle_flavors(input),
        }
    }

    /// The queue, which the input may change: its alarm is set after it.
    fn touched_queue(&mut self, project: &Project, queue: &QueueName) -> Option<Slot> {
        let slot = self.find_queue(project, queue)?;
        self.touched = Some(slot);
        Some(slot)
    }

    const fn look(&self) -> Look<'_> {
        Look {
            now: self.now,
            work: &self.work,
        }
    }

    /// Carries out at most about `budget` endings and removals, wherever they are due.
    fn collect(&mut self, mut budget: usize) {
        while budget > 0 {
            if self.discard_one() {
                budget -= 1;
                continue;
            }
            let due = |alarm: &&(Timestamp, Slot)| alarm.0 <= self.now;
            let queue = self.alarms.first().filter(due).copied();
            let roster = self.roster_alarms.first().filter(due).copied();
            // What is due first comes first, so that neither kind waits for the other.
            let settled = match (queue, roster) {
                (Some((at, slot)), roster) if roster.is_none_or(|(other, _)| at <= other) => {
                    let settled = self.settle_some(slot, budget);
                    self.reset_alarm(slot);
                    let moved = self.queues[slot].alarm != Some(at);
                    assert!(settled > 0 || moved, "invariant: there is an end of it");
                    settled
                }
                (_, Some((_, slot))) => {
                    let settled = self.settle_roster_once(slot);
                    self.finish_roster(slot);
                    assert!(settled, "invariant: an alarm means that something is due");
                    1
                }
                (_, None) => return,
            };
            // To find an alarm without cause costs something too.
            budget = budget.saturating_sub(settled.max(1));
        }
    }

    /// Carries out what is due in the queue: the end of a claim, or about `budget` endings of
    /// messages and delays. Returns how many.
    fn settle_some(&mut self, slot: Slot, budget: usize) -> usize {
        let look = Look {
            now: self.now,
            work: &self.work,
        };
        let queue = &mut self.queues[slot];
        if let Some(&(at, claim)) = queue.claim_ends.first()
            && at <= self.now
        {
            return 1 + self.end_claim(slot, claim);
        }
        let expired = queue.backlog.take_expired(look, budget);
        if !expired.is_empty() {
            for &message in &expired {
                self.drop_message(message);
            }
            return expired.len();
        }
        let ready = queue.backlog.take_ready(look, budget);
        for &message in &ready {
            self.messages[message].state = State::Active;
            queue.backlog.attach(message, &self.messages);
        }
        ready.len()
    }

    /// Gives back one thing that a deletion or a purge cut off; false if none is left.
    fn discard_one(&mut self) -> bool {
        let Some(retired) = self.retired.front_mut() else {
            return false;
        };
        match retired {
            Retired::Backlog {
                backlog,
                claim_ends,
            } => {
                if let Some((_, claim)) = claim_ends.pop_first() {
                    self.claims.remove(claim);
                    return true;
                }
                if let Some(message) = backlog.discard_first() {
                    self.drop_message(message);
                    return true;
                }
            }
            Retired::Roster(roster) => {
                let end = roster.outbox.end();
                if let Some(subscription) = roster.discard_first() {
                    self.count_abandoned(subscription, end);
                    let removed = self.subscriptions.remove(subscription);
                    self.sockets.leave(&removed.subscriber, subscription);
                    return true;
                }
            }
        }
        self.retired.pop_front();
        true
    }

    /// Sets the alarm of a queue if it has to be earlier. Where it can be later it stays, and goes
    /// off once without cause: that is cheaper than to move it with every message that goes.
    fn set_alarm(&mut self, slot: Slot) {
        let queue = &self.queues[slot];
        let due = queue.next_due();
        if due.is_some_and(|due| queue.alarm.is_none_or(|alarm| due < alarm)) {
            self.reset_alarm(slot);
        }
    }

    fn reset_alarm(&mut self, slot: Slot) {
        let queue = &mut self.queues[slot];
        let due = queue.next_due();
        if queue.alarm == due {
            return;
        }
        if let Some(old) = std::mem::replace(&mut queue.alarm, due) {
            self.alarms.remove(&(old, slot));
        }
        if let Some(new) = due {
            self.alarms.insert((new, slot));
        }
    }

    const fn draw_rank(&mut self) -> Rank {
        self.next_rank += 1;
        Rank(self.next_rank)
    }

    const fn draw_backlog_id(&mut self) -> BacklogId {
        self.next_backlog_id += 1;
        BacklogId(self.next_backlog_id)
    }

    /// Compares every index with a full scan. For tests.
    ///
    /// # Panics
    /// If an index disagrees with what it indexes.
    #[doc(hidden)]
    pub fn check_invariants(&self) {
        let (mut queues, mut alarms) = (0, BTreeSet::new());
        let (mut messages, mut claims) = (0, 0);
        for slot in self.projects.values().flat_map(BTreeMap::values) {
            let queue = &self.queues[*slot];
            queues += 1;
            queue.backlog.check(&self.messages);
            messages += queue.backlog.len();
            claims += queue.claim_ends.len();
            assert!(
                queue
                    .next_due()
                    .is_none_or(|due| queue.alarm.is_some_and(|alarm| alarm <= due)),
                "the alarm is not after the next ending"
            );
            alarms.extend(queue.alarm.map(|alarm| (alarm, *slot)));
            let (mut held, mut claimed) = (0, 0);
            for (at, claim_slot) in &queue.claim_ends {
                let claim = &self.claims[*claim_slot];
                assert_eq!((claim.expires_at, claim.queue), (*at, queue.serial));
                if claim.backlog == queue.backlog.id {
                    held += claim.messages.len();
                    let ranks = claim.messages.iter().map(|&message| {
                        let message = &self.messages[message];
                        let (claim, until) = (*claim_slot, claim.expires_at);
                        assert_eq!(message.state, State::Claimed { claim, until });
                        message.rank
                    });
                    assert!(ranks.is_sorted(), "a claim holds its messages in order");
                }
            }
            queue.backlog.each_claimed(&mut |_| claimed += 1);
            assert_eq!(held, claimed, "one claim per claimed message");
        }
        for retired in &self.retired {
            if let Retired::Backlog {
                backlog,
                claim_ends,
            } = retired
            {
                messages += backlog.len();
                claims += claim_ends.len();
            }
        }
        self.check_rosters();
        self.check_deliveries();
        self.check_placement();
        self.check_sockets();
        assert_eq!(queues, self.queues.len(), "every queue has a name");
        assert_eq!(
            messages,
            self.messages.len(),
            "every message is in a backlog"
        );
        assert_eq!(
            messages,
            self.clients.messages(),
            "every message has a client"
        );
        assert_eq!(claims, self.claims.len(), "every claim has an end");
        assert_eq!(alarms, self.alarms, "every alarm belongs to a queue");
    }
}
