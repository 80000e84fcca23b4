//! Every specimen is caught by the rule it names; what keeps its promises is not.

use nanshe_conformance::checker::Tally;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::{campaign, implementations};

use crate::{implementation, scenario};

const SEEDS: u64 = 30;

fn tally(name: &str) -> Tally {
    let scenario = scenario("delivery/lost-acknowledgement");
    let mut tally = Tally::default();
    campaign(&scenario, implementation(name), 0..SEEDS, 2, |result| {
        let run = result.unwrap();
        tally.add(run.seed, &run.verdicts);
        true
    });
    tally
}

#[test]
fn every_specimen_is_caught_by_the_rule_it_names() {
    for specimen in nanshe_simulator::specimens::SPECIMENS {
        let rule = specimen.caught_by.unwrap();
        let tally = tally(specimen.name);
        let found = tally.rules.iter().find(|found| found.rule == rule).unwrap();
        assert_eq!(
            found.verdict,
            Verdict::Violation,
            "{} by {rule}",
            specimen.name
        );
        let (_, violation) = found.first.as_ref().unwrap();
        assert!(
            violation.story.len() >= 2,
            "{}: {violation:?}",
            specimen.name
        );
    }
}

#[test]
fn specimens_cover_the_four_rules() {
    let mut caught: Vec<_> = implementations()
        .filter_map(|implementation| implementation.caught_by)
        .collect();
    caught.sort_unstable();
    let rules = [
        "claims/overlap",
        "delivery/lost",
        "delivery/resurrected",
        "delivery/unexpected",
    ];
    assert_eq!(caught, rules);
}

/// Rules that the scenario exercises; those that a specimen breaks are among them.
const EXERCISED: [&str; 8] = [
    "delivery/lost",
    "delivery/unexpected",
    "delivery/resurrected",
    "delivery/isolation",
    "delivery/order",
    "claims/overlap",
    "claims/stuck",
    "claims/expired-early",
];

#[test]
fn reference_keeps_every_promise_and_the_rules_of_the_scenario_are_exercised() {
    for rule in tally("reference").rules {
        assert_eq!(rule.violation, 0, "{}: {:?}", rule.rule, rule.first);
        // The scenario has no pages, delays, dead letters or pushes.
        if !EXERCISED.contains(&rule.rule) {
            continue;
        }
        assert_eq!(
            rule.verdict,
            Verdict::Valid,
            "{}: {:?}",
            rule.rule,
            rule.first
        );
        assert!(
            rule.exercised >= SEEDS * 10,
            "{}: {} times",
            rule.rule,
            rule.exercised
        );
        assert_eq!((rule.unknown, rule.violation), (0, 0), "{}", rule.rule);
    }
}
