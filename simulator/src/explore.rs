//! Drawn scenarios: topology, workload, faults and every setting from a seed, with a bias towards situations
//! that no run has reached yet; what fails is shrunk to a scenario file.
//!
//! Each seed draws what it uses at all before it draws how much of it (swarm testing: Groce et al., ISSTA 2012):
//! a run with everything at once hides what a run with three things shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::goals::{GOALS, Goal, Reached};
use crate::implementation::Implementation;
use crate::pool::{Done, Job, Pool};
use crate::run::Run;
use crate::scenario::Scenario;

pub use self::draw::{Weights, draw};
pub use self::shrink::{Shrunk, shrink};

mod draw;
mod shrink;

/// Seeds between two looks at what was reached: the same whatever runs at once.
const ROUND: u64 = 100;

/// Seeds after which an exploration begins anew: what is drawn depends on nothing before, so that machines can each
/// take some of these stretches, and together draw what one would.
pub const STRETCH: u64 = 1_000;

/// An exploration under way.
pub struct Explorer {
    implementation: Implementation,
    weights: Weights,
    reached: Reached,
}

/// A rule that a run broke.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The rule.
    pub rule: String,
    /// What was drawn, and all that the run broke.
    pub scenario: Scenario,
    /// The seed of the run, and of the draw.
    pub seed: u64,
}

impl Explorer {
    /// An exploration of `implementation` in which nothing was reached yet.
    pub fn new(implementation: Implementation) -> Self {
        Self {
            implementation,
            weights: Weights::default(),
            reached: Reached::new(),
        }
    }

    /// Draws and runs `seeds`, one scenario each; `tell` gets what was drawn and what became of it, in order,
    /// and says whether to go on. Every [`STRETCH`] seeds it forgets what to draw more often.
    pub fn explore(
        &mut self,
        seeds: std::ops::Range<u64>,
        pool: &dyn Pool,
        mut tell: impl FnMut(&Scenario, u64, Done) -> bool,
    ) {
        let (mut from, mut goes_on) = (seeds.start, true);
        let mut lately = Reached::new();
        while from < seeds.end && goes_on {
            if (from - seeds.start).is_multiple_of(STRETCH) {
                lately.clear();
                self.weights = Weights::default();
            }
            let until = seeds.end.min(from.saturating_add(ROUND));
            let (implementation, weights) = (self.implementation, self.weights.clone());
            let mut jobs = (from..until).map(|seed| Job {
                scenario: Arc::new(draw(seed, implementation, &weights)),
                implementation,
                seed,
            });
            let reached = &mut self.reached;
            pool.run(&mut jobs, &mut |job, done| {
                if let Ok(run) = &done {
                    for (goal, times) in &run.reached {
                        *reached.entry(goal.clone()).or_default() += times;
                        *lately.entry(goal.clone()).or_default() += times;
                    }
                }
                goes_on = tell(&job.scenario, job.seed, done);
                goes_on
            });
            let missing: Vec<&Goal> = missing(self.implementation, &lately).collect();
            self.weights = Weights::in_favour_of(&missing);
            from = until;
        }
    }

    /// What was reached, and how often.
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// The goals that are open to the implementation and that nothing has reached yet.
    pub fn missing(&self) -> impl Iterator<Item = &'static Goal> {
        missing(self.implementation, &self.reached)
    }
}

/// The goals that are open to `implementation` and not `reached`.
pub fn missing(
    implementation: Implementation,
    reached: &Reached,
) -> impl Iterator<Item = &'static Goal> {
    let is_open = move |goal: &&Goal| goal.is_open_to(implementation.takes);
    let goals = GOALS.iter().filter(is_open);
    goals.filter(|goal| !reached.contains_key(goal.name))
}

/// The rules that a run broke.
pub fn broken(run: &Run) -> BTreeSet<String> {
    let rules = run.verdicts.rules.iter();
    let broken = rules.filter(|rule| rule.violations > 0);
    broken.map(|rule| rule.rule.to_owned()).collect()
}

/// The scenario, which says that it breaks these rules.
fn that_breaks(breaks: BTreeSet<String>, scenario: &Scenario) -> Scenario {
    Scenario {
        breaks,
        ..scenario.clone()
    }
}

/// What was drawn for `seed`, as a scenario that does again what came of it, `done`.
pub fn repeating(scenario: &Scenario, seed: u64, done: &Done) -> Scenario {
    let (what, breaks) = match done {
        Ok(run) => {
            let breaks = broken(run);
            let rules: Vec<&str> = breaks.iter().map(String::as_str).collect();
            (format!("breaks {}", rules.join(", ")), breaks)
        }
        Err(error) => (error.to_string(), BTreeSet::new()),
    };
    Scenario {
        name: format!("found/{}-seed-{seed}", scenario.implementation),
        about: format!("Drawn by `nanshe explore`: {what}."),
        seed: Some(seed),
        ..that_breaks(breaks, scenario)
    }
}

/// Explores `implementation` from `first_seed` on, `seeds_max` seeds at most, until a run breaks `rule`.
pub fn hunt(
    implementation: Implementation,
    rule: &str,
    (first_seed, seeds_max): (u64, u64),
    pool: &dyn Pool,
) -> Option<(Broken, u64)> {
    let (mut found, mut virtual_secs) = (None, 0);
    let mut explorer = Explorer::new(implementation);
    let seeds = first_seed..first_seed + seeds_max;
    explorer.explore(seeds, pool, |scenario, seed, done| {
        if let Ok(run) = done {
            virtual_secs += run.virtual_time.as_secs();
            let breaks = broken(&run);
            if breaks.contains(rule) {
                found = Some(Broken {
                    rule: rule.to_owned(),
                    scenario: that_breaks(breaks, scenario),
                    seed,
                });
            }
        }
        found.is_none()
    });
    found.map(|found| (found, virtual_secs))
}

/// The first run of an exploration that broke each rule.
#[derive(Default)]
pub struct Firsts(BTreeMap<String, Broken>);

impl Firsts {
    /// Takes a run into account, as far as the rules that it broke are wanted.
    pub fn add(
        &mut self,
        scenario: &Scenario,
        seed: u64,
        run: &Run,
        is_wanted: impl Fn(&str) -> bool,
    ) {
        let breaks = broken(run);
        for rule in breaks.iter().filter(|rule| is_wanted(rule)) {
            self.0.entry(rule.clone()).or_insert_with(|| Broken {
                rule: rule.clone(),
                scenario: that_breaks(breaks.clone(), scenario),
                seed,
            });
        }
    }

    /// By their rules.
    pub fn iter(&self) -> impl Iterator<Item = &Broken> {
        self.0.values()
    }
}
