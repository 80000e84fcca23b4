//! For CI: JUnit XML.

use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use super::{CaseReport, Outcome, Report, Standing, words};
use crate::suite::{Exchange, Part};

/// The report as JUnit XML. Known failures are skipped tests with their reason as message.
pub fn junit(report: &Report) -> String {
    let mut suite = TestSuite::new(format!("nanshe conform {}", report.target));
    suite.set_time(report.elapsed);
    suite.add_test_cases(report.cases.iter().map(test_case));
    let mut xml = Xml::new("nanshe");
    xml.set_time(report.elapsed);
    xml.add_test_suite(suite);
    xml.to_string()
        .expect("a report holds nothing that XML cannot say")
}

fn test_case(case: &CaseReport) -> TestCase {
    let mut status = match case.standing() {
        Standing::Passed => TestCaseStatus::success(),
        Standing::KnownFailure | Standing::NotApplicable | Standing::Flaky => {
            TestCaseStatus::skipped()
        }
        Standing::Failed | Standing::PassedUnexpectedly => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Standing::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    match (&case.outcome, case.known.as_ref().or(case.flaky.as_ref())) {
        (Outcome::Passed, None) => {}
        (Outcome::Passed, Some(reason)) if case.flaky.is_some() => {
            status.set_message(format!("passed, but is known to be flaky: {reason}"));
        }
        (Outcome::Passed, Some(reason)) => {
            status.set_message(format!("passes, but is a known failure: {reason}"));
        }
        (Outcome::Failed { failure }, known) => {
            let reason = known.map(|reason| format!("known: {reason}; "));
            let (clause, expected, came) = (&failure.clause, &failure.expected, &failure.came);
            let reason = reason.unwrap_or_default();
            status.set_message(format!(
                "{reason}contract {clause} expects {expected}; {came}"
            ));
            status.set_description(transcript(&failure.exchanges));
        }
        (Outcome::NotApplicable { lacks }, _) => {
            status.set_message(format!("not applicable: needs {}", words(lacks)));
        }
        (Outcome::Unknown { why, exchanges }, _) => {
            status.set_message(why.clone());
            status.set_description(transcript(exchanges));
        }
    }
    let mut test = TestCase::new(case.path.clone(), status);
    let chapter = case.path.split('/').next().unwrap_or_default();
    test.set_classname(chapter.to_owned());
    test.set_time(case.elapsed);
    test
}

fn transcript(exchanges: &[Exchange]) -> String {
    let text = |part: &Part| part.lines().collect::<Vec<_>>().join("\n");
    let both =
        |exchange: &Exchange| format!("{}\n\n{}\n", text(&exchange.sent), text(&exchange.came));
    exchanges.iter().map(both).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn junit_report_has_every_standing() {
        insta::assert_snapshot!(super::junit(&super::super::tests::sample()));
    }
}
