//! Random sequences of commands: the broker agrees with the model after every step, its indexes
//! agree with a full scan, and a second broker with the same seed answers byte for byte the same.

use std::sync::Arc;

use nanshe_reference::broker::{
    ClaimId, ClaimTerms, ClientId, Fence, JsonText, MessageId, MessageListing, MessageView,
    NewMessage, Project, PurgeScope, QueueName, RequestedDelay, Uuid,
};
use nanshe_reference::wire::{self, Failure, Reply};
use nanshe_reference::{Broker, BrokerError, Caller, Input, Limits, Output, Settings, Timestamp};
use proptest::prelude::*;

use crate::model::{Model, ModelClaim, ModelMessage, ModelView};

const SECOND: u64 = 1_000_000_000;
/// Queue 1 sends its dead letters to queue 0 after this many hand-outs.
const CLAIM_COUNT_MAX: u64 = 2;
const DEAD_LETTER_TTL_SECS: u64 = 70;

#[derive(Clone, Debug)]
enum Command {
    Post {
        client: usize,
        queue: usize,
        count: usize,
        ttl: u32,
        delay: i64,
    },
    Claim {
        queue: usize,
        limit: usize,
        ttl: u32,
        grace: u32,
    },
    Renew {
        claim: prop::sample::Index,
        ttl: u32,
        grace: u32,
    },
    Release {
        claim: prop::sample::Index,
    },
    Delete {
        queue: usize,
        message: prop::sample::Index,
        claim: Option<prop::sample::Index>,
    },
    Pop {
        queue: usize,
        limit: usize,
    },
    Purge {
        queue: usize,
    },
    DeleteQueue {
        queue: usize,
    },
    Configure {
        queue: usize,
    },
    Page {
        queue: usize,
        view: ModelView,
        limit: usize,
    },
    Wait {
        nanos: u64,
    },
    Collect,
    /// The second broker is saved, and goes on as what is restored from that.
    Restore,
}

fn command() -> impl Strategy<Value = Command> {
    let index = any::<prop::sample::Index>;
    let view =
        (0..3usize, any::<[bool; 3]>()).prop_map(|(client, [echo, claimed, delayed])| ModelView {
            client,
            echo,
            claimed,
            delayed,
        });
    prop_oneof![
        8 => (0..3usize, 0..3usize, 1..4usize, 60..90u32, 0..30i64).prop_map(
            |(client, queue, count, ttl, delay)| Command::Post { client, queue, count, ttl, delay }),
        6 => (0..3usize, 1..4usize, 60..80u32, 60..80u32).prop_map(
            |(queue, limit, ttl, grace)| Command::Claim { queue, limit, ttl, grace }),
        2 => (index(), 60..80u32, 60..80u32).prop_map(
            |(claim, ttl, grace)| Command::Renew { claim, ttl, grace }),
        3 => index().prop_map(|claim| Command::Release { claim }),
        4 => (0..3usize, index(), prop::option::of(index())).prop_map(
            |(queue, message, claim)| Command::Delete { queue, message, claim }),
        2 => (0..3usize, 1..4usize).prop_map(|(queue, limit)| Command::Pop { queue, limit }),
        1 => (0..3usize).prop_map(|queue| Command::Purge { queue }),
        1 => (0..3usize).prop_map(|queue| Command::DeleteQueue { queue }),
        2 => (1..3usize).prop_map(|queue| Command::Configure { queue }),
        6 => (0..3usize, view, 1..4usize).prop_map(
            |(queue, view, limit)| Command::Page { queue, view, limit }),
        6 => prop_oneof![0..SECOND, (0..40u64).prop_map(|secs| secs * SECOND)].prop_map(
            |nanos| Command::Wait { nanos }),
        1 => Just(Command::Collect),
        1 => Just(Command::Restore),
    ]
}

struct Run {
    brokers: [Broker; 2],
    settings: Settings,
    model: Model,
    claims: Vec<ClaimId>,
    configured: [bool; 3],
}

impl Run {
    fn new() -> Self {
        let limits = Limits::default();
        let brokers = [
            Broker::new(limits.clone(), 5),
            Broker::new(limits.clone(), 5),
        ];
        let model = Model {
            now: SECOND,
            ..Model::default()
        };
        Self {
            brokers,
            settings: limits.into(),
            model,
            claims: Vec::new(),
            configured: [false; 3],
        }
    }

    fn ask(&mut self, client: usize, input: Input) -> Result<Output, BrokerError> {
        let client = ClientId::Uuid(Uuid::from_bytes([u8::try_from(client).unwrap(); 16]));
        let caller = Caller {
            project: Project(Arc::from("p")),
            client,
        };
        let now = Timestamp::from_nanos(self.model.now);
        let answers = self.brokers.each_mut().map(|broker| {
            let answer = broker.handle(now, &caller, input.clone());
            broker.check_invariants();
            answer
        });
        let [first, second] = answers.clone().map(|answer| {
            let reply = match answer {
                Ok(output) => Reply::Output(output),
                Err(error) => Reply::Failure(Failure::Broker(error)),
            };
            wire::encode(&reply, &self.settings, Uuid::from_bytes([0; 16])).into_body()
        });
        assert_eq!(first, second, "the same inputs give the same bytes");
        let [answer, _] = answers;
        answer
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Post {
                client,
                queue,
                count,
                ttl,
                delay,
            } => {
                self.post(client, queue, (count, ttl, delay));
            }
            Command::Claim {
                queue,
                limit,
                ttl,
                grace,
            } => self.claim(queue, limit, (ttl, grace)),
            Command::Renew { claim, ttl, grace } => self.renew(claim, (ttl, grace)),
            Command::Release { claim } => self.release(claim),
            Command::Delete {
                queue,
                message,
                claim,
            } => self.delete(queue, message, claim),
            Command::Pop { queue, limit } => self.pop(queue, limit),
            Command::Purge { queue } => {
                let scope = PurgeScope::Everything;
                self.ask(
                    0,
                    Input::PurgeQueue {
                        queue: name(queue),
                        scope,
                    },
                )
                .unwrap();
                self.model.queues.insert(queue, Vec::new());
            }
            Command::DeleteQueue { queue } => {
                self.ask(0, Input::DeleteQueue { queue: name(queue) })
                    .unwrap();
                self.model.queues.remove(&queue);
                self.configured[queue] = false;
                for claim in self
                    .model
                    .claims
                    .iter_mut()
                    .filter(|claim| claim.queue == queue)
                {
                    claim.ended = true;
                }
            }
            Command::Configure { queue } => self.configure(queue),
            Command::Page { queue, view, limit } => self.walk(queue, view, limit),
            Command::Wait { nanos } => self.model.advance(self.model.now + nanos),
            Command::Restore => {
                let saved = self.brokers[1].save();
                self.brokers[1] = Broker::restore(&saved).unwrap();
                self.brokers[1].check_invariants();
                assert_eq!(self.brokers[1].save(), saved);
            }
            Command::Collect => {
                let now = Timestamp::from_nanos(self.model.now);
                for broker in &mut self.brokers {
                    broker.handle_timeout(now);
                    broker.check_invariants();
                    assert!(broker.poll_timeout().is_none_or(|at| at > now));
                }
            }
        }
    }

    fn post(&mut self, client: usize, queue: usize, (count, ttl, delay): (usize, u32, i64)) {
        let delay_field = RequestedDelay::Secs(delay);
        let body = JsonText::parse("[]").unwrap();
        let message = NewMessage {
            ttl_secs: Some(ttl),
            delay: delay_field,
            body,
        };
        let messages = vec![message; count];
        let input = Input::PostMessages {
            queue: name(queue),
            bytes: 9,
            messages,
        };
        let Ok(Output::MessagesPosted { ids, .. }) = self.ask(client, input) else {
            panic!("a post succeeds")
        };
        let delays = queue == 2 && self.configured[2];
        let delay = if delays {
            u64::try_from(delay).unwrap()
        } else {
            0
        };
        let now = self.model.now;
        let messages = self.model.queues.entry(queue).or_default();
        messages.extend(ids.into_iter().map(|id| ModelMessage {
            id,
            client,
            active_at: now + delay * SECOND,
            expires_at: now + u64::from(ttl) * SECOND,
            claim: None,
            claim_count: 0,
        }));
    }

    fn claim(&mut self, queue: usize, limit: usize, (ttl, grace): (u32, u32)) {
        let mut expected = Vec::new();
        for id in self.model.first_active(queue, limit) {
            let dead_letters = queue == 1 && self.configured[1];
            let expires_at = self.model.now + DEAD_LETTER_TTL_SECS * SECOND;
            let message = self.model.find(queue, id).unwrap();
            if dead_letters && message.claim_count >= CLAIM_COUNT_MAX {
                message.expires_at = expires_at;
                let message = self.model.remove(queue, id).unwrap();
                self.model.queues.entry(0).or_default().push(message);
                continue;
            }
            message.claim_count += u64::from(dead_letters);
            message.claim = Some(self.claims.len());
            expected.push(id);
        }
        let terms = ClaimTerms {
            ttl_secs: ttl,
            grace_secs: grace,
        };
        let answer = self
            .ask(
                0,
                Input::ClaimMessages {
                    queue: name(queue),
                    limit,
                    terms,
                },
            )
            .unwrap();
        let Output::MessagesClaimed {
            claim, messages, ..
        } = answer
        else {
            assert_eq!((answer, expected), (Output::NothingClaimed, Vec::new()));
            return;
        };
        assert_eq!(ids(&messages), expected);
        self.model.claims.push(ModelClaim {
            queue,
            ends_at: 0,
            ended: false,
        });
        let terms = (u64::from(ttl) * SECOND, u64::from(grace) * SECOND);
        self.model.extend(self.claims.len(), terms);
        self.claims.push(claim);
    }

    fn renew(&mut self, claim: prop::sample::Index, (ttl, grace): (u32, u32)) {
        let Some(claim) = self.pick(claim) else {
            return;
        };
        let queue = name(self.model.claims[claim].queue);
        let terms = ClaimTerms {
            ttl_secs: ttl,
            grace_secs: grace,
        };
        let id = Some(self.claims[claim]);
        let answer = self.ask(0, Input::RenewClaim { queue, id, terms });
        assert_eq!(answer.is_ok(), self.model.claim_lives(claim));
        if answer.is_ok() {
            self.model
                .extend(claim, (u64::from(ttl) * SECOND, u64::from(grace) * SECOND));
        }
    }

    fn release(&mut self, claim: prop::sample::Index) {
        let Some(claim) = self.pick(claim) else {
            return;
        };
        let queue = name(self.model.claims[claim].queue);
        let id = Some(self.claims[claim]);
        self.ask(0, Input::ReleaseClaim { queue, id }).unwrap();
        self.model.release(claim);
    }

    fn delete(
        &mut self,
        queue: usize,
        message: prop::sample::Index,
        claim: Option<prop::sample::Index>,
    ) {
        let messages = self.model.messages(queue);
        if messages.is_empty() {
            return;
        }
        let ModelMessage {
            id, claim: holder, ..
        } = *message.get(messages);
        let named = claim.and_then(|claim| self.pick(claim));
        let lives =
            |claim| self.model.claim_lives(claim) && self.model.claims[claim].queue == queue;
        let expected = match (holder, named) {
            (None, None) => Ok(Output::MessagesDeleted),
            (Some(_), None) => Err(BrokerError::MessageIsClaimed),
            (holder, named) if holder == named => Ok(Output::MessagesDeleted),
            (Some(_), Some(named)) if lives(named) => Err(BrokerError::MessageIsClaimed),
            (_, Some(_)) => Err(BrokerError::ClaimDoesNotHoldMessage),
        };
        let fence = named.map_or(Fence::Absent, |claim| Fence::Claim(self.claims[claim]));
        let input = Input::DeleteMessage {
            queue: name(queue),
            id: Some(id),
            fence,
        };
        assert_eq!(self.ask(0, input), expected);
        if expected.is_ok() {
            self.model.remove(queue, id);
        }
    }

    fn pop(&mut self, queue: usize, limit: usize) {
        let expected = self.model.first_active(queue, limit);
        let input = Input::PopMessages {
            queue: name(queue),
            limit,
        };
        let Ok(Output::MessagesPopped { messages }) = self.ask(0, input) else {
            panic!("a pop succeeds")
        };
        assert_eq!(ids(&messages), expected);
        for id in expected {
            self.model.remove(queue, id);
        }
    }

    /// Recreates the queue with what makes it special.
    fn configure(&mut self, queue: usize) {
        self.carry_out(Command::DeleteQueue { queue });
        let text = if queue == 1 {
            format!(
                "{{\"_max_claim_count\":{CLAIM_COUNT_MAX},\"_dead_letter_queue\":\"q0\",
                \"_dead_letter_queue_messages_ttl\":{DEAD_LETTER_TTL_SECS}}}"
            )
        } else {
            "{\"_default_message_delay\":9}".to_owned()
        };
        let metadata = JsonText::parse(&text).unwrap().as_members().unwrap();
        self.ask(
            0,
            Input::CreateQueue {
                queue: name(queue),
                metadata,
            },
        )
        .unwrap();
        self.configured[queue] = true;
    }

    /// Reads a queue page by page.
    fn walk(&mut self, queue: usize, mut view: ModelView, limit: usize) {
        let mut listing = MessageListing {
            marker: None,
            limit,
            echo: view.echo,
            include_claimed: view.claimed,
            include_delayed: view.delayed,
        };
        let mut seen = Vec::new();
        loop {
            let input = Input::ListMessages {
                queue: name(queue),
                listing: listing.clone(),
            };
            let Ok(Output::MessagePage {
                messages,
                marker,
                listing: effective,
                ..
            }) = self.ask(view.client, input)
            else {
                panic!("a listing succeeds")
            };
            view.delayed = effective.include_delayed;
            seen.extend(ids(&messages));
            if marker.is_none() {
                break;
            }
            listing.marker = marker;
        }
        assert_eq!(seen, self.model.page(queue, view));
    }

    fn pick(&self, claim: prop::sample::Index) -> Option<usize> {
        (!self.claims.is_empty()).then(|| claim.index(self.claims.len()))
    }

    /// What must hold between any two commands.
    fn compare(&mut self) {
        for queue in 0..3 {
            let view = ModelView {
                client: 0,
                echo: true,
                claimed: true,
                delayed: true,
            };
            self.walk(queue, view, 20);
            let Ok(Output::QueueStats { stats, .. }) =
                self.ask(0, Input::QueueStats { queue: name(queue) })
            else {
                panic!("statistics are always there")
            };
            let messages = self.model.messages(queue);
            let claimed = messages
                .iter()
                .filter(|message| message.claim.is_some())
                .count();
            assert_eq!(
                (stats.claimed, stats.free),
                (claimed, messages.len() - claimed)
            );
            let ends = messages
                .first()
                .zip(messages.last())
                .map(|(old, new)| (old.id, new.id));
            assert_eq!(stats.ends.map(|(old, new)| (old.id, new.id)), ends);
        }
        for claim in 0..self.claims.len() {
            let queue = name(self.model.claims[claim].queue);
            let answer = self.ask(
                0,
                Input::ReadClaim {
                    queue,
                    id: Some(self.claims[claim]),
                },
            );
            if self.model.claim_lives(claim) {
                let Ok(Output::Claim { claim: view, .. }) = answer else {
                    panic!("a live claim is read")
                };
                assert_eq!(ids(&view.messages), self.model.held(claim));
            } else {
                assert_eq!(answer, Err(BrokerError::ClaimDoesNotExist));
            }
        }
    }
}

fn name(queue: usize) -> QueueName {
    QueueName::parse(&format!("q{queue}")).unwrap()
}

fn ids(messages: &[MessageView]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_broker_agrees_with_the_model(commands in prop::collection::vec(command(), 1..60)) {
        let mut run = Run::new();
        for command in commands {
            run.carry_out(command);
            run.compare();
        }
    }

    /// Without comparing in between, so that endings pile up before anything looks.
    #[test]
    fn endings_may_pile_up(commands in prop::collection::vec(command(), 1..120)) {
        let mut run = Run::new();
        for command in commands {
            run.carry_out(command);
        }
        run.compare();
    }
}

#[test]
fn what_a_large_deletion_leaves_behind_is_given_back_little_by_little() {
    let mut run = Run::new();
    for _ in 0..50 {
        run.post(0, 0, (20, 60, 0));
    }
    run.carry_out(Command::DeleteQueue { queue: 0 });
    run.post(0, 1, (20, 60, 0));
    for _ in 0..30 {
        run.ask(0, Input::Ping).unwrap();
    }
    run.compare();
    run.model.advance(run.model.now + 60 * SECOND);
    run.carry_out(Command::Collect);
    assert_eq!(run.brokers[0].poll_timeout(), None);
}
