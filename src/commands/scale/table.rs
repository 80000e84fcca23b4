//! How surely the ladders catch what scales badly: every specimen, over a number of seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nanshe_conformance::scale::{Bounds, Options, Report};
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::specimens::{INDEXED, SCALING};
use nanshe_simulator::{Implementation, scale};

use super::options;
use crate::args::Scale;
use crate::output::{Exit, HarnessFailed, Shell};

/// How often each rule said *violation* of one implementation.
type Broken = BTreeMap<String, u64>;

/// Climbs the ladders with every specimen, and with the sound one, under `seeds` seeds each.
pub(super) fn run(args: &Scale, seeds: u64, shell: &mut Shell<'_>) -> anyhow::Result<Exit> {
    let all: Vec<Implementation> = SCALING.iter().copied().chain([INDEXED]).collect();
    let first = args.seed.unwrap_or(0);
    let jobs: Vec<(Implementation, u64)> = all
        .iter()
        .flat_map(|implementation| (first..first + seeds).map(|seed| (*implementation, seed)))
        .collect();
    let bar = shell.progress(u64::try_from(jobs.len()).unwrap_or(u64::MAX));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((implementation, seed)) =
                    jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let options = options(args, Options::in_virtual_time(), *seed);
                    let climbed = scale(
                        *implementation,
                        (options, Bounds::default()),
                        Arc::default(),
                        |_| {},
                    );
                    let broken = climbed.map(|report| broken(&report));
                    bar.inc(1);
                    done.lock()
                        .expect("no holder of this lock panics")
                        .push((implementation.name, broken));
                }
            });
        }
    });
    bar.finish_and_clear();
    let done = done.into_inner().expect("no holder of this lock panics");
    let mut counts: BTreeMap<&str, Broken> = BTreeMap::new();
    for (name, broken) in done {
        let broken = broken.map_err(|error| HarnessFailed(error.to_string()))?;
        let of = counts.entry(name).or_default();
        for rule in broken {
            *of.entry(rule).or_default() += 1;
        }
    }
    told(&all, (&counts, seeds), shell)
}

/// The rules that a run found broken, those of delivery and claims among them.
fn broken(report: &Report) -> BTreeSet<String> {
    let scaling = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Violation);
    let scaling = scaling.map(|outcome| outcome.rule.clone());
    let safety = report.safety.iter().flat_map(|verdicts| &verdicts.rules);
    let safety = safety.filter(|rule| rule.verdict == Verdict::Violation);
    scaling
        .chain(safety.map(|rule| rule.rule.to_owned()))
        .collect()
}

fn told(
    all: &[Implementation],
    (counts, seeds): (&BTreeMap<&str, Broken>, u64),
    shell: &mut Shell<'_>,
) -> anyhow::Result<Exit> {
    let mut text =
        "| Specimen | What it does | Rule | Caught | Other violations |\n|---|---|---|---|---|\n"
            .to_owned();
    let mut exit = Exit::Valid;
    for implementation in all {
        let (name, about) = (implementation.name, implementation.about);
        let broken = counts.get(name).cloned().unwrap_or_default();
        let rule = implementation.caught_by.unwrap_or("none");
        let caught = broken.get(rule).copied().unwrap_or(0);
        let others = broken.iter().filter(|(of, _)| *of != rule);
        let others: Vec<String> = others.map(|(of, count)| format!("{of}: {count}")).collect();
        let others = if others.is_empty() {
            "none".to_owned()
        } else {
            others.join(", ")
        };
        let is_right = (implementation.caught_by.is_none() || caught == seeds) && others == "none";
        if !is_right {
            exit = Exit::Violation;
        }
        let caught = implementation
            .caught_by
            .map_or_else(String::new, |_| format!("{caught} of {seeds}"));
        text += &format!("| `{name}` | {about} | {rule} | {caught} | {others} |\n");
    }
    shell.print(&text)?;
    Ok(exit)
}
