//! From a seed to a history: clients that overlap, a server clock that is wrong within its slack, and
//! operations that get no answer and act late, or never.
//!
//! Everything is drawn from the seed. Instants are milliseconds of the run; the model sees them as the
//! server's clock tells them.

use std::collections::{BTreeMap, BTreeSet};

use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{
    Answer, FORMAT, Header, History, Operation, Outcome, Phase, Posted, Record, VERSION,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::flaws::Flaw;
use super::model::Model;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// The process that empties the queues at the end.
const DRAINER: u64 = 99;

/// Claims that the drainer makes at most.
const DRAIN_CLAIMS_MAX: usize = 30;

/// The longest lifetime; no history lasts half as long.
const TTL_SECS_LONG: u64 = 100_000;

/// How late an unanswered operation takes effect at most if there is no bound.
const UNBOUNDED_EFFECT_MS: u64 = 200_000;

/// What is fixed for many seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    /// Whether leases and graces differ from claim to claim.
    pub(super) mixes_leases: bool,
    /// Whether messages expire while the history lasts.
    pub(super) expires_messages: bool,
}

/// A history, and what is known about its making.
pub(super) struct Generated {
    pub(super) history: History,
    /// Whether the planted flaw made a difference.
    pub(super) has_struck: bool,
}

/// Draws the history of `seed`.
pub(super) fn generate(mode: Mode, flaw: Option<Flaw>, seed: u64) -> Generated {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let conditions = Conditions::draw(&mut random);
    let model = Model::new(
        flaw,
        ChaCha8Rng::seed_from_u64(random.random_range(0..=u64::MAX)),
    );
    let mut run = Run {
        mode,
        operations_left: random.random_range(6..=36),
        random,
        conditions,
        model,
        records: Vec::new(),
        outcomes: BTreeMap::new(),
        agenda: BTreeSet::new(),
        tokens: 0,
        claims: Vec::new(),
        ids: Vec::new(),
        drain: Drain::default(),
    };
    let phases = run.work_and_drain();
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed,
        scenario: String::new(),
        target: "model".to_owned(),
        slack_ns: run.conditions.slack_ms() * NANOS_PER_MILLI,
        latest_effect_ns: run
            .conditions
            .latest_effect_ms
            .map(|ms| ms * NANOS_PER_MILLI),
    };
    Generated {
        history: History {
            header,
            records: run.records,
            phases,
            faults: Vec::new(),
        },
        has_struck: run.model.has_struck,
    }
}

/// What is drawn once for each history.
struct Conditions {
    processes: u64,
    queues: usize,
    /// What the server's clock is rounded down to.
    clock_step_ms: u64,
    /// How far the server's clock goes in 10 s of the run: right within 1 %.
    clock_rate_ms: u64,
    /// How long after its invocation an unanswered operation may act (λ).
    latest_effect_ms: Option<u64>,
    unanswered_share: f64,
    gap_ms_max: u64,
    duration_ms_max: u64,
}

impl Conditions {
    fn draw(random: &mut ChaCha8Rng) -> Self {
        Self {
            processes: random.random_range(2..=4),
            queues: if random.random_bool(0.8) { 1 } else { 2 },
            clock_step_ms: pick(random, &[1, 1_000]),
            clock_rate_ms: random.random_range(9_900..=10_100),
            latest_effect_ms: pick(random, &[Some(5_000), Some(30_000), Some(100_000), None]),
            unanswered_share: pick(random, &[0.0, 0.1, 0.3]),
            gap_ms_max: pick(random, &[300, 2_000, 20_000, 60_000]),
            duration_ms_max: pick(random, &[1, 500, 3_000, 15_000]),
        }
    }

    /// The error over the longest span that a rule looks at, a lease of 30 s and a grace of 80 s, with
    /// a little to spare.
    fn slack_ms(&self) -> u64 {
        self.clock_step_ms + 1_200
    }

    fn server_clock(&self, at: u64) -> u64 {
        let exact = 1_000_000 + at * self.clock_rate_ms / 10_000;
        exact / self.clock_step_ms * self.clock_step_ms
    }
}

/// What comes next. In one instant, what acts and ends comes before what begins: clients know an
/// answer when they ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The operation of that index acts.
    Act(usize),
    /// The operation of that index ends for its client.
    Complete(usize),
    /// The process of that number asks for something.
    Invoke(u64),
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

struct Run {
    mode: Mode,
    random: ChaCha8Rng,
    conditions: Conditions,
    model: Model,
    records: Vec<Record>,
    /// Of operations under way, as soon as it is settled.
    outcomes: BTreeMap<usize, Outcome>,
    agenda: BTreeSet<(u64, Step)>,
    operations_left: usize,
    tokens: u64,
    claims: Vec<Granted>,
    ids: Vec<(String, String)>,
    drain: Drain,
}

impl Run {
    /// Returns when which phase began.
    fn work_and_drain(&mut self) -> Vec<(Instant, Phase)> {
        let mut phases = vec![(Instant::START, Phase::Work)];
        for process in 0..self.conditions.processes {
            let at = self.random.random_range(0..=self.conditions.gap_ms_max);
            self.plan(at, Step::Invoke(process));
        }
        let mut end = self.follow_agenda(0);
        if self.random.random_bool(0.8) {
            end += 1 + pick(&mut self.random, &[1_000, 40_000, 80_000, 150_000]);
            phases.push((instant(end), Phase::Drain));
            self.plan(end, Step::Invoke(DRAINER));
            end = self.follow_agenda(end);
        }
        phases.push((instant(end), Phase::End));
        phases
    }

    /// Returns when the last step was.
    fn follow_agenda(&mut self, mut now: u64) -> u64 {
        while let Some((at, step)) = self.agenda.pop_first() {
            now = at;
            match step {
                Step::Act(index) => {
                    let clock = self.conditions.server_clock(now);
                    let outcome = self.model.handle(clock, &self.records[index].operation);
                    self.outcomes.entry(index).or_insert(outcome);
                }
                Step::Complete(index) => self.complete(now, index),
                Step::Invoke(process) => self.invoke(now, process),
            }
        }
        now
    }

    fn plan(&mut self, at: u64, step: Step) {
        self.agenda.insert((at, step));
    }

    fn invoke(&mut self, now: u64, process: u64) {
        let operation = if process == DRAINER {
            self.draw_drain_operation()
        } else {
            self.draw_operation()
        };
        let Some(operation) = operation else {
            return;
        };
        let index = self.records.len();
        self.records.push(Record {
            process,
            operation,
            invoked_at: instant(now),
            completed_at: Instant::NEVER,
            outcome: Outcome::Info,
        });
        let completed_at = now
            + self
                .random
                .random_range(0..=self.conditions.duration_ms_max);
        self.plan(completed_at, Step::Complete(index));
        let unanswered = self.conditions.unanswered_share;
        if process == DRAINER || !self.random.random_bool(unanswered) {
            let acts_at = self.random.random_range(now..=completed_at);
            self.plan(acts_at, Step::Act(index));
            return;
        }
        // No answer: it acts, perhaps long after; or it was never sent, and its client knows; or it
        // was lost on its way.
        let outcome = match self.random.random_range(0..100) {
            0..60 => {
                let latest = self
                    .conditions
                    .latest_effect_ms
                    .unwrap_or(UNBOUNDED_EFFECT_MS);
                let soon = latest.min(completed_at - now + 1);
                let latest = pick(&mut self.random, &[latest, soon]);
                let acts_at = now + self.random.random_range(0..=latest);
                self.plan(acts_at, Step::Act(index));
                Outcome::Info
            }
            60..68 => Outcome::Fail { status: None },
            _ => Outcome::Info,
        };
        self.outcomes.insert(index, outcome);
    }

    fn complete(&mut self, now: u64, index: usize) {
        let outcome = self.outcomes.remove(&index).unwrap();
        let record = &mut self.records[index];
        record.completed_at = instant(now);
        record.outcome = outcome;
        let process = record.process;
        self.learn(index);
        let gap_ms_max = match process {
            DRAINER => 1,
            _ if self.random.random_bool(0.5) => 200,
            _ => self.conditions.gap_ms_max,
        };
        let gap = self.random.random_range(0..=gap_ms_max);
        self.plan(now + gap, Step::Invoke(process));
    }

    /// What the clients know from the answer. They share it.
    fn learn(&mut self, index: usize) {
        let record = &self.records[index];
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
        let queue = queue_name(self.random.random_range(0..self.conditions.queues));
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
            messages.push(Posted {
                token: format!("token-{}", self.tokens),
                ttl_secs: if self.mode.expires_messages {
                    pick(&mut self.random, &[20, 40, 60, TTL_SECS_LONG])
                } else {
                    TTL_SECS_LONG
                },
            });
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
        if self.drain.queue == self.conditions.queues || self.drain.claims > DRAIN_CLAIMS_MAX {
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

fn instant(millis: u64) -> Instant {
    Instant::from_nanos(millis * NANOS_PER_MILLI)
}

fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}

fn pick_clone<T: Clone>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())].clone()
}
