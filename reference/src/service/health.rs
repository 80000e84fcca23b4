//! The check of a store's health: a queue of its own is taken through its whole life, with the
//! broker's own inputs, and nothing is left behind. Zaqar v2, Health.

use std::sync::Arc;

use crate::broker::{
    Broker, BrokerError, BulkDeleteRule, Caller, ClaimId, ClaimTerms, ClientId, Fence, Input,
    JsonText, Limits, MessageId, MessageListing, NewMessage, Output, PoolInput, PoolName, Project,
    QueueName, RequestedDelay, Timestamp, Uuid,
};
use crate::wire::{StoreHealth, Trial};

use super::Clock;

const MESSAGES: usize = 100;

/// Takes a queue through its life in this pool, or in the one store. All under one lock, so nobody
/// sees the queue, neither in the pool nor anywhere else. `id` is not known to anybody: project,
/// queue and client are called by it, so the queue is nobody else's.
pub(super) fn check(
    (broker, now): (&mut Broker, Timestamp),
    clock: &dyn Clock,
    pool: Option<PoolName>,
    id: Uuid,
) -> StoreHealth {
    let caller = Caller {
        project: Project(Arc::from(id.to_string())),
        client: ClientId::Uuid(id),
    };
    let queue = QueueName::parse(&id.to_string()).expect("invariant: a UUID is a name");
    let mut probe = Probe {
        broker,
        now,
        clock,
        caller,
        queue,
        id,
        trials: Vec::new(),
    };
    probe.run(pool);
    StoreHealth(probe.trials)
}

struct Probe<'a> {
    broker: &'a mut Broker,
    now: Timestamp,
    clock: &'a dyn Clock,
    caller: Caller,
    queue: QueueName,
    id: Uuid,
    trials: Vec<Trial>,
}

/// What a step of the check answers if all is well.
type Answer = Result<Output, BrokerError>;

impl Probe<'_> {
    fn run(&mut self, pool: Option<PoolName>) {
        let limits = self.broker.limits().clone();
        let queue = self.queue.clone();
        self.attempt("create_queue", |probe| probe.create(pool));
        let ids = self
            .attempt("post_messages", Self::post)
            .unwrap_or_default();
        let claim = self.attempt("claim_messages", |probe| {
            probe.claim(limits.messages_per_claim_or_pop_max, &ids)
        });
        let (claim, held) = claim.unzip();
        let held: Vec<MessageId> = held.unwrap_or_default();
        let free = ids.get(held.len()..).unwrap_or_default();
        self.attempt("list_messages", |probe| {
            probe.list(limits.messages_per_page_max, free)
        });
        self.attempt("delete_messages", |probe| {
            probe.delete(held.first().copied(), claim)
        });
        self.attempt("delete_claim", |probe| {
            let released = probe.ask(Input::ReleaseClaim { queue, id: claim });
            (released == Ok(Output::ClaimReleased)).then_some(())
        });
        let left = ids.get(1..).unwrap_or_default();
        self.attempt("bulk_delete_messages", |probe| {
            probe.delete_all(left, &limits)
        });
        self.attempt("delete_queue", Self::delete_queue);
    }

    /// Tries something, and notes how long it took and whether all was well.
    fn attempt<T>(
        &mut self,
        operation: &'static str,
        action: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let start = self.clock.now();
        let outcome = action(self);
        let nanos = self.clock.now().as_nanos();
        self.trials.push(Trial {
            operation,
            // A clock may go backwards.
            nanos: nanos.saturating_sub(start.as_nanos()),
            failure: outcome.is_none().then_some(self.id),
        });
        outcome
    }

    fn create(&mut self, pool: Option<PoolName>) -> Option<()> {
        let queue = self.queue.clone();
        let created = self.ask(match pool {
            Some(pool) => Input::Pools(PoolInput::Probe { pool, queue }),
            None => Input::CreateQueue {
                queue,
                metadata: std::collections::BTreeMap::new(),
            },
        });
        matches!(created, Ok(Output::QueueCreated { .. })).then_some(())
    }

    fn post(&mut self) -> Option<Vec<MessageId>> {
        let body = JsonText::parse("\"health\"").expect("invariant: this is JSON");
        let message = NewMessage {
            ttl_secs: None,
            delay: RequestedDelay::Absent,
            body,
        };
        let posted = self.ask(Input::PostMessages {
            queue: self.queue.clone(),
            // No request carried them.
            bytes: 0,
            messages: vec![message; MESSAGES],
        });
        match posted {
            Ok(Output::MessagesPosted { ids, .. }) => (ids.len() == MESSAGES).then_some(ids),
            Ok(_) | Err(_) => None,
        }
    }

    /// A claim holds the oldest messages.
    fn claim(&mut self, limit: usize, ids: &[MessageId]) -> Option<(ClaimId, Vec<MessageId>)> {
        let limits = self.broker.limits();
        let terms = ClaimTerms {
            ttl_secs: limits.claim_ttl_secs_default,
            grace_secs: limits.claim_grace_secs_default,
        };
        let claimed = self.ask(Input::ClaimMessages {
            queue: self.queue.clone(),
            limit,
            terms,
        });
        match claimed {
            Ok(Output::MessagesClaimed {
                claim, messages, ..
            }) => {
                let held: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
                held.iter()
                    .eq(ids.iter().take(limit))
                    .then_some((claim, held))
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// A page shows the oldest of the messages that are not claimed.
    fn list(&mut self, limit: usize, free: &[MessageId]) -> Option<()> {
        let listed = self.ask(Input::ListMessages {
            queue: self.queue.clone(),
            listing: MessageListing {
                marker: None,
                limit,
                echo: true,
                include_claimed: false,
                include_delayed: false,
            },
        });
        match listed {
            Ok(Output::MessagePage { messages, .. }) => {
                let listed = messages.iter().map(|message| &message.id);
                listed.eq(free.iter().take(limit)).then_some(())
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// A claimed message is deleted under its claim, and gone then.
    fn delete(&mut self, id: Option<MessageId>, claim: Option<ClaimId>) -> Option<()> {
        let queue = self.queue.clone();
        let deleted = self.ask(Input::DeleteMessage {
            queue: queue.clone(),
            id,
            fence: Fence::Claim(claim?),
        });
        let read = self.ask(Input::ReadMessage { queue, id });
        let gone = read == Err(BrokerError::MessageDoesNotExist);
        (gone && deleted == Ok(Output::MessagesDeleted)).then_some(())
    }

    fn delete_all(&mut self, ids: &[MessageId], limits: &Limits) -> Option<()> {
        let at_once = limits.messages_per_page_max;
        let at_once = at_once.min(limits.messages_per_claim_or_pop_max);
        for ids in ids.chunks(at_once) {
            let queue = self.queue.clone();
            let deleted = self.ask(match limits.bulk_delete_rule {
                BulkDeleteRule::IgnoresClaims => Input::DeleteMessages {
                    queue,
                    ids: ids.to_vec(),
                    claims: Vec::new(),
                },
                // What no claim holds can only be popped then.
                BulkDeleteRule::NeedsClaims => Input::PopMessages {
                    queue,
                    limit: ids.len(),
                },
            });
            deleted.ok()?;
        }
        let stats = self.ask(Input::QueueStats {
            queue: self.queue.clone(),
        });
        let empty = |stats: &crate::broker::Stats| stats.claimed + stats.free == 0;
        matches!(stats, Ok(Output::QueueStats { stats, .. }) if empty(&stats)).then_some(())
    }

    fn delete_queue(&mut self) -> Option<()> {
        let queue = self.queue.clone();
        let deleted = self.ask(Input::DeleteQueue { queue });
        (deleted == Ok(Output::QueueDeleted)).then_some(())
    }

    fn ask(&mut self, input: Input) -> Answer {
        self.broker.handle(self.now, &self.caller, input)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::broker::{NewPool, PoolingRule};

    /// A clock that ticks whenever it is read.
    struct TickingClock(AtomicU64);

    impl Clock for TickingClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_nanos(self.0.fetch_add(1_000, Ordering::Relaxed))
        }
    }

    fn pooled() -> Broker {
        let limits = Limits {
            pooling_rule: PoolingRule::Pools,
            ..Limits::default()
        };
        Broker::new(limits, 5)
    }

    fn checked(broker: &mut Broker, pool: Option<PoolName>) -> StoreHealth {
        let clock = TickingClock(AtomicU64::new(0));
        let id = Uuid::version_4([9; 16]);
        let health = check((broker, Timestamp::from_secs(1)), &clock, pool, id);
        broker.check_invariants();
        assert_eq!(health.0.len(), 8);
        health
    }

    #[test]
    fn every_step_is_measured_by_the_clock() {
        let health = checked(&mut Broker::new(Limits::default(), 5), None);
        assert!(health.is_well());
        assert!(health.0.iter().all(|trial| trial.nanos == 1_000));
    }

    #[test]
    fn a_store_that_fails_is_told_of_and_left_as_it_was() {
        let mut broker = pooled();
        // There is no pool, so nothing can be created.
        let health = checked(&mut broker, None);
        assert!(!health.is_well());
        let failed = health.0.iter().filter(|trial| trial.failure.is_some());
        let failed: Vec<&str> = failed.map(|trial| trial.operation).collect();
        let expected = [
            "create_queue",
            "post_messages",
            "claim_messages",
            "delete_messages",
        ];
        assert_eq!(failed, expected);
    }

    #[test]
    fn a_pool_without_weight_can_be_checked() {
        let (mut broker, name) = (pooled(), PoolName::parse("p").unwrap());
        let new = NewPool {
            uri: "memory://p".into(),
            weight: 0,
            flavor: None,
            options: JsonText::parse("{}").unwrap(),
        };
        let caller = Caller {
            project: Project("p".into()),
            client: ClientId::Text("c".into()),
        };
        let put = Input::Pools(PoolInput::Put(name.clone(), new));
        broker.handle(Timestamp::default(), &caller, put).unwrap();
        assert!(checked(&mut broker, Some(name)).is_well());
    }
}
