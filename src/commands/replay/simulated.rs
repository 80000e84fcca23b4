//! Simulated runs again: the same scenario and seed have to give the same bytes, unless the program has changed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nanshe_conformance::document;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::Summary;
use nanshe_simulator::scenario::Scenario;
use serde_json::{Value, json};

use crate::commands::simulate::{SCENARIO, SUMMARY, find};
use crate::output::Shell;

/// Whether `run` is a stored campaign of `nanshe simulate`.
pub(super) fn is_one(run: &Path) -> bool {
    run.join(SCENARIO).is_file()
}

/// Runs every stored seed again. Violation: a history differs, or there were runs that left none, since the
/// implementation did not survive them.
pub(super) fn again(run: &Path, is_json: bool, shell: &mut Shell<'_>) -> anyhow::Result<Verdict> {
    let scenario = Scenario::load(&run.join(SCENARIO).to_string_lossy())?;
    let path = run.join(SUMMARY).to_string_lossy().into_owned();
    let summary = document::read(&path)?;
    let summary: Value = serde_json::from_str(&summary)
        .with_context(|| format!("{path}: is not the summary of a campaign"))?;
    let summary = Summary::read(&path, summary)?;
    let implementation =
        find(&summary.implementation).with_context(|| format!("{path}: `implementation`"))?;
    let histories = histories(run)?;
    let is_empty = histories.is_empty() && summary.findings.is_empty();
    anyhow::ensure!(!is_empty, "{}: has no histories", run.display());
    let mut differences = Vec::new();
    for (seed, path) in &histories {
        let stored = document::read(&path.to_string_lossy())?;
        let told = match nanshe_simulator::run(&scenario, implementation, *seed) {
            Ok(again) if again.lines == stored => continue,
            Ok(again) => part(&stored, &again.lines),
            Err(error) => error.to_string(),
        };
        differences.push(format!("{}: {told}", path.display()));
    }
    let run = run.display().to_string();
    let text = if is_json {
        json(&run, histories.len(), (&differences, &summary))
    } else {
        text(&run, histories.len(), (&differences, &summary))
    };
    shell.print(&text)?;
    Ok(if differences.is_empty() && summary.findings.is_empty() {
        Verdict::Valid
    } else {
        Verdict::Violation
    })
}

fn json(run: &str, count: usize, (differences, summary): (&[String], &Summary)) -> String {
    let findings = summary.findings.iter().map(|finding| {
        json!({ "finding": finding.to_string(), "repeat": summary.repeat(finding.seed()) })
    });
    let document = json!({
        "run": run,
        "histories": count,
        "differences": differences,
        "findings": findings.collect::<Vec<Value>>(),
    });
    format!("{document}\n")
}

fn text(run: &str, count: usize, (differences, summary): (&[String], &Summary)) -> String {
    let mut text = if differences.is_empty() {
        format!("{run}: {count} histories, the same byte for byte\n")
    } else {
        differences.join("\n") + "\n"
    };
    let findings = summary.findings.len();
    if findings > 0 {
        text +=
            &format!("{run}: runs that left no history, and are not repeated here: {findings}\n\n");
        text += &summary.told_findings();
    }
    text
}

/// The stored histories and their seeds, in order.
fn histories(run: &Path) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let entries =
        std::fs::read_dir(run).with_context(|| format!("{} cannot be read", run.display()))?;
    let mut histories = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let seed = name
            .strip_prefix("seed-")
            .and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(seed) = seed.and_then(|seed| seed.parse().ok()) {
            histories.push((seed, path));
        }
    }
    histories.sort_unstable();
    Ok(histories)
}

/// Where two histories part, and what each says there.
fn part(stored: &str, again: &str) -> String {
    let (mut one, mut other) = (stored.lines(), again.lines());
    let mut line = 0;
    loop {
        line += 1;
        match (one.next(), other.next()) {
            (Some(stored), Some(again)) if stored == again => {}
            (stored, again) => {
                let end = "the end";
                let (stored, again) = (stored.unwrap_or(end), again.unwrap_or(end));
                return format!("they part at line {line}\n  stored: {stored}\n  again:  {again}");
            }
        }
    }
}
