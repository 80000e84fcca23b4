//! `nanshe explore`, in a build that can.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nanshe_conformance::checker::RULES;
use nanshe_conformance::document::suggestion;
use nanshe_conformance::suite::Shard;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::explore::{Explorer, Firsts, STRETCH, repeating, shrink};
use nanshe_simulator::scenario::Scenario;
use nanshe_simulator::{Campaign, GOALS, Implementation, Pool, Summary, share};
use serde_json::json;

use super::table;
use crate::args::Explore;
use crate::commands::simulate::{SUMMARY, find, pool, suffix};
use crate::commands::{interruption, shard};
use crate::output::{Exit, Shell, write_whole};

pub(crate) fn run(args: &Explore, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let pool = pool(&args.pool)?;
    if let Some(starts) = args.specimens {
        return table::run(args, starts, (&*pool, shell));
    }
    explore(args, (&*pool, shell))
}

fn explore(args: &Explore, (pool, shell): (&dyn Pool, &mut Shell<'_>)) -> anyhow::Result<Exit> {
    let implementation = find(&args.implementation).context("--implementation")?;
    if let Some(rule) = &args.rule {
        let near = suggestion(rule, RULES.iter().map(|rule| rule.name));
        let is_known = RULES.iter().any(|known| known.name == rule);
        anyhow::ensure!(is_known, "--rule: there is no rule `{rule}`{near}");
    }
    let is_wanted = |rule: &str| args.rule.as_ref().is_none_or(|wanted| wanted == rule);
    let (shard, seeds) = seeds(args, shell)?;
    let whole = args.first_seed..args.first_seed + args.seeds;
    let campaign = Campaign::drawn(implementation.name, whole);
    let mut summary = Summary::new(&campaign, seeds.start);
    interruption::listen();
    // Hours are not spent for what cannot be stored.
    make_folder(&args.runs)?;
    let bar = shell.progress(seeds.end - seeds.start);
    let (mut explorer, mut firsts) = (Explorer::new(implementation), Firsts::default());
    #[expect(clippy::disallowed_types, reason = "a shell tells how long it took")]
    let started_at = std::time::Instant::now();
    let mut stored = Ok(());
    explorer.explore(seeds, pool, |scenario, seed, done| {
        bar.inc(1);
        bar.set_message(summary.verdict.to_string());
        summary.add(&done);
        if summary.tells_of(seed) {
            // At once: nothing else tells what was drawn if this process does not live to its end.
            let file = store(args, &repeating(scenario, seed, &done));
            stored = file.map(|file| summary.drawn_is_in(&file.to_string_lossy(), seed));
        }
        if let Ok(run) = &done {
            firsts.add(scenario, seed, run, is_wanted);
        }
        let is_found = args.rule.is_some() && firsts.iter().next().is_some();
        let is_over = is_found || args.stop && summary.verdict == Verdict::Violation;
        stored.is_ok() && !is_over && interruption::stopped_by().is_none()
    });
    bar.finish_and_clear();
    stored?;
    let elapsed = started_at.elapsed();
    keep(args, &summary, shard)?;
    let stopped_by = interruption::stopped_by();
    let found = match stopped_by {
        None => shrink_all(args, implementation, &firsts, (pool, shell))?,
        // What was found is stored as it was drawn.
        Some(_) => Vec::new(),
    };
    let missing: BTreeSet<&str> = explorer.missing().map(|goal| goal.name).collect();
    if args.json {
        let document = json!({
            "summary": summary,
            "goals": explorer.reached(),
            "missing": missing,
            "found": found,
        });
        shell.print(&format!("{document:#}\n"))?;
    } else {
        shell.print(&text(&summary, elapsed, (&missing, &found)))?;
    }
    if let Some(why) = stopped_by {
        shell.say(&format!(
            "NOT WHOLE: {why}; {} of {} seeds ran, and nothing was shrunk",
            summary.seeds, args.seeds
        ));
        return Ok(Exit::Unknown);
    }
    let verdict = summary.outcome();
    if args.every_goal && !missing.is_empty() && verdict == Verdict::Valid {
        return Ok(Exit::Unknown);
    }
    Ok(verdict.into())
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("--runs: {} cannot be created", folder.display()))
}

/// The share of this machine, and its seeds.
fn seeds(args: &Explore, shell: &mut Shell<'_>) -> anyhow::Result<(Shard, Range<u64>)> {
    let (shard, source) = shard::choose(args.share.shard, &shard::variable)?;
    let is_whole = shard.count() == 1;
    anyhow::ensure!(
        is_whole || !args.every_goal,
        "--every-goal: share {shard} cannot tell alone: give it to `nanshe report merge`"
    );
    let whole = args.first_seed..args.first_seed + args.seeds;
    let seeds = share(&whole, shard, STRETCH).with_context(|| {
        let count = shard.count();
        let least = u64::try_from(count - 1).map(|others| others.saturating_mul(STRETCH) + 1);
        format!(
            "--shard {shard}: drawn seeds are shared out by the {STRETCH}, and --seeds {} are too few: {} at \
             least",
            args.seeds,
            least.unwrap_or(u64::MAX)
        )
    })?;
    if let Some(source) = source {
        shell.say(&format!("share {shard} of the seeds, says {source}"));
    }
    Ok((shard, seeds))
}

/// Stores the summary, for `nanshe report merge`: `drawn-<implementation>-<first seed>-<seeds>/`, with the share.
fn keep(args: &Explore, summary: &Summary, shard: Shard) -> anyhow::Result<()> {
    let (first, count) = (args.first_seed, args.seeds);
    let implementation = &summary.implementation;
    let stopped = interruption::suffix();
    let name = format!(
        "drawn-{implementation}-{first}-{count}{}{stopped}",
        suffix(shard)
    );
    let folder = args.runs.join(name);
    make_folder(&folder)?;
    write_whole(&folder.join(SUMMARY), summary.json().as_bytes())
}

/// Shrinks the first failure of every rule, and stores it: where.
fn shrink_all(
    args: &Explore,
    implementation: Implementation,
    firsts: &Firsts,
    (pool, shell): (&dyn Pool, &mut Shell<'_>),
) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for broken in firsts.iter() {
        let (rule, seed) = (broken.rule.as_str(), broken.seed);
        shell.say(&format!("seed {seed} breaks {rule}: shrinking it"));
        let budget = (pool, args.shrink_runs);
        let shrunk = shrink((&broken.scenario, seed), rule, implementation, budget);
        found.push(store(args, &shrunk.scenario)?);
    }
    Ok(found)
}

/// Stores a scenario by its name: where.
fn store(args: &Explore, scenario: &Scenario) -> anyhow::Result<PathBuf> {
    let path = args.runs.join(format!("{}.toml", scenario.name));
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    make_folder(&folder)?;
    write_whole(&path, scenario.to_toml().as_bytes())?;
    Ok(path)
}

fn text(
    summary: &Summary,
    elapsed: std::time::Duration,
    (missing, found): (&BTreeSet<&str>, &[PathBuf]),
) -> String {
    let mut text = summary.terminal(Some(elapsed));
    let hours = elapsed.as_secs_f64() / 3600.0;
    let seeds = f64::from(u32::try_from(summary.seeds).unwrap_or(u32::MAX));
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{:.0} seeds an hour", seeds / hours.max(f64::EPSILON));
    for goal in GOALS.iter().filter(|goal| missing.contains(goal.name)) {
        let _infallible = writeln!(text, "never came about: {} ({})", goal.name, goal.about);
    }
    for path in found {
        let path = path.display();
        let _infallible = writeln!(text, "fails alone: nanshe simulate {path} --seeds 1");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser as _;
    use nanshe_simulator::scenario::Scenario;
    use nanshe_simulator::{Done, Job, Pool, RunError};

    use crate::args::{Cli, Command};
    use crate::commands::tests::nanshe;
    use crate::output::{Exit, Shell};

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("nanshe-{}-{name}", std::process::id()))
    }

    #[test]
    fn what_is_found_is_a_file_that_fails_alone() {
        let runs = folder("explored");
        let path = runs.to_string_lossy().into_owned();
        let told = ["--in-process", "--runs", &path];
        let look = [
            "explore",
            "--implementation",
            "check-then-claim",
            "--rule",
            "claims/overlap",
        ];
        let (exit, out, _) = nanshe(&[&look, &told[..]].concat());
        assert_eq!(exit, Exit::Violation, "{out}");
        let line = out
            .lines()
            .find_map(|line| line.strip_prefix("fails alone: nanshe "));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        // It does what its file says, which is no news.
        let (exit, out, _) = nanshe(&[&words, &told[..]].concat());
        assert_eq!(exit, Exit::Valid, "{out}");
        assert!(
            out.contains("as the scenario says: it breaks claims/overlap"),
            "{out}"
        );
        let elsewhere = [&words[..], &["--implementation", "transactional"]].concat();
        let (_, out, _) = nanshe(&[&elsewhere, &told[..]].concat());
        assert!(!out.contains("VIOLATION"), "{out}");
        std::fs::remove_dir_all(runs).unwrap();
    }

    /// The words of the first line that begins so, after the program's name.
    fn command<'a>(out: &'a str, begin: &str) -> Vec<&'a str> {
        let begin = format!("{begin}: nanshe ");
        let line = out
            .lines()
            .find_map(|line| line.trim().strip_prefix(&begin));
        line.unwrap().split_whitespace().collect()
    }

    #[test]
    fn what_is_stored_as_it_was_drawn_says_all_that_it_breaks() {
        let runs = folder("as-drawn");
        let path = runs.to_string_lossy().into_owned();
        let told = ["--in-process", "--runs", &path];
        let mut rules_max = 0;
        for specimen in ["stale-replica", "unsynced-log", "write-behind"] {
            let look = ["explore", "--implementation", specimen, "--stop"];
            let (exit, found, _) =
                nanshe(&[&look[..], &["--shrink-runs", "0"], &told[..]].concat());
            assert_eq!(exit, Exit::Violation, "{found}");
            for begin in ["fails alone", "repeat"] {
                let (exit, out, _) = nanshe(&[&command(&found, begin), &told[..]].concat());
                assert_eq!(exit, Exit::Valid, "{out}");
                assert!(out.contains(", as the scenario says: it breaks "), "{out}");
                let rules = out.lines().filter(|line| line.starts_with("VIOLATION "));
                rules_max = rules_max.max(rules.count());
            }
        }
        assert!(rules_max > 1, "whoever breaks one rule alone shows nothing");
        std::fs::remove_dir_all(runs).unwrap();
    }

    /// The run of one seed does not end there.
    struct Hangs(u64);

    impl Pool for Hangs {
        fn run(
            &self,
            jobs: &mut (dyn Iterator<Item = Job> + Send),
            tell: &mut dyn FnMut(&Job, Done) -> bool,
        ) {
            let hung = Err(RunError::Hung {
                seed: self.0,
                limit_secs: 60,
            });
            for job in jobs {
                let done = if job.seed == self.0 {
                    hung.clone()
                } else {
                    nanshe_simulator::run(&job.scenario, job.implementation, job.seed)
                };
                if !tell(&job, done) {
                    return;
                }
            }
        }
    }

    #[test]
    fn run_that_left_no_history_is_a_file_that_repeats_it() {
        let runs = folder("hung");
        let path = runs.to_string_lossy().into_owned();
        let words = ["nanshe", "explore", "--seeds", "15", "--runs", &path];
        let Command::Explore(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("it explores");
        };
        let (mut out, mut error) = (Vec::new(), Vec::new());
        let mut shell = Shell {
            out: &mut out,
            error: &mut error,
            shows_progress: false,
        };
        let exit = super::explore(&args, (&Hangs(13), &mut shell)).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(exit, Exit::Violation, "{out}");
        let file = format!("{path}/found/reference-seed-13.toml");
        let expected = format!(
            "VIOLATION seed 13 did not end within 60 s\n  repeat: nanshe simulate {file} \
             --implementation reference --first-seed 13 --seeds 1\n\n"
        );
        assert!(out.contains(&expected), "{out}");
        let drawn = Scenario::load(&file).unwrap();
        assert_eq!((drawn.seed, drawn.breaks.len()), (Some(13), 0));
        let again = [
            &command(&out, "repeat"),
            &["--in-process", "--runs", &path][..],
        ]
        .concat();
        let (_, out, error) = nanshe(&again);
        assert_eq!(error, "");
        assert!(
            out.contains("found/reference-seed-13 on reference: 1 seeds"),
            "{out}"
        );
        std::fs::remove_dir_all(runs).unwrap();
    }

    #[test]
    fn exploration_of_what_keeps_its_promises_is_valid() {
        let runs = folder("whole");
        let path = runs.to_string_lossy().into_owned();
        let told = ["explore", "--in-process", "--seeds", "60", "--runs", &path];
        // Some of them judge little alone: what is printed and the exit code are about all together.
        let (exit, out, _) = nanshe(&told);
        assert_eq!(exit, Exit::Valid, "{out}");
        assert!(out.contains("times as fast): valid\n"), "{out}");
        let (exit, out, error) = nanshe(&[&told[..], &["--json"]].concat());
        std::fs::remove_dir_all(runs).unwrap();
        assert_eq!((exit, error.as_str()), (Exit::Valid, ""), "{out}");
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["summary"]["seeds"], 60);
        assert!(document["goals"]["redelivered"].as_u64() > Some(0), "{out}");
    }

    #[test]
    fn bad_rule_is_one_line() {
        let (exit, _, error) = nanshe(&["explore", "--in-process", "--rule", "claims/overlapp"]);
        assert_eq!(exit, Exit::Usage);
        let expected =
            "nanshe: --rule: there is no rule `claims/overlapp` (did you mean `claims/overlap`?)\n";
        assert_eq!(error, expected);
    }
}
