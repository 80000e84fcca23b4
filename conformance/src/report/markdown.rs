//! For the summary page of a CI run: Markdown.

use std::fmt::Write as _;

use super::escape::{fenced, markdown as plain};
use super::terminal::{others, span};
use super::{CaseReport, Outcome, Report, Standing, matrix, words};
use crate::contract::contract;
use crate::suite::{Exchange, Part};

/// The most that a page may have: what CI services take for a summary is 1 MiB.
const BYTES_MAX: usize = 1 << 20;

/// What is kept free for the line that says what is left out.
const BYTES_KEPT: usize = 1 << 10;

/// The reports as one page: each with its counts by chapter and what somebody must look at, folded; of
/// several, first how they differ.
pub fn markdown(reports: &[Report]) -> String {
    let mut text = String::new();
    if reports.len() > 1 {
        // Writing to a string cannot fail.
        let _infallible = write_comparison(&mut text, reports);
    }
    for report in reports {
        let _infallible = write_head(&mut text, report);
        let _infallible = write_matrix(&mut text, report);
    }
    let mut left_out = 0;
    for report in reports {
        for case in report.cases.iter().filter(|case| is_told(case)) {
            let told = details(report, case, reports.len() > 1);
            if text.len() + told.len() + BYTES_KEPT > BYTES_MAX {
                left_out += 1;
            } else {
                text.push_str(&told);
            }
        }
    }
    if left_out > 0 {
        let _infallible = writeln!(text, "\n{left_out} more did not fit on this page.");
    }
    text
}

fn is_told(case: &CaseReport) -> bool {
    let also = [Standing::KnownFailure, Standing::Flaky];
    case.standing().needs_attention() || also.contains(&case.standing())
}

fn write_head(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "## {}: {}\n", plain(&report.target), report.verdict())?;
    write!(
        text,
        "{} cases, {} requests, {}; profile {}, suite {}, seed {}",
        report.cases.len(),
        report.requests(),
        span(report.elapsed),
        report.profile.word(),
        report.suite_version,
        report.seed,
    )?;
    if !report.elsewhere.is_empty() {
        write!(text, "; {}", others(report))?;
    }
    if !report.left_out.is_empty() {
        write!(
            text,
            "; {} left out for their long wait",
            report.left_out.len()
        )?;
    }
    writeln!(text, ".\n")?;
    if let Some(why) = &report.stopped {
        writeln!(text, "**Stopped early**: {}\n", plain(why))?;
    }
    let mut notes = report.notes.iter();
    notes.try_for_each(|note| writeln!(text, "{}\n", plain(note)))
}

fn write_matrix(text: &mut String, report: &Report) -> std::fmt::Result {
    let standings = matrix::standings(std::slice::from_ref(report));
    let heads = standings.iter().map(|standing| standing.word());
    write_row(text, "chapter", heads)?;
    write_row(text, "---", standings.iter().map(|_| "---:"))?;
    for row in matrix::rows(report) {
        let counted = Standing::ALL.into_iter().zip(row.counts);
        let shown = counted.filter(|(standing, _)| standings.contains(standing));
        let cells: Vec<String> = shown.map(|(_, count)| count.to_string()).collect();
        write_row(text, &plain(row.name), cells.iter().map(String::as_str))?;
    }
    writeln!(text)
}

fn write_row<'a>(
    text: &mut String,
    head: &str,
    cells: impl Iterator<Item = &'a str>,
) -> std::fmt::Result {
    write!(text, "| {head} |")?;
    for cell in cells {
        write!(text, " {cell} |")?;
    }
    writeln!(text)
}

/// Cases by implementations; only those that do not all stand alike, or the page would be all *passed*.
fn write_comparison(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    writeln!(text, "## Where they differ\n")?;
    let names: Vec<String> = reports.iter().map(|report| plain(&report.target)).collect();
    let mut differing = 0;
    for path in matrix::paths(reports) {
        let standing = |report: &Report| report.find(path).map(CaseReport::standing);
        let standings: Vec<Option<Standing>> = reports.iter().map(standing).collect();
        if standings.windows(2).all(|pair| pair[0] == pair[1]) {
            continue;
        }
        if differing == 0 {
            write_row(text, "case", names.iter().map(String::as_str))?;
            write_row(text, "---", names.iter().map(|_| "---"))?;
        }
        differing += 1;
        let word = |standing: &Option<Standing>| standing.map_or("not run", Standing::word);
        write_row(text, &plain(path), standings.iter().map(word))?;
    }
    if differing == 0 {
        writeln!(text, "Nowhere: every case stands alike.")?;
    }
    writeln!(text)
}

fn details(report: &Report, case: &CaseReport, several: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible = write_details(&mut text, report, (case, several));
    text
}

fn write_details(
    text: &mut String,
    report: &Report,
    (case, several): (&CaseReport, bool),
) -> std::fmt::Result {
    let (standing, path) = (case.standing().word(), plain(&case.path));
    let target = if several {
        format!(" on {}", plain(&report.target))
    } else {
        String::new()
    };
    let level = case.level;
    writeln!(
        text,
        "<details><summary><b>{standing}</b>: {path}{target} ({level})</summary>\n"
    )?;
    match &case.outcome {
        Outcome::Failed { failure } => {
            let clause = plain(&failure.clause);
            let title = contract().clause(&failure.clause);
            let title = title.map_or(String::new(), |found| format!(", {}", plain(&found.title)));
            writeln!(text, "Expected by contract {clause}{title}:\n")?;
            writeln!(text, "{}", fenced("text", &failure.expected))?;
            writeln!(text, "Came:\n\n{}", fenced("text", &failure.came))?;
        }
        Outcome::Unknown { why, .. } => writeln!(text, "{}\n", plain(why))?,
        Outcome::NotApplicable { lacks } => writeln!(text, "Needs {}.\n", words(lacks))?,
        Outcome::Passed => {}
    }
    if let Some(reason) = case.reason() {
        writeln!(text, "{}\n", plain(&reason))?;
    }
    if !case.exchanges().is_empty() {
        writeln!(text, "{}", fenced("http", &transcript(case.exchanges())))?;
    }
    let again = format!("{} --only {}", report.command, case.path);
    writeln!(text, "Repeat:\n\n{}\n</details>\n", fenced("sh", &again))
}

fn transcript(exchanges: &[Exchange]) -> String {
    let text = |mark: &str, part: &Part| {
        let lines = part.lines().map(|line| format!("{mark} {line}\n"));
        lines.collect::<String>()
    };
    let both = |exchange: &Exchange| text(">", &exchange.sent) + &text("<", &exchange.came);
    exchanges.iter().map(both).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hostile, sample};
    use super::*;

    #[test]
    fn markdown_report_has_every_standing() {
        insta::assert_snapshot!(markdown(&[sample()]));
    }

    #[test]
    fn hostile_text_stays_text_in_markdown() {
        let text = markdown(&[hostile()]);
        insta::assert_snapshot!(text);
        // Outside of its blocks there is no markup but ours.
        let mut fence: Option<&str> = None;
        for line in text.lines() {
            match fence {
                Some(end) if line == end => fence = None,
                Some(_) => {}
                None if line.starts_with("```") => {
                    let length = line.find(|c| c != '`').unwrap_or(line.len());
                    fence = Some(&line[..length]);
                }
                None => {
                    let rest = line.replace("<details><summary><b>", "");
                    let rest = rest.replace("</b>", "").replace("</summary>", "");
                    assert!(!rest.replace("</details>", "").contains('<'), "{line}");
                }
            }
        }
        assert_eq!(fence, None, "every block ends");
    }

    #[test]
    fn several_reports_are_compared() {
        let mut other = sample();
        other.target = "other".to_owned();
        other.cases.retain(|case| case.path != "claims/passes");
        for case in &mut other.cases {
            if case.path == "claims/fails" {
                case.outcome = Outcome::Passed;
            }
        }
        let text = markdown(&[sample(), other]);
        let table: Vec<&str> = text.lines().skip(2).take(4).collect();
        assert_eq!(
            table,
            [
                "| case | sample | other |",
                "| --- | --- | --- |",
                "| claims/passes | passed | not run |",
                "| claims/fails | failed | passed |",
            ]
        );
    }

    #[test]
    fn page_has_a_bound_and_says_what_it_leaves_out() {
        let mut report = sample();
        let mut failed = report.cases[1].clone();
        if let Outcome::Failed { failure } = &mut failed.outcome {
            failure.came = "x".repeat(100_000);
        }
        report.cases = vec![failed; 20];
        let text = markdown(&[report]);
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        assert!(text.ends_with("10 more did not fit on this page.\n"));
    }
}
