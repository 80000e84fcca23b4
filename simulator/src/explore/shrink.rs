//! From a scenario that fails to the smallest that still does: operations, faults, topology and times together.
//!
//! Delta debugging over the scenario, not over the run: every change of a scenario changes what is drawn in it,
//! so each candidate gets a few seeds. What is left is a file that fails alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::broken;
use super::draw::is_sound;
use crate::implementation::Implementation;
use crate::pool::{Job, Pool};
use crate::scenario::{DiskTimes, Link, Scenario, Servers};

/// Seeds that a candidate gets.
const SEEDS: u64 = 6;

/// What is left of a scenario.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// It fails under its own seed.
    pub scenario: Scenario,
    /// Runs that it took.
    pub runs: u64,
}

/// Shrinks `scenario`, in which a run under `seed` breaks `rule` and whatever else it says that it breaks, in
/// `runs_max` runs at most.
pub fn shrink(
    (scenario, seed): (&Scenario, u64),
    rule: &str,
    implementation: Implementation,
    (pool, runs_max): (&dyn Pool, u64),
) -> Shrunk {
    // What nothing smaller is found for is stored as it was drawn: it has to say all that it breaks, too.
    let mut breaks = scenario.breaks.clone();
    breaks.insert(rule.to_owned());
    let how = if runs_max > 0 { ", and shrunk" } else { "" };
    let mut best = Scenario {
        name: format!("found/{}-{}", implementation.name, rule.replace('/', "-")),
        about: format!("Breaks {rule}: found by `nanshe explore`{how}."),
        seed: Some(seed),
        breaks,
        ..scenario.clone()
    };
    let mut runs = 0;
    loop {
        let mut better = false;
        let mut place = 0;
        let mut left = candidates(&best);
        while let Some(candidate) = left.next() {
            if runs >= runs_max {
                return Shrunk {
                    scenario: best,
                    runs,
                };
            }
            match fails(&candidate, rule, implementation, (pool, &mut runs)) {
                Some((seed, breaks)) => {
                    best = Scenario {
                        seed: Some(seed),
                        breaks,
                        ..candidate
                    };
                    better = true;
                    // Made anew from what is best now; those before `place` have failed to fail.
                    left = candidates(&best);
                    left.by_ref().take(place).for_each(drop);
                }
                None => place += 1,
            }
        }
        if !better {
            return Shrunk {
                scenario: best,
                runs,
            };
        }
    }
}

/// The first seed under which the scenario breaks the rule, and all that it breaks then.
fn fails(
    scenario: &Scenario,
    rule: &str,
    implementation: Implementation,
    (pool, runs): (&dyn Pool, &mut u64),
) -> Option<(u64, BTreeSet<String>)> {
    let (first, scenario) = (scenario.seed.unwrap_or(0), Arc::new(scenario.clone()));
    let mut jobs = (first..first.saturating_add(SEEDS)).map(|seed| Job {
        scenario: Arc::clone(&scenario),
        implementation,
        seed,
    });
    let mut found = None;
    pool.run(&mut jobs, &mut |job, done| {
        *runs += 1;
        if let Ok(run) = done {
            let breaks = broken(&run);
            if breaks.contains(rule) {
                found = Some((job.seed, breaks));
            }
        }
        found.is_none()
    });
    found
}

/// Scenarios that are simpler than this one, the boldest first.
fn candidates(scenario: &Scenario) -> impl Iterator<Item = Scenario> + use<> {
    let mut all = Vec::new();
    without_faults(scenario, &mut all);
    smaller(scenario, &mut all);
    plainer(scenario, &mut all);
    shorter(scenario, &mut all);
    let before = scenario.to_toml();
    all.into_iter()
        .filter(move |candidate| candidate.to_toml() != before && is_sound(candidate))
}

fn without_faults(scenario: &Scenario, all: &mut Vec<Scenario>) {
    let count = scenario.faults.len();
    let mut chunk = count;
    while chunk > 0 {
        for start in (0..count).step_by(chunk) {
            let mut fewer = scenario.clone();
            fewer.faults.drain(start..(start + chunk).min(count));
            all.push(fewer);
        }
        chunk /= 2;
    }
}

/// Fewer clients, turns, queues, messages, servers.
fn smaller(scenario: &Scenario, all: &mut Vec<Scenario>) {
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut smaller = scenario.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    let settings = &scenario.workload.settings;
    let fewer = |count: u64| {
        let tries = BTreeSet::from([
            1,
            2,
            count / 4,
            count / 2,
            count * 3 / 4,
            count.saturating_sub(1),
        ]);
        let tries = tries
            .into_iter()
            .filter(move |fewer| *fewer > 0 && *fewer < count);
        tries.collect::<Vec<u64>>()
    };
    let narrow = |count: u64| u32::try_from(count).unwrap_or(1);
    for count in fewer(settings.clients.into()) {
        with(&|it| it.workload.settings.clients = narrow(count));
    }
    for count in fewer(scenario.turns.unwrap_or(1_000)) {
        with(&|it| it.turns = Some(count));
    }
    for count in fewer(settings.queues.into()) {
        with(&|it| it.workload.settings.queues = narrow(count));
    }
    for count in fewer(settings.batch_max) {
        with(&|it| it.workload.settings.batch_max = count);
    }
    for count in fewer(scenario.server.count.into()) {
        with(&|it| it.server.count = narrow(count));
    }
    for action in scenario.workload.kind.actions {
        with(&|it| {
            it.workload.settings.mix.insert(action.word.to_owned(), 0);
        });
    }
}

/// Settings as they would be without being said.
fn plainer(scenario: &Scenario, all: &mut Vec<Scenario>) {
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut plainer = scenario.clone();
        change(&mut plainer);
        all.push(plainer);
    };
    with(&|it| {
        it.link = Link::default();
        it.disk = DiskTimes::default();
        it.server = Servers {
            count: it.server.count,
            ..Servers::default()
        };
        it.workload.settings.mix = BTreeMap::new();
    });
    with(&|it| it.link = Link::default());
    with(&|it| it.disk = DiskTimes::default());
    with(&|it| it.server.offset_ms = (0, 0));
    with(&|it| it.server.drift_ppm = (0, 0));
    with(&|it| it.server.service_us = (0, 0));
    with(&|it| it.server.cores = 1);
    with(&|it| it.server.entry_ns = 0);
    with(&|it| it.is_strict = false);
    with(&|it| it.workload.settings.mix = BTreeMap::new());
    let plain = nanshe_conformance::workload::Workload::named(scenario.workload.kind.name);
    if let Ok(plain) = plain {
        let plain = plain.settings;
        with(&|it| {
            it.messages_expire = false;
            it.workload.settings.message_ttl_secs = plain.message_ttl_secs;
        });
        with(&|it| it.workload.settings.delay_secs_max = plain.delay_secs_max);
        with(&|it| it.workload.settings.max_claim_count = plain.max_claim_count);
        with(&|it| it.workload.settings.pause_ms_max = plain.pause_ms_max);
    }
}

/// Less time for the work, and for the faults.
fn shorter(scenario: &Scenario, all: &mut Vec<Scenario>) {
    let secs = Duration::from_secs;
    let ends = scenario
        .faults
        .iter()
        .map(|fault| fault.from.1 + fault.lasts.1);
    let ends = ends.max().unwrap_or_default();
    let busy = ends.as_secs() + u64::from(ends.subsec_nanos() > 0);
    for work in [
        busy,
        scenario.work.as_secs() / 2,
        scenario.work.as_secs() * 3 / 4,
    ] {
        if work >= busy.max(1) && secs(work) < scenario.work {
            let mut shorter = scenario.clone();
            shorter.work = secs(work);
            all.push(shorter);
        }
    }
    for (place, fault) in scenario.faults.iter().enumerate() {
        let mut with = |from: Duration, lasts: Duration| {
            let mut shorter = scenario.clone();
            shorter.faults[place].from = (from, from);
            shorter.faults[place].lasts = (lasts, lasts);
            all.push(shorter);
        };
        let (from, lasts) = (fault.from.0.as_secs(), fault.lasts.0.as_secs());
        with(secs(0), secs(lasts));
        with(secs(from / 2), secs(lasts));
        with(secs(from), secs(lasts.min(1)));
        with(secs(from), secs(lasts / 2));
    }
}
