//! Simulated runs again: the same scenario and seed have to give the same bytes, unless the program has changed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nanshe_conformance::document;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::scenario::Scenario;
use serde_json::{Value, json};

use crate::commands::simulate::{SCENARIO, SUMMARY, find};
use crate::output::Shell;

/// Whether `run` is a stored campaign of `nanshe simulate`.
pub(super) fn is_one(run: &Path) -> bool {
    run.join(SCENARIO).is_file()
}

/// Runs every stored seed again. Violation: a history differs.
pub(super) fn again(run: &Path, is_json: bool, shell: &mut Shell<'_>) -> anyhow::Result<Verdict> {
    let scenario = Scenario::load(&run.join(SCENARIO).to_string_lossy())?;
    let path = run.join(SUMMARY);
    let summary = document::read(&path.to_string_lossy())?;
    let summary: Value = serde_json::from_str(&summary)
        .with_context(|| format!("{}: is not the summary of a campaign", path.display()))?;
    let name = summary["implementation"].as_str().unwrap_or_default();
    let implementation =
        find(name).with_context(|| format!("{}: `implementation`", path.display()))?;
    let histories = histories(run)?;
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
    let run = run.display();
    if is_json {
        let count = histories.len();
        let document =
            json!({ "run": run.to_string(), "histories": count, "differences": differences });
        shell.print(&format!("{document}\n"))?;
    } else if differences.is_empty() {
        let count = histories.len();
        shell.print(&format!(
            "{run}: {count} histories, the same byte for byte\n"
        ))?;
    } else {
        shell.print(&(differences.join("\n") + "\n"))?;
    }
    Ok(if differences.is_empty() {
        Verdict::Valid
    } else {
        Verdict::Violation
    })
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
    anyhow::ensure!(!histories.is_empty(), "{}: has no histories", run.display());
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
