//! For programs, and to be read again.

use serde::{Deserialize, Serialize};

use super::{Report, Standing};
use crate::verdict::Verdict;

const FORMAT: &str = "nanshe-conformance-report";

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u32,
    verdict: Verdict,
    passed: usize,
    failed: usize,
    known_failures: usize,
    passed_unexpectedly: usize,
    unknown: usize,
    not_applicable: usize,
    flaky: usize,
    #[serde(flatten)]
    report: &'a Report,
}

/// The report as one JSON document.
pub fn json(report: &Report) -> String {
    let document = Document {
        format: FORMAT,
        version: VERSION,
        verdict: report.verdict(),
        passed: report.count(Standing::Passed),
        failed: report.count(Standing::Failed),
        known_failures: report.count(Standing::KnownFailure),
        passed_unexpectedly: report.count(Standing::PassedUnexpectedly),
        unknown: report.count(Standing::Unknown),
        not_applicable: report.count(Standing::NotApplicable),
        flaky: report.count(Standing::Flaky),
        report,
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("a report holds nothing that JSON cannot say") + "\n"
}

/// Why a stored report was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no report.
    #[error("is not a report of `nanshe conform --json`: {0}")]
    NoReport(String),
    /// A report, but of another version.
    #[error("is a report of version {0}, expected {VERSION}")]
    Version(u64),
}

/// What every version of the document has. The rest is looked at once these are right.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

/// A report from its JSON document. Verdict and counts are not read: they follow from the cases.
///
/// # Errors
///
/// If `text` is no report, or one of another version.
pub fn read(text: &str) -> Result<Report, ReadError> {
    let refuse = |error: serde_json::Error| ReadError::NoReport(error.to_string());
    let head: Head = serde_json::from_str(text).map_err(refuse)?;
    if head.format != FORMAT {
        let why = format!("its format is not `{FORMAT}`");
        return Err(ReadError::NoReport(why));
    }
    if head.version != u64::from(VERSION) {
        return Err(ReadError::Version(head.version));
    }
    serde_json::from_str(text).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hostile, sample};
    use super::*;

    #[test]
    fn json_report_has_every_standing() {
        insta::assert_snapshot!(json(&sample()));
    }

    #[test]
    fn what_was_written_is_read_as_it_was() {
        for report in [sample(), hostile()] {
            assert_eq!(read(&json(&report)).unwrap(), report);
        }
    }

    #[test]
    fn what_is_no_report_is_refused_in_one_line() {
        let whole = json(&sample());
        for (text, expected) in [
            ("", "is not a report"),
            ("[]", "is not a report"),
            (r#"{"format": "other", "version": 1}"#, "its format is not"),
            (
                &whole.replace("\"version\": 1", "\"version\": 9"),
                "of version 9, expected 1",
            ),
            (
                &whole.replace("\"seed\": 7", "\"seed\": true"),
                "invalid type",
            ),
            (&whole.replace("61.3,", "-1.0,"), "negative"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
