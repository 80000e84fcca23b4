//! What clients ask for: operations at random, of what earlier answers told them, and at the end the
//! drain. They know no time, and nothing of the server but its answers.

use std::ops::RangeInclusive;

use nanshe_conformance::history::{Answer, Operation, Posted, QueueSettings, Record};
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
    pub(super) repertoire: Repertoire,
}

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repertoire {
    /// Claims, and what ends them.
    Plain,
    /// All operations; queues have settings, messages delays and bodies.
    Rich,
    /// Few operations, of those that the search for an order knows.
    Tiny,
}

impl Mode {
    pub(super) fn is_rich(self) -> bool {
        self.repertoire == Repertoire::Rich
    }

    /// Whether the history of `seed` is judged by the order of any two posts.
    pub(super) fn is_strict(self, seed: u64) -> bool {
        self.is_tiny() || (self.is_rich() && seed.is_multiple_of(2))
    }

    fn is_tiny(self) -> bool {
        self.repertoire == Repertoire::Tiny
    }

    /// Fewest and most operations before the drain.
    fn operations(self) -> RangeInclusive<usize> {
        match self.repertoire {
            Repertoire::Plain => 6..=36,
            Repertoire::Rich => 8..=50,
            Repertoire::Tiny => 3..=10,
        }
    }
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
    /// Walks under way: their first page, but for the marker.
    walks: Vec<Operation>,
    /// What each queue is told first, if anything.
    settings: Vec<(usize, QueueSettings)>,
    drain: Drain,
}

impl Clients {
    pub(super) fn new(mode: Mode, queues: usize, mut random: ChaCha8Rng) -> Self {
        let settings = (0..queues).filter_map(|queue| {
            let is_told = mode.is_rich() && random.random_bool(0.6);
            is_told.then(|| (queue, draw_settings(&mut random)))
        });
        let settings = settings.collect();
        Self {
            mode,
            queues,
            walks: Vec::new(),
            settings,
            operations_left: random.random_range(mode.operations()),
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
        if let Answer::List { next, .. } = answer {
            let mut walk = record.operation.clone();
            if let Operation::List { marker, .. } = &mut walk {
                marker.clone_from(next);
            }
            self.walks.push(walk);
        }
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
            if !self.mode.is_tiny() {
                self.drain.held = messages.into_iter().map(delete).collect();
            }
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
        if let Some((queue, settings)) = self.settings.pop() {
            let queue = queue_name(queue);
            return Some(Operation::CreateQueue { queue, settings });
        }
        let is_plain = self.mode.repertoire == Repertoire::Plain;
        if !is_plain && self.random.random_bool(0.25) {
            return Some(self.draw_look());
        }
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
            let mut posted = Posted::new(format!("token-{}", self.tokens), ttl_secs);
            if self.mode.is_rich() && self.random.random_bool(0.3) {
                posted.delay_secs = Some(pick(&mut self.random, &[0, 10, 30]));
            }
            if self.mode.is_rich() && self.random.random_bool(0.5) {
                posted.body = Some(format!("body-{}", self.tokens));
            }
            messages.push(posted);
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

    /// Reads, and what acts on many messages.
    fn draw_look(&mut self) -> Operation {
        let queue = queue_name(self.random.random_range(0..self.queues));
        let is_new = self.ids.is_empty();
        let dice = self.random.random_range(0..100);
        match dice {
            // The search for an order knows no counts, and no queues that go.
            50..65 | 98.. if self.mode.is_tiny() => self.draw_page(queue),
            0..50 => self.draw_page(queue),
            50..65 => Operation::Stats { queue },
            65..80 if !self.claims.is_empty() => {
                let granted = &self.claims[self.random.random_range(0..self.claims.len())];
                let (queue, claim) = (granted.queue.clone(), granted.claim.clone());
                Operation::ClaimGet { queue, claim }
            }
            80..90 if !is_new => {
                let (queue, id) = self.draw_id();
                let ids = vec![id, self.draw_id().1];
                Operation::GetMany { queue, ids }
            }
            90..94 if !is_new => {
                let (_, message) = self.draw_id();
                Operation::Get { queue, message }
            }
            94..97 if !is_new => {
                let (queue, id) = self.draw_id();
                let ids = vec![id];
                Operation::BulkDelete { queue, ids }
            }
            97 => Operation::Purge { queue },
            98 => Operation::DeleteQueue { queue },
            _ if self.mode.is_tiny() => self.draw_page(queue),
            _ => Operation::Stats { queue },
        }
    }

    /// The next page of a walk, or the first of another.
    fn draw_page(&mut self, queue: String) -> Operation {
        if !self.walks.is_empty() && self.random.random_bool(0.7) {
            let walk = self.random.random_range(0..self.walks.len());
            return self.walks.swap_remove(walk);
        }
        self.tokens += 1;
        Operation::List {
            queue,
            chain: self.tokens,
            marker: None,
            limit: self.random.random_range(1..=4),
            echo: self.random.random_bool(0.8),
            include_claimed: self.random.random_bool(0.7),
            include_delayed: self.random.random_bool(0.7),
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
        // Few operations are left to a tiny history: one look at each queue tells most.
        let is_looked_at = self.mode.is_tiny() && self.drain.claims > self.drain.queue;
        if self.drain.empty_answers >= 2 || is_looked_at {
            self.drain.queue += 1;
            self.drain.empty_answers = 0;
        }
        self.drain.claims += 1;
        let last = self.queues + usize::from(self.mode.is_rich());
        if self.drain.queue == last || self.drain.claims > DRAIN_CLAIMS_MAX {
            return None;
        }
        Some(Operation::Claim {
            queue: if self.drain.queue == self.queues {
                "dead".to_owned()
            } else {
                queue_name(self.drain.queue)
            },
            limit: 10,
            ttl_secs: 30,
            grace_secs: 10,
        })
    }
}

fn draw_settings(random: &mut ChaCha8Rng) -> QueueSettings {
    let mut settings = QueueSettings::default();
    if random.random_bool(0.6) {
        settings.default_delay_secs = Some(pick(random, &[0, 10, 30]));
    }
    if random.random_bool(0.5) {
        settings.dead_letter_queue = Some("dead".to_owned());
        settings.max_claim_count = Some(random.random_range(1..=3));
        settings.dead_letter_ttl_secs = pick(random, &[None, Some(60)]);
    }
    settings
}

fn queue_name(number: usize) -> String {
    format!("queue-{number}")
}

fn pick_clone<T: Clone>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())].clone()
}
