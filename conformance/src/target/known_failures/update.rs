//! Writes a known-failures file anew after a run, and leaves what people wrote into it as it is.

use std::collections::BTreeSet;

use crate::report::{CaseReport, Outcome, Report, Standing};

/// A known-failures file after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// Its text.
    pub text: String,
    /// Cases that have an entry now.
    pub added: Vec<String>,
    /// Cases that have none any more, because they pass.
    pub removed: Vec<String>,
}

/// The file `text` after `report`: entries of cases that pass are gone, with the comments right above
/// them, and cases that fail unknown have one. All else stays: entries of cases that did not run, were
/// not decided or are flaky, and those whose last day has passed, for that day was meant.
pub fn updated(text: &str, report: &Report) -> Updated {
    let of = |standing: Standing| {
        let cases = report.cases.iter();
        cases.filter(move |case| case.standing() == standing)
    };
    let passed: BTreeSet<&str> = of(Standing::PassedUnexpectedly)
        .map(|case| case.path.as_str())
        .collect();
    let mut removed = Vec::new();
    let mut kept = String::new();
    for block in blocks(text) {
        match case_of(&block).filter(|case| passed.contains(case.as_str())) {
            Some(case) => removed.push(case),
            None => kept.push_str(&block),
        }
    }
    let mut added = Vec::new();
    for case in of(Standing::Failed).filter(|case| case.expired.is_none()) {
        if !kept.is_empty() && !kept.ends_with("\n\n") {
            kept.push_str(if kept.ends_with('\n') { "\n" } else { "\n\n" });
        }
        let (path, reason) = (quoted(&case.path), quoted(&reason(case)));
        kept.push_str(&format!("[[failure]]\ncase = {path}\nreason = {reason}\n"));
        added.push(case.path.clone());
    }
    Updated {
        text: kept,
        added,
        removed,
    }
}

/// The text in pieces that make it up again: what stands before the first entry, then each entry with
/// the comments right above it.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    // Comments belong to what follows them, if nothing stands between.
    let mut comments = String::new();
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if trimmed.starts_with("[[") {
            blocks.push(std::mem::take(&mut comments));
        } else if trimmed.starts_with('#') {
            comments.push_str(line);
            continue;
        }
        let last = blocks.last_mut().expect("there is one from the start");
        last.push_str(&std::mem::take(&mut comments));
        last.push_str(line);
    }
    let last = blocks.last_mut().expect("there is one from the start");
    last.push_str(&comments);
    blocks
}

/// The case that a block is about.
fn case_of(block: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(block).ok()?;
    let (_, entries) = table.iter().next()?;
    let case = entries.as_array()?.first()?.get("case")?;
    case.as_str().map(str::to_owned)
}

/// What was seen, for somebody to put into better words.
fn reason(case: &CaseReport) -> String {
    match &case.outcome {
        Outcome::Failed { failure } => {
            let came = failure.came.lines().next().unwrap_or_default();
            let came: String = came.chars().take(100).collect();
            format!("{}: {came}, expected {}", failure.clause, failure.expected)
        }
        Outcome::Passed | Outcome::Unknown { .. } | Outcome::NotApplicable { .. } => String::new(),
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    if !text.contains(['\'', '\n', '\r']) && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    toml::Value::String(text.replace('\n', " ")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::report::tests::sample;
    use crate::target::KnownFailures;

    const FILE: &str = "# What it fails.\n\n\
        # a note on the first\n[[failure]]\ncase = 'claims/fails-as-known'\nreason = 'the driver ignores it'\n\n\
        # about what passes now\n[[failure]]\ncase = 'claims/passes-although-known'\nreason = 'it did fail'\n\n\
        [[flaky]]\ncase = 'claims/passes-by-turns'\nreason = 'a race of theirs'\n";

    #[test]
    fn what_passes_leaves_what_fails_comes_and_the_rest_stays() {
        let updated = updated(FILE, &sample());
        let expected = "# What it fails.\n\n\
            # a note on the first\n[[failure]]\ncase = 'claims/fails-as-known'\nreason = 'the driver ignores it'\n\n\
            [[flaky]]\ncase = 'claims/passes-by-turns'\nreason = 'a race of theirs'\n\n\
            [[failure]]\ncase = 'claims/fails'\nreason = '5.7: status 204, expected status 403'\n";
        assert_eq!(updated.text, expected);
        assert_eq!(updated.added, ["claims/fails"]);
        assert_eq!(updated.removed, ["claims/passes-although-known"]);
    }

    #[test]
    fn file_of_a_run_without_surprises_is_the_same_byte_for_byte() {
        let mut report = sample();
        let calm = [Standing::Passed, Standing::KnownFailure, Standing::Flaky];
        report.cases.retain(|case| calm.contains(&case.standing()));
        assert_eq!(updated(FILE, &report).text, FILE);
        assert_eq!(updated("", &report).text, "");
    }

    #[test]
    fn reason_may_have_any_characters() {
        let path = crate::suite::cases().next().unwrap().path;
        let mut report = sample();
        report
            .cases
            .retain(|case| case.standing() == Standing::Failed);
        report.cases[0].path = path.to_owned();
        let Outcome::Failed { failure } = &mut report.cases[0].outcome else {
            unreachable!("only failed ones were kept")
        };
        failure.came = "body \"it's\u{7} \\ so\"".to_owned();
        let updated = updated("", &report);
        let document = Document {
            file: "k",
            text: &updated.text,
        };
        let known = KnownFailures::parse(document).unwrap();
        let reason = &known.find(path).unwrap().reason;
        assert_eq!(reason, "5.7: body \"it's\u{7} \\ so\", expected status 403");
    }
}
