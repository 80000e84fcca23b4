//! The table of specimens: how soon an exploration finds each, and what is left of the scenario.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use nanshe_simulator::explore::{Broken, hunt, shrink};
use nanshe_simulator::specimens::SPECIMENS;
use nanshe_simulator::{Implementation, Pool};

use crate::args::Explore;
use crate::output::{Exit, Shell};

/// Between the first seeds of two starts: further apart than any start goes.
const APART: u64 = 1 << 32;

/// What became of the starts of one specimen.
struct Found {
    implementation: Implementation,
    /// Runs until its rule was broken, in order of size.
    runs: Vec<u64>,
    virtual_secs: u64,
    elapsed: Duration,
    first: Broken,
}

pub(super) fn run(
    args: &Explore,
    starts: u64,
    (pool, shell): (&dyn Pool, &mut Shell<'_>),
) -> anyhow::Result<Exit> {
    let bar = shell.progress(u64::try_from(SPECIMENS.len()).unwrap_or(0));
    let (mut rows, mut missed) = (String::new(), Vec::new());
    for specimen in SPECIMENS {
        bar.inc(1);
        let rule = specimen.caught_by.context("a specimen names its rule")?;
        let Some(found) = look_for(*specimen, rule, (args, starts), pool) else {
            missed.push(specimen.name);
            continue;
        };
        let budget = (pool, args.shrink_runs);
        let drawn = (&found.first.scenario, found.first.seed);
        let shrunk = shrink(drawn, rule, found.implementation, budget);
        let lines = shrunk.scenario.to_toml().lines().count();
        let median = found.runs[found.runs.len() / 2];
        let most = found.runs.last().copied().unwrap_or_default();
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            rows,
            "| `{}` | {} | {rule} | {median} | {most} | {} | {:.2} | {lines} |",
            specimen.name,
            specimen.about,
            found.virtual_secs / starts,
            found.elapsed.as_secs_f64() / f64::from(u32::try_from(starts).unwrap_or(1)),
        );
    }
    bar.finish_and_clear();
    let head = "| Specimen | What it does | Rule | Seeds, median | most | Virtual s | Real s | Lines |\n\
                |---|---|---|---|---|---|---|---|\n";
    shell.print(&format!("{head}{rows}"))?;
    if missed.is_empty() {
        return Ok(Exit::Valid);
    }
    let (missed, seeds) = (missed.join(", "), args.seeds);
    shell.say(&format!(
        "not found within {seeds} seeds of every start: {missed}"
    ));
    Ok(Exit::Violation)
}

/// `None` if a start did not find it.
fn look_for(
    implementation: Implementation,
    rule: &str,
    (args, starts): (&Explore, u64),
    pool: &dyn Pool,
) -> Option<Found> {
    #[expect(clippy::disallowed_types, reason = "a table tells how long it took")]
    let started_at = std::time::Instant::now();
    let (mut runs, mut virtual_secs, mut first) = (Vec::new(), 0, None);
    for start in 0..starts {
        let seeds = (args.first_seed + start * APART, args.seeds);
        let (broken, secs) = hunt(implementation, rule, seeds, pool)?;
        runs.push(broken.seed - seeds.0 + 1);
        virtual_secs += secs;
        first.get_or_insert(broken);
    }
    runs.sort_unstable();
    Some(Found {
        implementation,
        runs,
        virtual_secs,
        elapsed: started_at.elapsed(),
        first: first?,
    })
}
