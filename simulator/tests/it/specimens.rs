//! What keeps its promises is not blamed, whatever is drawn; every specimen is found without knowing which
//! scenario suits it, and by the rule that it names.

use std::collections::BTreeSet;

use nanshe_conformance::checker::RULES;
use nanshe_simulator::explore::{Explorer, broken, hunt, shrink};
use nanshe_simulator::specimens::SPECIMENS;
use nanshe_simulator::{Threads, run};

use crate::implementation;

/// Seeds within which each specimen is found. `nanshe explore --specimens` shows how many it takes.
const SEEDS_MAX: u64 = 1_000;

/// Drawn scenarios for each implementation that keeps its promises.
const EXPLORED: u64 = 1_000;

const POOL: Threads = Threads(2);

#[test]
fn every_specimen_is_found_by_the_rule_it_names() {
    for specimen in SPECIMENS {
        let rule = specimen.caught_by.unwrap();
        let found = hunt(*specimen, rule, (0, SEEDS_MAX), &POOL);
        assert!(found.is_some(), "{} by {rule}", specimen.name);
    }
}

#[test]
fn specimens_cover_every_rule_about_delivery_and_claims() {
    let caught: BTreeSet<&str> = SPECIMENS.iter().filter_map(|it| it.caught_by).collect();
    let all = RULES.iter().map(|rule| rule.name);
    let all: BTreeSet<&str> = all.filter(|name| !name.starts_with("notify/")).collect();
    assert_eq!(caught, all);
    assert!(SPECIMENS.len() >= 24, "{} specimens", SPECIMENS.len());
}

fn nothing_is_found_and_everything_comes_about(name: &str) {
    let implementation = implementation(name);
    let mut explorer = Explorer::new(implementation);
    let (mut operations, mut judged) = (0, 0);
    explorer.explore(0..EXPLORED, &POOL, |scenario, seed, done| {
        let run = done.unwrap_or_else(|error| panic!("{error}\n{}", scenario.to_toml()));
        assert_eq!(run.trouble, None, "seed {seed}\n{}", scenario.to_toml());
        let broken = broken(&run);
        assert!(
            broken.is_empty(),
            "seed {seed}: {broken:?}\n{:#?}\n{}",
            run.verdicts,
            scenario.to_toml()
        );
        operations += run.operations;
        let lost = run.verdicts.rule("delivery/lost").unwrap();
        judged += lost.exercised;
        true
    });
    let missing: Vec<&str> = explorer.missing().map(|goal| goal.name).collect();
    assert_eq!(missing, [] as [&str; 0]);
    assert!(operations > 100_000, "{operations} operations");
    assert!(judged > 30_000, "{judged} messages judged");
}

#[test]
fn reference_keeps_every_promise_in_whatever_is_drawn() {
    nothing_is_found_and_everything_comes_about("reference");
}

#[test]
fn durable_keeps_every_promise_through_kills_and_crashes() {
    nothing_is_found_and_everything_comes_about("durable");
}

#[test]
fn transactional_keeps_every_promise_on_any_number_of_servers() {
    nothing_is_found_and_everything_comes_about("transactional");
}

#[test]
fn what_is_shrunk_fails_alone_and_fits_on_a_page() {
    for name in [
        "check-then-claim",
        "unsynced-log",
        "write-behind",
        "lost-delays",
    ] {
        let specimen = implementation(name);
        let rule = specimen.caught_by.unwrap();
        let (found, _) = hunt(specimen, rule, (0, SEEDS_MAX), &POOL).unwrap();
        let drawn = (&found.scenario, found.seed);
        let shrunk = shrink(drawn, rule, specimen, (&POOL, 1_500)).scenario;
        let text = shrunk.to_toml();
        assert!(text.lines().count() < 40, "{text}");
        let again = run(&shrunk, specimen, shrunk.seed.unwrap()).unwrap();
        assert_eq!(broken(&again), shrunk.breaks, "{text}");
        assert!(shrunk.breaks.contains(rule));
    }
}

#[test]
fn panic_of_an_implementation_is_a_finding() {
    let mut fragile = implementation("reference");
    fragile.start = |_| std::sync::Arc::new(|_| Box::pin(async { panic!("it fell over") }));
    let scenario = crate::scenario("delivery/lost-acknowledgement");
    let error = run(&scenario, fragile, 4).unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("seed 4 panicked on server-0: it fell over at "),
        "{told}"
    );
}
