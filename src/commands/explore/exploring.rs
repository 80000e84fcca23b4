//! `nanshe explore`, in a build that can.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nanshe_conformance::checker::RULES;
use nanshe_conformance::document::suggestion;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::explore::{Explorer, Firsts, shrink};
use nanshe_simulator::{GOALS, Implementation, Pool, Summary};
use serde_json::json;

use super::table;
use crate::args::Explore;
use crate::commands::simulate::{find, pool};
use crate::output::{Exit, Shell, write_whole};

pub(crate) fn run(args: &Explore, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let pool = pool(&args.pool)?;
    if let Some(starts) = args.specimens {
        return table::run(args, starts, (&*pool, shell));
    }
    let implementation = find(&args.implementation).context("--implementation")?;
    if let Some(rule) = &args.rule {
        let near = suggestion(rule, RULES.iter().map(|rule| rule.name));
        let is_known = RULES.iter().any(|known| known.name == rule);
        anyhow::ensure!(is_known, "--rule: there is no rule `{rule}`{near}");
    }
    let is_wanted = |rule: &str| args.rule.as_ref().is_none_or(|wanted| wanted == rule);
    let mut summary = Summary::new("drawn scenarios", "", implementation.name, args.first_seed);
    let bar = shell.progress(args.seeds);
    let (mut explorer, mut firsts) = (Explorer::new(implementation), Firsts::default());
    let seeds = args.first_seed..args.first_seed + args.seeds;
    #[expect(clippy::disallowed_types, reason = "a shell tells how long it took")]
    let started_at = std::time::Instant::now();
    explorer.explore(seeds, &*pool, |scenario, seed, done| {
        bar.inc(1);
        bar.set_message(summary.verdict.to_string());
        summary.add(&done);
        if let Ok(run) = &done {
            firsts.add(scenario, seed, run, is_wanted);
        }
        let is_found = args.rule.is_some() && firsts.iter().next().is_some();
        !(is_found || args.stop && summary.verdict == Verdict::Violation)
    });
    bar.finish_and_clear();
    let elapsed = started_at.elapsed();
    let found = store(args, implementation, &firsts, (&*pool, shell))?;
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
    let verdict = verdict(&summary);
    if args.every_goal && !missing.is_empty() && verdict == Verdict::Valid {
        return Ok(Exit::Unknown);
    }
    Ok(verdict.into())
}

/// The verdict over drawn scenarios: some of them judge little, since they post nothing, or let everything expire;
/// so a rule has to be valid in one run, and unknown is what could not be judged in any.
fn verdict(summary: &Summary) -> Verdict {
    let is_judged = |name: &str| {
        let mut rules = summary.rules.rules.iter();
        rules.any(|rule| rule.rule == name && rule.valid > 0)
    };
    let mut core = RULES.iter().filter(|rule| rule.is_core);
    let all_judged = core.all(|rule| is_judged(rule.name));
    match summary.verdict {
        Verdict::Unknown if summary.errors.is_empty() && all_judged => Verdict::Valid,
        verdict => verdict,
    }
}

/// Shrinks the first failure of every rule, and stores it: where.
fn store(
    args: &Explore,
    implementation: Implementation,
    firsts: &Firsts,
    (pool, shell): (&dyn Pool, &mut Shell<'_>),
) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for broken in firsts.iter() {
        let (rule, seed) = (broken.rule.as_str(), broken.seed);
        shell.say(&format!("seed {seed} breaks {rule}: shrinking it"));
        let budget = (&*pool, args.shrink_runs);
        let shrunk = shrink((&broken.scenario, seed), rule, implementation, budget);
        let path = args.runs.join(format!("{}.toml", shrunk.scenario.name));
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("--runs: {} cannot be created", folder.display()))?;
        write_whole(&path, shrunk.scenario.to_toml().as_bytes())?;
        found.push(path);
    }
    Ok(found)
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
