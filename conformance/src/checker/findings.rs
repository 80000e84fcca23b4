//! What a rule finds while it looks.

use super::log::Index;
use super::{NOT_EXERCISED, RuleVerdict, VIOLATIONS_TOLD_MAX, Violation};
use crate::verdict::Verdict;

/// What a rule found. Findings of parts of a history add up.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) exercised: u64,
    pub(super) violations: u64,
    /// The first of them.
    pub(super) told: Vec<Finding>,
    /// Why nobody can tell, if nobody can.
    pub(super) missing: Option<String>,
}

/// A violation, and the numbers of the operations that prove it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) token: u32,
    pub(super) summary: String,
    pub(super) proof: Vec<Index>,
}

impl Findings {
    /// One more violation about `token`; `tell` is asked, for a line and the proof, only while there is
    /// room for its story.
    pub(super) fn violate(&mut self, token: u32, tell: impl FnOnce() -> (String, Vec<Index>)) {
        self.violations += 1;
        if self.told.len() < VIOLATIONS_TOLD_MAX {
            let (summary, mut proof) = tell();
            proof.sort_unstable();
            proof.dedup();
            self.told.push(Finding {
                token,
                summary,
                proof,
            });
        }
    }

    /// Adds what the same rule found in a later part.
    pub(super) fn add(&mut self, later: Self) {
        self.exercised += later.exercised;
        self.violations += later.violations;
        let room = VIOLATIONS_TOLD_MAX - self.told.len();
        self.told.extend(later.told.into_iter().take(room));
        self.missing = self.missing.take().or(later.missing);
    }

    /// The rule's verdict; `tell` makes stories of what was found.
    pub(super) fn conclude(
        &self,
        rule: &'static str,
        tell: impl Fn(&Finding) -> Violation,
    ) -> RuleVerdict {
        let Self {
            exercised,
            violations,
            told,
            missing,
        } = self;
        let (&violations, &exercised) = (violations, exercised);
        let (verdict, why) = match (violations, exercised, missing) {
            (1.., _, _) => (Verdict::Violation, String::new()),
            (0, _, Some(missing)) => (Verdict::Unknown, missing.clone()),
            (0, 0, None) => (Verdict::Unknown, NOT_EXERCISED.to_owned()),
            (0, 1.., None) => (Verdict::Valid, String::new()),
        };
        RuleVerdict {
            rule,
            verdict,
            why,
            exercised,
            violations,
            told: told.iter().map(tell).collect(),
        }
    }
}
