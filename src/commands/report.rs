//! `nanshe report`.

use anyhow::Context as _;
use nanshe_conformance::document;
use nanshe_conformance::report::{self, Disagreement, Merged, Report};
use nanshe_conformance::verdict::Verdict;
use serde_json::Value;

use super::pages;
use crate::args::{Merge, ReportAction, Show};
use crate::output::{Exit, Shell, check_writable, write_whole};

mod campaigns;

pub(crate) fn run(args: &crate::args::Report, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    match &args.action {
        ReportAction::Merge(args) => merge(args, shell),
        ReportAction::Show(args) => show(args, shell),
    }
}

fn merge(args: &Merge, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    if let Some(summaries) = campaigns::read(&args.files)? {
        return campaigns::merge(args, summaries, shell);
    }
    anyhow::ensure!(
        !args.every_goal,
        "--every-goal: only summaries of `nanshe explore` count situations"
    );
    args.json.as_deref().map_or(Ok(()), check_writable)?;
    pages::check(args.junit.as_deref(), &args.pages)?;
    let merged = report::merge(&read(&args.files)?)?;
    let verdict = merged.verdict();
    say(&merged, shell);
    let Merged { report, .. } = merged;
    if let Some(path) = &args.json {
        write_whole(path, report::json(&report).as_bytes())?;
    }
    let reports = [report];
    pages::write(&reports, args.junit.as_deref(), &args.pages)?;
    shell.print(&report::terminal(&reports[0]))?;
    Ok(verdict.into())
}

/// What the shards do not say alone, a line for each case.
fn say(merged: &Merged, shell: &mut Shell<'_>) {
    for path in &merged.repeated {
        shell.say(&format!("ran more than once: {path}"));
    }
    for Disagreement { path, found } in &merged.flaky {
        let found = found
            .iter()
            .map(|(file, standing)| format!("{} in {file}", standing.word()));
        let found: Vec<String> = found.collect();
        shell.say(&format!("flaky: {path}: {}", found.join(", ")));
    }
    for path in &merged.missing {
        shell.say(&format!("missing: {path} ran in no shard"));
    }
}

fn show(args: &Show, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    pages::check(args.junit.as_deref(), &args.pages)?;
    let reports: Vec<Report> = read(&args.files)?.into_iter().map(|(_, one)| one).collect();
    pages::write(&reports, args.junit.as_deref(), &args.pages)?;
    for report in &reports {
        shell.print(&report::terminal(report))?;
    }
    // As the runs themselves ended: stopped early, one is not what was asked for.
    let partial = reports.iter().any(|report| report.stopped.is_some());
    Ok(if partial {
        Exit::Unknown
    } else {
        Verdict::worst(reports.iter().map(Report::verdict)).into()
    })
}

/// The reports in `files`, each of which holds one or a list of them.
fn read(files: &[String]) -> anyhow::Result<Vec<(String, Report)>> {
    let mut all = Vec::new();
    for file in files {
        let text = document::read(file)?;
        let texts = match serde_json::from_str::<Vec<Value>>(&text) {
            Ok(list) => list.iter().map(Value::to_string).collect(),
            Err(_) => vec![text],
        };
        for text in texts {
            let report = report::read(&text).with_context(|| file.clone())?;
            all.push((file.clone(), report));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    fn refused(args: &[&str]) -> String {
        let (exit, out, error) = nanshe(&[&["report"], args].concat());
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }

    #[test]
    fn file_that_is_no_report_is_one_line() {
        let line = refused(&["merge", "no-such-file.json"]);
        assert_eq!(line, "nanshe: no-such-file.json: there is no such file\n");
        let line = refused(&["show", "Cargo.toml"]);
        let expected = "nanshe: Cargo.toml: is not a report of `nanshe conform --json`";
        assert!(line.starts_with(expected), "{line}");
        let line = refused(&["merge", "Cargo.toml", "--html", "no-such-folder/page.html"]);
        assert!(line.contains("there is no folder no-such-folder"), "{line}");
    }

    #[test]
    fn report_of_a_run_that_stopped_early_is_unknown() {
        let file = std::env::temp_dir().join(format!("nanshe-stopped-{}.json", std::process::id()));
        let report = r#"{"format": "nanshe-conformance-report", "version": 1, "target": "t",
            "profile": "core", "suite_version": 2, "seed": 1, "command": "nanshe conform t",
            "elapsed_secs": 0.5, "cases": [], "left_out": [], "stopped": "Ctrl-C was pressed"}"#;
        std::fs::write(&file, report).unwrap();
        let path = file.to_string_lossy().into_owned();
        for action in ["show", "merge"] {
            let (exit, out, error) = nanshe(&["report", action, &path]);
            assert_eq!(exit, Exit::Unknown, "{error}");
            assert!(out.contains("Ctrl-C was pressed"), "{out}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn list_of_reports_is_read_as_each_of_them() {
        let file = std::env::temp_dir().join(format!("nanshe-list-{}.json", std::process::id()));
        let report = |target: &str| {
            format!(
                r#"{{"format": "nanshe-conformance-report", "version": 1, "target": "{target}",
            "profile": "core", "suite_version": 2, "seed": 1, "command": "nanshe conform t",
            "elapsed_secs": 0.5, "cases": [], "left_out": []}}"#
            )
        };
        std::fs::write(&file, format!("[{},{}]", report("one"), report("other"))).unwrap();
        let (_, out, error) = nanshe(&["report", "show", &file.to_string_lossy()]);
        assert!(
            out.contains("one: ") && out.contains("other: "),
            "{out}{error}"
        );
        std::fs::remove_file(&file).unwrap();
    }

    #[cfg(madsim)]
    mod in_virtual_time {
        use std::path::PathBuf;

        use super::*;

        /// A folder of this test's own, gone when it ends.
        struct Folder(PathBuf);

        impl Folder {
            fn new(name: &str) -> Self {
                let name = format!("nanshe-{name}-{}", std::process::id());
                let folder = std::env::temp_dir().join(name);
                std::fs::create_dir(&folder).unwrap();
                Self(folder)
            }

            fn at(&self, name: &str) -> String {
                self.0.join(name).to_string_lossy().into_owned()
            }

            /// Runs the suite and stores what it printed.
            fn conform(&self, name: &str, args: &[&str]) -> String {
                let (exit, out, error) = nanshe(&[&["conform", "--json"], args].concat());
                assert_eq!(exit, Exit::Valid, "{error}");
                let file = self.at(name);
                std::fs::write(&file, out).unwrap();
                file
            }
        }

        impl Drop for Folder {
            fn drop(&mut self) {
                drop(std::fs::remove_dir_all(&self.0));
            }
        }

        #[test]
        fn stored_reports_are_joined_and_shown_in_every_form() {
            let folder = Folder::new("merge");
            let first = folder.conform("a.json", &["--only", "delays"]);
            let second = folder.conform("b.json", &["--only", "claims"]);
            let names = ["m.json", "m.xml", "m.md", "m.html"];
            let [json, junit, markdown, html] = names.map(|name| folder.at(name));
            let (exit, out, error) = nanshe(&[
                "report",
                "merge",
                &first,
                &second,
                "--json",
                &json,
                "--junit",
                &junit,
                "--markdown",
                &markdown,
                "--html",
                &html,
            ]);
            assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{out}");
            let text = |file: &str| std::fs::read_to_string(file).unwrap();
            for file in [&json, &junit, &markdown, &html] {
                let text = text(file);
                assert!(text.contains("delays") && text.contains("claims"), "{file}");
            }
            let (exit, shown, _) = nanshe(&["report", "show", &json]);
            assert_eq!((exit, shown), (Exit::Valid, out));
            let (exit, _, error) = nanshe(&["report", "merge", &first, &first]);
            assert_eq!(exit, Exit::Valid);
            let repeated = error
                .lines()
                .all(|line| line.starts_with("ran more than once: "));
            assert!(repeated && error.lines().count() > 10, "{error}");
        }

        #[test]
        fn shards_are_the_run_and_without_one_its_cases_are_missing() {
            let folder = Folder::new("shards");
            let shard = |name, shard| folder.conform(name, &["--only", "delays", "--shard", shard]);
            let (first, second) = (shard("1.json", "1/2"), shard("2.json", "2/2"));
            let whole = folder.conform("all.json", &["--only", "delays"]);
            let (exit, out, error) = nanshe(&["report", "merge", &first, &second]);
            assert_eq!((exit, error.as_str()), (Exit::Valid, ""));
            let (_, all, _) = nanshe(&["report", "show", &whole]);
            let counts = |out: &str| out.lines().last().unwrap().to_owned();
            assert_eq!(counts(&out), counts(&all));
            let (exit, _, error) = nanshe(&["report", "merge", &second]);
            assert_eq!(exit, Exit::Unknown);
            let missing = error
                .lines()
                .filter(|line| line.starts_with("missing: delays/"));
            let delays = nanshe_conformance::suite::cases().filter(|c| c.chapter() == "delays");
            assert_eq!(missing.count(), delays.count().div_ceil(2), "{error}");
        }

        #[test]
        fn reports_of_other_seeds_are_refused_in_one_line() {
            let folder = Folder::new("mixed");
            let first = folder.conform("a.json", &["--only", "delays"]);
            let second = folder.conform("b.json", &["--only", "claims", "--seed", "2"]);
            let line = refused(&["merge", &first, &second]);
            let expected = format!("{second}: its seed is 2, but 1 in {first}");
            assert!(line.contains(&expected), "{line}");
        }
    }
}
