//! One case in full: what was expected and came, what the contract says, what was sent, and how to do
//! it again.

use std::fmt::Write as _;

use super::{badge, name, plain};
use crate::contract::contract;
use crate::report::{CaseReport, Outcome, Report, curl, words};
use crate::suite::{Exchange, Part};

/// Writes the case at `anchor`, folded.
pub(super) fn write_case(
    text: &mut String,
    report: &Report,
    (case, anchor, several): (&CaseReport, &str, bool),
) -> std::fmt::Result {
    let standing = case.standing();
    let path = plain(&case.path);
    write!(
        text,
        "<details class=\"case\" id=\"{anchor}\" data-standing=\"{}\">\n<summary>{} <code>{path}</code>",
        name(standing),
        badge(standing),
    )?;
    if several {
        write!(text, " <b class=\"target\">{}</b>", plain(&report.target))?;
    }
    writeln!(
        text,
        " <span class=\"level\">{}, contract {}</span></summary>",
        case.level,
        plain(&case.clause)
    )?;
    write_finding(text, case)?;
    write_contract(text, case)?;
    write_exchanges(text, case.exchanges())?;
    if !case.exchanges().is_empty() {
        let script = plain(&curl::script(&report.endpoint, case.exchanges()));
        writeln!(
            text,
            "<details>\n<summary>The same requests with curl</summary>"
        )?;
        writeln!(
            text,
            "<p>The names and identifiers are those of that run.</p>"
        )?;
        writeln!(text, "<pre tabindex=\"0\">{script}</pre>\n</details>")?;
    }
    let again = plain(&format!("{} --only {}", report.command, case.path));
    writeln!(
        text,
        "<h4>Run it again</h4>\n<pre tabindex=\"0\">{again}</pre>\n</details>"
    )
}

fn write_finding(text: &mut String, case: &CaseReport) -> std::fmt::Result {
    if let Some(reason) = case.reason() {
        writeln!(text, "<p class=\"reason\">{}</p>", plain(&reason))?;
    }
    match &case.outcome {
        Outcome::Failed { failure } => {
            let (expected, came) = (plain(&failure.expected), plain(&failure.came));
            writeln!(text, "<dl class=\"finding\">")?;
            writeln!(text, "<div><dt>Expected</dt><dd>{expected}</dd></div>")?;
            writeln!(text, "<div><dt>Came</dt><dd>{came}</dd></div>\n</dl>")
        }
        Outcome::Unknown { why, .. } => writeln!(text, "<p>{}</p>", plain(why)),
        Outcome::NotApplicable { lacks } => {
            writeln!(
                text,
                "<p>It needs what the target does not offer: {}.</p>",
                words(lacks)
            )
        }
        Outcome::Passed if case.known.is_some() => {
            writeln!(
                text,
                "<p>It passes now: take it out of the known-failures file.</p>"
            )
        }
        Outcome::Passed => Ok(()),
    }
}

/// The clause that was broken, or else the one that the case is about; and the guarantee.
fn write_contract(text: &mut String, case: &CaseReport) -> std::fmt::Result {
    let id = match &case.outcome {
        Outcome::Failed { failure } => &failure.clause,
        Outcome::Passed | Outcome::Unknown { .. } | Outcome::NotApplicable { .. } => &case.clause,
    };
    match contract().clause(id) {
        None => writeln!(text, "<h4>Contract {}</h4>", plain(id))?,
        Some(clause) => {
            let judged: Vec<&str> = contract()
                .judged_by(&case.path)
                .map(|statement| statement.id.as_str())
                .collect();
            writeln!(
                text,
                "<h4>Contract {}: {}</h4>\n<ul class=\"clause\">",
                plain(id),
                plain(&clause.title)
            )?;
            for statement in &clause.statements {
                let says = plain(&statement.says);
                let says = if judged.contains(&statement.id.as_str()) {
                    format!("<strong>{says}</strong>")
                } else {
                    says
                };
                writeln!(
                    text,
                    "<li><span>{}</span> {says}</li>",
                    plain(&statement.id)
                )?;
            }
            writeln!(text, "</ul>")?;
        }
    }
    if let Some(guarantee) = contract().guarantee(&case.guarantee) {
        let (id, title) = (plain(&guarantee.id), plain(&guarantee.title));
        writeln!(
            text,
            "<p>Guarantee {id}, {title}: {}</p>",
            plain(&guarantee.says)
        )?;
    }
    if !case.decision.is_empty() {
        writeln!(
            text,
            "<p>Disputed, and so decided by the reference: {}</p>",
            plain(&case.decision)
        )?;
    }
    Ok(())
}

fn write_exchanges(text: &mut String, exchanges: &[Exchange]) -> std::fmt::Result {
    if exchanges.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "<h4>What was sent and came, the deciding exchange last</h4>\n<ol class=\"exchanges\">"
    )?;
    for exchange in exchanges {
        writeln!(text, "<li>")?;
        write_part(text, "sent", &exchange.sent)?;
        write_part(text, "came", &exchange.came)?;
        writeln!(text, "</li>")?;
    }
    writeln!(text, "</ol>")
}

fn write_part(text: &mut String, kind: &str, part: &Part) -> std::fmt::Result {
    write!(
        text,
        "<pre class=\"{kind}\" tabindex=\"0\"><b>{}</b>",
        plain(&part.line)
    )?;
    for header in &part.headers {
        write!(text, "\n{}", plain(header))?;
    }
    if !part.body.is_empty() {
        write!(text, "\n\n{}", plain(&part.body))?;
    }
    writeln!(text, "</pre>")
}
