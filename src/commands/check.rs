//! `nanshe check`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use nanshe_conformance::checker::{Verdicts, judge_on, judge_stored};
use nanshe_conformance::history::{self, History, edn};
use nanshe_conformance::verdict::Verdict;
use serde_json::json;

use crate::args::{Check, RecordedForm};
use crate::output::{Exit, Shell};

pub(crate) fn run(args: &Check, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let mut verdicts = Vec::new();
    // All are read before anything is printed: a malformed one spoils no half of a report.
    for path in &args.histories {
        verdicts.push((path, judge(path)?));
    }
    if args.json {
        let document = |(path, verdicts): &(&String, Verdicts)| json!({ "history": path, "verdict": verdicts.verdict(), "rules": verdicts.rules });
        let documents: Vec<_> = verdicts.iter().map(document).collect();
        shell.print(&format!("{:#}\n", json!(documents)))?;
    } else {
        for (path, verdicts) in &verdicts {
            shell.print(&text(path, verdicts))?;
        }
    }
    Ok(Verdict::worst(verdicts.iter().map(|(_, verdicts)| verdicts.verdict())).into())
}

/// Judges the history in that file, on all cores; as EDN if its name says so.
pub(super) fn judge(path: &str) -> anyhow::Result<Verdicts> {
    if RecordedForm::of(path) == RecordedForm::Edn {
        let history = read_as(path, RecordedForm::Edn)?;
        return Ok(judge_on(&history, threads()));
    }
    File::open(path).with_context(|| format!("{path} cannot be opened"))?;
    let open = || File::open(path).map(BufReader::new);
    judge_stored(open, threads()).with_context(|| path.to_owned())
}

/// As many threads as there are cores.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The history in that file, which is of that form.
pub(super) fn read_as(path: &str, form: RecordedForm) -> anyhow::Result<History> {
    let file = File::open(path).with_context(|| format!("{path} cannot be opened"))?;
    let history = match form {
        RecordedForm::Edn => edn::read(file),
        RecordedForm::Jsonl => history::read(BufReader::new(file)),
    };
    history.with_context(|| path.to_owned())
}

impl RecordedForm {
    /// What the file's name says that it is.
    pub(super) fn of(path: &str) -> Self {
        let extension = Path::new(path).extension();
        if extension.is_some_and(|extension| extension == "edn") {
            Self::Edn
        } else {
            Self::Jsonl
        }
    }
}

pub(super) fn text(path: &str, verdicts: &Verdicts) -> String {
    let mut text = String::new();
    for rule in &verdicts.rules {
        for violation in &rule.told {
            text += &violation.told(rule.rule);
            text.push('\n');
        }
    }
    for rule in &verdicts.rules {
        let told = match (rule.violations, rule.why.as_str()) {
            (0, "") => format!("exercised {} times", rule.exercised),
            (0, why) => format!("exercised {} times: {why}", rule.exercised),
            (count, _) => format!("{count} violations, exercised {} times", rule.exercised),
        };
        text += &format!(
            "{:<24} {:<10} {told}\n",
            rule.rule,
            rule.verdict.to_string()
        );
    }
    text += &format!("{path}: {}\n", verdicts.verdict());
    text
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    #[test]
    fn history_that_is_not_there_or_malformed_exits_2_and_prints_nothing() {
        let (exit, out, error) = nanshe(&["check", "no-such-file.jsonl"]);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(
            error.starts_with("nanshe: no-such-file.jsonl cannot be opened: "),
            "{error}"
        );
        let (exit, out, error) = nanshe(&["check", "Cargo.toml"]);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(error.starts_with("nanshe: Cargo.toml: line 1: "), "{error}");
    }
}
