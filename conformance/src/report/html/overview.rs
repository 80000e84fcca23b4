//! What there is: the facts of a run, its matrix, and the table of all cases by implementations.

use std::fmt::Write as _;

use super::{anchor, badge, name, plain, span};
use crate::contract::contract;
use crate::report::terminal::others;
use crate::report::{CaseReport, Report, Standing, matrix};

/// Writes one run: verdict, facts, and chapters by standings.
pub(super) fn write_run(text: &mut String, report: &Report) -> std::fmt::Result {
    let (target, verdict) = (plain(&report.target), report.verdict());
    writeln!(text, "<section class=\"run\">")?;
    writeln!(
        text,
        "<h2>{target} <span class=\"verdict {verdict}\">{verdict}</span></h2>\n<dl>"
    )?;
    let facts = [
        ("At", plain(&report.endpoint)),
        ("Profile", report.profile.word().to_owned()),
        ("Suite", report.suite_version.to_string()),
        ("Seed", report.seed.to_string()),
        ("Took", span(report.elapsed)),
        ("Requests", report.requests().to_string()),
        (
            "Command",
            format!("<code>{}</code>", plain(&report.command)),
        ),
    ];
    for (fact, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(text, "<div><dt>{fact}</dt><dd>{value}</dd></div>")?;
    }
    writeln!(text, "</dl>")?;
    if let Some(why) = &report.stopped {
        writeln!(
            text,
            "<p class=\"stopped\">Stopped early: {}</p>",
            plain(why)
        )?;
    }
    for note in &report.notes {
        writeln!(text, "<p>{}</p>", plain(note))?;
    }
    if !report.elsewhere.is_empty() {
        writeln!(text, "<p>{}</p>", others(report))?;
    }
    write_matrix(text, report)?;
    if !report.left_out.is_empty() {
        writeln!(
            text,
            "<details>\n<summary>{} left out for their long wait</summary>\n<ul>",
            report.left_out.len()
        )?;
        for path in &report.left_out {
            writeln!(text, "<li><code>{}</code></li>", plain(path))?;
        }
        writeln!(text, "</ul>\n</details>")?;
    }
    writeln!(text, "</section>")
}

fn write_matrix(text: &mut String, report: &Report) -> std::fmt::Result {
    let standings = matrix::standings(std::slice::from_ref(report));
    writeln!(
        text,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Cases by chapter\">"
    )?;
    writeln!(
        text,
        "<table class=\"matrix\">\n<thead><tr><th scope=\"col\">chapter</th>"
    )?;
    for standing in &standings {
        writeln!(text, "<th scope=\"col\">{}</th>", badge(*standing))?;
    }
    writeln!(text, "</tr></thead>\n<tbody>")?;
    for row in matrix::rows(report) {
        write!(text, "<tr><th scope=\"row\">{}</th>", plain(row.name))?;
        for (standing, count) in Standing::ALL.into_iter().zip(row.counts) {
            if !standings.contains(&standing) {
                continue;
            }
            match count {
                0 => write!(text, "<td class=\"none\">0</td>")?,
                count => write!(text, "<td class=\"{}\">{count}</td>", name(standing))?,
            }
        }
        writeln!(text, "</tr>")?;
    }
    writeln!(text, "</tbody>\n</table>\n</div>")
}

/// Writes every case with how it stands in each report.
pub(super) fn write_cases(text: &mut String, reports: &[Report]) -> std::fmt::Result {
    let paths = matrix::paths(reports);
    writeln!(
        text,
        "<section>\n<h2>All cases <span>{}</span></h2>",
        paths.len()
    )?;
    writeln!(
        text,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"All cases\">"
    )?;
    writeln!(
        text,
        "<table class=\"cases\">\n<thead><tr><th scope=\"col\">case</th>"
    )?;
    match reports {
        [_] => writeln!(
            text,
            "<th scope=\"col\">standing</th><th scope=\"col\">took</th>"
        )?,
        several => {
            for report in several {
                writeln!(text, "<th scope=\"col\">{}</th>", plain(&report.target))?;
            }
        }
    }
    writeln!(
        text,
        "<th scope=\"col\">level</th><th scope=\"col\">contract</th></tr></thead>\n<tbody>"
    )?;
    for path in paths {
        write_row(text, reports, path)?;
    }
    writeln!(text, "</tbody>\n</table>\n</div>\n</section>")
}

fn write_row(text: &mut String, reports: &[Report], path: &str) -> std::fmt::Result {
    let found: Vec<Option<(usize, &CaseReport)>> = reports
        .iter()
        .map(|report| {
            let mut cases = report.cases.iter().enumerate();
            cases.find(|(_, case)| case.path == path)
        })
        .collect();
    let standing = |place: &Option<(usize, &CaseReport)>| place.map(|(_, case)| case.standing());
    let standings: Vec<Option<Standing>> = found.iter().map(standing).collect();
    let differs = standings.windows(2).any(|pair| pair[0] != pair[1]);
    let mut names: Vec<&str> = standings.iter().flatten().map(|one| name(*one)).collect();
    names.dedup();
    write!(text, "<tr data-standing=\"{}\"", names.join(" "))?;
    write!(text, "{}>", if differs { " data-differs" } else { "" })?;
    write!(text, "<th scope=\"row\"><code>{}</code></th>", plain(path))?;
    for (run, place) in found.iter().enumerate() {
        match place {
            None => write!(text, "<td>not run</td>")?,
            Some((place, case)) => write!(text, "<td>{}</td>", linked(case, &anchor(run, *place)))?,
        }
    }
    let Some((_, case)) = found.iter().flatten().next() else {
        return writeln!(text, "</tr>");
    };
    if reports.len() == 1 {
        write!(text, "<td>{}</td>", span(case.elapsed))?;
    }
    let title = contract().clause(&case.clause);
    let title = title.map_or(String::new(), |clause| format!(" {}", plain(&clause.title)));
    writeln!(
        text,
        "<td>{}</td><td>{}{title}</td></tr>",
        case.level,
        plain(&case.clause)
    )
}

/// The standing, leading to what there is to tell about it.
fn linked(case: &CaseReport, anchor: &str) -> String {
    let badge = badge(case.standing());
    let is_told = case.standing() != Standing::Passed;
    if is_told {
        format!("<a href=\"#{anchor}\">{badge}</a>")
    } else {
        badge
    }
}
