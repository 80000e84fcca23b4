//! What clients ask for: operations at random, of what earlier answers told them, and at the end the
//! drain. They know no time, and nothing of the server but its answers.

use nanshe_conformance::history::{Answer, Operation, Posted, Record};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::generator::pick;

/// The process that empties the queues at the end.
pub(super) const DRAINER: u64 = 99;

/// Claims that the drainer makes at most.
const DRAIN_CLAIMS_MAX: usize = 30;

/// The longest lifetime; no history lasts half as long.
const TTL_SECS_LONG: u64 = 100_000;

/// What is fixed for many seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    /// Whether leases and graces differ from claim to claim.
    pub(super) mixes_leases: bool,
    /// Whether messages expire while the history lasts.
    pub(super) expires_messages: bool,
}

/// A claim that some client was granted. Others may use it too: that is what a retry looks like.
struct Granted {
    queue: String,
    claim: String,
    messages: Vec<String>,
}

/// How far the closing drain is.
#[derive(Default)]
struct Drain {
    queue: usize,
    claims: usize,
    empty_answers: usize,
    /// What it holds and has to delete.
    held: Vec<Operation>,
}

/// All clients of a history. They share what they know.
pub(super) struct Clients {
    mode: Mode,
    queues: usize,
    random: ChaCha8Rng,
    operations_left: usize,
    tokens: u64,
    claims: Vec<Granted>,
    /// Queues, and identifiers of messages in them.
    ids: Vec<(String, String)>,
    drain: Drain,
}

impl Clients {
    pub(super) fn new(mode: Mode, queues: usize, mut random: ChaCha8Rng) -> Self {
        Self {
            mode,
            queues,
            operations_left: random.random_range(6..=36),
            random,
            tokens: 0,
            claims: Vec::new(),
            ids: Vec::new(),
            drain: Drain::default(),
        }
    }

    /// What the process asks for next; `None` if it is done.
    pub(super) fn ask(&mut self, process: u64) -> Option<Operation> {
        if process == DRAINER {
            self.draw_drain_operation()
        } else {
            self.draw_operation()
        }
    }

    /// Keeps what the answer tells.
    pub(super) fn learn(&mut self, record: &Record) {
        let queue = record.operation.queue().to_owned();
        let Some(answer) = record.answer() else {
            return;
        };
        if let Answer::Post { ids } = answer {
            self.ids
                .extend(ids.iter().map(|id| (queue.clone(), id.clone())));
        }
        let messages: Vec<String> = answer.seen().iter().map(|seen| seen.id.clone()).collect();
        self.ids
            .extend(messages.iter().map(|id| (queue.clone(), id.clone())));
        let Answer::Claim { claim, .. } = answer else {
            return;
        };
        if record.process == DRAINER {
            self.drain.empty_answers = match claim {
                None => self.drain.empty_answers + 1,
                Some(_) => 0,
            };
            let delete = |message| Operation::Delete {
                queue: queue.clone(),
                message,
                claim: claim.clone(),
            };
            self.drain.held = messages.into_iter().map(delete).collect();
        } else if let Some(claim) = claim.clone() {
            self.claims.push(Granted {
                queue,
                claim,
                messages,
            });
        }
    }

    fn draw_operation(&mut self) -> Option<Operation> {
        self.operations_left = self.operations_left.checked_sub(1)?;
        let queue = queue_name(self.random.random_range(0..self.queues));
        let dice = self.random.random_range(0..100);
        let is_new = self.ids.is_empty();
        Some(match dice {
            0..25 => self.draw_post(queue),
            25..60 if is_new => self.draw_post(queue),
            25..55 => self.draw_claim(queue),
            55..86 if !self.claims.is_empty() => self.draw_use_of_claim(dice),
            86..90 if !is_new => {
                let (queue, message) = self.draw_id();
                let claim = None;
                Operation::Delete {
                    queue,
                    message,
                    claim,
                }
            }
            90..94 => Operation::Pop {
                queue,
                limit: self.random.random_range(1..=2),
            },
            94.. if !is_new => {
                let (queue, message) = self.draw_id();
                Operation::Get { queue, message }
            }
            _ => self.draw_claim(queue),
        })
    }

    fn draw_post(&mut self, queue: String) -> Operation {
        let count = if self.random.random_bool(0.7) {
            1
        } else {
            self.random.random_range(1..=3)
        };
        let mut messages = Vec::new();
        for _ in 0..count {
            self.tokens += 1;
            let ttl_secs = if self.mode.expires_messages {
                pick(&mut self.random, &[20, 40, 60, TTL_SECS_LONG])
            } else {
                TTL_SECS_LONG
            };
            messages.push(Posted::new(format!("token-{}", self.tokens), ttl_secs));
        }
        Operation::Post { queue, messages }
    }

    fn draw_claim(&mut self, queue: String) -> Operation {
        let (ttl_secs, grace_secs) = self.draw_lease();
        Operation::Claim {
            queue,
            limit: self.random.random_range(1..=4),
            ttl_secs,
            grace_secs,
        }
    }

    fn draw_use_of_claim(&mut self, dice: u32) -> Operation {
        let (ttl_secs, grace_secs) = self.draw_lease();
        let granted = &self.claims[self.random.random_range(0..self.claims.len())];
        let (queue, claim) = (granted.queue.clone(), granted.claim.clone());
        match dice {
            0..63 => Operation::Renew {
                queue,
                claim,
                ttl_secs,
                grace_secs,
            },
            63..72 => Operation::Release { queue, claim },
            _ => Operation::Delete {
                queue,
                message: pick_clone(&mut self.random, &granted.messages),
                claim: Some(claim),
            },
        }
    }

    fn draw_lease(&mut self) -> (u64, u64) {
        if !self.mode.mixes_leases {
            return (20, 10);
        }
        let ttl_secs = pick(&mut self.random, &[10, 20, 30]);
        (ttl_secs, pick(&mut self.random, &[0, 10, 40, 80]))
    }

    /// A queue, and the identifier of a message in it.
    fn draw_id(&mut self) -> (String, String) {
        pick_clone(&mut self.random, &self.ids)
    }

    /// Claims and deletes until the queue came back empty twice, queue after queue.
    fn draw_drain_operation(&mut self) -> Option<Operation> {
        if let Some(delete) = self.drain.held.pop() {
            return Some(delete);
        }
        if self.drain.empty_answers >= 2 {
            self.drain.queue += 1;
            self.drain.empty_answers = 0;
        }
        self.drain.claims += 1;
        if self.drain.queue == self.queues || self.drain.claims > DRAIN_CLAIMS_MAX {
            return None;
        }
        Some(Operation::Claim {
            queue: queue_name(self.drain.queue),
            limit: 10,
            ttl_secs: 30,
            grace_secs: 10,
        })
    }
}

fn queue_name(number: usize) -> String {
    format!("queue-{number}")
}

fn pick_clone<T: Clone>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())].clone()
}
