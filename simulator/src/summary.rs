//! What a campaign found: as text for people, as JSON for programs.

use std::fmt::Write as _;
use std::time::Duration;

use nanshe_conformance::checker::Tally;
use nanshe_conformance::verdict::Verdict;
use serde::Serialize;

use crate::run::{Run, RunError};

/// What a campaign found.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// `nanshe-simulation-summary`.
    format: &'static str,
    /// The summary's version.
    version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's file, as the user named it.
    pub file: String,
    /// The implementation's name.
    pub implementation: String,
    /// The first seed.
    pub first_seed: u64,
    /// Seeds run.
    pub seeds: u64,
    /// The verdict over all of them.
    pub verdict: Verdict,
    /// Virtual time of all runs together.
    pub virtual_secs: u64,
    /// Operations that clients began.
    pub operations: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Requests and answers that were lost.
    pub struck: u64,
    /// Runs without a verdict, and why.
    pub errors: Vec<String>,
    /// Each rule over all runs.
    pub rules: Tally,
}

impl Summary {
    /// Of no run yet.
    pub fn new(scenario: &str, file: &str, implementation: &str, first_seed: u64) -> Self {
        Self {
            format: "nanshe-simulation-summary",
            version: 1,
            scenario: scenario.to_owned(),
            file: file.to_owned(),
            implementation: implementation.to_owned(),
            first_seed,
            seeds: 0,
            verdict: Verdict::Unknown,
            virtual_secs: 0,
            operations: 0,
            faults: 0,
            struck: 0,
            errors: Vec::new(),
            rules: Tally::default(),
        }
    }

    /// Adds a run. Add them in the order of their seeds.
    pub fn add(&mut self, result: &Result<Run, RunError>) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.seeds += 1;
        match result {
            Ok(run) => {
                self.virtual_secs += run.virtual_time.as_secs();
                self.operations += count(run.operations);
                self.faults += count(run.faults);
                self.struck += run.struck;
                self.rules.add(run.seed, &run.verdicts);
            }
            Err(error) => self.errors.push(error.to_string()),
        }
        self.verdict = match self.rules.verdict() {
            // A run that broke off shows nothing, and nothing turns that into valid.
            Verdict::Valid if !self.errors.is_empty() => Verdict::Unknown,
            verdict @ (Verdict::Valid | Verdict::Unknown | Verdict::Violation) => verdict,
        };
    }

    /// The summary as one JSON document.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("a summary holds nothing that JSON cannot say") + "\n"
    }

    /// The command that repeats `seed` alone.
    pub fn repeat(&self, seed: u64) -> String {
        let Self {
            file,
            implementation,
            ..
        } = self;
        format!(
            "nanshe simulate {file} --implementation {implementation} --first-seed {seed} --seeds 1"
        )
    }

    /// The summary as text for a terminal; `elapsed` is the real time that the campaign took.
    pub fn terminal(&self, elapsed: Option<Duration>) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _infallible = self.write(&mut text, elapsed);
        text
    }

    fn write(&self, text: &mut String, elapsed: Option<Duration>) -> std::fmt::Result {
        for rule in &self.rules.rules {
            let Some((seed, violation)) = &rule.first else {
                continue;
            };
            text.push_str(&violation.told(rule.rule));
            writeln!(text, "  repeat: {}\n", self.repeat(*seed))?;
        }
        for error in &self.errors {
            writeln!(text, "NO VERDICT {error}\n")?;
        }
        writeln!(
            text,
            "{:<24} {:>9} {:>9} {:>9} {:>12}",
            "rule", "valid", "unknown", "violation", "exercised"
        )?;
        for rule in &self.rules.rules {
            writeln!(
                text,
                "{:<24} {:>9} {:>9} {:>9} {:>12}{}",
                rule.rule,
                rule.valid,
                rule.unknown,
                rule.violation,
                rule.exercised,
                match rule.why.as_str() {
                    "" => String::new(),
                    why => format!("  {why}"),
                }
            )?;
        }
        write!(
            text,
            "{} on {}: {} seeds, {} operations, {} faults, {} requests and answers lost, {}h {:02}m of \
             virtual time",
            self.scenario,
            self.implementation,
            self.seeds,
            self.operations,
            self.faults,
            self.struck,
            self.virtual_secs / 3600,
            self.virtual_secs / 60 % 60,
        )?;
        if let Some(elapsed) = elapsed {
            write!(text, " in {:.1}s", elapsed.as_secs_f64())?;
        }
        writeln!(text, ": {}", self.verdict)
    }
}

#[cfg(test)]
mod tests {
    use nanshe_conformance::checker::judge;
    use nanshe_conformance::history;

    use super::*;

    const OVERLAP: &str =
        include_str!("../../conformance/tests/fixtures/claims/overlap.renewed.violation.jsonl");
    const VALID: &str =
        include_str!("../../conformance/tests/fixtures/claims/overlap.renewed.valid.jsonl");

    fn run(seed: u64, lines: &str) -> Result<Run, RunError> {
        let history = history::read(lines.as_bytes()).unwrap();
        Ok(Run {
            seed,
            lines: lines.as_bytes().to_vec(),
            verdicts: judge(&history),
            operations: history.records.len(),
            faults: 2,
            struck: 5,
            virtual_time: Duration::from_secs(4_000),
        })
    }

    fn summary(runs: &[Result<Run, RunError>]) -> Summary {
        let mut summary =
            Summary::new("claims/sample", "scenarios/claims/sample.toml", "sample", 3);
        runs.iter().for_each(|run| summary.add(run));
        summary
    }

    fn panicked() -> Result<Run, RunError> {
        Err(RunError::Panicked {
            seed: 5,
            message: "index out of bounds".to_owned(),
        })
    }

    #[test]
    fn terminal_summary_tells_the_first_violation_and_how_to_repeat_it() {
        let summary = summary(&[run(3, VALID), run(4, OVERLAP), panicked()]);
        insta::assert_snapshot!(summary.terminal(None));
    }

    #[test]
    fn json_summary_holds_the_same() {
        let summary = summary(&[run(3, VALID), run(4, OVERLAP), panicked()]);
        insta::assert_snapshot!(summary.json());
    }

    #[test]
    fn run_that_panicked_leaves_no_campaign_valid() {
        assert_eq!(summary(&[]).verdict, Verdict::Unknown);
        let valid = |rules: &Tally| rules.rules.iter().all(|rule| rule.violation == 0);
        let with_panic = summary(&[run(3, VALID), panicked()]);
        assert!(valid(&with_panic.rules));
        assert_eq!(with_panic.verdict, Verdict::Unknown);
        assert_eq!(
            summary(&[run(3, OVERLAP), panicked()]).verdict,
            Verdict::Violation
        );
    }
}
