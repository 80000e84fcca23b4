//! The API suite: cases, one file per chapter of the contract.
//!
//! A case is a claim about any correct server, in the contract's words. Cases are independent (each has
//! a project and queues of its own), so all of them run at once and the suite lasts as long as its
//! longest wait.

use std::fmt;

use crate::environment::BoxFuture;

pub use self::capability::Capability;
pub use self::cases::cases;
pub use self::context::{Context, Reply, Request, Sent};
pub use self::mail_sink::MailSink;
pub(crate) use self::namespace::queue_of;
pub use self::preflight::{Found, PreflightError, preflight};
pub use self::profile::{Probed, Profile, offered};
pub use self::provenance::Provenance;
pub use self::runner::{Options, Progress, run, run_until};
pub use self::selection::{Selected, Selection, SelectionError, Shard};
pub use self::sink::Sink;
pub use self::surroundings::Surroundings;
pub use self::verdict::{Exchange, Failure, Part, Stop};

mod capability;
mod cases;
mod cleanup;
mod context;
mod mail_sink;
mod message_pack;
mod namespace;
mod preflight;
mod profile;
mod provenance;
mod pulse;
mod runner;
mod selection;
mod signed_time;
mod sink;
mod socket;
mod steps;
mod subscriber;
mod surroundings;
mod verdict;

/// The version of the set of cases: it grows when cases do, so that a run can be pinned to it.
pub const SUITE_VERSION: u32 = 5;

/// How much a case's clause demands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A promise that applications rely on.
    Must,
    /// What a good implementation does, and Zaqar's documents or our reference decide.
    Should,
    /// Optional.
    May,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::May => "may",
        })
    }
}

/// What a case ends with: nothing to complain of, or why it stopped.
pub type CaseResult = Result<(), Stop>;

/// One claim about any correct server.
#[derive(Clone, Copy)]
pub struct Case {
    /// Kebab-case path that reads as a claim, and never changes its meaning.
    pub path: &'static str,
    /// How much its clause demands.
    pub level: Level,
    /// The contract's clause, as `5.7`.
    pub clause: &'static str,
    /// The guarantee at stake, as `G7`; empty if none is.
    pub guarantee: &'static str,
    /// The longest time that it has to wait, in seconds.
    pub wait_secs: u64,
    /// What an implementation must offer, beside the core, for the case to be applicable.
    pub needs: &'static [Capability],
    /// Where its expectation comes from.
    pub provenance: Provenance,
    /// What the reference decides where the expectation is disputed; empty if it is not.
    pub decision: &'static str,
    /// The version of the suite in which it came.
    pub since: u32,
    /// Whether it runs alone, when all others have ended: it may hold up the server for them where it fails, or is
    /// about the whole server.
    pub apart: bool,
    /// Runs it.
    pub run: fn(Context) -> BoxFuture<CaseResult>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Case {
    const fn new(
        level: Level,
        path: &'static str,
        clause: &'static str,
        run: fn(Context) -> BoxFuture<CaseResult>,
    ) -> Self {
        Self {
            path,
            level,
            clause,
            guarantee: "",
            wait_secs: 0,
            needs: &[],
            provenance: Provenance::Contract,
            decision: "",
            since: 1,
            apart: false,
            run,
        }
    }

    const fn guarantee(self, guarantee: &'static str) -> Self {
        Self { guarantee, ..self }
    }

    const fn waits(self, wait_secs: u64) -> Self {
        Self { wait_secs, ..self }
    }

    const fn needs(self, needs: &'static [Capability]) -> Self {
        Self { needs, ..self }
    }

    const fn provenance(self, provenance: Provenance) -> Self {
        Self { provenance, ..self }
    }

    /// Disputed, with what the reference decides.
    const fn disputed(self, decision: &'static str) -> Self {
        Self {
            provenance: Provenance::Disputed,
            decision,
            ..self
        }
    }

    const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }

    const fn apart(self) -> Self {
        Self {
            apart: true,
            ..self
        }
    }

    /// The chapter that the case belongs to: what stands before the slash of its path.
    pub fn chapter(&self) -> &'static str {
        self.path
            .split_once('/')
            .map_or(self.path, |(chapter, _)| chapter)
    }
}

/// `case!(Must, "chapter/claim", "5.7", function)`
macro_rules! case {
    ($level:ident, $path:literal, $clause:literal, $run:path) => {
        $crate::suite::Case::new($crate::suite::Level::$level, $path, $clause, |context| {
            Box::pin($run(context))
        })
    };
}
use case;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn paths_are_kebab_case_and_unique() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            assert!(seen.insert(case.path), "{} twice", case.path);
            let (chapter, claim) = case.path.split_once('/').expect(case.path);
            for word in [chapter, claim]
                .into_iter()
                .flat_map(|part| part.split('-'))
            {
                let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
                assert!(!word.is_empty() && word.chars().all(kebab), "{}", case.path);
            }
        }
    }

    #[test]
    fn disputed_case_is_never_a_must_and_names_the_decision() {
        for case in cases() {
            let disputed = case.provenance == Provenance::Disputed;
            assert!(!disputed || case.level != Level::Must, "{}", case.path);
            assert_eq!(disputed, !case.decision.is_empty(), "{}", case.path);
        }
        assert!(cases().any(|case| case.provenance == Provenance::Disputed));
    }

    #[test]
    fn every_case_came_in_a_version_and_needs_nothing_twice() {
        for case in cases() {
            assert!((1..=SUITE_VERSION).contains(&case.since), "{}", case.path);
            let needs: BTreeSet<Capability> = case.needs.iter().copied().collect();
            assert_eq!(needs.len(), case.needs.len(), "{}", case.path);
        }
    }

    #[test]
    fn there_are_at_least_forty_cases_and_some_wait() {
        assert!(cases().count() >= 40);
        assert!(cases().filter(|case| case.wait_secs >= 60).count() >= 5);
    }
}
