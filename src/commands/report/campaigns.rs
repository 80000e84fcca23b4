//! `nanshe report merge` of what the shards of `simulate` or `explore` stored.

use std::path::Path;

use anyhow::Context as _;
use nanshe_conformance::document;
use serde_json::Value;

use crate::args::Merge;
use crate::output::{Exit, Shell};

/// A summary in the folder of a campaign.
const SUMMARY: &str = "summary.json";

/// What a summary calls itself.
const FORMAT: &str = "nanshe-simulation-summary";

/// The summaries in `files`, which may be folders; `None` if they are none, but reports of the suite.
pub(super) fn read(files: &[String]) -> anyhow::Result<Option<Vec<(String, Value)>>> {
    let mut summaries = Vec::new();
    let mut other = None;
    for file in files {
        let path = Path::new(file).join(SUMMARY);
        let is_folder = Path::new(file).is_dir();
        let path = is_folder.then(|| path.to_string_lossy().into_owned());
        let text = document::read(path.as_ref().unwrap_or(file))?;
        match serde_json::from_str::<Value>(&text) {
            Ok(found) if found["format"] == FORMAT => summaries.push((file.clone(), found)),
            Ok(_) | Err(_) if is_folder => {
                anyhow::bail!("{file}: its {SUMMARY} is not of a campaign")
            }
            // Whoever reads reports says what is wrong with it, if anything.
            Ok(_) | Err(_) => other = Some(file),
        }
    }
    match (summaries.first(), other) {
        (Some((summary, _)), Some(other)) => anyhow::bail!(
            "{summary} is a summary of simulated runs, and {other} is not: they cannot be joined"
        ),
        (None, _) => Ok(None),
        (Some(_), None) => Ok(Some(summaries)),
    }
}

/// Refuses what only reports of the suite can become.
fn check(args: &Merge) -> anyhow::Result<()> {
    let pages = &args.pages;
    for (option, path) in [
        ("--junit", &args.junit),
        ("--markdown", &pages.markdown),
        ("--html", &pages.html),
    ] {
        anyhow::ensure!(
            path.is_none(),
            "{option}: summaries of simulated runs have no such form"
        );
    }
    args.json
        .as_deref()
        .map_or(Ok(()), crate::output::check_writable)
        .context("--json")
}

#[cfg(not(madsim))]
pub(super) fn merge(
    args: &Merge,
    _: Vec<(String, Value)>,
    _: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    check(args)?;
    anyhow::bail!(nanshe_simulator::UNAVAILABLE)
}

#[cfg(madsim)]
pub(super) fn merge(
    args: &Merge,
    documents: Vec<(String, Value)>,
    shell: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    use nanshe_conformance::verdict::Verdict;
    use nanshe_simulator::Summary;

    check(args)?;
    let mut summaries = Vec::new();
    for (file, document) in documents {
        let summary = Summary::read(&file, document)?;
        summaries.push((file, summary));
    }
    let merged = Summary::merge(summaries)?;
    say(&merged, shell);
    match (&args.json, merged.gaps()) {
        (Some(path), None) => {
            crate::output::write_whole(path, merged.summary.json().as_bytes())?;
        }
        // A summary is of seeds one after the other: with a gap it would say that it ran others.
        (Some(path), Some(gaps)) => shell.say(&format!(
            "--json: {} is not written without {gaps}",
            path.display()
        )),
        (None, _) => {}
    }
    let mut text = merged.terminal();
    let outcome = merged.outcome();
    let never = never(&merged.summary)?;
    for goal in &never {
        text += &format!("never came about: {} ({})\n", goal.name, goal.about);
    }
    shell.print(&text)?;
    if args.every_goal && !never.is_empty() && outcome == Verdict::Valid {
        return Ok(Exit::Unknown);
    }
    Ok(outcome.into())
}

/// What the shards do not say alone, a line for each.
#[cfg(madsim)]
fn say(merged: &nanshe_simulator::Merged, shell: &mut Shell<'_>) {
    for (seeds, [first, second]) in &merged.repeated {
        shell.say(&format!(
            "ran more than once: {seeds}, in {first} and {second}"
        ));
    }
    for seeds in &merged.missing {
        shell.say(&format!("missing: {seeds} ran in no shard"));
    }
}

/// The situations that drawn scenarios should have brought about and did not.
#[cfg(madsim)]
fn never(
    summary: &nanshe_simulator::Summary,
) -> anyhow::Result<Vec<&'static nanshe_simulator::Goal>> {
    if !summary.is_drawn() {
        return Ok(Vec::new());
    }
    let implementation = crate::commands::simulate::find(&summary.implementation)?;
    Ok(nanshe_simulator::explore::missing(implementation, &summary.reached).collect())
}

#[cfg(all(test, madsim))]
mod tests {
    use std::path::PathBuf;

    use crate::commands::tests::nanshe;
    use crate::output::Exit;

    const SCENARIO: &str = "scenarios/delivery/lost-acknowledgement.toml";

    /// A folder of a test's own, removed at its end.
    struct Runs(PathBuf);

    impl Runs {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("nanshe-{}-{name}", std::process::id())))
        }

        fn at(&self, name: &str) -> String {
            self.0.join(name).to_string_lossy().into_owned()
        }

        /// Runs a command that stores what it finds here.
        fn run(&self, args: &[&str]) -> (Exit, String, String) {
            nanshe(&[args, &["--in-process", "--runs", &self.at("")]].concat())
        }

        /// Runs the scenario on an implementation that loses messages, seven seeds in all.
        fn shard(&self, shard: &str) {
            let words = ["simulate", SCENARIO, "--seeds", "7", "--shard", shard];
            let what = ["--implementation", "sticky-claims"];
            let (exit, out, error) = self.run(&[&words[..], &what].concat());
            assert!(
                matches!(exit, Exit::Violation | Exit::Unknown),
                "{out}{error}"
            );
        }

        fn of(&self, shard: &str) -> String {
            self.at(&format!(
                "delivery-lost-acknowledgement-sticky-claims-0-7{shard}"
            ))
        }
    }

    impl Drop for Runs {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn three_shards_are_the_whole_and_without_one_its_seeds_are_missing() {
        let runs = Runs::new("shards");
        for shard in ["1/3", "2/3", "3/3", "1/1"] {
            runs.shard(shard);
        }
        let [first, second, third] =
            ["-shard-1-of-3", "-shard-2-of-3", "-shard-3-of-3"].map(|shard| runs.of(shard));
        let json = runs.at("merged.json");
        let file = format!("{second}/summary.json");
        let merge = ["report", "merge", &third, &first, &file, "--json", &json];
        let (exit, out, error) = nanshe(&merge);
        assert_eq!((exit, error.as_str()), (Exit::Violation, ""), "{out}");
        assert!(out.contains("7 seeds"), "{out}");
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&json), read(&format!("{}/summary.json", runs.of(""))));
        // Joined again, it is what it was.
        let (_, again, _) = nanshe(&["report", "merge", &json]);
        assert_eq!(again, out);

        let (exit, _, error) = nanshe(&["report", "merge", &third, &first, &third]);
        assert_eq!(exit, Exit::Unknown);
        let expected = format!(
            "ran more than once: seeds 4 to 6, in {third} and {third}\n\
             missing: seeds 2 to 3 ran in no shard\n"
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn summary_with_a_gap_is_not_written_and_can_still_be_completed() {
        let runs = Runs::new("gap");
        for shard in ["1/3", "2/3", "3/3"] {
            runs.run(&["simulate", SCENARIO, "--seeds", "7", "--shard", shard]);
        }
        let name = "delivery-lost-acknowledgement-reference-0-7-shard";
        let [first, second, third] =
            [1, 2, 3].map(|number| runs.at(&format!("{name}-{number}-of-3")));
        let json = runs.at("merged.json");
        let merge = ["report", "merge", &first, &third, "--json", &json];
        let (exit, out, error) = nanshe(&merge);
        assert_eq!(exit, Exit::Unknown, "{error}");
        let expected = format!(
            "missing: seeds 2 to 3 ran in no shard\n\
             --json: {json} is not written without seeds 2 to 3\n"
        );
        assert_eq!(error, expected);
        assert!(!std::path::Path::new(&json).exists());
        assert!(out.contains(": unknown, seeds 2 to 3 missing\n"), "{out}");
        assert!(!out.contains(": valid"), "{out}");
        let (exit, out, error) = nanshe(&[&merge[..], &[&second]].concat());
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{out}");
        assert_eq!(nanshe(&["report", "merge", &json]), (exit, out, error));
    }

    #[test]
    fn what_does_not_belong_together_is_refused_in_one_line() {
        let runs = Runs::new("refused-merge");
        runs.shard("1/3");
        let first = runs.of("-shard-1-of-3");
        let refused = |args: &[&str]| {
            let (exit, out, error) = nanshe(&[&["report", "merge", &first], args].concat());
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            error
        };
        let expected =
            format!("nanshe: {first} is a summary of simulated runs, and Cargo.toml is not: ");
        assert!(refused(&["Cargo.toml"]).starts_with(&expected));
        let line = refused(&["--junit", "j.xml"]);
        let expected = "nanshe: --junit: summaries of simulated runs have no such form\n";
        assert_eq!(line, expected);
        let empty = runs.at("");
        let line = refused(&[&empty]);
        assert!(line.contains("there is no such file"), "{line}");
        let args = ["simulate", SCENARIO, "--seeds", "8", "--shard", "2/3"];
        runs.run(&args);
        let other = runs.at("delivery-lost-acknowledgement-reference-0-8-shard-2-of-3");
        let line = refused(&[&other]);
        assert!(
            line.contains("its implementation is reference, but sticky-claims in"),
            "{line}"
        );
    }

    #[test]
    fn summary_of_an_exploration_says_what_never_came_about() {
        let runs = Runs::new("explored-share");
        // Of six seeds none reaches everything.
        let (exit, explored, _) = runs.run(&["explore", "--seeds", "6"]);
        let folder = runs.at("drawn-reference-0-6");
        let (joined, out, error) = nanshe(&["report", "merge", &folder]);
        assert_eq!((joined, error.as_str()), (exit, ""), "{out}");
        let never = |out: &str| {
            let lines = out.lines().map(str::to_owned);
            let never = lines.filter(|line| line.starts_with("never came about: "));
            never.collect::<Vec<String>>()
        };
        assert_eq!(never(&out), never(&explored));
        assert!(!never(&out).is_empty());
        let strictly = nanshe(&["report", "merge", &folder, "--every-goal"]).0;
        assert_eq!(strictly, Exit::Unknown);
    }

    #[test]
    fn shares_of_too_few_seeds_are_refused_with_how_many_would_do() {
        let runs = Runs::new("too-few");
        let refused = |args: &[&str]| {
            let (exit, _, error) = runs.run(args);
            assert_eq!(exit, Exit::Usage);
            error
        };
        let line = refused(&["simulate", SCENARIO, "--seeds", "2", "--shard", "1/3"]);
        let expected = "--shard 1/3: there are fewer seeds than shares: --seeds 3 at least\n";
        assert!(line.ends_with(expected), "{line}");
        let line = refused(&["explore", "--shard", "1/3"]);
        let expected = "nanshe: --shard 1/3: drawn seeds are shared out by the 1000, and --seeds 1000 are \
                        too few: 2001 at least\n";
        assert_eq!(line, expected);
        let line = refused(&[
            "explore",
            "--every-goal",
            "--seeds",
            "3000",
            "--shard",
            "1/3",
        ]);
        let expected =
            "nanshe: --every-goal: share 1/3 cannot tell alone: give it to `nanshe report merge`\n";
        assert_eq!(line, expected);
        assert!(!runs.0.exists());
    }
}
