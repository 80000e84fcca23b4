//! For people with a browser: one page that needs nothing else, with a curve for every ladder.

use super::chart::svg;
use super::judge::{figure, power};
use super::outcome::{Outcome, Report, Step};
use crate::report::escape::html as plain;
use crate::verdict::Verdict;

const STYLE: &str = include_str!("html/style.css");

impl Report {
    /// The report as one page.
    pub fn html(&self) -> String {
        let target = plain(&self.target);
        let verdict = self.verdict();
        let time = if self.is_virtual {
            "in virtual time, "
        } else {
            ""
        };
        let mut text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'\">\n\
             <title>{target}: {verdict}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>{target}: {verdict}</h1>\n\
             <p>nanshe scale, {time}seed {}</p>\n<p><code>{}</code></p>\n",
            self.seed,
            plain(&self.repeat),
        );
        if let Some(why) = &self.stopped {
            text += &format!("<p><strong>Not whole:</strong> {}</p>\n", plain(why));
        }
        text += &overview(&self.outcomes);
        for (place, outcome) in self.outcomes.iter().enumerate() {
            text += &section(place, outcome);
        }
        text += &self.safety_section();
        text + "</body>\n</html>\n"
    }

    fn safety_section(&self) -> String {
        let Some(verdicts) = &self.safety else {
            return String::new();
        };
        let mut text = "<h2>Delivery and claims</h2>\n<table>\n".to_owned();
        for rule in verdicts.rules.iter().filter(|rule| rule.exercised > 0) {
            let (name, verdict, exercised) = (rule.rule, rule.verdict, rule.exercised);
            text += &format!("<tr><td>{name}<td>{verdict}<td>exercised {exercised} times\n");
        }
        text + "</table>\n"
    }
}

fn overview(outcomes: &[Outcome]) -> String {
    let mut text =
        "<table>\n<tr><th>Rule<th>Quantity<th>Figure<th>Verdict<th>Verified\n".to_owned();
    for (place, outcome) in outcomes.iter().enumerate() {
        text += &format!(
            "<tr><td>{}<td>{}<td><a href=\"#o{place}\">{}</a><td>{}<td>{}\n",
            plain(&outcome.rule),
            plain(&outcome.quantity),
            plain(&outcome.figure),
            outcome.verdict,
            plain(outcome.verified.as_deref().unwrap_or_default()),
        );
    }
    text + "</table>\n"
}

fn section(place: usize, outcome: &Outcome) -> String {
    let open = if outcome.verdict == Verdict::Valid {
        ""
    } else {
        " open"
    };
    let mut text = format!(
        "<details id=\"o{place}\"{open}>\n<summary>{} {}: {} — {}</summary>\n<p>{}</p>\n",
        plain(&outcome.rule),
        plain(&outcome.quantity),
        plain(&outcome.figure),
        outcome.verdict,
        plain(&outcome.why),
    );
    if let Some(beyond) = &outcome.extrapolated {
        text += &format!("<p>Extrapolated, not verified: {}</p>\n", plain(beyond));
    }
    if let Some(svg) = svg(outcome) {
        text += "<figure>";
        text += &svg;
        text += "<figcaption>Circles: rounds. Crosses and line: their medians. Dashed and shaded: the fit and its 95 % \
                 interval.</figcaption></figure>\n";
    }
    for (name, fit) in &outcome.fits {
        let (estimate, low, high) = (fit.estimate, fit.low, fit.high);
        text += &format!(
            "<p>{} = {estimate:.4} [{low:.4}, {high:.4}]</p>\n",
            plain(name)
        );
    }
    text += "<table>\n<tr><th>n<th>Figure<th>p50 µs<th>p90 µs<th>p99 µs<th>max µs<th>operations/s<th>operations<th>refused\n";
    for step in &outcome.steps {
        text += &row(step, &outcome.unit);
    }
    text + "</table>\n</details>\n"
}

fn row(step: &Step, unit: &str) -> String {
    let latency = step.latency;
    let value = if step.rounds.is_empty() {
        String::new()
    } else {
        figure(step.value(), unit)
    };
    format!(
        "<tr><td>{}<td>{value}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{}<td>{}\n",
        power(step.n),
        latency.p50,
        latency.p90,
        latency.p99,
        latency.max,
        step.throughput,
        step.operations,
        step.errors,
    )
}
