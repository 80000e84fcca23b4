//! For CI: JUnit XML.

use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use super::escape::visible;
use super::{CaseReport, Outcome, Report, Standing, words};
use crate::suite::{Exchange, Part};

/// What stands for the cases that a run has not come to.
const WHOLE: &str = "the run is whole";

/// The reports as JUnit XML, a suite for each. Known failures are skipped tests with their reason as
/// message. A run that is not whole has an error that says so.
pub fn junit(reports: &[Report]) -> String {
    let mut xml = Xml::new("nanshe");
    xml.set_time(reports.iter().map(|report| report.elapsed).sum());
    xml.add_test_suites(reports.iter().map(test_suite));
    xml.to_string()
        .expect("a report holds nothing that XML cannot say")
}

fn test_suite(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new(format!("nanshe conform {}", visible(&report.target)));
    suite.set_time(report.elapsed);
    suite.add_test_cases(report.cases.iter().map(test_case));
    if let Some(why) = &report.stopped {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(visible(why));
        suite.add_test_case(TestCase::new(WHOLE, status));
    }
    suite
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
    let reason = case.known.as_ref().or(case.flaky.as_ref());
    let reason = reason.map(|reason| visible(reason));
    match (&case.outcome, reason) {
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
            let told = format!("{reason}contract {clause} expects {expected}; {came}");
            status.set_message(visible(&told));
            status.set_description(transcript(&failure.exchanges));
        }
        (Outcome::NotApplicable { lacks }, _) => {
            status.set_message(format!("not applicable: needs {}", words(lacks)));
        }
        (Outcome::Unknown { why, exchanges }, _) => {
            status.set_message(visible(why));
            status.set_description(transcript(exchanges));
        }
    }
    let mut test = TestCase::new(visible(&case.path), status);
    test.set_classname(case.chapter().to_owned());
    test.set_time(case.elapsed);
    test
}

fn transcript(exchanges: &[Exchange]) -> String {
    let text = |part: &Part| part.lines().collect::<Vec<_>>().join("\n");
    let both =
        |exchange: &Exchange| format!("{}\n\n{}\n", text(&exchange.sent), text(&exchange.came));
    let all: Vec<String> = exchanges.iter().map(both).collect();
    visible(&all.join("\n")).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn junit_report_has_every_standing() {
        insta::assert_snapshot!(super::junit(&[super::super::tests::sample()]));
    }

    #[test]
    fn run_that_is_not_whole_has_an_error() {
        let mut report = super::super::tests::sample();
        report
            .cases
            .retain(|case| case.standing() == super::Standing::Passed);
        let green = super::junit(&[report.clone()]);
        assert!(green.contains("errors=\"0\""), "{green}");
        report.stopped = Some("shards are missing".to_owned());
        let red = super::junit(&[report]);
        assert!(
            red.contains("errors=\"1\"") && red.contains("shards are missing"),
            "{red}"
        );
    }

    #[test]
    fn nothing_that_a_server_says_breaks_the_page() {
        let text = super::junit(&[super::super::tests::hostile()]);
        let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(text.chars().all(is_char), "{text}");
        insta::assert_snapshot!(text);
    }
}
