//! The broker alone: no HTTP, no sockets, no clock but a number. States of a given size, and the
//! operations whose cost is to stay the same in all of them.

use std::sync::Arc;

use nanshe_reference::broker::{
    ClaimTerms, ClientId, Fence, JsonText, MessageId, NewMessage, Project, QueueName,
    RequestedDelay, Uuid,
};
use nanshe_reference::{Broker, Caller, Input, Limits, Output, Timestamp};

const QUEUE: &str = "bench";
/// A body of 100 bytes.
const BODY: &str = r#""0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789""#;
/// Messages in a claim of the benchmarks.
pub const CLAIMED: usize = 10;
/// Longer than any benchmark.
const FOR_LONG_SECS: u32 = 43_200;

/// A broker and what it takes to ask it.
pub struct Core {
    broker: Broker,
    caller: Caller,
    now: Timestamp,
    body: JsonText,
}

impl Default for Core {
    fn default() -> Self {
        let client = ClientId::Uuid(Uuid::from_bytes([7; 16]));
        Self {
            broker: Broker::new(Limits::default(), 1),
            caller: Caller {
                project: Project(Arc::from("project")),
                client,
            },
            now: Timestamp::from_secs(1_000_000),
            body: JsonText::parse(BODY).expect("invariant: the body is JSON"),
        }
    }
}

impl Core {
    /// Lets time pass for the next request.
    pub fn wait(&mut self, secs: u64) {
        self.now = self.now.plus_secs(secs);
    }

    /// Posts messages of 100 bytes, each with a body of its own.
    ///
    /// # Panics
    /// If they are refused.
    pub fn post(&mut self, queue: &QueueName, count: usize, ttl_secs: u32) -> Vec<MessageId> {
        let message = || NewMessage {
            ttl_secs: Some(ttl_secs),
            delay: RequestedDelay::Absent,
            // As from the wire: no two messages share their text.
            body: JsonText::parse(self.body.as_str()).expect("invariant: it was read before"),
        };
        let messages: Vec<NewMessage> = (0..count).map(|_| message()).collect();
        let input = Input::PostMessages {
            queue: queue.clone(),
            bytes: 128 * count,
            messages,
        };
        let Output::MessagesPosted { ids, .. } = self.ask(input) else {
            panic!("invariant: a post that is accepted has ids")
        };
        ids
    }

    /// Claims messages, and deletes them under the claim if `delete`. Returns how many there were.
    ///
    /// # Panics
    /// If they cannot be deleted.
    pub fn claim(&mut self, queue: &QueueName, limit: usize, delete: bool) -> usize {
        let terms = ClaimTerms {
            ttl_secs: FOR_LONG_SECS,
            grace_secs: 60,
        };
        let claimed = self.ask(Input::ClaimMessages {
            queue: queue.clone(),
            limit,
            terms,
        });
        let Output::MessagesClaimed {
            claim, messages, ..
        } = claimed
        else {
            return 0;
        };
        if delete {
            for message in &messages {
                let deleted = self.ask(Input::DeleteMessage {
                    queue: queue.clone(),
                    id: Some(message.id),
                    fence: Fence::Claim(claim),
                });
                assert_eq!(deleted, Output::MessagesDeleted);
            }
            self.ask(Input::ReleaseClaim {
                queue: queue.clone(),
                id: Some(claim),
            });
        }
        messages.len()
    }

    /// One turn of a steady state: ten messages posted one by one, claimed together, deleted.
    ///
    /// # Panics
    /// If they cannot be claimed.
    pub fn turn(&mut self, queue: &QueueName) {
        for _ in 0..CLAIMED {
            self.post(queue, 1, FOR_LONG_SECS);
        }
        assert_eq!(self.claim(queue, CLAIMED, true), CLAIMED);
    }

    fn ask(&mut self, input: Input) -> Output {
        let answer = self.broker.handle(self.now, &self.caller, input);
        answer.expect("the benchmarks ask nothing that is refused")
    }
}

/// The queue that the benchmarks use.
///
/// # Panics
/// Never: the name is one.
#[must_use]
pub fn queue(number: usize) -> QueueName {
    QueueName::parse(&format!("{QUEUE}-{number}")).expect("invariant: this is a queue name")
}

/// What a user can grow, and what must not make anything else dearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Active messages in the queue.
    Backlog,
    /// Live claims in the queue, of one message each.
    Claims,
    /// Queues of the project, with a message each.
    Queues,
    /// Messages of the queue whose time is over, none of them collected when the measurement starts.
    Expired,
}

impl Growth {
    /// All of them, with the size to which each is to be harmless.
    pub const ALL: [(Self, usize); 4] = [
        (Self::Backlog, 1_000_000),
        (Self::Claims, 100_000),
        (Self::Queues, 100_000),
        (Self::Expired, 1_000_000),
    ];

    /// A state of that size.
    #[must_use]
    pub fn grown(self, size: usize) -> Core {
        let (mut core, first) = (Core::default(), queue(0));
        match self {
            Self::Backlog => fill(&mut core, &first, size, FOR_LONG_SECS),
            Self::Claims => {
                fill(&mut core, &first, size, FOR_LONG_SECS);
                for _ in 0..size {
                    assert_eq!(core.claim(&first, 1, false), 1);
                }
            }
            Self::Queues => {
                for number in 1..size {
                    core.post(&queue(number), 1, FOR_LONG_SECS);
                }
            }
            Self::Expired => {
                fill(&mut core, &first, size, 60);
                core.wait(61);
            }
        }
        core
    }
}

fn fill(core: &mut Core, queue: &QueueName, count: usize, ttl_secs: u32) {
    let batch = 1_000.min(count);
    for _ in 0..count / batch {
        core.post(queue, batch, ttl_secs);
    }
}
