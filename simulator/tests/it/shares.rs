//! What several machines draw is what one would.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use nanshe_conformance::checker::Verdicts;
use nanshe_conformance::suite::Shard;
use nanshe_simulator::explore::{Explorer, STRETCH};
use nanshe_simulator::{Done, GOALS, Job, Pool, Run, share};

use crate::implementation;

/// Runs nothing, and says that a goal came about that depends on the seed: what is drawn next depends on that.
struct Pretended;

impl Pool for Pretended {
    fn run(
        &self,
        jobs: &mut (dyn Iterator<Item = Job> + Send),
        tell: &mut dyn FnMut(&Job, Done) -> bool,
    ) {
        for job in jobs {
            let goals = u64::try_from(GOALS.len()).unwrap();
            let goal = usize::try_from(job.seed / 37 % goals).unwrap();
            let run = Run {
                seed: job.seed,
                lines: String::new(),
                verdicts: Verdicts { rules: Vec::new() },
                operations: 0,
                faults: BTreeMap::new(),
                struck: 0,
                virtual_time: Duration::ZERO,
                reached: BTreeMap::from([(GOALS[goal].name.to_owned(), 1)]),
                trouble: None,
            };
            if !tell(&job, Ok(run)) {
                return;
            }
        }
    }
}

/// What is drawn for each of `seeds`.
fn drawn(seeds: Range<u64>) -> Vec<(u64, String)> {
    let mut drawn = Vec::new();
    let mut explorer = Explorer::new(implementation("durable"));
    explorer.explore(seeds, &Pretended, |scenario, seed, _| {
        drawn.push((seed, scenario.to_toml()));
        true
    });
    drawn
}

#[test]
fn shares_of_an_exploration_draw_what_it_draws() {
    // From anywhere, and with a last stretch that is not whole.
    let whole = 17..17 + 3 * STRETCH + 250;
    let expected = drawn(whole.clone());
    assert_eq!(expected.len(), 3_250);
    for count in 1..=4 {
        let share_of = |number| share(&whole, Shard::new(number, count).unwrap(), STRETCH);
        let shares = (1..=count).flat_map(|number| drawn(share_of(number).unwrap()));
        assert!(shares.eq(expected.iter().cloned()), "{count} shares");
    }
    // The counter-check: cut elsewhere, a share draws something else.
    let elsewhere = drawn(whole.start + STRETCH + 350..whole.end);
    assert!(!expected.ends_with(&elsewhere));
}
