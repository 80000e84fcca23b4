//! Random sequences of commands about subscriptions, compared with a list of them after every
//! step, and with what each of them is owed. A second broker with the same seed does the same,
//! byte for byte.

use std::collections::VecDeque;
use std::sync::Arc;

use nanshe_reference::broker::{
    ClientId, ConfirmationRule, Content, DeliveryCounts, JsonText, NewMessage, NewSubscription,
    Notification, Outcome, Project, PurgeScope, QueueName, RequestedDelay, SocketId, Subscriber,
    SubscriptionId, SubscriptionInput, SubscriptionListing, SubscriptionOutput, SubscriptionUpdate,
    Uuid,
};
use nanshe_reference::{Broker, BrokerError, Caller, Input, Limits, Output, Timestamp};
use proptest::prelude::*;

/// Few enough that messages fall off.
const PENDING_MAX: usize = 5;
const SECOND: u64 = 1_000_000_000;
const SOCKET: SocketId = SocketId(7);

#[derive(Clone, Debug)]
enum Command {
    Subscribe {
        queue: usize,
        subscriber: usize,
        ttl: u64,
    },
    Renew {
        which: prop::sample::Index,
        ttl: u64,
    },
    Move {
        which: prop::sample::Index,
        subscriber: usize,
    },
    Confirm {
        which: prop::sample::Index,
        confirmed: bool,
    },
    Delete {
        which: prop::sample::Index,
    },
    Purge {
        queue: usize,
    },
    DeleteQueue {
        queue: usize,
    },
    Post {
        queue: usize,
        count: usize,
    },
    Answer {
        which: prop::sample::Index,
        outcome: Outcome,
    },
    Wait {
        nanos: u64,
    },
    Collect,
    /// The second broker is saved, and goes on as what is restored from that.
    Restore,
    CloseSocket,
}

fn command() -> impl Strategy<Value = Command> {
    let index = any::<prop::sample::Index>;
    let outcome = prop_oneof![
        2 => Just(Outcome::Delivered), 1 => Just(Outcome::Refused), 8 => Just(Outcome::Failed),
    ];
    prop_oneof![
        8 => (0..2usize, 0..4usize, 60..90u64).prop_map(
            |(queue, subscriber, ttl)| Command::Subscribe { queue, subscriber, ttl }),
        3 => (index(), 60..90u64).prop_map(|(which, ttl)| Command::Renew { which, ttl }),
        3 => (index(), 0..4usize).prop_map(
            |(which, subscriber)| Command::Move { which, subscriber }),
        3 => (index(), any::<bool>()).prop_map(
            |(which, confirmed)| Command::Confirm { which, confirmed }),
        2 => index().prop_map(|which| Command::Delete { which }),
        1 => (0..2usize).prop_map(|queue| Command::Purge { queue }),
        1 => (0..2usize).prop_map(|queue| Command::DeleteQueue { queue }),
        5 => prop_oneof![0..SECOND, (0..40u64).prop_map(|secs| secs * SECOND)].prop_map(
            |nanos| Command::Wait { nanos }),
        6 => (0..2usize, 1..4usize).prop_map(|(queue, count)| Command::Post { queue, count }),
        12 => (index(), outcome).prop_map(|(which, outcome)| Command::Answer { which, outcome }),
        1 => Just(Command::Collect),
        1 => Just(Command::Restore),
        2 => Just(Command::CloseSocket),
    ]
}

/// A subscription as the list knows it. It stays on the list when it has ended.
#[derive(Clone, Debug)]
struct Entry {
    id: SubscriptionId,
    queue: usize,
    subscriber: usize,
    ends_at: u64,
    confirmed: bool,
    /// The messages it has not got, by number.
    owed: VecDeque<u64>,
    /// Failed attempts at the first of these.
    failures: u32,
}

struct Run {
    brokers: [Broker; 2],
    limits: Limits,
    now: u64,
    entries: Vec<Entry>,
    posted: u64,
    /// By queue, the messages that were posted while anybody was to be notified.
    logs: [Vec<u64>; 2],
    /// What was taken and not answered yet.
    in_flight: Vec<Notification>,
    counts: DeliveryCounts,
}

impl Run {
    fn new(confirmation_rule: ConfirmationRule) -> Self {
        let limits = Limits {
            confirmation_rule,
            deliveries_per_project_max: 3,
            notifications_pending_max: PENDING_MAX,
            ..Limits::default()
        };
        let broker = || Broker::new(limits.clone(), 5);
        Self {
            brokers: [broker(), broker()],
            limits: limits.clone(),
            now: SECOND,
            entries: Vec::new(),
            posted: 0,
            logs: [Vec::new(), Vec::new()],
            in_flight: Vec::new(),
            counts: DeliveryCounts::default(),
        }
    }

    fn ask(&mut self, input: &Input) -> Result<Output, BrokerError> {
        let caller = Caller {
            project: Project(Arc::from("p")),
            client: ClientId::Uuid(Uuid::from_bytes([1; 16])),
        };
        let now = Timestamp::from_nanos(self.now);
        let [first, second] = self.brokers.each_mut().map(|broker| {
            let answer = broker.handle(now, &caller, input.clone());
            broker.check_invariants();
            answer
        });
        assert_eq!(first, second, "the same inputs give the same outputs");
        first
    }

    fn about(
        &mut self,
        queue: usize,
        input: SubscriptionInput,
    ) -> Result<SubscriptionOutput, BrokerError> {
        let queue = name(queue);
        let Output::Subscriptions { output, .. } =
            self.ask(&Input::Subscriptions { queue, input })?
        else {
            panic!("an answer about something else")
        };
        Ok(output)
    }

    fn restore(&mut self) {
        let saved = self.brokers[1].save();
        self.brokers[1] = Broker::restore(&saved).unwrap();
        self.brokers[1].check_invariants();
        assert_eq!(self.brokers[1].save(), saved);
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Subscribe {
                queue,
                subscriber,
                ttl,
            } => self.subscribe((queue, subscriber), ttl),
            Command::Renew { which, ttl } => {
                let update = SubscriptionUpdate {
                    ttl_secs: Some(ttl),
                    ..SubscriptionUpdate::default()
                };
                let ends_at = self.now + ttl * SECOND;
                self.update(which, update, |entry| entry.ends_at = ends_at);
            }
            Command::Move { which, subscriber } => {
                let update = SubscriptionUpdate {
                    subscriber: Some(uri(subscriber)),
                    ..SubscriptionUpdate::default()
                };
                let rule = self.limits.confirmation_rule;
                self.update(which, update, |entry| {
                    // Somebody else has to confirm for itself.
                    if entry.subscriber != subscriber && rule == ConfirmationRule::Required {
                        entry.confirmed = false;
                        entry.owed.clear();
                        entry.failures = 0;
                    }
                    entry.subscriber = subscriber;
                });
            }
            Command::Confirm { which, confirmed } => self.confirm(which, confirmed),
            Command::Delete { which } => self.delete(which),
            Command::Purge { queue } => {
                let scope = PurgeScope::Subscriptions;
                self.ask(&Input::PurgeQueue {
                    queue: name(queue),
                    scope,
                })
                .unwrap();
                for entry in self.entries.iter_mut().filter(|entry| entry.queue == queue) {
                    entry.ends_at = 0;
                }
            }
            Command::DeleteQueue { queue } => {
                self.ask(&Input::DeleteQueue { queue: name(queue) })
                    .unwrap();
            }
            Command::Wait { nanos } => {
                // What came up at the last look is taken before time goes on: the broker learns of
                // a later time only by the next input.
                self.drain();
                self.now += nanos;
            }
            Command::Restore => self.restore(),
            Command::Collect => {
                let now = Timestamp::from_nanos(self.now);
                for broker in &mut self.brokers {
                    broker.handle_timeout(now);
                    broker.check_invariants();
                    assert!(broker.poll_timeout().is_none_or(|at| at > now));
                }
            }
            Command::CloseSocket => self.close_socket(),
            Command::Post { queue, count } => self.post(queue, count),
            Command::Answer { which, outcome } => {
                if !self.in_flight.is_empty() {
                    let taken = self.in_flight.remove(which.index(self.in_flight.len()));
                    self.answer(&taken, outcome);
                }
            }
        }
        self.drain();
    }

    fn confirm(&mut self, which: prop::sample::Index, confirmed: bool) {
        let Some(at) = self.pick(which) else { return };
        let (queue, id) = (self.entries[at].queue, Some(self.entries[at].id));
        let answer = self.about(queue, SubscriptionInput::Confirm(id, confirmed));
        assert_eq!(answer.is_ok(), self.lives(at));
        if answer.is_ok() {
            self.entries[at].confirmed = confirmed;
            if !self.receives(at) {
                self.withdraw(at);
            }
        }
    }

    fn delete(&mut self, which: prop::sample::Index) {
        let Some(at) = self.pick(which) else { return };
        let (queue, id) = (self.entries[at].queue, Some(self.entries[at].id));
        // Through the other queue it does nothing.
        for queue in [1 - queue, queue] {
            assert_eq!(self.entries_alive(), self.alive());
            let answer = self.about(queue, SubscriptionInput::Delete(id));
            assert_eq!(answer, Ok(SubscriptionOutput::Deleted));
        }
        self.entries[at].ends_at = 0;
    }

    fn close_socket(&mut self) {
        let now = Timestamp::from_nanos(self.now);
        for broker in &mut self.brokers {
            assert!(!broker.close_socket(now, SOCKET), "there are few of them");
            broker.check_invariants();
        }
        let entries = self.entries.iter_mut();
        for entry in entries.filter(|entry| uri(entry.subscriber) == Subscriber::Socket(SOCKET)) {
            entry.ends_at = 0;
        }
    }

    fn receives(&self, at: usize) -> bool {
        let rule = self.limits.confirmation_rule;
        self.lives(at) && (rule == ConfirmationRule::NotNeeded || self.entries[at].confirmed)
    }

    fn post(&mut self, queue: usize, count: usize) {
        let mut messages = Vec::new();
        for _ in 0..count {
            self.posted += 1;
            let mut entries = 0..self.entries.len();
            if entries.any(|at| self.entries[at].queue == queue && self.receives(at)) {
                self.logs[queue].push(self.posted);
            }
            for at in 0..self.entries.len() {
                if self.entries[at].queue == queue && self.receives(at) {
                    self.entries[at].owed.push_back(self.posted);
                }
            }
            messages.push(NewMessage {
                ttl_secs: Some(60),
                delay: RequestedDelay::Absent,
                body: JsonText::parse(&self.posted.to_string()).unwrap(),
            });
        }
        let queue = name(queue);
        self.ask(&Input::PostMessages {
            queue,
            bytes: 1,
            messages,
        })
        .unwrap();
    }

    /// Takes whatever is to be sent, and checks that it may be.
    fn drain(&mut self) {
        loop {
            let [first, second] = self.brokers.each_mut().map(Broker::poll_output);
            assert_eq!(first, second, "the same inputs give the same outputs");
            let Some(taken) = first else { break };
            let at = self
                .entries
                .iter()
                .position(|entry| entry.id == taken.subscription)
                .unwrap();
            assert!(self.lives(at), "nothing is sent for what has ended");
            assert_eq!(uri(self.entries[at].subscriber), taken.subscriber);
            let mut others = self.in_flight.iter();
            assert!(
                others.all(|other| other.subscription != taken.subscription),
                "one at a time"
            );
            if let Content::Message(message) = &taken.content {
                let number = message.body.as_integer().unwrap();
                self.drop_overflowed(at);
                let owed = self.entries[at].owed.front().copied();
                assert_eq!(
                    owed,
                    u64::try_from(number).ok(),
                    "in order, and none left out"
                );
            }
            self.in_flight.push(taken);
            assert!(self.in_flight.len() <= self.limits.deliveries_per_project_max);
        }
    }

    /// Drops what fell off the log before it was sent to this subscription for the first time.
    fn drop_overflowed(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        let log = &self.logs[entry.queue];
        let kept = &log[log.len().saturating_sub(PENDING_MAX)..];
        while let Some(first) = entry.owed.front()
            && entry.failures == 0
            && !kept.contains(first)
        {
            entry.owed.pop_front();
            self.counts.overflowed += 1;
        }
    }

    fn answer(&mut self, taken: &Notification, outcome: Outcome) {
        let now = Timestamp::from_nanos(self.now);
        for broker in &mut self.brokers {
            broker.handle_outcome(now, taken.attempt, outcome);
            broker.check_invariants();
        }
        let at = self
            .entries
            .iter()
            .position(|entry| entry.id == taken.subscription)
            .unwrap();
        let lives = self.receives(at);
        let entry = &mut self.entries[at];
        let Content::Message(message) = &taken.content else {
            return;
        };
        let number = u64::try_from(message.body.as_integer().unwrap()).unwrap();
        if !lives || entry.owed.front() != Some(&number) {
            return;
        }
        entry.failures += 1;
        // One attempt and, by the default policy, fourteen retries.
        if outcome != Outcome::Failed || entry.failures > 14 {
            entry.owed.pop_front();
            entry.failures = 0;
            match outcome {
                Outcome::Delivered => self.counts.delivered += 1,
                Outcome::Refused | Outcome::Failed => self.counts.given_up += 1,
            }
        }
    }

    /// Ends what the list has of a subscription that is over, or gets nothing any more.
    fn withdraw(&mut self, at: usize) {
        self.entries[at].owed.clear();
        self.entries[at].failures = 0;
    }

    /// Lets everything arrive, and checks that nothing was lost.
    fn settle(&mut self) {
        loop {
            self.drain();
            while let Some(taken) = self.in_flight.pop() {
                self.answer(&taken, Outcome::Delivered);
                self.drain();
            }
            let Some(at) = self.brokers[0].poll_timeout() else {
                break;
            };
            if (0..self.entries.len())
                .all(|at| !self.receives(at) || self.entries[at].owed.is_empty())
            {
                break;
            }
            self.now = self.now.max(at.as_nanos());
            self.carry_out(Command::Collect);
        }
        let counts = self.brokers[0].delivery_counts();
        assert_eq!(counts.delivered, self.counts.delivered);
        assert_eq!(counts.given_up, self.counts.given_up);
        assert_eq!(counts.overflowed, self.counts.overflowed);
        assert_eq!(counts.pending(), 0);
    }

    fn subscribe(&mut self, (queue, subscriber): (usize, usize), ttl: u64) {
        let known = (0..self.entries.len()).find(|&at| {
            let entry = &self.entries[at];
            self.lives(at) && (entry.queue, entry.subscriber) == (queue, subscriber)
        });
        let answer = self.about(
            queue,
            SubscriptionInput::Create(NewSubscription {
                subscriber: uri(subscriber),
                ttl_secs: Some(ttl),
                options: JsonText::parse("{}").unwrap(),
            }),
        );
        match known.map(|at| &self.entries[at]) {
            Some(entry) if entry.confirmed => {
                assert_eq!(
                    answer,
                    Err(BrokerError::SubscriberIsSubscribed { queue: name(queue) })
                );
            }
            Some(entry) => assert_eq!(answer, Ok(SubscriptionOutput::Created(entry.id))),
            None => {
                let Ok(SubscriptionOutput::Created(id)) = answer else {
                    panic!("a new subscriber may subscribe")
                };
                self.entries.push(Entry {
                    id,
                    queue,
                    subscriber,
                    ends_at: self.now + ttl * SECOND,
                    confirmed: false,
                    owed: VecDeque::new(),
                    failures: 0,
                });
            }
        }
    }

    fn update(
        &mut self,
        which: prop::sample::Index,
        update: SubscriptionUpdate,
        change: impl FnOnce(&mut Entry),
    ) {
        let Some(at) = self.pick(which) else { return };
        let entry = self.entries[at].clone();
        let taken = update.subscriber.as_ref().is_some_and(|wanted| {
            let others = (0..self.entries.len()).filter(|&other| other != at && self.lives(other));
            let mut others = others.map(|other| &self.entries[other]);
            others.any(|other| other.queue == entry.queue && uri(other.subscriber) == *wanted)
        });
        let expected = match (self.lives(at), taken) {
            (false, _) => Err(BrokerError::SubscriptionDoesNotExist),
            (true, true) => Err(BrokerError::SubscriberIsSubscribed {
                queue: name(entry.queue),
            }),
            (true, false) => Ok(SubscriptionOutput::Updated(entry.id)),
        };
        let answer = self.about(
            entry.queue,
            SubscriptionInput::Update(Some(entry.id), update),
        );
        assert_eq!(answer, expected);
        if answer.is_ok() {
            change(&mut self.entries[at]);
        }
    }

    fn pick(&self, which: prop::sample::Index) -> Option<usize> {
        (!self.entries.is_empty()).then(|| which.index(self.entries.len()))
    }

    fn lives(&self, at: usize) -> bool {
        self.entries[at].ends_at > self.now
    }

    fn entries_alive(&self) -> Vec<SubscriptionId> {
        let alive = (0..self.entries.len()).filter(|&at| self.lives(at));
        let mut ids: Vec<_> = alive.map(|at| self.entries[at].id).collect();
        ids.sort();
        ids
    }

    /// What the broker shows of both queues, page by page.
    fn alive(&mut self) -> Vec<SubscriptionId> {
        let mut ids = Vec::new();
        for queue in 0..2 {
            let mut marker = None;
            loop {
                let listing = SubscriptionListing { marker, limit: 2 };
                let answer = self.about(queue, SubscriptionInput::List(listing));
                let Ok(SubscriptionOutput::Page(_, page)) = answer else {
                    panic!("a listing succeeds")
                };
                let Some(last) = page.last() else { break };
                marker = Some(last.id.to_string());
                for view in page {
                    let entry = self
                        .entries
                        .iter()
                        .find(|entry| entry.id == view.id)
                        .unwrap();
                    assert_eq!((entry.queue, entry.confirmed), (queue, view.confirmed));
                    assert_eq!(uri(entry.subscriber), view.subscriber);
                    ids.push(view.id);
                }
            }
        }
        ids.sort();
        ids
    }
}

fn name(queue: usize) -> QueueName {
    QueueName::parse(&format!("q{queue}")).unwrap()
}

/// The last of them is a socket.
fn uri(subscriber: usize) -> Subscriber {
    if subscriber == 3 {
        return Subscriber::Socket(SOCKET);
    }
    Subscriber::Uri(Arc::from(format!("http://h/{subscriber}")))
}

fn rule() -> impl Strategy<Value = ConfirmationRule> {
    prop_oneof![
        Just(ConfirmationRule::NotNeeded),
        Just(ConfirmationRule::Required)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn subscriptions_agree_with_a_list(
        rule in rule(), commands in prop::collection::vec(command(), 1..80),
    ) {
        let mut run = Run::new(rule);
        for command in commands {
            run.carry_out(command);
            assert_eq!(run.entries_alive(), run.alive());
        }
        run.settle();
    }

    #[test]
    fn subscriptions_may_end_unseen(
        rule in rule(), commands in prop::collection::vec(command(), 1..160),
    ) {
        let mut run = Run::new(rule);
        for command in commands {
            // A deletion looks at everything.
            if !matches!(command, Command::Delete { .. }) {
                run.carry_out(command);
            }
        }
        assert_eq!(run.entries_alive(), run.alive());
        run.settle();
    }
}
