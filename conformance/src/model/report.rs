//! What sequences found, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::answer::Difference;
use crate::target::KnownDifference;
use crate::verdict::Verdict;

/// What a run of sequences found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What the sequences were drawn from.
    pub seed: u64,
    /// Sequences that ran.
    pub sequences: u64,
    /// Sequences that should have run.
    pub sequences_wanted: u64,
    /// Requests of those, shrinking aside.
    pub requests: u64,
    /// How long it took, by the target's clock.
    pub elapsed: Duration,
    /// One for each kind of difference.
    pub found: Vec<Found>,
    /// Differences that are known, each with the sequences that it ended.
    pub recognized: Vec<Recognized>,
    /// Sequences that ended without an answer, and why.
    pub unanswered: Vec<String>,
    /// Why it was stopped before its end, if it was: requests may have been under way then.
    pub stopped: Option<String>,
}

/// Sequences that differ alike, and the shortest that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The kind of operation whose answer differs.
    pub kind: String,
    /// The difference, as the shortest sequence shows it.
    #[serde(flatten)]
    pub difference: Difference,
    /// Requests of the shortest sequence.
    pub requests: usize,
    /// Requests of the sequence that was shrunk.
    pub requests_before: usize,
    /// Runs that shrinking took.
    pub attempts: u64,
    /// How many sequences differ so.
    pub sequences: u64,
    /// The first of them.
    pub first_sequence: u64,
    /// The shortest sequence as a shell script.
    pub script: String,
    /// The command that finds it again.
    pub repeat: String,
}

/// A known difference, and how many sequences it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Recognized {
    /// The kind of operation whose answer differs.
    pub kind: String,
    /// The clauses.
    pub clause: String,
    /// The case that is known to fail for the same defect.
    pub case: String,
    /// How the defect leads there.
    pub reason: String,
    /// How many sequences differ so. What lies behind in them was not compared.
    pub sequences: u64,
}

impl Recognized {
    pub(super) fn new(known: &KnownDifference, sequences: u64) -> Self {
        Self {
            kind: known.kind.to_string(),
            clause: known.clause.clone(),
            case: known.case.clone(),
            reason: known.reason.clone(),
            sequences,
        }
    }
}

impl Findings {
    /// The worst of all sequences, known differences aside.
    pub fn verdict(&self) -> Verdict {
        if !self.found.is_empty() {
            Verdict::Violation
        } else if !self.unanswered.is_empty()
            || self.stopped.is_some()
            || self.sequences < self.sequences_wanted
        {
            Verdict::Unknown
        } else {
            Verdict::Valid
        }
    }

    /// For people.
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        for found in &self.found {
            tell(&mut text, found).expect("a string takes all");
        }
        for known in &self.recognized {
            let Recognized {
                clause,
                kind,
                case,
                reason,
                sequences,
            } = known;
            writeln!(
                text,
                "KNOWN {clause} by {kind}, {sequences} times, as {case}: {reason}"
            )
            .expect("a string takes all");
        }
        for why in &self.unanswered {
            writeln!(text, "UNKNOWN {why}").expect("a string takes all");
        }
        if let Some(why) = &self.stopped {
            writeln!(text, "UNKNOWN stopped early: {why}").expect("a string takes all");
        }
        let differing: u64 = self.found.iter().map(|found| found.sequences).sum();
        let count = self.found.len();
        let kinds = if count == 1 { "kind" } else { "kinds" };
        let known: u64 = self.recognized.iter().map(|known| known.sequences).sum();
        let known = match known {
            0 => String::new(),
            known => format!(", and {known} as is known"),
        };
        writeln!(
            text,
            "{} sequences, {} requests, seed {}: {differing} differ, in {count} {kinds}{known}: {}",
            self.sequences,
            self.requests,
            self.seed,
            self.verdict()
        )
        .expect("a string takes all");
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let document = json!({
            "verdict": self.verdict(),
            "seed": self.seed,
            "sequences": self.sequences,
            "requests": self.requests,
            "elapsed_secs": self.elapsed.as_secs_f64(),
            "differences": self.found,
            "known": self.recognized,
            "unanswered": self.unanswered,
            "stopped": self.stopped,
        });
        format!("{document:#}\n")
    }
}

fn tell(text: &mut String, found: &Found) -> std::fmt::Result {
    writeln!(
        text,
        "DIFFERENCE {} by {}",
        found.difference.clause, found.kind
    )?;
    let Found {
        sequences,
        first_sequence,
        requests,
        requests_before,
        attempts,
        ..
    } = found;
    let s = if *sequences == 1 { "" } else { "s" };
    writeln!(
        text,
        "  {sequences} sequence{s}, the first is number {first_sequence}; \
         {requests} of {requests_before} requests are left after {attempts} runs"
    )?;
    for line in found.script.lines() {
        writeln!(text, "    {line}")?;
    }
    writeln!(text, "  repeat: {}\n", found.repeat)
}
