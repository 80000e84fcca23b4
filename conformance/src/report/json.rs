//! For programs.

use serde::Serialize;

use super::{Report, Standing};
use crate::verdict::Verdict;

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
        format: "nanshe-conformance-report",
        version: 1,
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

#[cfg(test)]
mod tests {
    #[test]
    fn json_report_has_every_standing() {
        insta::assert_snapshot!(super::json(&super::super::tests::sample()));
    }
}
