//! What a run of the suite found, and its forms: terminal, JSON, JUnit XML, Markdown, HTML.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::suite::{Capability, Exchange, Failure, Level, Profile, Provenance};
use crate::target::KnownFailures;
use crate::verdict::Verdict;

pub use self::html::html;
pub use self::json::{ReadError, json, read};
pub use self::junit::junit;
pub use self::markdown::markdown;
pub use self::merge::{Disagreement, MergeError, Merged, merge};
pub use self::terminal::terminal;

mod curl;
pub(crate) mod escape;
mod html;
mod json;
mod junit;
mod markdown;
mod matrix;
mod merge;
mod terminal;

/// What a run of the suite found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The target's name.
    pub target: String,
    /// Where it was, as a URL; empty if there is no such place outside the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// What was expected of it beside the core.
    pub profile: Profile,
    /// The version of the suite.
    pub suite_version: u32,
    /// The seed that projects and clients were named after.
    pub seed: u64,
    /// The command that runs the suite on this target again; `--only PATH` makes it one case.
    pub command: String,
    /// How long the run took on the target's clock, virtual or real.
    #[serde(rename = "elapsed_secs", with = "seconds")]
    pub elapsed: Duration,
    /// Each case, in the order of the suite.
    pub cases: Vec<CaseReport>,
    /// Cases that did not run, because they may wait longer than was allowed.
    pub left_out: Vec<String>,
    /// Cases that did not run, because they are for other shards of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<String>,
    /// Why the run ended before all cases had; then it is partial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What else is to be said, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What one case found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReport {
    /// The case's path.
    pub path: String,
    /// How much its clause demands.
    pub level: Level,
    /// The contract's clause.
    pub clause: String,
    /// The guarantee at stake; empty if none is.
    pub guarantee: String,
    /// Where its expectation comes from.
    pub provenance: Provenance,
    /// What the reference decides where the expectation is disputed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// What it found.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why it was known to fail, if the known-failures file names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// Why it does not decide, if the known-failures file says that it passes and fails by turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaky: Option<String>,
    /// Until when it was known to fail, and why, if that has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<String>,
    /// How long it took.
    #[serde(rename = "elapsed_secs", with = "seconds")]
    pub elapsed: Duration,
    /// How much of that it waited on purpose.
    #[serde(rename = "waited_secs", with = "seconds")]
    pub waited: Duration,
    /// Requests that it sent.
    pub requests: u64,
}

/// What a case found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing to complain of.
    Passed,
    /// The server broke the case's claim.
    Failed {
        /// How.
        failure: Failure,
    },
    /// Nobody knows.
    Unknown {
        /// What is missing.
        why: String,
        /// The last exchanges.
        exchanges: Vec<Exchange>,
    },
    /// It did not run, because it needs what the target does not offer.
    NotApplicable {
        /// What is not offered.
        lacks: Vec<Capability>,
    },
}

/// How a case counts, its known failure considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It passed.
    Passed,
    /// It failed, and nobody knew.
    Failed,
    /// It failed, as the known-failures file says.
    KnownFailure,
    /// It passed, although the known-failures file says that it fails. That fails the run.
    PassedUnexpectedly,
    /// Nobody knows.
    Unknown,
    /// It did not run: the target does not offer what it needs.
    NotApplicable,
    /// It ran, and passes and fails by turns, as the known-failures file says. It decides nothing.
    Flaky,
}

impl Standing {
    /// All of them, what is well first.
    pub const ALL: [Self; 7] = [
        Self::Passed,
        Self::Failed,
        Self::KnownFailure,
        Self::PassedUnexpectedly,
        Self::Unknown,
        Self::NotApplicable,
        Self::Flaky,
    ];

    /// The word for it in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::KnownFailure => "known failure",
            Self::PassedUnexpectedly => "unexpected pass",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not applicable",
            Self::Flaky => "flaky",
        }
    }

    /// Whether somebody must look at it.
    pub const fn needs_attention(self) -> bool {
        match self {
            Self::Failed | Self::PassedUnexpectedly | Self::Unknown => true,
            Self::Passed | Self::KnownFailure | Self::NotApplicable | Self::Flaky => false,
        }
    }
}

impl CaseReport {
    /// The chapter that the case belongs to: what stands before the slash of its path.
    pub fn chapter(&self) -> &str {
        self.path
            .split_once('/')
            .map_or(self.path.as_str(), |(chapter, _)| chapter)
    }

    /// What the known-failures file says about it: that it fails, that it is flaky, or that it was known
    /// to fail until a day that has passed.
    pub fn reason(&self) -> Option<String> {
        let known = self
            .known
            .as_ref()
            .map(|why| format!("known to fail: {why}"));
        let flaky = self.flaky.as_ref().map(|why| format!("flaky: {why}"));
        let expired = self.expired.as_ref();
        let expired = expired.map(|until| format!("known to fail no longer, but {until}"));
        known.or(flaky).or(expired)
    }

    /// What was sent and came before the end, the deciding exchange last.
    pub fn exchanges(&self) -> &[Exchange] {
        match &self.outcome {
            Outcome::Failed { failure } => &failure.exchanges,
            Outcome::Unknown { exchanges, .. } => exchanges,
            Outcome::Passed | Outcome::NotApplicable { .. } => &[],
        }
    }

    /// Notes what the known-failures file says about the case `today`, as `2026-11-24`; empty: some
    /// day before every date.
    pub fn excuse(&mut self, known: &KnownFailures, today: &str) {
        (self.known, self.flaky, self.expired) = (None, None, None);
        let Some(entry) = known.find(&self.path) else {
            return;
        };
        let reason = entry.reason.clone();
        match &entry.until {
            Some(until) if today > until.as_str() => {
                self.expired = Some(format!("until {until}: {reason}"));
            }
            Some(_) | None if entry.flaky => self.flaky = Some(reason),
            Some(_) | None => self.known = Some(reason),
        }
    }

    /// How the case counts.
    pub fn standing(&self) -> Standing {
        let applies = !matches!(self.outcome, Outcome::NotApplicable { .. });
        if self.flaky.is_some() && applies {
            return Standing::Flaky;
        }
        match (&self.outcome, &self.known) {
            (Outcome::Passed, None) => Standing::Passed,
            (Outcome::Passed, Some(_)) => Standing::PassedUnexpectedly,
            (Outcome::Failed { .. }, None) => Standing::Failed,
            (Outcome::Failed { .. }, Some(_)) => Standing::KnownFailure,
            (Outcome::Unknown { .. }, _) => Standing::Unknown,
            (Outcome::NotApplicable { .. }, _) => Standing::NotApplicable,
        }
    }
}

impl Report {
    /// How many cases have this standing.
    pub fn count(&self, standing: Standing) -> usize {
        self.cases
            .iter()
            .filter(|case| case.standing() == standing)
            .count()
    }

    /// The verdict of the run: a violation outweighs an unknown, and nothing turns that into valid. A run that is not
    /// whole is unknown.
    pub fn verdict(&self) -> Verdict {
        // What was found until then may well be a violation, but it is not the run that was asked for.
        if self.stopped.is_some() {
            return Verdict::Unknown;
        }
        let some = |standing| self.count(standing) > 0;
        if some(Standing::Failed) || some(Standing::PassedUnexpectedly) {
            Verdict::Violation
        } else if some(Standing::Unknown) || !self.decides() {
            Verdict::Unknown
        } else {
            Verdict::Valid
        }
    }

    /// The case of this path, if it ran.
    pub fn find(&self, path: &str) -> Option<&CaseReport> {
        self.cases.iter().find(|case| case.path == path)
    }

    /// For tests: nothing, if the verdict is *valid*.
    ///
    /// # Panics
    ///
    /// With the report as text, if it is any other.
    #[track_caller]
    pub fn assert_valid(&self) {
        assert!(self.verdict() == Verdict::Valid, "\n{}", terminal(self));
    }

    /// Whether any case says something for the target.
    fn decides(&self) -> bool {
        let says = [Standing::Passed, Standing::KnownFailure];
        self.cases
            .iter()
            .any(|case| says.contains(&case.standing()))
    }

    /// Time that all cases together waited on purpose.
    pub fn waited(&self) -> Duration {
        self.cases.iter().map(|case| case.waited).sum()
    }

    /// Requests that all cases together sent.
    pub fn requests(&self) -> u64 {
        self.cases.iter().map(|case| case.requests).sum()
    }
}

/// Capabilities as a list of words.
fn words(capabilities: &[Capability]) -> String {
    let words: Vec<&str> = capabilities.iter().map(|one| one.word()).collect();
    words.join(", ")
}

/// Seconds with milliseconds. A report is for people and their tools: finer is noise.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let millis = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        to.serialize_f64(f64::from(millis) / 1000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let secs = f64::deserialize(from)?;
        let span = Duration::try_from_secs_f64(secs).map_err(serde::de::Error::custom)?;
        // What was written as 0.3 is read as a little more or less; a report has milliseconds.
        let millis = (span + Duration::from_micros(500)).as_millis();
        u64::try_from(millis)
            .map(Duration::from_millis)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::suite::Part;

    fn case(path: &str, outcome: Outcome, known: Option<&str>) -> CaseReport {
        CaseReport {
            path: path.to_owned(),
            level: Level::Must,
            clause: "5.7".to_owned(),
            guarantee: "G6".to_owned(),
            provenance: Provenance::Contract,
            decision: String::new(),
            outcome,
            known: known.map(str::to_owned),
            flaky: None,
            expired: None,
            elapsed: Duration::from_millis(61_250),
            waited: Duration::from_secs(61),
            requests: 3,
        }
    }

    /// A report with one case of every standing.
    pub(crate) fn sample() -> Report {
        let post = Exchange {
            sent: Part {
                line: "POST /v2/queues/q/claims".to_owned(),
                headers: vec!["client-id: c".to_owned()],
                body: "{\"ttl\":60}".to_owned(),
            },
            came: Part {
                line: "201 Created".to_owned(),
                ..Part::default()
            },
        };
        let delete = Exchange {
            sent: Part {
                line: "DELETE /v2/queues/q/messages/1".to_owned(),
                headers: vec!["client-id: c".to_owned()],
                body: String::new(),
            },
            came: Part {
                line: "204 No Content".to_owned(),
                ..Part::default()
            },
        };
        let failure = Failure {
            clause: "5.7".to_owned(),
            expected: "status 403".to_owned(),
            came: "status 204".to_owned(),
            exchanges: vec![post, delete.clone()],
        };
        let failed = Outcome::Failed { failure };
        let unknown = Outcome::Unknown {
            why: "nothing within 30s".to_owned(),
            exchanges: vec![delete],
        };
        let not_applicable = Outcome::NotApplicable {
            lacks: vec![Capability::Patch, Capability::Pop],
        };
        let flaky = CaseReport {
            flaky: Some("a race of theirs".to_owned()),
            ..case("claims/passes-by-turns", failed.clone(), None)
        };
        Report {
            target: "sample".to_owned(),
            endpoint: "http://127.0.0.1:8888".to_owned(),
            profile: Profile::ZaqarV2,
            suite_version: 2,
            seed: 7,
            command: "nanshe conform sample.toml".to_owned(),
            elapsed: Duration::from_millis(61_300),
            cases: vec![
                case("claims/passes", Outcome::Passed, None),
                case("claims/fails", failed.clone(), None),
                case(
                    "claims/fails-as-known",
                    failed,
                    Some("the driver ignores it"),
                ),
                case(
                    "claims/passes-although-known",
                    Outcome::Passed,
                    Some("it did fail"),
                ),
                case("claims/has-no-answer", unknown, None),
                case("claims/needs-more", not_applicable, None),
                flaky,
            ],
            left_out: vec!["claims/waits-for-hours".to_owned()],
            elsewhere: Vec::new(),
            stopped: None,
            notes: Vec::new(),
        }
    }

    /// What a server may try: every text that it, or a file that names it, has a hand in.
    pub(crate) fn hostile() -> Report {
        const MARKUP: &str = "</script></pre></details><img src=x onerror=alert(1)>\u{202e}";
        let part = |line: &str| Part {
            line: line.to_owned(),
            headers: vec![format!("x-evil: {MARKUP}\"'")],
            body: format!("```\n````\n| # {MARKUP}\n\u{1b}[2J{{\"it's\": \"$(id) `id`\"}}"),
        };
        let failure = Failure {
            clause: format!("9.99 {MARKUP}"),
            expected: format!("status 200 {MARKUP}"),
            came: format!("status 500, body {MARKUP}\n```"),
            exchanges: vec![Exchange {
                sent: part("POST /v2/queues/q?x='$(id)'"),
                came: part("500 Internal Server Error"),
            }],
        };
        let unknown = Outcome::Unknown {
            why: format!("no answer: {MARKUP} **bold** [x](javascript:1) @all"),
            exchanges: Vec::new(),
        };
        let sample = sample();
        let mut cases = sample.cases[..3].to_vec();
        for (case, outcome) in
            cases
                .iter_mut()
                .zip([Outcome::Failed { failure }, unknown, Outcome::Passed])
        {
            case.path = format!("claims/{MARKUP}|{}", case.path);
            case.known = case.known.take().map(|_| format!("because {MARKUP}"));
            case.expired = Some(format!("until 2026-11-24: {MARKUP}"));
            case.clause = format!("5.7{MARKUP}");
            case.guarantee = format!("G6{MARKUP}");
            case.decision = format!("decided {MARKUP}");
            case.outcome = outcome;
        }
        Report {
            target: format!("evil {MARKUP} | `x`"),
            endpoint: format!("http://127.0.0.1:1/'{MARKUP}"),
            command: format!("nanshe conform '{MARKUP}'"),
            cases,
            left_out: vec![format!("claims/{MARKUP}")],
            stopped: Some(format!("stopped {MARKUP}")),
            notes: vec![format!("noted {MARKUP}")],
            ..sample
        }
    }

    fn verdict_without(paths: &[&str]) -> Verdict {
        let mut report = sample();
        report
            .cases
            .retain(|case| !paths.contains(&case.path.as_str()));
        report.verdict()
    }

    #[test]
    fn violation_outweighs_unknown_and_unknown_outweighs_valid() {
        assert_eq!(verdict_without(&[]), Verdict::Violation);
        assert_eq!(verdict_without(&["claims/fails"]), Verdict::Violation);
        let failing = ["claims/fails", "claims/passes-although-known"];
        assert_eq!(verdict_without(&failing), Verdict::Unknown);
        let rest = [
            "claims/fails",
            "claims/passes-although-known",
            "claims/has-no-answer",
        ];
        assert_eq!(verdict_without(&rest), Verdict::Valid);
    }

    #[test]
    fn run_in_which_nothing_applies_is_unknown() {
        let mut report = sample();
        report
            .cases
            .retain(|case| case.standing() == Standing::NotApplicable);
        assert_eq!(report.cases.len(), 1);
        assert_eq!(report.verdict(), Verdict::Unknown);
    }

    #[test]
    fn excuse_ends_after_its_day_and_a_flaky_case_decides_nothing() {
        let path = crate::suite::cases().next().unwrap().path;
        let of = |kind: &str| {
            let text = format!("[[{kind}]]\ncase = '{path}'\nreason = 'r'\nuntil = 2026-11-24\n");
            let document = crate::document::Document {
                file: "k",
                text: &text,
            };
            KnownFailures::parse(document).unwrap()
        };
        let failed = sample().cases[1].outcome.clone();
        let standing = |kind: &str, today: &str| {
            let mut report = case(path, failed.clone(), None);
            report.excuse(&of(kind), today);
            (report.standing(), report.expired)
        };
        assert_eq!(standing("failure", ""), (Standing::KnownFailure, None));
        assert_eq!(
            standing("failure", "2026-11-24"),
            (Standing::KnownFailure, None)
        );
        assert_eq!(standing("flaky", "2026-11-24"), (Standing::Flaky, None));
        let over = Some("until 2026-11-24: r".to_owned());
        assert_eq!(
            standing("failure", "2026-11-25"),
            (Standing::Failed, over.clone())
        );
        assert_eq!(standing("flaky", "2026-11-25"), (Standing::Failed, over));
    }

    #[test]
    fn run_without_cases_is_unknown() {
        assert_eq!(
            Report {
                cases: Vec::new(),
                ..sample()
            }
            .verdict(),
            Verdict::Unknown
        );
    }
}
