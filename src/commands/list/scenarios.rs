//! `nanshe list scenarios`: what the files of a folder are about.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use nanshe_conformance::checker::RULES;
use nanshe_simulator::scenario::Scenario;

use super::Table;

/// Where scenarios are, unless somebody says otherwise.
const FOLDER: &str = "scenarios";

/// A row for each scenario in `paths`, which are files, and folders of them.
pub(super) fn list(paths: &[String]) -> anyhow::Result<Table> {
    let folder = [FOLDER.to_owned()];
    let paths = if paths.is_empty() { &folder } else { paths };
    let mut files = Vec::new();
    for path in paths {
        if !Path::new(path).is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        collect(Path::new(path), &mut files)?;
        files[before..].sort();
        anyhow::ensure!(files.len() > before, "{path}: there is no .toml file in it");
    }
    let mut rows = Vec::new();
    for file in files {
        rows.push(row(&Scenario::load(&file)?));
    }
    let heads = vec!["name", "guarantees", "implementation", "breaks", "about"];
    Ok((heads, rows))
}

/// The files of a folder and of those in it.
fn collect(folder: &Path, files: &mut Vec<String>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        // A link to a folder above would lead round in a circle.
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|found| found == "toml") {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn row(scenario: &Scenario) -> Vec<String> {
    let broken = RULES
        .iter()
        .filter(|rule| scenario.breaks.contains(rule.name));
    let guarantees: BTreeSet<&str> = broken.flat_map(|rule| rule.guarantee.split(", ")).collect();
    let mut guarantees: Vec<&str> = guarantees.into_iter().collect();
    guarantees.sort_by_key(|guarantee| (guarantee.len(), *guarantee));
    let breaks: Vec<&str> = scenario.breaks.iter().map(String::as_str).collect();
    let breaks = match breaks.as_slice() {
        [] => "nothing".to_owned(),
        breaks => breaks.join(", "),
    };
    vec![
        scenario.name.clone(),
        guarantees.join(", "),
        scenario.implementation.clone(),
        breaks,
        first_sentence(&scenario.about),
    ]
}

/// The first sentence of `text`, in one line.
fn first_sentence(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_end = |word: &&str| word.ends_with(['.', '?', '!']);
    let end = words
        .iter()
        .position(is_end)
        .map_or(words.len(), |end| end + 1);
    words[..end].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    #[test]
    fn first_sentence_is_one_line_and_a_dot_within_a_word_ends_none() {
        for (text, expected) in [
            ("One thing.\nAnother.", "One thing."),
            ("In version 1.2\nit fails", "In version 1.2 it fails"),
            ("", ""),
        ] {
            assert_eq!(first_sentence(text), expected);
        }
    }

    #[test]
    fn scenarios_of_a_folder_are_listed_in_order_and_a_file_alone() {
        let (exit, out, error) = nanshe(&["list", "scenarios"]);
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""));
        let names: Vec<&str> = out
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(names.is_sorted() && names.len() > 25, "{out}");
        let file = "scenarios/delivery/zombie-holder.toml";
        let (_, json, _) = nanshe(&["list", "scenarios", file, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json[0]["name"], "delivery/zombie-holder");
        let scenario = Scenario::load(file).unwrap();
        let breaks: Vec<String> = scenario.breaks.into_iter().collect();
        assert_eq!(json[0]["breaks"], breaks.join(", "));
        assert_eq!(json[0]["guarantees"], "G1, G5");
    }

    #[test]
    fn what_is_no_scenario_is_one_line() {
        let refused = |args: &[&str]| {
            let (exit, out, error) = nanshe(&[&["list"], args].concat());
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
            assert_eq!(error.lines().count(), 1, "{error}");
            error
        };
        assert!(refused(&["scenarios", "Cargo.toml"]).contains("Cargo.toml:"));
        assert!(refused(&["scenarios", "src"]).contains("src: there is no .toml file in it"));
        let line = refused(&["rules", "scenarios"]);
        assert_eq!(
            line,
            "nanshe: scenarios: only scenarios are read from files\n"
        );
    }
}
