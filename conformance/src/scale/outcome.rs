//! What an experiment measured, what was fitted to it, and the verdict.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::fit::Interval;
use crate::checker::Verdicts;
use crate::verdict::Verdict;

/// All experiments of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was measured.
    pub target: String,
    /// What choices were drawn from.
    pub seed: u64,
    /// Whether time was virtual: then the same seed gives the same figures.
    pub is_virtual: bool,
    /// What verdicts were held to.
    pub bounds: Bounds,
    /// The experiments, in the order of their ladders.
    pub outcomes: Vec<Outcome>,
    /// What the delivery and claims rules say of all operations.
    pub safety: Option<Verdicts>,
    /// Why it is not whole, if it is not.
    pub stopped: Option<String>,
    /// The command line that does it again.
    pub repeat: String,
}

impl Report {
    /// The worst of all verdicts.
    pub fn verdict(&self) -> Verdict {
        let judged = self.outcomes.iter().map(|outcome| outcome.verdict);
        // What a ladder's operations leave unexercised is no question of scaling.
        let safety = self.safety.as_ref().map(Verdicts::verdict);
        let broken = safety.filter(|verdict| *verdict == Verdict::Violation);
        let verdict = Verdict::worst(judged.chain(broken));
        match (&self.stopped, verdict) {
            (Some(_), Verdict::Valid) => Verdict::Unknown,
            (_, verdict) => verdict,
        }
    }
}

/// One experiment: one quantity was varied, one figure was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The rule: `scaling/flat-cost`.
    pub rule: String,
    /// What was varied: `backlog`.
    pub quantity: String,
    /// What was measured, in words: `claim`.
    pub figure: String,
    /// Its unit: `µs`, `operations/s`, `entries`, `share`.
    pub unit: String,
    /// The ladder.
    pub steps: Vec<Step>,
    /// What was fitted, with a name for each.
    pub fits: Vec<(String, Interval)>,
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen to hold: `flat to 10⁶`.
    pub verified: Option<String>,
    /// What would follow beyond the ladder, if things go on like that.
    pub extrapolated: Option<String>,
    /// Why this is the verdict, in a sentence.
    pub why: String,
}

/// One step of a ladder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// How large the quantity is.
    pub n: f64,
    /// The figure, one value a round.
    pub rounds: Vec<f64>,
    /// Operations that were measured.
    pub operations: u64,
    /// Those that were refused, or not answered.
    pub errors: u64,
    /// Operations a second.
    pub throughput: f64,
    /// How long they took.
    pub latency: Latency,
}

/// How long operations took, in microseconds, from when they were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them were faster.
    pub p50: f64,
    /// Nine in ten were faster.
    pub p90: f64,
    /// All but one in a hundred were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Step {
    /// The figure of all rounds: their median.
    pub fn value(&self) -> f64 {
        median(&self.rounds)
    }
}

/// The median; not a number if there is nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// What every round measured, as the fits want it.
pub(super) fn by_round(steps: &[Step]) -> Vec<Vec<(f64, f64)>> {
    let rounds = steps
        .iter()
        .map(|step| step.rounds.len())
        .min()
        .unwrap_or(0);
    let round = |round: usize| {
        steps
            .iter()
            .map(|step| (step.n, step.rounds[round]))
            .collect()
    };
    (0..rounds).map(round).collect()
}
