//! The verdicts of many runs, joined.

use serde::{Deserialize, Serialize};

use super::{NOT_EXERCISED, RULES, RuleVerdict, Verdicts, Violation, worst};
use crate::verdict::Verdict;

/// One rule over many runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTally {
    /// The rule's name.
    pub rule: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<(u64, Violation)>,
    /// Why it is unknown, if it is; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl RuleTally {
    /// Over no run.
    fn none(rule: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            verdict: Verdict::Unknown,
            valid: 0,
            unknown: 0,
            violation: 0,
            exercised: 0,
            first: None,
            why: NOT_EXERCISED.to_owned(),
        }
    }

    /// Over the run of `seed` alone.
    fn one(seed: u64, run: &RuleVerdict) -> Self {
        let is = |verdict| u64::from(run.verdict == verdict);
        let first = run.told.first();
        Self {
            rule: run.rule.to_owned(),
            verdict: run.verdict,
            valid: is(Verdict::Valid),
            unknown: is(Verdict::Unknown),
            violation: is(Verdict::Violation),
            exercised: run.exercised,
            first: first.map(|violation| (seed, violation.clone())),
            why: run.why.clone(),
        }
    }

    /// Adds the runs of later seeds.
    ///
    /// Runs that never came near a rule say nothing about it; one that came near and cannot tell leaves
    /// the whole unknown.
    fn add(&mut self, later: &Self) {
        assert_eq!(
            self.rule, later.rule,
            "tallies are in the order of the rules"
        );
        let is_thin = |tally: &Self| tally.verdict == Verdict::Unknown && tally.exercised > 0;
        let unknown = if is_thin(self) || !is_thin(later) && self.why != NOT_EXERCISED {
            &self.why
        } else {
            &later.why
        };
        let (verdict, why) = match (self.verdict, later.verdict) {
            (Verdict::Violation, _) | (_, Verdict::Violation) => (Verdict::Violation, ""),
            _ if is_thin(self) || is_thin(later) => (Verdict::Unknown, unknown.as_str()),
            (Verdict::Valid, _) | (_, Verdict::Valid) => (Verdict::Valid, ""),
            (Verdict::Unknown, Verdict::Unknown) => (Verdict::Unknown, unknown.as_str()),
        };
        (self.verdict, self.why) = (verdict, why.to_owned());
        self.valid += later.valid;
        self.unknown += later.unknown;
        self.violation += later.violation;
        self.exercised += later.exercised;
        self.first = self.first.take().or_else(|| later.first.clone());
    }
}

/// The verdicts of many runs, joined. Add the runs in the order of their seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally {
    /// In the order of [`RULES`].
    pub rules: Vec<RuleTally>,
}

impl Default for Tally {
    fn default() -> Self {
        let rules = RULES.iter().map(|rule| RuleTally::none(rule.name));
        Self {
            rules: rules.collect(),
        }
    }
}

impl Tally {
    /// Adds the run of `seed`.
    pub fn add(&mut self, seed: u64, verdicts: &Verdicts) {
        for (tally, run) in self.rules.iter_mut().zip(&verdicts.rules) {
            tally.add(&RuleTally::one(seed, run));
        }
    }

    /// Adds the runs of later seeds: the same as if they had been added one by one.
    pub fn append(&mut self, later: &Self) {
        for (tally, later) in self.rules.iter_mut().zip(&later.rules) {
            tally.add(later);
        }
    }

    /// The worst of all rules that count.
    pub fn verdict(&self) -> Verdict {
        worst(
            self.rules
                .iter()
                .map(|rule| (rule.rule.as_str(), rule.verdict, rule.why.as_str())),
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
    fn evidence_missing_where_nothing_was_exercised_counts_only_if_nothing_ever_was() {
        let (near, far) = (run(3, 0, None), run(0, 0, Some("no drain")));
        let valid = (Verdict::Valid, String::new(), None);
        assert_eq!(tally(&[near.clone(), far.clone()]), valid);
        assert_eq!(tally(&[far.clone(), near]), valid);
        let unknown = (Verdict::Unknown, "no drain".to_owned(), None);
        assert_eq!(tally(&[run(0, 0, None), far]), unknown);
    }

    #[test]
    fn tallies_of_parts_join_to_the_tally_of_the_whole_wherever_it_is_cut() {
        let kinds = [
            run(0, 0, None),
            run(3, 0, None),
            run(2, 0, Some("no drain")),
            run(0, 0, Some("no clock")),
            run(3, 1, None),
        ];
        // Every sequence of four runs.
        for sequence in 0..kinds.len().pow(4) {
            let digit = |place: u32| sequence / kinds.len().pow(place) % kinds.len();
            let runs: Vec<&Verdicts> = (0..4).map(|place| &kinds[digit(place)]).collect();
            let over = |from: usize, until: usize| {
                let mut tally = Tally::default();
                for (seed, run) in (0..).zip(&runs).skip(from).take(until - from) {
                    tally.add(seed, run);
                }
                tally
            };
            for cut in 0..=4 {
                let mut joined = over(0, cut);
                joined.append(&over(cut, 4));
                assert_eq!(joined, over(0, 4), "{sequence} cut at {cut}");
            }
        }
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
