//! A scenario from a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use nanshe_conformance::document::Document;
use nanshe_conformance::workload::{WORKLOADS, Workload};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::goals::Goal;
use crate::implementation::Implementation;
use crate::scenario::{Direction, Fault, FaultKind, Loss, Scenario, Word};

/// Faults of one scenario.
const FAULTS_MAX: usize = 5;

/// How often what is done most is drawn, in relation to the rest.
const OFTEN: u32 = 20;

/// How often something is drawn, and how often if it leads to what was never reached.
const PLAIN: u32 = 1;
const FAVOURED: u32 = 12;

/// How often each fault and each workload is drawn, in relation to the others.
#[derive(Clone, Debug)]
pub struct Weights {
    faults: BTreeMap<Word, u32>,
    workloads: BTreeMap<&'static str, u32>,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            faults: Word::ALL.into_iter().map(|word| (word, PLAIN)).collect(),
            workloads: WORKLOADS.iter().map(|kind| (kind.name, PLAIN)).collect(),
        }
    }
}

impl Weights {
    /// What leads to these goals is drawn more often than the rest.
    pub(super) fn in_favour_of(goals: &[&Goal]) -> Self {
        let mut weights = Self::default();
        for goal in goals {
            for word in goal.faults {
                weights.faults.insert(*word, FAVOURED);
            }
            for workload in goal.workloads {
                weights.workloads.insert(workload, FAVOURED);
            }
        }
        weights
    }
}

/// Draws a scenario for `implementation`, of which it asks nothing that it cannot take.
pub fn draw(seed: u64, implementation: Implementation, weights: &Weights) -> Scenario {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from_be_bytes(*b"scenario"));
    let mut draw = Draw {
        random,
        implementation,
    };
    let workload = draw.workload(weights);
    let mut scenario = Scenario {
        name: "drawn/scenario".to_owned(),
        about: "Drawn by `nanshe explore`.".to_owned(),
        implementation: implementation.name.to_owned(),
        seed: None,
        work: Duration::from_secs(draw.random.random_range(30..=400)),
        patience: Duration::from_millis(
            draw.random.random_range(60..=500) << draw.random.random_range(0..=4),
        ),
        link: crate::scenario::Link::default(),
        server: crate::scenario::Servers::default(),
        disk: crate::scenario::DiskTimes::default(),
        turns: Some(draw.random.random_range(5..=60)),
        messages_expire: draw.chance(0.25),
        is_strict: draw.chance(0.75),
        faults: Vec::new(),
        breaks: std::collections::BTreeSet::new(),
        workload,
    };
    if scenario.messages_expire {
        // Work has to go on for as long as messages live.
        scenario.workload.settings.message_ttl_secs = draw.random.random_range(60..=120);
        scenario.workload.settings.pause_ms_max = draw.random.random_range(2_000..=8_000);
        scenario.turns = Some(draw.random.random_range(40..=100));
    }
    draw.topology(&mut scenario);
    draw.faults(&mut scenario, weights);
    scenario
}

struct Draw {
    random: ChaCha8Rng,
    implementation: Implementation,
}

impl Draw {
    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    fn choose<T>(&mut self, weighted: &[(T, u32)]) -> usize {
        let total: u32 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.random.random_range(0..total.max(1));
        for (place, (_, weight)) in weighted.iter().enumerate() {
            if drawn < *weight {
                return place;
            }
            drawn -= weight;
        }
        0
    }

    fn workload(&mut self, weights: &Weights) -> Workload {
        let open = |name: &&str| {
            let named = Workload::named(name);
            named.is_ok_and(|it| self.implementation.takes.subscribers || !it.needs_sink())
        };
        let names: Vec<(&str, u32)> = weights
            .workloads
            .iter()
            .filter(|(name, _)| open(name))
            .map(|(name, weight)| (*name, *weight))
            .collect();
        let (name, _) = names[self.choose(&names)];
        let mut workload =
            Workload::named(name).expect("invariant: there is a workload of that name");
        let settings = &mut workload.settings;
        settings.clients = self.random.random_range(1..=8);
        settings.queues = self.random.random_range(1..=2);
        settings.batch_max = self.random.random_range(1..=8);
        settings.pause_ms_max = [10, 200, 2_000, 8_000][self.random.random_range(0..4)];
        settings.max_claim_count = self.random.random_range(1..=3);
        settings.delay_secs_max = [5, 60, 300][self.random.random_range(0..3)];
        // Each run leaves out some of what its clients can do.
        if self.chance(0.4) {
            let left_out = self.action(&workload);
            workload.settings.mix.insert(left_out.to_owned(), 0);
            if workload.validate().is_err() {
                workload.settings.mix.clear();
            }
        }
        // And does more of one thing than of all others.
        if self.chance(0.4) {
            let often = self.action(&workload);
            workload.settings.mix.insert(often.to_owned(), OFTEN);
        }
        workload
    }

    /// Something that the workload's clients do.
    fn action(&mut self, workload: &Workload) -> &'static str {
        let actions = workload.kind.actions;
        actions[self.random.random_range(0..actions.len())].word
    }

    fn topology(&mut self, scenario: &mut Scenario) {
        let servers = self.implementation.takes.servers_max.min(3);
        scenario.server.count = self.random.random_range(1..=servers);
        let looks_at_clocks = self.implementation.takes.clock;
        if looks_at_clocks && self.chance(0.3) {
            let ahead = self.random.random_range(0..=5_000);
            scenario.server.offset_ms = (-ahead, ahead);
        }
        if looks_at_clocks && self.chance(0.3) {
            scenario.server.drift_ppm = (-100, 100);
        }
        if self.chance(0.3) {
            scenario.server.service_us = (100, self.random.random_range(100..=5_000));
        }
        if self.implementation.takes.writes && self.chance(0.5) {
            scenario.disk.sync_us = (5_000, self.random.random_range(5_000..=300_000));
        }
        let slow = [2_000, 20_000, 200_000][self.random.random_range(0..3)];
        scenario.link.latency_us = (200, slow);
        if self.chance(0.2) {
            scenario.link.spike_share = 0.05;
            scenario.link.spike_us = self.random.random_range(1_000..=100_000);
        }
        if self.chance(0.1) {
            scenario.link.bytes_a_second = 100_000;
        }
        // Nothing would ever be answered by servers that are slower than their clients are patient.
        let work_us = scenario.server.service_us.1 * 8 + scenario.disk.sync_us.1 * 2;
        let round_trip_ms = (slow + scenario.link.spike_us) / 250 + work_us / 1_000;
        let patience = scenario
            .patience
            .max(Duration::from_millis(round_trip_ms + 100));
        scenario.patience = patience;
    }

    fn faults(&mut self, scenario: &mut Scenario, weights: &Weights) {
        let mut count = self.random.random_range(0..=FAULTS_MAX);
        // Few kinds at once, and each more than once.
        let open: Vec<(Word, u32)> = weights
            .faults
            .iter()
            .filter(|(word, _)| self.is_open(**word))
            .map(|(word, weight)| (*word, *weight))
            .collect();
        let mut kinds: Vec<Word> = (0..self.random.random_range(1..=3))
            .map(|_| open[self.choose(&open)].0)
            .collect();
        // A disk's trouble shows when somebody reads what is on it.
        if kinds
            .iter()
            .any(|word| matches!(word, Word::DiskFull | Word::ReadErrors))
        {
            kinds.push([Word::Kill, Word::Crash][self.random.random_range(0..2)]);
        }
        // One death shows what was lost, and a second what the first recovery left behind.
        if self.implementation.takes.writes && self.chance(0.3) {
            kinds = vec![Word::Crash, Word::Kill, Word::Crash];
            count = count.max(3);
        }
        for _ in 0..count {
            let word = kinds[self.random.random_range(0..kinds.len())];
            let fault = self.fault(word, scenario);
            scenario.faults.push(fault);
            if !is_sound(scenario) {
                scenario.faults.pop();
            }
        }
    }

    fn is_open(&self, word: Word) -> bool {
        let takes = self.implementation.takes;
        let is_of_disks = matches!(word, Word::DiskFull | Word::SlowDisk | Word::ReadErrors);
        (takes.deaths || word != Word::Crash)
            && (takes.writes || !is_of_disks)
            && (takes.clock || word != Word::ClockJump)
    }

    fn node(&mut self, word: Word, scenario: &Scenario) -> String {
        let servers = scenario.server_names();
        let clients = scenario.client_names();
        let may_die = self.implementation.takes.deaths || word != Word::Kill;
        let server = word.is_for_servers() || may_die && self.chance(0.6);
        let names = if server { servers } else { clients };
        names[self.random.random_range(0..names.len())].clone()
    }

    fn fault(&mut self, word: Word, scenario: &Scenario) -> Fault {
        let work = scenario.work.as_secs();
        let lasts = if word == Word::Reset {
            0
        } else if matches!(word, Word::Kill | Word::Crash) {
            self.random.random_range(0..=20.min(work / 2))
        } else {
            self.random.random_range(1..=(work / 2).min(150))
        };
        // Work is over soon where pauses are short: faults early in it meet somebody.
        let turns = scenario.turns.unwrap_or(60);
        let busy_secs = turns * scenario.workload.settings.pause_ms_max / 2_000 + 2;
        let mut from = self.random.random_range(0..=busy_secs.min(work - lasts));
        // What goes wrong together shows more than what goes wrong.
        if let Some(last) = scenario.faults.last()
            && (self.chance(0.5) && word != last.kind.word())
        {
            let near = last.from.0.as_secs() + self.random.random_range(0..=3);
            from = near.min(work - lasts);
        }
        let secs = Duration::from_secs;
        let share = f64::from(self.random.random_range(2..=40_u32)) / 100.0;
        let how = if self.chance(0.5) {
            Loss::Reset
        } else {
            Loss::Hang
        };
        let factor = [2, 10, 100][self.random.random_range(0..3)];
        let node = self.node(word, scenario);
        Fault {
            from: (secs(from), secs(from)),
            lasts: (secs(lasts), secs(lasts)),
            kind: match word {
                Word::LoseRequests => FaultKind::LoseRequests { share, how },
                Word::LoseAnswers => FaultKind::LoseAnswers { share, how },
                Word::Duplicate => FaultKind::Duplicate { share },
                Word::Partition => FaultKind::Partition {
                    node,
                    direction: [Direction::Both, Direction::In, Direction::Out]
                        [self.random.random_range(0..3)],
                },
                Word::BlackHole => FaultKind::BlackHole { node },
                Word::Reset => FaultKind::Reset { node },
                Word::SlowLink => FaultKind::SlowLink { node, factor },
                Word::Kill => FaultKind::Kill { node },
                Word::Crash => FaultKind::Crash { node },
                Word::Pause => FaultKind::Pause { node },
                Word::ClockJump => {
                    // Small enough that leases still have a part that is certain.
                    let millis = self.random.random_range(-10_000..=10_000);
                    FaultKind::ClockJump {
                        node,
                        by_ms: (millis, millis),
                    }
                }
                Word::DiskFull => FaultKind::DiskFull { node },
                Word::SlowDisk => FaultKind::SlowDisk { node, factor },
                Word::ReadErrors => FaultKind::ReadErrors { node, share: 0.5 },
                Word::Busy => FaultKind::Busy { node, factor },
            },
        }
    }
}

/// Whether the scenario, as a file, would be taken for one.
pub(super) fn is_sound(scenario: &Scenario) -> bool {
    let text = scenario.to_toml();
    let file = "drawn";
    Scenario::parse(Document { file, text: &text }).is_ok()
}
