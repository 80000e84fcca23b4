//! The verdicts of many runs, joined.

use serde::Serialize;

use super::{NOT_EXERCISED, RULES, Verdicts, Violation, worst};
use crate::verdict::Verdict;

/// One rule over many runs.
#[derive(Clone, Debug, Serialize)]
pub struct RuleTally {
    /// The rule's name.
    pub rule: &'static str,
    /// The answer over all runs.
    pub verdict: Verdict,
    /// Runs in which the rule was kept.
    pub valid: u64,
    /// Runs in which nobody knows.
    pub unknown: u64,
    /// Runs in which it was broken.
    pub violation: u64,
    /// How often the runs could have broken it.
    pub exercised: u64,
    /// The lowest seed that broke it, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<(u64, Violation)>,
    /// Why it is unknown, if it is; empty otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The verdicts of many runs, joined. Add the runs in the order of their seeds.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Tally {
    /// In the order of [`RULES`].
    pub rules: Vec<RuleTally>,
}

impl Default for Tally {
    fn default() -> Self {
        let rule = |rule: &super::Rule| RuleTally {
            rule: rule.name,
            verdict: Verdict::Unknown,
            valid: 0,
            unknown: 0,
            violation: 0,
            exercised: 0,
            first: None,
            why: NOT_EXERCISED.to_owned(),
        };
        Self {
            rules: RULES.iter().map(rule).collect(),
        }
    }
}

impl Tally {
    /// Adds the run of `seed`.
    pub fn add(&mut self, seed: u64, verdicts: &Verdicts) {
        for (tally, run) in self.rules.iter_mut().zip(&verdicts.rules) {
            assert_eq!(
                tally.rule, run.rule,
                "verdicts are in the order of the rules"
            );
            tally.exercised += run.exercised;
            // A run that never came near a rule says nothing about it; one that came near and cannot
            // tell leaves the whole unknown.
            let (verdict, why) = match run.verdict {
                Verdict::Valid => {
                    tally.valid += 1;
                    (Verdict::Valid, "")
                }
                Verdict::Unknown => {
                    tally.unknown += 1;
                    let neutral = run.exercised == 0 && tally.exercised > 0;
                    (
                        if neutral {
                            Verdict::Valid
                        } else {
                            Verdict::Unknown
                        },
                        run.why.as_str(),
                    )
                }
                Verdict::Violation => {
                    tally.violation += 1;
                    if tally.first.is_none() {
                        tally.first = run.told.first().map(|violation| (seed, violation.clone()));
                    }
                    (Verdict::Violation, "")
                }
            };
            let never_exercised = tally.verdict == Verdict::Unknown && tally.why == NOT_EXERCISED;
            if never_exercised || verdict > tally.verdict {
                tally.verdict = verdict;
                tally.why = why.to_owned();
            }
        }
    }

    /// The worst of all rules that count.
    pub fn verdict(&self) -> Verdict {
        worst(
            self.rules
                .iter()
                .map(|rule| (rule.rule, rule.verdict, rule.why.as_str())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Verdicts;
    use crate::checker::findings::Findings;
    use crate::checker::log::NONE;

    fn run(exercised: u64, violations: u64, missing: Option<&str>) -> Verdicts {
        let rules = RULES.iter().map(|rule| {
            let mut findings = Findings {
                exercised,
                ..Findings::default()
            };
            findings.missing = missing.map(str::to_owned);
            for _ in 0..violations {
                findings.violate(NONE, || ("s".to_owned(), Vec::new()));
            }
            findings.conclude(rule.name, |finding| Violation {
                token: "t".to_owned(),
                summary: finding.summary.clone(),
                story: Vec::new(),
            })
        });
        Verdicts {
            rules: rules.collect(),
        }
    }

    fn tally(runs: &[Verdicts]) -> (Verdict, String, Option<u64>) {
        let mut tally = Tally::default();
        for (seed, run) in (0..).zip(runs) {
            tally.add(seed, run);
        }
        let rule = &tally.rules[0];
        assert_eq!(tally.verdict(), rule.verdict);
        (
            rule.verdict,
            rule.why.clone(),
            rule.first.as_ref().map(|(seed, _)| *seed),
        )
    }

    #[test]
    fn runs_that_never_exercise_a_rule_leave_it_unknown() {
        let nothing = (Verdict::Unknown, "not exercised".to_owned(), None);
        assert_eq!(tally(&[]), nothing);
        assert_eq!(tally(&[run(0, 0, None), run(0, 0, None)]), nothing);
    }

    #[test]
    fn one_exercised_run_is_enough_beside_some_that_are_not() {
        let valid = (Verdict::Valid, String::new(), None);
        assert_eq!(tally(&[run(0, 0, None), run(3, 0, None)]), valid);
        assert_eq!(tally(&[run(3, 0, None), run(0, 0, None)]), valid);
    }

    #[test]
    fn thin_evidence_in_one_run_leaves_the_whole_unknown() {
        let unknown = (Verdict::Unknown, "no drain".to_owned(), None);
        assert_eq!(
            tally(&[run(3, 0, None), run(3, 0, Some("no drain"))]),
            unknown
        );
        assert_eq!(
            tally(&[run(3, 0, Some("no drain")), run(3, 0, None)]),
            unknown
        );
    }

    #[test]
    fn violation_outweighs_everything_and_the_first_is_kept() {
        let runs = [
            run(3, 0, Some("no drain")),
            run(3, 2, None),
            run(3, 1, None),
            run(0, 0, None),
        ];
        assert_eq!(tally(&runs), (Verdict::Violation, String::new(), Some(1)));
    }
}
