//! The report for a terminal: a line for every experiment, and the ladder of each that is not valid.

use super::judge::{figure, power};
use super::outcome::{Outcome, Report, Step};
use crate::checker::Verdicts;
use crate::verdict::Verdict;

impl Report {
    /// The report for a terminal.
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        let time = if self.is_virtual {
            ", in virtual time"
        } else {
            ""
        };
        text += &format!("{}{time}, seed {}\n", self.target, self.seed);
        let mut rule = "";
        for outcome in &self.outcomes {
            if rule != outcome.rule {
                rule = &outcome.rule;
                text += &format!("\n{rule}\n");
            }
            text += &told(outcome);
        }
        text += &safety(self.safety.as_ref());
        if let Some(why) = &self.stopped {
            text += &format!("NOT WHOLE: {why}; this is the verdict on what there is\n");
        }
        text += &format!("\nrepeat: {}\n", self.repeat);
        text += &format!("{}\n", self.verdict());
        text
    }
}

/// What is valid takes a line; what is not has its whole ladder shown.
fn told(outcome: &Outcome) -> String {
    let Outcome {
        quantity,
        figure: what,
        why,
        ..
    } = outcome;
    let verdict = outcome.verdict.to_string();
    let verified = outcome.verified.as_ref();
    let verified = verified.map_or_else(String::new, |verified| format!(" (verified: {verified})"));
    let mut text = format!("  {verdict:9} {quantity}: {what}: {why}{verified}\n");
    if outcome.verdict != Verdict::Valid {
        for step in &outcome.steps {
            text += &row(step, &outcome.unit);
        }
    }
    text
}

fn row(step: &Step, unit: &str) -> String {
    let latency = step.latency;
    let value = if step.rounds.is_empty() {
        String::new()
    } else {
        figure(step.value(), unit)
    };
    let rate = if step.throughput > 0.0 {
        format!(", {:.0} operations/s", step.throughput)
    } else {
        String::new()
    };
    let errors = match step.errors {
        0 => String::new(),
        errors => format!(", {errors} of {} refused", step.operations),
    };
    format!(
        "            {:>8} {value:>22}   p50 {:.0} p90 {:.0} p99 {:.0} max {:.0} µs{rate}{errors}\n",
        power(step.n),
        latency.p50,
        latency.p90,
        latency.p99,
        latency.max,
    )
}

/// What the delivery and claims rules say of the operations.
fn safety(verdicts: Option<&Verdicts>) -> String {
    let Some(verdicts) = verdicts else {
        return String::new();
    };
    let broken = verdicts
        .rules
        .iter()
        .filter(|rule| rule.verdict == Verdict::Violation);
    let broken: Vec<&str> = broken.map(|rule| rule.rule).collect();
    if broken.is_empty() {
        let valid = verdicts
            .rules
            .iter()
            .filter(|rule| rule.verdict == Verdict::Valid)
            .count();
        return format!("\ndelivery/* and claims/*: no violation, {valid} rules valid\n");
    }
    format!(
        "\ndelivery/* and claims/*: violation of {}\n",
        broken.join(", ")
    )
}
