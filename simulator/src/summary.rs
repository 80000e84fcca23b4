//! What a campaign found: as text for people, as JSON for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use std::ops::Range;

use nanshe_conformance::checker::{RULES, Tally};
use nanshe_conformance::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::run::{Run, RunError};

pub use self::merge::{MergeError, Merged};

mod merge;

/// What a summary calls itself.
const FORMAT: &str = "nanshe-simulation-summary";

/// The version of summaries: 2 since they say of which whole they are a part.
const VERSION: u32 = 2;

/// The name that drawn scenarios have together.
const DRAWN: &str = "drawn scenarios";

/// What a campaign is about, all its shares together.
#[derive(Clone, Debug)]
pub struct Campaign<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// The scenario's file, as the user named it.
    pub file: &'a str,
    /// The scenario as it is written down.
    pub text: &'a str,
    /// The implementation's name.
    pub implementation: &'a str,
    /// The seeds.
    pub seeds: Range<u64>,
}

impl<'a> Campaign<'a> {
    /// One that draws a scenario for each seed.
    pub fn drawn(implementation: &'a str, seeds: Range<u64>) -> Self {
        Self {
            scenario: DRAWN,
            file: "",
            text: "",
            implementation,
            seeds,
        }
    }
}

/// Seeds without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// The first of them.
    pub first_seed: u64,
    /// How many there are.
    pub seeds: u64,
}

/// What a campaign found, or a share of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// `nanshe-simulation-summary`.
    format: String,
    /// The summary's version.
    version: u32,
    /// The version of this program.
    program: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's file, as the user named it.
    pub file: String,
    /// The fingerprint of the scenario as it is written down.
    scenario_fingerprint: Fingerprint,
    /// The implementation's name.
    pub implementation: String,
    /// The first seed that was run here.
    pub first_seed: u64,
    /// Seeds run here, one after the other from that one on.
    pub seeds: u64,
    /// The seeds of all shares together.
    pub whole: Seeds,
    /// The rules that have to be broken: the scenario says that this implementation does so.
    pub expected: BTreeSet<String>,
    /// The verdict over all of them.
    pub verdict: Verdict,
    /// Virtual time of all runs together.
    pub virtual_secs: u64,
    /// Operations that clients began.
    pub operations: u64,
    /// Faults that were injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Requests and answers that were lost.
    pub struck: u64,
    /// Situations that came about, and how often.
    pub reached: BTreeMap<String, u64>,
    /// The fingerprint of all histories.
    histories: Fingerprint,
    /// Runs without a verdict, and why.
    pub errors: Vec<String>,
    /// Runs that the implementation did not survive: a panic, an endless loop, an abort.
    pub findings: Vec<RunError>,
    /// If each seed had a scenario of its own: where those are stored that this tells of, by seed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    drawn: BTreeMap<u64, String>,
    /// Each rule over all runs.
    pub rules: Tally,
}

impl Summary {
    /// Of no run yet, the first of which will be that of `first_seed`.
    pub fn new(campaign: &Campaign<'_>, first_seed: u64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: campaign.scenario.to_owned(),
            file: campaign.file.to_owned(),
            scenario_fingerprint: Fingerprint::of(campaign.text),
            implementation: campaign.implementation.to_owned(),
            first_seed,
            whole: Seeds {
                first_seed: campaign.seeds.start,
                seeds: campaign.seeds.end - campaign.seeds.start,
            },
            histories: Fingerprint::default(),
            seeds: 0,
            expected: BTreeSet::new(),
            verdict: Verdict::Unknown,
            virtual_secs: 0,
            operations: 0,
            faults: BTreeMap::new(),
            struck: 0,
            reached: BTreeMap::new(),
            errors: Vec::new(),
            findings: Vec::new(),
            drawn: BTreeMap::new(),
            rules: Tally::default(),
        }
    }

    /// From now on exactly these rules have to be broken.
    pub fn expect(&mut self, rules: &BTreeSet<String>) {
        self.expected.clone_from(rules);
    }

    /// Whether what was found is what was expected: every rule that has to be broken is, and no other. Without
    /// expectations it is whether nothing was found.
    pub fn is_as_expected(&self) -> bool {
        if self.expected.is_empty() {
            return self.verdict == Verdict::Valid;
        }
        let rules = self.rules.rules.iter();
        let broken = rules.filter(|rule| rule.violation > 0);
        let broken: BTreeSet<&str> = broken.map(|rule| rule.rule.as_str()).collect();
        let expected: BTreeSet<&str> = self.expected.iter().map(String::as_str).collect();
        broken == expected && self.findings.is_empty() && self.errors.is_empty()
    }

    /// Whether each seed had a scenario of its own.
    pub fn is_drawn(&self) -> bool {
        self.scenario == DRAWN
    }

    /// What to end with: what was expected is no news, and drawn scenarios judge only together.
    pub fn outcome(&self) -> Verdict {
        match (self.is_drawn(), self.is_as_expected(), self.verdict) {
            (true, _, verdict) => self.outcome_of_drawn(verdict),
            (false, true, _) => Verdict::Valid,
            // It keeps what the scenario says it breaks.
            (false, false, Verdict::Valid) => Verdict::Violation,
            (false, false, verdict) => verdict,
        }
    }

    /// Some drawn scenarios judge little, since they post nothing, or let everything expire; so a rule has to be
    /// valid in one run, and unknown is what could not be judged in any.
    fn outcome_of_drawn(&self, verdict: Verdict) -> Verdict {
        let is_judged = |name: &str| {
            let mut rules = self.rules.rules.iter();
            rules.any(|rule| rule.rule == name && rule.valid > 0)
        };
        let mut core = RULES.iter().filter(|rule| rule.is_core);
        let all_judged = core.all(|rule| is_judged(rule.name));
        if verdict == Verdict::Unknown && self.errors.is_empty() && all_judged {
            return Verdict::Valid;
        }
        verdict
    }

    /// Adds a run. Add them in the order of their seeds.
    pub fn add(&mut self, result: &Result<Run, RunError>) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.seeds += 1;
        match result {
            Ok(run) => {
                self.virtual_secs += run.virtual_time.as_secs();
                self.operations += count(run.operations);
                for (kind, times) in &run.faults {
                    *self.faults.entry(kind.clone()).or_default() += times;
                }
                for (goal, times) in &run.reached {
                    *self.reached.entry(goal.clone()).or_default() += times;
                }
                if let Some(trouble) = &run.trouble {
                    self.errors.push(format!("seed {}: {trouble}", run.seed));
                }
                self.struck += run.struck;
                self.histories = self.histories.and(Fingerprint::of(&run.lines));
                self.rules.add(run.seed, &run.verdicts);
            }
            Err(error) => self.findings.push(error.clone()),
        }
        self.judge();
    }

    /// Whether this tells of the run of `seed`: it was the first to break a rule, or left no history.
    pub fn tells_of(&self, seed: u64) -> bool {
        let mut firsts = self
            .rules
            .rules
            .iter()
            .filter_map(|rule| rule.first.as_ref());
        // Invariant: findings are in the order of their seeds.
        let is_finding = self.findings.binary_search_by_key(&seed, RunError::seed);
        is_finding.is_ok() || firsts.any(|(first, _)| *first == seed)
    }

    /// What was drawn for `seed` is stored in `file`.
    pub fn drawn_is_in(&mut self, file: &str, seed: u64) {
        self.drawn.insert(seed, file.to_owned());
    }

    /// The verdict on what there is.
    fn judge(&mut self) {
        self.verdict = match self.rules.verdict() {
            _ if !self.findings.is_empty() => Verdict::Violation,
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

    /// The command that repeats `seed` alone; `None` if what was drawn for it is stored nowhere.
    pub fn repeat(&self, seed: u64) -> Option<String> {
        let file = if self.is_drawn() {
            self.drawn.get(&seed)?
        } else {
            &self.file
        };
        let implementation = &self.implementation;
        Some(format!(
            "nanshe simulate {file} --implementation {implementation} --first-seed {seed} --seeds 1"
        ))
    }

    /// The summary as text for a terminal; `elapsed` is the real time that the campaign took.
    pub fn terminal(&self, elapsed: Option<Duration>) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _infallible = self.write(&mut text, elapsed, &self.end());
        text
    }

    /// Ends its last count with `end`.
    fn write(&self, text: &mut String, elapsed: Option<Duration>, end: &str) -> std::fmt::Result {
        self.write_broken(text)?;
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
            self.faults.values().sum::<u64>(),
            self.struck,
            self.virtual_secs / 3600,
            self.virtual_secs / 60 % 60,
        )?;
        if let Some(elapsed) = elapsed {
            let real = elapsed.as_secs_f64();
            let virtual_secs = f64::from(u32::try_from(self.virtual_secs).unwrap_or(u32::MAX));
            let dilation = virtual_secs / real.max(0.001);
            write!(text, " in {real:.1}s ({dilation:.0} times as fast)")?;
        }
        self.write_rest(text, end)
    }

    /// What was broken first, and how to repeat it.
    fn write_broken(&self, text: &mut String) -> std::fmt::Result {
        for rule in &self.rules.rules {
            let Some((seed, violation)) = &rule.first else {
                continue;
            };
            text.push_str(&violation.told(&rule.rule));
            self.write_repeat(text, *seed)?;
        }
        self.write_findings(text)?;
        for error in &self.errors {
            writeln!(text, "NO VERDICT {error}\n")?;
        }
        Ok(())
    }

    /// Runs that the implementation did not survive, and how to repeat them, as text for a terminal.
    pub fn told_findings(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _infallible = self.write_findings(&mut text);
        text
    }

    fn write_findings(&self, text: &mut String) -> std::fmt::Result {
        for finding in &self.findings {
            writeln!(text, "VIOLATION {finding}")?;
            if let RunError::Panicked { backtrace, .. } = finding {
                for frame in backtrace {
                    writeln!(text, "    {frame}")?;
                }
            }
            self.write_repeat(text, finding.seed())?;
        }
        Ok(())
    }

    fn write_repeat(&self, text: &mut String, seed: u64) -> std::fmt::Result {
        match self.repeat(seed) {
            Some(command) => writeln!(text, "  repeat: {command}\n"),
            None => writeln!(text),
        }
    }

    /// The verdict, and whether that is news.
    fn end(&self) -> String {
        let verdict = if self.is_drawn() {
            self.outcome()
        } else {
            self.verdict
        };
        if self.expected.is_empty() {
            return verdict.to_string();
        }
        let said = self.expected.iter().cloned().collect::<Vec<String>>();
        let is = if self.is_as_expected() {
            "as"
        } else {
            "not as"
        };
        let said = said.join(", ");
        format!("{verdict}, {is} the scenario says: it breaks {said}")
    }

    /// How it ends, and what was done to come to that.
    fn write_rest(&self, text: &mut String, end: &str) -> std::fmt::Result {
        writeln!(text, ": {end}")?;
        let told = |counts: &BTreeMap<String, u64>| {
            let told = counts.iter().map(|(name, times)| format!("{name} {times}"));
            told.collect::<Vec<String>>().join(", ")
        };
        if !self.faults.is_empty() {
            writeln!(text, "faults: {}", told(&self.faults))?;
        }
        if !self.reached.is_empty() {
            writeln!(text, "came about: {}", told(&self.reached))?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use nanshe_conformance::checker::judge;
    use nanshe_conformance::history;

    use super::*;

    pub(crate) const OVERLAP: &str =
        include_str!("../../conformance/tests/fixtures/claims/overlap.renewed.violation.jsonl");
    pub(crate) const VALID: &str =
        include_str!("../../conformance/tests/fixtures/claims/overlap.renewed.valid.jsonl");

    pub(crate) fn run(seed: u64, lines: &str) -> Result<Run, RunError> {
        let history = history::read(lines.as_bytes()).unwrap();
        Ok(Run {
            seed,
            lines: lines.to_owned(),
            verdicts: judge(&history),
            operations: history.records.len(),
            faults: BTreeMap::from([("kill".to_owned(), 2)]),
            struck: 5,
            virtual_time: Duration::from_secs(4_000),
            reached: BTreeMap::from([("redelivered".to_owned(), 4)]),
            trouble: None,
        })
    }

    /// The summary of `runs` from `first_seed` on, out of `whole`.
    pub(crate) fn share(
        whole: Range<u64>,
        first_seed: u64,
        runs: &[Result<Run, RunError>],
    ) -> Summary {
        let campaign = Campaign {
            scenario: "claims/sample",
            file: "scenarios/claims/sample.toml",
            text: "name = \"claims/sample\"",
            implementation: "sample",
            seeds: whole,
        };
        let mut summary = Summary::new(&campaign, first_seed);
        runs.iter().for_each(|run| summary.add(run));
        summary
    }

    fn summary(runs: &[Result<Run, RunError>]) -> Summary {
        share(3..6, 3, runs)
    }

    pub(crate) fn panicked() -> Result<Run, RunError> {
        Err(RunError::Panicked {
            seed: 5,
            node: Some("server-1".to_owned()),
            message: "index out of bounds".to_owned(),
            backtrace: vec!["broker::claim".to_owned()],
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
    fn panic_is_a_finding_and_trouble_leaves_no_campaign_valid() {
        assert_eq!(summary(&[]).verdict, Verdict::Unknown);
        let with_panic = summary(&[run(3, VALID), panicked()]);
        let valid = |rules: &Tally| rules.rules.iter().all(|rule| rule.violation == 0);
        assert!(valid(&with_panic.rules));
        assert_eq!(with_panic.verdict, Verdict::Violation);
        let mut undrained = run(4, VALID).unwrap();
        undrained.trouble = Some("nobody answers".to_owned());
        let with_trouble = summary(&[run(3, VALID), Ok(undrained)]);
        assert_eq!(with_trouble.verdict, Verdict::Unknown);
    }
}
