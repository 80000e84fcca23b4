//! From a history to verdicts: pure functions, no clock, no I/O.
//!
//! The rules and the windows that they judge by are those of `guarantees.md`. Tokens are distinct, so
//! everything falls apart by message: group, sort, sweep. No search over interleavings is needed.
//!
//! A history becomes numbers (`log`), is grouped (`facts`), and what is certain about each message is
//! worked out once (`known`), for all rules that look at one message (`rules` calls them, in parts, on as
//! many threads as it is given). Rules about whole queues and walks come after those.
//!
//! Every rule counts how often the history could have broken it. A rule that was never exercised is
//! *unknown*, and so is one whose evidence is too thin; nothing turns that into *valid*.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::verdict::Verdict;

pub use self::docket::{Docket, Judgement, judge_stored};
use self::rules::Draft;
use self::story::Records;
pub use self::tally::{RuleTally, Tally};

mod agreement;
mod budget;
mod claims;
mod dead_letter;
mod delivery;
mod docket;
mod expired_early;
mod facts;
mod fencing;
mod findings;
mod identity;
mod known;
mod lifetime;
mod log;
mod lost;
mod marks;
mod notify;
mod nowhere;
mod order;
mod pages;
mod parts;
mod rules;
mod spans;
mod stats;
mod story;
mod sweep;
mod tally;
mod telling;
mod unanswered;
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
    /// Whether every run has to exercise it. Others count for the whole only where a run came near
    /// them: few runs have claims, pages, dead letters and pushes all at once.
    pub is_core: bool,
}

/// The rules, in the order of reports.
pub const RULES: [Rule; 22] = [
    Rule {
        name: "delivery/lost",
        guarantee: "G1, G5",
        violation: "an accepted message is missing from an observation that had to include it",
        is_core: true,
    },
    Rule {
        name: "delivery/unexpected",
        guarantee: "G1",
        violation: "a message is seen that nobody posted, whose post certainly failed, or before its post; \
                    or an answer holds more messages than its limit, or others than were asked for",
        is_core: true,
    },
    Rule {
        name: "delivery/corrupted",
        guarantee: "G1",
        violation: "a message is seen with another body than was posted, or two share an identifier",
        is_core: false,
    },
    Rule {
        name: "delivery/duplicated",
        guarantee: "G3",
        violation: "one post made two messages of one token",
        is_core: false,
    },
    Rule {
        name: "delivery/resurrected",
        guarantee: "G13",
        violation: "a message is seen after its certain removal",
        is_core: false,
    },
    Rule {
        name: "delivery/expired",
        guarantee: "G10",
        violation: "a message is seen after it had surely expired",
        is_core: false,
    },
    Rule {
        name: "delivery/early",
        guarantee: "G11",
        violation: "a delayed message is handed out although its delay was surely not over",
        is_core: false,
    },
    Rule {
        name: "delivery/partial-batch",
        guarantee: "G2",
        violation: "part of a batch is seen, and the rest is missing from an observation that had to include it",
        is_core: false,
    },
    Rule {
        name: "delivery/order",
        guarantee: "G4",
        violation: "an answer, or a walk along the pages, shows a younger message before an older one, or leaves \
                    the older one out; or two answers disagree",
        is_core: false,
    },
    Rule {
        name: "delivery/page-gap",
        guarantee: "G9",
        violation: "a walk along the pages passes over a message that certainly was there",
        is_core: false,
    },
    Rule {
        name: "delivery/page-repeat",
        guarantee: "G9",
        violation: "a walk along the pages shows a message twice",
        is_core: false,
    },
    Rule {
        name: "delivery/isolation",
        guarantee: "G14",
        violation: "a message is seen through another project, queue or claim than its own",
        is_core: false,
    },
    Rule {
        name: "delivery/popped-twice",
        guarantee: "G13",
        violation: "two pops return the same message",
        is_core: false,
    },
    Rule {
        name: "delivery/stats",
        guarantee: "G19",
        violation: "counts lie outside what was certain and what was possible (decides in the strict profile alone)",
        is_core: false,
    },
    Rule {
        name: "claims/overlap",
        guarantee: "G6",
        violation: "a message is handed out or listed as free inside another's certain lease of it",
        is_core: false,
    },
    Rule {
        name: "claims/fencing",
        guarantee: "G7",
        violation: "a claim that surely ended is of use, or a message is deleted without the claim that holds it, \
                    or kept for a claim that does not",
        is_core: false,
    },
    Rule {
        name: "claims/stuck",
        guarantee: "G5, G7",
        violation: "a message is not handed out although it was active for certain, and is still there later",
        is_core: false,
    },
    Rule {
        name: "claims/expired-early",
        guarantee: "G7",
        violation: "a holder is refused within its certain lease",
        is_core: false,
    },
    Rule {
        name: "claims/lifetime",
        guarantee: "G8",
        violation: "a message is missing although a claim certainly extended its life",
        is_core: false,
    },
    Rule {
        name: "claims/dead-letter",
        guarantee: "G12",
        violation: "a message is handed out too often, moved too early or to nowhere, or in its queue after it",
        is_core: false,
    },
    Rule {
        name: "notify/missed",
        guarantee: "G17",
        violation: "an accepted message is not pushed in time to a subscriber that could be reached",
        is_core: false,
    },
    Rule {
        name: "notify/phantom",
        guarantee: "G17",
        violation: "a message is pushed that was certainly not stored",
        is_core: false,
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

/// A rule's verdict as it is written down.
#[derive(Deserialize)]
struct Written {
    rule: String,
    verdict: Verdict,
    #[serde(default)]
    why: String,
    exercised: u64,
    violations: u64,
    #[serde(default)]
    told: Vec<Violation>,
}

impl<'de> Deserialize<'de> for RuleVerdict {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(from)?;
        let rule = RULES.iter().find(|rule| rule.name == written.rule);
        let rule = rule.ok_or_else(|| {
            serde::de::Error::custom(format!("there is no rule `{}`", written.rule))
        })?;
        Ok(Self {
            rule: rule.name,
            verdict: written.verdict,
            why: written.why,
            exercised: written.exercised,
            violations: written.violations,
            told: written.told,
        })
    }
}

/// A broken promise, and the few operations that prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// In the order of [`RULES`].
    pub rules: Vec<RuleVerdict>,
}

impl Verdicts {
    /// The worst of all rules that count.
    pub fn verdict(&self) -> Verdict {
        worst(
            self.rules
                .iter()
                .map(|rule| (rule.rule, rule.verdict, rule.why.as_str())),
        )
    }

    /// The verdict of the rule of that name.
    pub fn rule(&self, name: &str) -> Option<&RuleVerdict> {
        self.rules.iter().find(|rule| rule.rule == name)
    }
}

/// Judges `history` by every rule.
pub fn judge(history: &History) -> Verdicts {
    judge_on(history, 1)
}

/// The same, on so many threads. The verdicts do not depend on their number.
pub fn judge_on(history: &History, threads: usize) -> Verdicts {
    let log = log::log(history, threads);
    Draft::of(&log, threads).conclude(&log, &Records::All(&history.records))
}

/// Why a rule is unknown that nothing could have broken.
const NOT_EXERCISED: &str = "not exercised";

/// The worst of rules, each with its verdict and why it is unknown. A rule that is no core rule and was
/// never exercised says nothing about the whole; its own verdict stays unknown all the same.
fn worst<'a>(rules: impl Iterator<Item = (&'a str, Verdict, &'a str)>) -> Verdict {
    let is_core = |name: &str| RULES.iter().any(|rule| rule.name == name && rule.is_core);
    let counts = |&(name, verdict, why): &(&str, Verdict, &str)| {
        is_core(name) || verdict != Verdict::Unknown || why != NOT_EXERCISED
    };
    Verdict::worst(rules.filter(counts).map(|(_, verdict, _)| verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(changed: &str, verdict: Verdict, why: &str) -> Verdict {
        let rules = RULES
            .iter()
            .map(|rule| match (rule.name == changed, rule.is_core) {
                (true, _) => (rule.name, verdict, why),
                (false, true) => (rule.name, Verdict::Valid, ""),
                (false, false) => (rule.name, Verdict::Unknown, NOT_EXERCISED),
            });
        worst(rules)
    }

    #[test]
    fn rules_that_a_run_never_came_near_leave_the_whole_valid_unless_they_are_core() {
        let nothing = |rule| verdict(rule, Verdict::Unknown, NOT_EXERCISED);
        assert_eq!(nothing("delivery/page-gap"), Verdict::Valid);
        for core in RULES.iter().filter(|rule| rule.is_core) {
            assert_eq!(nothing(core.name), Verdict::Unknown, "{}", core.name);
        }
    }

    #[test]
    fn thin_evidence_and_violations_of_every_rule_decide() {
        for rule in RULES {
            let thin = verdict(rule.name, Verdict::Unknown, "no closing drain");
            assert_eq!(thin, Verdict::Unknown, "{}", rule.name);
            let broken = verdict(rule.name, Verdict::Violation, "");
            assert_eq!(broken, Verdict::Violation, "{}", rule.name);
        }
    }
}
