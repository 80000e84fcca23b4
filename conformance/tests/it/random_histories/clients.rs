//! What clients ask for: operations at random, of what earlier answers told them, and at the end the
//! drain. They know no time, and nothing of the server but its answers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use nanshe_conformance::history::{Answer, Operation, Posted, QueueSettings, Record};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use self::drain::Drain;
use super::generator::pick;

mod drain;

/// The process that empties the queues at the end.
pub(super) const DRAINER: u64 = 99;

/// Where messages go that were handed out too often.
const DEAD: &str = "dead";

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
    /// The same, as clients work that look at what they do: longer, with most questions answered, walks
    /// that go on, subscribers, and a drain that looks at everything before it takes it.
    Long {
        /// Whether queues have settings of their own: dead letters and delays leave less certain.
        has_settings: bool,
    },
    /// Few operations, of those that the search for an order knows.
    Tiny,
}

impl Mode {
    pub(super) fn is_rich(self) -> bool {
        matches!(self.repertoire, Repertoire::Rich | Repertoire::Long { .. })
    }

    /// Whether the history of `seed` is judged by the order of any two posts.
    pub(super) fn is_strict(self, seed: u64) -> bool {
        self.is_tiny() || (self.is_rich() && seed.is_multiple_of(2))
    }

    fn has_settings(self) -> bool {
        match self.repertoire {
            Repertoire::Plain | Repertoire::Tiny => false,
            Repertoire::Rich => true,
            Repertoire::Long { has_settings } => has_settings,
        }
    }

    pub(super) fn is_long(self) -> bool {
        matches!(self.repertoire, Repertoire::Long { .. })
    }

    fn is_tiny(self) -> bool {
        self.repertoire == Repertoire::Tiny
    }

    /// Fewest and most operations before the drain.
    fn operations(self) -> RangeInclusive<usize> {
        match self.repertoire {
            Repertoire::Plain => 6..=36,
            Repertoire::Rich => 8..=50,
            Repertoire::Long { .. } => 40..=120,
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
    /// By process: the next page of a walk that it follows to the end.
    followed: BTreeMap<u64, Operation>,
    /// What queues are told first, if anything; the last comes first.
    settings: Vec<Operation>,
    drain: Drain,
}

impl Clients {
    pub(super) fn new(mode: Mode, queues: usize, mut random: ChaCha8Rng) -> Self {
        let settings = (0..queues).filter_map(|queue| {
            let is_told = mode.has_settings() && random.random_bool(0.6);
            is_told.then(|| Operation::create_queue(queue_name(queue), draw_settings(&mut random)))
        });
        let mut settings: Vec<Operation> = settings.collect();
        for queue in (0..queues).filter(|_| mode.is_long()) {
            settings.push(Operation::Subscribe {
                queue: queue_name(queue),
                subscriber: pick(&mut random, &["sink-a", "sink-b"]).to_owned(),
                ttl_secs: pick(&mut random, &[60, TTL_SECS_LONG]),
            });
        }
        Self {
            mode,
            queues,
            walks: Vec::new(),
            followed: BTreeMap::new(),
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
            self.draw_operation(process)
        }
    }

    /// Whether queues are still to be told what holds for them.
    pub(super) fn are_telling(&self) -> bool {
        !self.settings.is_empty()
    }

    /// Keeps what the answer tells.
    pub(super) fn learn(&mut self, record: &Record) {
        let queue = record.operation.queue().to_owned();
        let Some(answer) = record.answer() else {
            return;
        };
        if record.process == DRAINER {
            return self.learn_from_drain(record, answer);
        }
        if let Answer::Post { ids } = answer {
            self.ids
                .extend(ids.iter().map(|id| (queue.clone(), id.clone())));
        }
        let messages: Vec<String> = answer.seen().iter().map(|seen| seen.id.clone()).collect();
        self.ids
            .extend(messages.iter().map(|id| (queue.clone(), id.clone())));
        if let Answer::List { messages, next } = answer {
            let mut walk = record.operation.clone();
            if let Operation::List { marker, .. } = &mut walk {
                marker.clone_from(next);
            }
            if self.mode.is_long() && !messages.is_empty() && self.random.random_bool(0.8) {
                self.followed.insert(record.process, walk);
            } else if !(self.mode.is_long() && self.random.random_bool(0.85)) {
                self.walks.push(walk);
            }
        }
        let Answer::Claim { claim, .. } = answer else {
            return;
        };
        if let Some(claim) = claim.clone() {
            self.claims.push(Granted {
                queue,
                claim,
                messages,
            });
        }
    }

    fn draw_operation(&mut self, process: u64) -> Option<Operation> {
        self.operations_left = self.operations_left.checked_sub(1)?;
        if let Some(page) = self.followed.remove(&process) {
            return Some(page);
        }
        if let Some(told) = self.settings.pop() {
            return Some(told);
        }
        let looks = match self.mode.repertoire {
            Repertoire::Plain => None,
            Repertoire::Rich | Repertoire::Tiny => Some(0.25),
            Repertoire::Long { .. } => Some(0.35),
        };
        if looks.is_some_and(|share| self.random.random_bool(share)) {
            return Some(self.draw_look());
        }
        let queue = self.draw_queue();
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
        let recent = self.draw_recent(self.claims.len(), 4);
        let granted = &self.claims[recent];
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

    /// Some queue; who looks at what it does looks at dead letters, too.
    fn draw_queue(&mut self) -> String {
        let queue = queue_name(self.random.random_range(0..self.queues));
        let is_dead = self.mode.is_long() && self.random.random_bool(0.08);
        if is_dead { DEAD.to_owned() } else { queue }
    }

    /// Reads, and what acts on many messages.
    fn draw_look(&mut self) -> Operation {
        let queue = self.draw_queue();
        let is_new = self.ids.is_empty();
        let dice = self.random.random_range(0..100);
        match dice {
            _ if self.mode.is_long() && self.random.random_bool(0.3) => self.draw_page(queue),
            // Nothing is certain any more of a queue that was emptied.
            97.. if self.mode.is_long() && self.random.random_bool(0.8) => self.draw_page(queue),
            // The search for an order knows no counts, and no queues that go.
            50..65 | 98.. if self.mode.is_tiny() => self.draw_page(queue),
            0..50 => self.draw_page(queue),
            50..65 => Operation::Stats { queue },
            65..80 if !self.claims.is_empty() => {
                let recent = self.draw_recent(self.claims.len(), 4);
                let granted = &self.claims[recent];
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
        let goes_on = if self.mode.is_long() { 0.3 } else { 0.7 };
        if !self.walks.is_empty() && self.random.random_bool(goes_on) {
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
        let recent = self.draw_recent(self.ids.len(), 12);
        self.ids[recent].clone()
    }

    /// One of `known` things. Who looks at what it does takes one of the last, mostly.
    fn draw_recent(&mut self, known: usize, last: usize) -> usize {
        if self.mode.is_long() && self.random.random_bool(0.7) {
            self.random.random_range(known.saturating_sub(last)..known)
        } else {
            self.random.random_range(0..known)
        }
    }
}

fn draw_settings(random: &mut ChaCha8Rng) -> QueueSettings {
    let mut settings = QueueSettings::default();
    if random.random_bool(0.6) {
        settings.default_delay_secs = Some(pick(random, &[0, 10, 30]));
    }
    if random.random_bool(0.5) {
        settings.dead_letter_queue = Some(DEAD.to_owned());
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
