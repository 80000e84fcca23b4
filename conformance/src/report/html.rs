//! For people with a browser: one page that needs nothing else.
//!
//! Everything can be read without scripts; the script only filters. What others wrote is escaped, and
//! the page's policy lets nothing run or load that is not ours, should that ever fail.

use std::fmt::Write as _;

use super::escape::html as plain;
use super::terminal::span;
use super::{CaseReport, Report, Standing, matrix};

mod case;
mod overview;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The page's security policy: only this style and this script, by their hashes, and nothing from
/// elsewhere. A test says what the hashes must be when the files change.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
    style-src 'sha256-WpyRdjX835XoOlPf2SLIxsTgwaiDJn+1wLUUDsPD5RU='; \
    script-src 'sha256-YUK5orDCFbTV19R8ZLub+5VYUK9p1z5Zs+5WVMrbO0A='";

/// The reports as one page. Several are compared, case by case.
pub fn html(reports: &[Report]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible = write_page(&mut text, reports);
    text
}

fn write_page(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    let verdicts = reports.iter().map(|report| {
        let (target, verdict) = (plain(&report.target), report.verdict());
        format!("{target}: {verdict}")
    });
    let title = verdicts.collect::<Vec<_>>().join(", ");
    writeln!(text, "<!doctype html>\n<html lang=\"en\">\n<head>")?;
    writeln!(text, "<meta charset=\"utf-8\">")?;
    writeln!(
        text,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">"
    )?;
    writeln!(
        text,
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    )?;
    writeln!(text, "<meta name=\"color-scheme\" content=\"light dark\">")?;
    writeln!(
        text,
        "<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    )?;
    writeln!(
        text,
        "<header>\n<p class=\"tool\">nanshe conform</p>\n<h1>{}</h1>",
        heading(reports)
    )?;
    writeln!(text, "</header>\n<main>\n<div class=\"runs\">")?;
    for report in reports {
        overview::write_run(text, report)?;
    }
    writeln!(text, "</div>")?;
    write_filter(text, reports)?;
    // Of one run what failed comes first; of several, how they differ.
    if reports.len() > 1 {
        overview::write_cases(text, reports)?;
        write_attention(text, reports)?;
    } else {
        write_attention(text, reports)?;
        overview::write_cases(text, reports)?;
    }
    writeln!(text, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>")
}

fn heading(reports: &[Report]) -> String {
    match reports {
        [report] => plain(&report.target),
        several => format!("{} implementations compared", several.len()),
    }
}

/// Hidden until the script shows it: without one it would do nothing.
fn write_filter(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    writeln!(text, "<form id=\"filter\" hidden>")?;
    writeln!(
        text,
        "<label class=\"words\">Filter <input type=\"search\" name=\"words\" "
    )?;
    writeln!(
        text,
        "placeholder=\"words of a case, clause or transcript\"></label>"
    )?;
    writeln!(text, "<fieldset><legend>Show</legend>")?;
    for standing in matrix::standings(reports) {
        let word = standing.word();
        writeln!(
            text,
            "<label><input type=\"checkbox\" name=\"standing\" value=\"{}\" checked>{word}</label>",
            name(standing)
        )?;
    }
    if reports.len() > 1 {
        writeln!(
            text,
            "<label><input type=\"checkbox\" name=\"differing\">only where they differ</label>"
        )?;
    }
    writeln!(
        text,
        "</fieldset>\n<p id=\"shown\" role=\"status\"></p>\n</form>"
    )
}

/// What somebody must look at, then what is known to fail.
fn write_attention(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    let several = reports.len() > 1;
    for (title, wanted) in [
        ("To look at", attention as fn(&CaseReport) -> bool),
        ("Known to fail, or flaky", is_known),
        ("Not applicable", is_not_applicable),
    ] {
        let found: Vec<(usize, usize)> = reports
            .iter()
            .enumerate()
            .flat_map(|(run, report)| {
                let cases = report.cases.iter().enumerate();
                cases
                    .filter(|(_, case)| wanted(case))
                    .map(move |(place, _)| (run, place))
            })
            .collect();
        if found.is_empty() {
            continue;
        }
        writeln!(
            text,
            "<section>\n<h2>{title} <span>{}</span></h2>",
            found.len()
        )?;
        for (run, place) in found {
            let report = &reports[run];
            case::write_case(
                text,
                report,
                (&report.cases[place], &anchor(run, place), several),
            )?;
        }
        writeln!(text, "</section>")?;
    }
    Ok(())
}

fn attention(case: &CaseReport) -> bool {
    case.standing().needs_attention()
}

fn is_known(case: &CaseReport) -> bool {
    matches!(case.standing(), Standing::KnownFailure | Standing::Flaky)
}

fn is_not_applicable(case: &CaseReport) -> bool {
    case.standing() == Standing::NotApplicable
}

/// Where the case at `place` of report `run` is told. A path may come from a stored file, so it is no
/// name for an anchor.
fn anchor(run: usize, place: usize) -> String {
    format!("case-{run}-{place}")
}

/// The standing as a word for classes and the script.
fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::Passed => "passed",
        Standing::Failed => "failed",
        Standing::KnownFailure => "known",
        Standing::PassedUnexpectedly => "unexpected",
        Standing::Unknown => "unknown",
        Standing::NotApplicable => "not-applicable",
        Standing::Flaky => "flaky",
    }
}

/// The standing with a sign, so that it is told apart without its colour.
fn badge(standing: Standing) -> String {
    let sign = match standing {
        Standing::Passed => "✓",
        Standing::Failed => "✗",
        Standing::KnownFailure => "≈",
        Standing::PassedUnexpectedly => "!",
        Standing::Unknown => "?",
        Standing::NotApplicable => "–",
        Standing::Flaky => "~",
    };
    let (name, word) = (name(standing), standing.word());
    format!("<span class=\"badge {name}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::super::tests::{hostile, sample};
    use super::*;

    /// The report's own text: what stands between the head and the script, which never change.
    fn body(page: &str) -> &str {
        let (_, rest) = page.split_once("<body>").unwrap();
        rest.rsplit_once("<script>").unwrap().0
    }

    #[test]
    fn html_report_has_every_standing() {
        insta::assert_snapshot!(body(&html(&[sample()])));
    }

    #[test]
    fn hostile_text_stays_text_in_html() {
        let page = html(&[hostile()]);
        insta::assert_snapshot!(body(&page));
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(
            !page.contains("<img") && !page.contains("onerror=\""),
            "{page}"
        );
        let title = page.split("<title>").nth(1).unwrap();
        assert!(
            title
                .split("</title>")
                .next()
                .unwrap()
                .contains("&lt;/script&gt;")
        );
    }

    #[test]
    fn several_reports_stand_side_by_side() {
        let mut other = sample();
        other.target = "other".to_owned();
        other.cases.retain(|case| case.path != "claims/passes");
        let page = html(&[sample(), other]);
        insta::assert_snapshot!(body(&page));
    }

    #[test]
    fn every_link_within_the_page_leads_somewhere() {
        let page = html(&[sample(), hostile()]);
        let links: Vec<&str> = page
            .split("href=\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(links.len() >= 8, "{links:?}");
        for link in links {
            assert_eq!(page.matches(&format!("id=\"{link}\"")).count(), 1, "{link}");
        }
    }

    #[test]
    fn page_loads_nothing() {
        let page = html(&[sample()]);
        for word in [
            "src=",
            "@import",
            "url(",
            "<link",
            "http-equiv=\"refresh\"",
            "fetch(",
        ] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn policy_names_the_hashes_of_style_and_script() {
        for (kind, text) in [("style", STYLE), ("script", SCRIPT)] {
            let hash = base64(&Sha256::digest(text));
            let expected = format!("{kind}-src 'sha256-{hash}'");
            assert!(POLICY.contains(&expected), "POLICY must have {expected}");
        }
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let bits = (0..3).fold(0, |bits, at| {
                bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0))
            });
            for digit in 0..4 {
                let used = digit <= chunk.len();
                let digit = DIGITS[bits >> (18 - 6 * digit) & 63];
                text.push(if used { char::from(digit) } else { '=' });
            }
        }
        text
    }
}
