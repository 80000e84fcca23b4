//! Random sequences of commands of clients and operators. Every command goes to a broker with pools
//! and to its twin, which must agree on everything; the commands of clients also go to a broker
//! without pools, which must answer the same, byte for byte: whatever operators do, and however
//! often queues move, clients cannot tell. Where queues are is compared with a plain list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nanshe_reference::broker::{
    ClaimId, ClaimTerms, ClientId, Fence, FlavorInput, FlavorName, JsonText, MessageId,
    MessageListing, NewMessage, NewPool, NewSubscription, Outcome, PoolInput, PoolName, PoolOutput,
    PoolUpdate, PoolingRule, Project, PurgeScope, QueueListing, QueueName, RequestedDelay,
    Subscriber, SubscriptionInput, Uuid, VirtualPoolRule,
};
use nanshe_reference::{Broker, BrokerError, Caller, Input, Limits, Output, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

const SECOND: u64 = 1_000_000_000;
const QUEUES: usize = 5;
const POOLS: usize = 4;
const FLAVORS: usize = 2;
/// Sends what was handed out once to queue 0.
const DYING: usize = 4;

#[derive(Clone, Debug)]
enum Command {
    Create(usize, Option<usize>),
    Post(usize, usize),
    Subscribe(usize, usize),
    Claim(usize),
    Release(Index),
    Delete(usize, Index, Option<Index>),
    Pop(usize),
    Page(usize),
    Purge(usize),
    DeleteQueue(usize),
    Answer(Index, Outcome),
    Wait(u64),
    PutPool(usize, u32, Option<usize>),
    SetWeight(usize, u32),
    SetFlavor(usize, Option<usize>),
    DeletePool(usize),
    PutFlavor(usize, BTreeSet<usize>),
    UpdateFlavor(usize, BTreeSet<usize>),
    DeleteFlavor(usize),
    Drain(usize, usize),
    /// The second broker is saved, and goes on as what is restored from that.
    Restore,
}

fn command() -> impl Strategy<Value = Command> {
    let (queue, pool, flavor) = (|| 0..QUEUES, || 0..POOLS, || 0..FLAVORS);
    let (index, weight) = (any::<Index>, || prop_oneof![Just(0), Just(1), 1..5u32]);
    let some_flavor = move || prop::option::of(flavor());
    let pools = move || prop::collection::btree_set(pool(), 1..3);
    let outcome = prop_oneof![Just(Outcome::Delivered), Just(Outcome::Failed)];
    let nanos = prop_oneof![0..SECOND, (0..40u64).prop_map(|secs| secs * SECOND)];
    prop_oneof![
        5 => (queue(), some_flavor()).prop_map(|(q, f)| Command::Create(q, f)),
        6 => (queue(), 1..4usize).prop_map(|(q, n)| Command::Post(q, n)),
        2 => (queue(), 0..2usize).prop_map(|(q, n)| Command::Subscribe(q, n)),
        4 => queue().prop_map(Command::Claim),
        3 => index().prop_map(Command::Release),
        2 => (queue(), index(), prop::option::of(index())).prop_map(
            |(q, message, claim)| Command::Delete(q, message, claim)),
        1 => queue().prop_map(Command::Pop),
        3 => queue().prop_map(Command::Page),
        1 => queue().prop_map(Command::Purge),
        2 => queue().prop_map(Command::DeleteQueue),
        2 => (index(), outcome).prop_map(|(which, outcome)| Command::Answer(which, outcome)),
        3 => nanos.prop_map(Command::Wait),
        5 => (pool(), weight(), some_flavor()).prop_map(|(p, w, f)| Command::PutPool(p, w, f)),
        4 => (pool(), weight()).prop_map(|(p, w)| Command::SetWeight(p, w)),
        1 => (pool(), some_flavor()).prop_map(|(p, f)| Command::SetFlavor(p, f)),
        3 => pool().prop_map(Command::DeletePool),
        3 => (flavor(), pools()).prop_map(|(f, p)| Command::PutFlavor(f, p)),
        1 => (flavor(), pools()).prop_map(|(f, p)| Command::UpdateFlavor(f, p)),
        1 => flavor().prop_map(Command::DeleteFlavor),
        6 => (pool(), 1..4usize).prop_map(|(p, n)| Command::Drain(p, n)),
        1 => Just(Command::Restore),
    ]
}

/// A pool as the list knows it.
#[derive(Clone, Copy)]
struct Pool {
    weight: u32,
    flavor: Option<usize>,
}

/// A queue as the list knows it: the flavor that it was created with, and its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    flavor: Option<usize>,
    pool: Option<usize>,
}

struct Run {
    /// The last one has no pools.
    brokers: [Broker; 3],
    virtual_pool_rule: VirtualPoolRule,
    now: u64,
    pools: BTreeMap<usize, Pool>,
    flavors: BTreeSet<usize>,
    queues: BTreeMap<usize, Place>,
    claims: Vec<(usize, ClaimId)>,
    messages: Vec<MessageId>,
    in_flight: Vec<nanshe_reference::broker::Notification>,
}

impl Run {
    fn new(virtual_pool_rule: VirtualPoolRule) -> Self {
        let limits = |pooling_rule| Limits {
            pooling_rule,
            virtual_pool_rule,
            ..Limits::default()
        };
        let pooled = || Broker::new(limits(PoolingRule::Pools), 5);
        Self {
            brokers: [
                pooled(),
                pooled(),
                Broker::new(limits(PoolingRule::OneStore), 5),
            ],
            virtual_pool_rule,
            now: SECOND,
            pools: BTreeMap::new(),
            flavors: BTreeSet::new(),
            queues: BTreeMap::new(),
            claims: Vec::new(),
            messages: Vec::new(),
            in_flight: Vec::new(),
        }
    }

    /// Asks the two with pools one thing and the one without another.
    fn ask_apart(&mut self, input: &Input, other: &Input) -> [Result<Output, BrokerError>; 2] {
        let caller = Caller {
            project: project(),
            client: ClientId::Uuid(Uuid::from_bytes([1; 16])),
        };
        let now = Timestamp::from_nanos(self.now);
        let inputs = [input, input, other];
        let mut answers = self.brokers.iter_mut().zip(inputs).map(|(broker, input)| {
            let answer = broker.handle(now, &caller, input.clone());
            broker.check_invariants();
            answer
        });
        let answers = [(); 3].map(|()| answers.next().unwrap());
        let [first, second, other] = answers;
        assert_eq!(first, second, "the same inputs give the same outputs");
        [first, other]
    }

    /// A request of an operator. Time passes for all.
    fn operate(&mut self, input: &Input) -> Result<Output, BrokerError> {
        let [answer, _] = self.ask_apart(input, &Input::Ping);
        answer
    }

    fn about_pools(&mut self, input: PoolInput) -> Result<PoolOutput, BrokerError> {
        let Output::Pools(output) = self.operate(&Input::Pools(input))? else {
            panic!("an answer about something else")
        };
        Ok(output)
    }

    /// A request of a client. `None`: it would have created a queue with this flavor, which there
    /// is not, or which has no pool that takes anything.
    fn ask(&mut self, input: &Input, creates: Option<(usize, Option<usize>)>) -> Option<Output> {
        let creates = creates.filter(|(queue, _)| !self.queues.contains_key(queue));
        let refused = creates.is_some_and(|(_, flavor)| {
            self.virtual_pool_rule == VirtualPoolRule::Disabled
                && self.candidates(flavor).is_empty()
        });
        if refused {
            let answer = self.operate(input);
            assert_eq!(answer, Err(BrokerError::NoPoolForQueue));
            return None;
        }
        let [pooled, plain] = self.ask_apart(input, input);
        assert_eq!(pooled, plain, "clients cannot tell that there are pools");
        if let Some((queue, flavor)) = creates.filter(|_| pooled.is_ok()) {
            let pool = self.pool_of(queue);
            let candidates = self.candidates(flavor);
            let expected = pool.map_or(candidates.is_empty(), |pool| candidates.contains(&pool));
            assert!(expected, "{pool:?} is none of {candidates:?}");
            self.queues.insert(queue, Place { flavor, pool });
        }
        pooled.ok()
    }

    fn candidates(&self, flavor: Option<usize>) -> BTreeSet<usize> {
        let pools = self.pools.iter();
        let pools = pools.filter(|(_, pool)| pool.flavor == flavor && pool.weight > 0);
        pools.map(|(number, _)| *number).collect()
    }

    fn pool_of(&self, queue: usize) -> Option<usize> {
        let pool = self.brokers[0].pool_of(&project(), &queue_name(queue));
        pool.map(|pool| pool.as_str()[1..].parse().unwrap())
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Create(queue, flavor) => self.create(queue, flavor),
            Command::Post(queue, count) => self.post(queue, count),
            Command::Subscribe(queue, number) => self.subscribe(queue, number),
            Command::Claim(queue) => self.claim(queue),
            Command::Release(which) => {
                if let Some((queue, id)) = self.pick_claim(which) {
                    let queue = queue_name(queue);
                    self.ask(
                        &Input::ReleaseClaim {
                            queue,
                            id: Some(id),
                        },
                        None,
                    );
                }
            }
            Command::Delete(queue, message, claim) => self.delete(queue, message, claim),
            Command::Pop(queue) => {
                let queue = queue_name(queue);
                self.ask(&Input::PopMessages { queue, limit: 2 }, None);
            }
            Command::Page(queue) => self.page(queue),
            Command::Purge(queue) => self.purge(queue),
            Command::DeleteQueue(queue) => {
                self.queues.remove(&queue);
                let queue = queue_name(queue);
                self.ask(&Input::DeleteQueue { queue }, None);
            }
            Command::Answer(which, outcome) => self.answer(which, outcome),
            Command::Wait(nanos) => self.now += nanos,
            Command::PutPool(pool, weight, flavor) => self.put_pool(pool, weight, flavor),
            Command::SetWeight(pool, weight) => {
                let update = PoolUpdate {
                    weight: Some(weight),
                    ..PoolUpdate::default()
                };
                self.update_pool(pool, update, |pool| pool.weight = weight);
            }
            Command::SetFlavor(pool, flavor) => {
                let update = PoolUpdate {
                    flavor: Some(flavor.map(flavor_name)),
                    ..PoolUpdate::default()
                };
                self.update_pool(pool, update, |pool| pool.flavor = flavor);
            }
            Command::DeletePool(pool) => self.delete_pool(pool),
            Command::PutFlavor(flavor, pools) => {
                let names = pools.iter().map(|pool| pool_name(*pool)).collect();
                let put = FlavorInput::Put(flavor_name(flavor), names);
                let answer = self.operate(&Input::Flavors(put));
                self.set_flavor(flavor, &pools, answer.map(drop));
            }
            Command::UpdateFlavor(flavor, pools) => {
                let names = pools.iter().map(|pool| pool_name(*pool)).collect();
                let update = FlavorInput::Update(flavor_name(flavor), names);
                let answer = self.operate(&Input::Flavors(update));
                if self.flavors.contains(&flavor) {
                    self.set_flavor(flavor, &pools, answer.map(drop));
                } else {
                    assert_eq!(answer, Err(BrokerError::FlavorDoesNotExist));
                }
            }
            Command::DeleteFlavor(flavor) => self.delete_flavor(flavor),
            Command::Drain(pool, limit) => self.drain(pool, limit),
            Command::Restore => self.restore(),
        }
        self.compare();
    }

    fn purge(&mut self, queue: usize) {
        let (queue, scope) = (queue_name(queue), PurgeScope::Everything);
        self.ask(&Input::PurgeQueue { queue, scope }, None);
    }

    fn restore(&mut self) {
        let saved = self.brokers[1].save();
        self.brokers[1] = Broker::restore(&saved).unwrap();
        assert_eq!(self.brokers[1].save(), saved);
    }

    fn create(&mut self, queue: usize, flavor: Option<usize>) {
        let mut metadata = BTreeMap::new();
        let mut set = |name: &str, value: String| {
            metadata.insert(name.to_owned(), JsonText::parse(&value).unwrap());
        };
        if let Some(flavor) = flavor {
            set("_flavor", format!("\"f{flavor}\""));
        }
        if queue == DYING {
            set("_max_claim_count", "1".to_owned());
            set("_dead_letter_queue", "\"q0\"".to_owned());
        }
        let input = Input::CreateQueue {
            queue: queue_name(queue),
            metadata,
        };
        if flavor.is_some_and(|flavor| !self.flavors.contains(&flavor)) {
            assert_eq!(self.operate(&input), Err(BrokerError::FlavorIsUnknown));
        } else {
            self.ask(&input, Some((queue, flavor)));
        }
    }

    fn post(&mut self, queue: usize, count: usize) {
        let message = NewMessage {
            ttl_secs: Some(60),
            delay: RequestedDelay::Absent,
            body: JsonText::parse("1").unwrap(),
        };
        let input = Input::PostMessages {
            queue: queue_name(queue),
            bytes: 1,
            messages: vec![message; count],
        };
        if let Some(Output::MessagesPosted { ids, .. }) = self.ask(&input, Some((queue, None))) {
            self.messages.extend(ids);
        }
    }

    fn subscribe(&mut self, queue: usize, number: usize) {
        let new = NewSubscription {
            subscriber: Subscriber::Uri(format!("http://h{number}").into()),
            ttl_secs: Some(60),
            options: JsonText::parse("{}").unwrap(),
        };
        let input = Input::Subscriptions {
            queue: queue_name(queue),
            input: SubscriptionInput::Create(new),
        };
        self.ask(&input, Some((queue, None)));
    }

    /// A claim creates the queue of dead letters if anything has died.
    fn claim(&mut self, queue: usize) {
        let input = Input::ClaimMessages {
            queue: queue_name(queue),
            limit: 2,
            terms: ClaimTerms {
                ttl_secs: 60,
                grace_secs: 60,
            },
        };
        let died = queue == DYING && !self.queues.contains_key(&0) && self.has_dead();
        let answer = self.ask(&input, died.then_some((0, None)));
        if let Some(Output::MessagesClaimed { claim, .. }) = answer {
            self.claims.push((queue, claim));
        }
    }

    /// Whether one of the two messages that would be claimed next has been claimed as often as it
    /// may be, in a queue that counts.
    fn has_dead(&mut self) -> bool {
        let listing = MessageListing {
            marker: None,
            limit: 2,
            echo: true,
            include_claimed: false,
            include_delayed: false,
        };
        let queue = queue_name(DYING);
        let page = self.ask(&Input::ListMessages { queue, listing }, None);
        let Some(Output::MessagePage { messages, .. }) = page else {
            panic!("a list is a page")
        };
        let metadata = self.ask(
            &Input::ReadQueue {
                queue: queue_name(DYING),
            },
            None,
        );
        let Some(Output::QueueMetadata { metadata }) = metadata else {
            panic!("a queue has metadata")
        };
        metadata.contains_key("_max_claim_count")
            && messages.iter().any(|message| message.claim_count >= 1)
    }

    fn delete(&mut self, queue: usize, message: Index, claim: Option<Index>) {
        if self.messages.is_empty() {
            return;
        }
        let id = Some(*message.get(&self.messages));
        let claim = claim.and_then(|which| self.pick_claim(which));
        let fence = claim.map_or(Fence::Absent, |(_, claim)| Fence::Claim(claim));
        let queue = queue_name(queue);
        self.ask(&Input::DeleteMessage { queue, id, fence }, None);
    }

    fn page(&mut self, queue: usize) {
        let listing = MessageListing {
            marker: None,
            limit: 3,
            echo: true,
            include_claimed: true,
            include_delayed: true,
        };
        for _ in 0..2 {
            let (queue, listing) = (queue_name(queue), listing.clone());
            self.ask(&Input::ListMessages { queue, listing }, None);
        }
        let queue = queue_name(queue);
        self.ask(&Input::QueueStats { queue }, None);
    }

    fn pick_claim(&self, which: Index) -> Option<(usize, ClaimId)> {
        (!self.claims.is_empty()).then(|| *which.get(&self.claims))
    }

    fn answer(&mut self, which: Index, outcome: Outcome) {
        if !self.in_flight.is_empty() {
            let taken = self.in_flight.remove(which.index(self.in_flight.len()));
            let now = Timestamp::from_nanos(self.now);
            for broker in &mut self.brokers {
                broker.handle_outcome(now, taken.attempt, outcome);
            }
        }
    }

    fn put_pool(&mut self, pool: usize, weight: u32, flavor: Option<usize>) {
        let new = NewPool {
            uri: format!("memory://{pool}").into(),
            weight,
            flavor: flavor.map(flavor_name),
            options: JsonText::parse("{}").unwrap(),
        };
        let name = pool_name(pool);
        let answer = self.about_pools(PoolInput::Put(name.clone(), new));
        assert_eq!(answer, Ok(PoolOutput::Put(name)));
        self.pools.insert(pool, Pool { weight, flavor });
    }

    fn update_pool(&mut self, pool: usize, update: PoolUpdate, change: impl FnOnce(&mut Pool)) {
        let answer = self.about_pools(PoolInput::Update(pool_name(pool), update));
        match self.pools.get_mut(&pool) {
            None => assert_eq!(answer, Err(BrokerError::PoolDoesNotExist)),
            Some(known) => {
                change(known);
                let Ok(PoolOutput::Updated(view)) = answer else {
                    panic!("the pool was not updated: {answer:?}")
                };
                let flavor = known.flavor.map(flavor_name);
                assert_eq!((view.weight, view.flavor), (known.weight, flavor));
            }
        }
    }

    fn delete_pool(&mut self, pool: usize) {
        let answer = self.about_pools(PoolInput::Delete(pool_name(pool)));
        let queues = self.queues.values();
        let queues = queues.filter(|place| place.pool == Some(pool)).count();
        let flavor = self.pools.get(&pool).and_then(|pool| pool.flavor);
        let flavor = flavor.filter(|flavor| self.flavors.contains(flavor));
        let members = self.pools.values();
        let members = members.filter(|pool| pool.flavor == flavor).count();
        let expected = match (queues, flavor) {
            (1.., _) => Err(BrokerError::PoolHasQueues { queues }),
            (0, Some(_)) if members == 1 => Err(BrokerError::PoolIsLastOfFlavor),
            (0, _) => Ok(PoolOutput::Deleted),
        };
        assert_eq!(answer, expected);
        if answer.is_ok() {
            self.pools.remove(&pool);
        }
    }

    fn set_flavor(
        &mut self,
        flavor: usize,
        pools: &BTreeSet<usize>,
        answer: Result<(), BrokerError>,
    ) {
        if !pools.iter().all(|pool| self.pools.contains_key(pool)) {
            assert_eq!(answer, Err(BrokerError::PoolIsUnknown));
            return;
        }
        assert_eq!(answer, Ok(()));
        self.flavors.insert(flavor);
        for (number, pool) in &mut self.pools {
            if pools.contains(number) {
                pool.flavor = Some(flavor);
            } else if pool.flavor == Some(flavor) {
                pool.flavor = None;
            }
        }
    }

    fn delete_flavor(&mut self, flavor: usize) {
        let delete = FlavorInput::Delete(flavor_name(flavor));
        assert!(self.operate(&Input::Flavors(delete)).is_ok());
        if self.flavors.remove(&flavor) {
            for pool in self.pools.values_mut() {
                pool.flavor = pool.flavor.filter(|other| *other != flavor);
            }
        }
    }

    fn drain(&mut self, pool: usize, limit: usize) {
        let answer = self.about_pools(PoolInput::Drain {
            pool: pool_name(pool),
            limit,
        });
        let held = self
            .queues
            .iter()
            .filter(|(_, place)| place.pool == Some(pool));
        let held: Vec<usize> = held.map(|(queue, _)| *queue).collect();
        // What moves goes to a pool of its own flavor; if that is gone, to one without.
        let targets: BTreeMap<usize, BTreeSet<usize>> = held
            .iter()
            .map(|queue| {
                let flavor = self.queues[queue].flavor;
                let flavor = flavor.filter(|flavor| self.flavors.contains(flavor));
                (*queue, self.candidates(flavor))
            })
            .collect();
        let movable = targets.values().filter(|pools| !pools.is_empty()).count();
        let moved = movable.min(limit);
        let left = held.len() - moved;
        let expected = match self.pools.get(&pool) {
            None => Err(BrokerError::PoolDoesNotExist),
            Some(pool) if pool.weight > 0 => Err(BrokerError::PoolHasWeight),
            Some(_) if moved == 0 && left > 0 => {
                Err(BrokerError::NoPoolForQueuesLeft { queues: left })
            }
            Some(_) => Ok(PoolOutput::Drained { moved, left }),
        };
        assert_eq!(answer, expected);
        if answer.is_ok() {
            let mut seen = 0;
            for (queue, targets) in targets {
                let now = self.pool_of(queue);
                if now != Some(pool) {
                    assert!(targets.contains(&now.unwrap()), "{queue} is misplaced");
                    self.queues.get_mut(&queue).unwrap().pool = now;
                    seen += 1;
                }
            }
            assert_eq!(seen, moved);
        }
    }

    /// No queue is anywhere but on the list and where the list has it, and all that is to be sent
    /// is the same.
    fn compare(&mut self) {
        let listing = QueueListing {
            marker: None,
            limit: 20,
            detailed: true,
            with_count: true,
            name: None,
            filters: Vec::new(),
        };
        let page = self.ask(&Input::ListQueues(listing), None);
        let Some(Output::QueuePage { queues, .. }) = page else {
            panic!("a list is a page")
        };
        let names = queues.iter().map(|queue| queue.name.as_str().to_owned());
        let expected = self.queues.keys().map(|queue| format!("q{queue}"));
        assert!(names.eq(expected), "{queues:?} and {:?}", self.queues);
        for (queue, place) in &self.queues {
            assert_eq!(self.pool_of(*queue), place.pool, "no queue moves by itself");
        }
        loop {
            let [first, second, plain] = self.brokers.each_mut().map(Broker::poll_output);
            assert_eq!((&first, &first), (&second, &plain), "all send the same");
            let Some(taken) = first else { break };
            self.in_flight.push(taken);
        }
        // The one without pools was asked less, so its alarms may be set otherwise.
        let [first, second, _] = self.brokers.each_ref().map(Broker::poll_timeout);
        assert_eq!(first, second, "and wait for the same");
    }
}

fn project() -> Project {
    Project(Arc::from("p"))
}

fn queue_name(number: usize) -> QueueName {
    QueueName::parse(&format!("q{number}")).unwrap()
}

fn pool_name(number: usize) -> PoolName {
    PoolName::parse(&format!("p{number}")).unwrap()
}

fn flavor_name(number: usize) -> FlavorName {
    FlavorName::parse(&format!("f{number}")).unwrap()
}

fn run(rule: VirtualPoolRule, commands: Vec<Command>) {
    let mut run = Run::new(rule);
    for command in commands {
        run.carry_out(command);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn clients_cannot_tell_what_operators_do(
        commands in prop::collection::vec(command(), 1..120)
    ) {
        run(VirtualPoolRule::Enabled, commands);
    }

    #[test]
    fn without_a_virtual_pool_only_creations_can_fail(
        commands in prop::collection::vec(command(), 1..120)
    ) {
        run(VirtualPoolRule::Disabled, commands);
    }
}
