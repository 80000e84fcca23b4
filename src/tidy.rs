//! Repository rules that neither the compiler nor clippy checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use nanshe_conformance::target::{Description, KnownFailures};
use nanshe_simulator::scenario::Scenario;

/// Lines of a file, tests included.
const LINES_MAX: usize = 800;

/// Lines of a `lib.rs`, which is a map.
const MAP_LINES_MAX: usize = 100;

const PACKAGES: [&str; 5] = ["src", "reference", "conformance", "simulator", "benches"];

/// Every file below `folder` that ends in `.{extension}`, with its text.
fn files(folder: &str, extension: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(folder).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
            if path.is_dir() && !hidden && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path, text);
            }
        }
    }
    assert!(
        !found.is_empty(),
        "nothing ends in .{extension} below {folder}"
    );
    found
}

fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    files(folder, "rs")
}

/// The text without its comments and without what stands in `mod tests`.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_nowhere(folder: &str, words: &[&str], why: &str) {
    for (path, text) in sources(folder) {
        let code = code(&text);
        for word in words {
            assert!(!code.contains(word), "{}: `{word}`: {why}", path.display());
        }
    }
}

#[test]
fn files_stay_below_their_size() {
    for (path, text) in PACKAGES.iter().flat_map(|package| sources(package)) {
        let lines = text.lines().count();
        let max = if path.ends_with("lib.rs") {
            MAP_LINES_MAX
        } else {
            LINES_MAX
        };
        assert!(
            lines <= max,
            "{}: {lines} lines, at most {max}",
            path.display()
        );
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in PACKAGES.iter().flat_map(|package| sources(package)) {
        assert!(
            text.starts_with("//! "),
            "{} does not open with `//!`",
            path.display()
        );
    }
}

#[test]
fn conformance_knows_nothing_about_the_reference_and_nobody_but_the_simulator_names_madsim() {
    assert_nowhere(
        "conformance/src",
        &["nanshe_reference"],
        "they share no type",
    );
    for folder in ["conformance/src", "reference/src"] {
        assert_nowhere(folder, &["madsim"], "only the simulator names madsim");
    }
    assert_nowhere(
        "reference/src",
        &["nanshe_conformance"],
        "they share no type",
    );
}

#[test]
fn core_has_no_io_no_clock_and_no_async() {
    let words = [
        "std::net",
        "std::fs",
        "tokio",
        "Instant::now",
        "SystemTime",
        "async ",
        "HashMap",
        "f64",
    ];
    for folder in ["reference/src/broker", "conformance/src/checker"] {
        assert_nowhere(folder, &words, "the core is pure");
    }
    assert_nowhere("reference/src/wire", &words[..7], "the wire is pure");
}

#[test]
fn nothing_simulated_selects_at_random() {
    // An unbiased select draws from a generator that all runs of a process share.
    for (path, text) in PACKAGES.iter().flat_map(|package| sources(package)) {
        let code = code(&text);
        for (place, _) in code.match_indices(concat!("select", "! {")) {
            let inside = code[place..].split_once('{').unwrap().1.trim_start();
            assert!(
                inside.starts_with("biased;"),
                "{}: an unbiased select",
                path.display()
            );
        }
    }
}

#[test]
fn scenarios_parse_and_are_named_after_their_files() {
    for (path, text) in files("scenarios", "toml") {
        let document = nanshe_conformance::document::Document {
            file: &path.to_string_lossy(),
            text: &text,
        };
        let scenario = Scenario::parse(document).unwrap();
        let name = path.strip_prefix("scenarios").unwrap().with_extension("");
        assert_eq!(Path::new(&scenario.name), name);
    }
}

#[test]
fn target_files_and_their_known_failures_parse() {
    let folder = Path::new("conformance/targets");
    for path in files("conformance/targets", "toml").keys() {
        let text = path.to_string_lossy();
        // What stands in folders below is what some of them are made of.
        if path.parent() != Some(folder) || text.ends_with(".known-failures.toml") {
            continue;
        }
        Description::load(&text).unwrap();
    }
}

/// The cases that sections of a defects file name, on lines that begin with `Cases: `.
fn told_cases(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("Cases: "));
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_known_failure_of_zaqar_has_a_section_that_shows_it_and_no_section_is_stale() {
    let text = fs::read_to_string("conformance/targets/zaqar-redis.md").unwrap();
    let told = told_cases(&text);
    let mut known = BTreeSet::new();
    for target in ["zaqar-redis", "zaqar-redis-pooled"] {
        let file = format!("conformance/targets/{target}.known-failures.toml");
        let entries = KnownFailures::load(&file).unwrap().entries;
        assert!(!entries.is_empty(), "{file} is empty");
        for entry in entries {
            let told = told.contains(entry.case.as_str());
            assert!(told, "{}: {} has no section", entry.place, entry.case);
            known.insert(entry.case);
        }
    }
    for case in told {
        assert!(
            known.contains(case),
            "{case} has a section, and is not known to fail"
        );
    }
}

#[test]
fn cases_of_a_section_are_what_stands_between_backquotes_on_its_line() {
    let text = "Cases: `a/b`, `c/d`.\n\nRight: `e/f`.\nCases: `g/h`.\n";
    assert_eq!(told_cases(text), BTreeSet::from(["a/b", "c/d", "g/h"]));
}
