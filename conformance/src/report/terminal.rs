//! For people: what failed with what was sent, expected and came; then the counts.

use std::fmt::Write as _;
use std::time::Duration;

use super::escape::visible;
use super::{CaseReport, Outcome, Report, Standing, words};
use crate::suite::Exchange;

/// The report as text for a terminal. Readable without colour.
pub fn terminal(report: &Report) -> String {
    let mut text = String::new();
    // What needs looking at comes last, where a reader's eye is.
    for wanted in ORDER {
        for case in report.cases.iter().filter(|case| case.standing() == wanted) {
            // Writing to a string cannot fail.
            let mut told = String::new();
            let _infallible = write_case(&mut told, case, report);
            text.push_str(&visible(&told));
        }
    }
    for line in report
        .stopped
        .iter()
        .map(|why| format!("STOPPED EARLY: {why}"))
    {
        text.push_str(&visible(&line));
        text.push('\n');
    }
    for note in &report.notes {
        text.push_str(&visible(note));
        text.push('\n');
    }
    let _infallible = write_counts(&mut text, report);
    text
}

/// The order in which cases are told; those that passed or do not apply are not.
const ORDER: [Standing; 5] = [
    Standing::Flaky,
    Standing::KnownFailure,
    Standing::PassedUnexpectedly,
    Standing::Unknown,
    Standing::Failed,
];

fn write_case(text: &mut String, case: &CaseReport, report: &Report) -> std::fmt::Result {
    let (command, stopped) = (&report.command, report.stopped.as_deref());
    let CaseReport { path, level, .. } = case;
    if let Some(reason) = &case.flaky {
        let passed = case.outcome == Outcome::Passed;
        let word = if passed { "passed" } else { "did not pass" };
        writeln!(text, "flaky {path} ({level}): {word} this time")?;
        return writeln!(text, "  {reason}\n");
    }
    match (&case.outcome, &case.known) {
        (Outcome::Passed, None) => Ok(()),
        (Outcome::Passed, Some(reason)) => {
            writeln!(text, "UNEXPECTED PASS {path} ({level})")?;
            writeln!(text, "  known to fail:  {reason}")?;
            writeln!(
                text,
                "  passes now: take it out of the known-failures file\n"
            )
        }
        (Outcome::Failed { failure }, None) => {
            writeln!(text, "FAILED {path} ({level})")?;
            let guarantee = match case.guarantee.as_str() {
                "" => String::new(),
                guarantee => format!(", guarantee {guarantee}"),
            };
            if let Some(expired) = &case.expired {
                writeln!(text, "  was known to fail {expired}")?;
            }
            write_exchanges(text, &failure.exchanges)?;
            writeln!(
                text,
                "  expected by contract {}{guarantee}:",
                failure.clause
            )?;
            writeln!(text, "    {}", failure.expected)?;
            if !case.decision.is_empty() {
                writeln!(text, "  disputed, and so decided by the reference:")?;
                writeln!(text, "    {}", case.decision)?;
            }
            writeln!(text, "  came:\n    {}", failure.came)?;
            writeln!(text, "  repeat: {command} --only {path}\n")
        }
        (Outcome::Failed { failure }, Some(reason)) => {
            writeln!(
                text,
                "known failure {path} ({level}, contract {})",
                failure.clause
            )?;
            writeln!(text, "  {reason}\n")
        }
        (Outcome::NotApplicable { lacks }, _) => {
            writeln!(text, "not applicable {path} ({level})")?;
            writeln!(text, "  needs {}\n", words(lacks))
        }
        (Outcome::Unknown { why, .. }, _) if stopped == Some(why.as_str()) => Ok(()),
        (Outcome::Unknown { why, exchanges }, _) => {
            writeln!(text, "UNKNOWN {path} ({level})\n  {why}")?;
            write_exchanges(text, exchanges)?;
            writeln!(text, "  repeat: {command} --only {path}\n")
        }
    }
}

/// The way there in short, the deciding exchange in full.
fn write_exchanges(text: &mut String, exchanges: &[Exchange]) -> std::fmt::Result {
    let Some((last, before)) = exchanges.split_last() else {
        return Ok(());
    };
    for exchange in before {
        write_lines(text, '>', exchange.sent.gist())?;
        write_lines(text, '<', exchange.came.gist())?;
    }
    write_lines(text, '>', last.sent.lines())?;
    write_lines(text, '<', last.came.lines())
}

fn write_lines<'a>(
    text: &mut String,
    mark: char,
    lines: impl Iterator<Item = &'a str>,
) -> std::fmt::Result {
    lines
        .into_iter()
        .try_for_each(|line| writeln!(text, "  {mark} {line}"))
}

fn write_counts(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        text,
        "{}: {} {}, {} requests, {} of waiting in {} of its time",
        visible(&report.target),
        report.cases.len(),
        if report.cases.len() == 1 {
            "case"
        } else {
            "cases"
        },
        report.requests(),
        span(report.waited()),
        span(report.elapsed),
    )?;
    write!(
        text,
        "{} passed, {} failed",
        report.count(Standing::Passed),
        report.count(Standing::Failed)
    )?;
    let rest = [
        (Standing::KnownFailure, "known to fail"),
        (Standing::PassedUnexpectedly, "passed unexpectedly"),
        (Standing::Unknown, "unknown"),
        (Standing::NotApplicable, "not applicable"),
        (Standing::Flaky, "flaky"),
    ];
    for (standing, words) in rest {
        match report.count(standing) {
            0 => {}
            count => write!(text, ", {count} {words}")?,
        }
    }
    if !report.left_out.is_empty() {
        write!(
            text,
            ", {} left out for their long wait",
            report.left_out.len()
        )?;
    }
    if !report.elsewhere.is_empty() {
        write!(text, ", {}", others(report))?;
    }
    writeln!(text, ": {}", report.verdict())
}

/// That these are not all cases, if they are not.
pub(super) fn others(report: &Report) -> String {
    format!("{} for other shards", report.elsewhere.len())
}

/// `1h 02m 03s` or `3.250s`.
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, _) => format!("{}.{:03}s", secs, span.subsec_millis()),
        (0, minutes, secs) => format!("{minutes}m {secs:02}s"),
        (hours, minutes, secs) => format!("{hours}h {minutes:02}m {secs:02}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_report_has_every_standing() {
        insta::assert_snapshot!(terminal(&super::super::tests::sample()));
    }

    #[test]
    fn terminals_are_not_commanded_by_what_a_server_says() {
        let text = terminal(&super::super::tests::hostile());
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("\\u{1b}[2J"), "{text}");
    }

    #[test]
    fn shard_says_that_there_are_others() {
        let mut report = super::super::tests::sample();
        report.elsewhere = vec!["claims/one".to_owned(), "claims/two".to_owned()];
        for text in [
            terminal(&report),
            super::super::markdown(&[report.clone()]),
            super::super::html(&[report]),
        ] {
            assert!(text.contains("2 for other shards"), "{text}");
        }
    }

    #[test]
    fn spans_are_told_in_the_units_of_their_size() {
        assert_eq!(span(Duration::from_millis(3_250)), "3.250s");
        assert_eq!(span(Duration::from_secs(62)), "1m 02s");
        assert_eq!(span(Duration::from_secs(3_723)), "1h 02m 03s");
    }
}
