//! From a history to verdicts: pure functions, no clock, no I/O.
//!
//! The rules and the windows that they judge by are those of `guarantees.md`. Tokens are distinct, so
//! everything falls apart by message: group, sort, sweep. No search over interleavings is needed.
//!
//! Every rule counts how often the history could have broken it. A rule that was never exercised is
//! *unknown*, and so is one whose evidence is too thin; nothing turns that into *valid*.

use serde::Serialize;

use crate::history::History;
use crate::verdict::Verdict;

use self::facts::Facts;
pub use self::tally::{RuleTally, Tally};

mod claims;
mod delivery;
mod facts;
mod lost;
mod story;
mod tally;
mod windows;

/// Violations of one rule that are told; the rest is counted.
pub const VIOLATIONS_TOLD_MAX: usize = 20;

/// A rule that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Its name, as `delivery/lost`.
    pub name: &'static str,
    /// The guarantees that it decides.
    pub guarantee: &'static str,
    /// What a violation is.
    pub violation: &'static str,
}

/// The rules, in the order of reports.
pub const RULES: &[Rule] = &[
    Rule {
        name: "delivery/lost",
        guarantee: "G1, G5",
        violation: "an accepted message is missing from an observation that had to include it",
    },
    Rule {
        name: "delivery/unexpected",
        guarantee: "G1",
        violation: "a message is seen that nobody posted, whose post certainly failed, or before its post; \
                    or an answer holds more messages than its limit",
    },
    Rule {
        name: "delivery/resurrected",
        guarantee: "G13",
        violation: "a message is seen after its certain removal",
    },
    Rule {
        name: "claims/overlap",
        guarantee: "G6",
        violation: "a message is handed out inside another's certain lease of it",
    },
];

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleVerdict {
    /// The rule's name.
    pub rule: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// Why it is unknown; empty if it is not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// How often the history could have broken the rule.
    pub exercised: u64,
    /// How often it did.
    pub violations: u64,
    /// The first of them, at most [`VIOLATIONS_TOLD_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Violation>,
}

/// A broken promise, and the few operations that prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The message's token.
    pub token: String,
    /// What contradicts what, in one line.
    pub summary: String,
    /// Who did what when: one line an operation, in the order of time.
    pub story: Vec<String>,
}

impl Violation {
    /// The violation of `rule` as text for a terminal: what broke, then the story.
    pub fn told(&self, rule: &str) -> String {
        let Self {
            token,
            summary,
            story,
        } = self;
        let story = story.iter().map(|line| format!("    {line}\n"));
        format!(
            "VIOLATION {rule} by {token}\n  {summary}\n{}",
            story.collect::<String>()
        )
    }
}

/// What became of every rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// In the order of [`RULES`].
    pub rules: Vec<RuleVerdict>,
}

impl Verdicts {
    /// The worst of all rules.
    pub fn verdict(&self) -> Verdict {
        Verdict::worst(self.rules.iter().map(|rule| rule.verdict))
    }

    /// The verdict of the rule of that name.
    pub fn rule(&self, name: &str) -> Option<&RuleVerdict> {
        self.rules.iter().find(|rule| rule.rule == name)
    }
}

/// Judges `history` by every rule.
pub fn judge(history: &History) -> Verdicts {
    let facts = Facts::gather(history);
    let findings = [
        lost::lost(&facts),
        delivery::unexpected(&facts),
        delivery::resurrected(&facts),
        claims::overlap(&facts),
    ];
    let rules = RULES
        .iter()
        .zip(findings)
        .map(|(rule, findings)| findings.conclude(rule.name));
    Verdicts {
        rules: rules.collect(),
    }
}

/// What a rule finds while it looks.
#[derive(Debug, Default)]
struct Findings {
    exercised: u64,
    violations: u64,
    told: Vec<Violation>,
    missing: Option<String>,
}

impl Findings {
    /// One more violation; `tell` is asked only while there is room for its story.
    fn violate(&mut self, tell: impl FnOnce() -> Violation) {
        self.violations += 1;
        if self.told.len() < VIOLATIONS_TOLD_MAX {
            self.told.push(tell());
        }
    }

    fn conclude(self, rule: &'static str) -> RuleVerdict {
        let Self {
            exercised,
            violations,
            told,
            missing,
        } = self;
        let (verdict, why) = match (violations, exercised, missing) {
            (1.., _, _) => (Verdict::Violation, String::new()),
            (0, _, Some(missing)) => (Verdict::Unknown, missing),
            (0, 0, None) => (Verdict::Unknown, "not exercised".to_owned()),
            (0, 1.., None) => (Verdict::Valid, String::new()),
        };
        RuleVerdict {
            rule,
            verdict,
            why,
            exercised,
            violations,
            told,
        }
    }
}
