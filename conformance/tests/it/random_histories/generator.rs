//! From a seed to a history: operations that overlap, a server clock that is wrong within its slack,
//! and operations that get no answer and act late, or never. What clients ask for is not drawn here.
//!
//! Everything is drawn from the seed. Instants are milliseconds of the run; the model sees them as the
//! server's clock tells them.

use std::collections::{BTreeMap, BTreeSet};

use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{
    FORMAT, Header, History, OrderProfile, Outcome, Phase, Profile, Push, Record, VERSION,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::clients::{Clients, DRAINER, Mode};
use super::flaws::Flaw;
use super::model::Model;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// How late an unanswered operation takes effect at most if there is no bound.
const UNBOUNDED_EFFECT_MS: u64 = 200_000;

/// How long after its post a message is pushed at the latest.
const PUSHED_WITHIN_MS: u64 = 5_000;

/// A history, and what is known about its making.
pub(super) struct Generated {
    pub(super) history: History,
    /// Whether the planted flaw made a difference.
    pub(super) has_struck: bool,
}

/// Draws the history of `seed`.
pub(super) fn generate(mode: Mode, flaw: Option<Flaw>, seed: u64) -> Generated {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut conditions = Conditions::draw(&mut random);
    if mode.is_long() {
        conditions.calm(&mut random);
    }
    let clients = Clients::new(mode, conditions.queues, fork(&mut random));
    let model = Model::new(flaw, fork(&mut random));
    let mut run = Run {
        random,
        conditions,
        clients,
        model,
        records: Vec::new(),
        outcomes: BTreeMap::new(),
        agenda: BTreeSet::new(),
        pushes: Vec::new(),
        is_long: mode.is_long(),
        flaw,
    };
    // Settings are certain only for what is posted after they were told.
    let waits_ms = if mode.is_long() && !seed.is_multiple_of(8) {
        4_000
    } else if mode.is_rich() && !seed.is_multiple_of(3) {
        16_000
    } else {
        0
    };
    let phases = run.work_and_drain(waits_ms);
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
        profile: Profile {
            strict_stats: true,
            order: if mode.is_strict(seed) {
                OrderProfile::Strict
            } else {
                OrderProfile::Producer
            },
            pushed_within_ns: mode.is_long().then_some(PUSHED_WITHIN_MS * NANOS_PER_MILLI),
            ..Profile::default()
        },
    };
    let mut pushes = run.pushes;
    pushes.sort_by_key(|push| push.at);
    Generated {
        history: History {
            records: run.records,
            pushes,
            phases,
            ..History::new(header)
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

    /// As a real run is between its faults: most questions are answered, and soon.
    fn calm(&mut self, random: &mut ChaCha8Rng) {
        self.latest_effect_ms = pick(random, &[Some(5_000), Some(30_000)]);
        self.unanswered_share = pick(random, &[0.0, 0.02, 0.1]);
        self.duration_ms_max = pick(random, &[1, 100, 1_000]);
        self.gap_ms_max = pick(random, &[300, 2_000, 20_000]).max(3 * self.duration_ms_max);
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
    /// The push of that number arrives.
    Push(usize),
    /// The process of that number asks for something.
    Invoke(u64),
}

struct Run {
    random: ChaCha8Rng,
    conditions: Conditions,
    clients: Clients,
    model: Model,
    records: Vec<Record>,
    /// Of operations under way, as soon as it is settled.
    outcomes: BTreeMap<usize, Outcome>,
    agenda: BTreeSet<(u64, Step)>,
    /// Those that arrived, and those under way.
    pushes: Vec<Push>,
    is_long: bool,
    flaw: Option<Flaw>,
}

impl Run {
    /// Returns when which phase began.
    fn work_and_drain(&mut self, waits_ms: u64) -> Vec<(Instant, Phase)> {
        let mut phases = vec![(Instant::START, Phase::Work)];
        for process in 0..self.conditions.processes {
            let at = self.random.random_range(0..=self.conditions.gap_ms_max);
            let at = if process == 0 { at } else { at + 2 * waits_ms };
            self.plan(at, Step::Invoke(process));
        }
        let mut end = self.follow_agenda(0);
        if self.is_long || self.random.random_bool(0.8) {
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
                    let is_unanswered = self.outcomes.contains_key(&index);
                    let Record {
                        process, operation, ..
                    } = &self.records[index];
                    // A read changes nothing: without an answer, it is as if it had not been.
                    if operation.is_read() && is_unanswered {
                        continue;
                    }
                    let has_struck = self.model.has_struck;
                    let outcome = self.model.handle(clock, *process, operation);
                    // Nobody was told what was kept back.
                    if is_unanswered && self.flaw.is_some_and(Flaw::keeps_back) {
                        self.model.has_struck = has_struck;
                    }
                    self.outcomes.entry(index).or_insert(outcome);
                    self.send_pushes(now);
                }
                Step::Push(number) => self.pushes[number].at = instant(now),
                Step::Complete(index) => self.complete(now, index),
                Step::Invoke(process) => self.invoke(now, process),
            }
        }
        now
    }

    /// What the model wants to be pushed is under way for some time, and never refused.
    fn send_pushes(&mut self, now: u64) {
        for (queue, subscriber, token) in std::mem::take(&mut self.model.pushes) {
            let at = now + self.random.random_range(0..=PUSHED_WITHIN_MS);
            self.plan(at, Step::Push(self.pushes.len()));
            self.pushes.push(Push {
                at: Instant::NEVER,
                project: String::new(),
                queue,
                subscriber,
                token,
                status: Some(200),
            });
        }
    }

    fn plan(&mut self, at: u64, step: Step) {
        self.agenda.insert((at, step));
    }

    fn invoke(&mut self, now: u64, process: u64) {
        let Some(operation) = self.clients.ask(process) else {
            return;
        };
        let index = self.records.len();
        self.records.push(Record {
            process,
            project: String::new(),
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
        self.clients.learn(record);
        let gap_ms_max = match process {
            DRAINER => 1,
            _ if self.is_long && self.clients.are_telling() => 1,
            _ if self.random.random_bool(0.5) => 200,
            _ => self.conditions.gap_ms_max,
        };
        let gap = self.random.random_range(0..=gap_ms_max);
        self.plan(now + gap, Step::Invoke(process));
    }
}

/// A generator of its own for a part: what one part draws does not shift what another does.
fn fork(random: &mut ChaCha8Rng) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(random.random_range(0..=u64::MAX))
}

fn instant(millis: u64) -> Instant {
    Instant::from_nanos(millis * NANOS_PER_MILLI)
}

/// One of the choices, which must be some.
pub(super) fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}
