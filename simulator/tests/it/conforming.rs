//! The unchanged suite against the unchanged reference, in virtual time.

use std::time::Duration;

use nanshe_conformance::report::{Standing, json};
use nanshe_conformance::suite::{Options, Selection};
use nanshe_conformance::target::KnownFailures;
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::conform;

use crate::implementation;

fn report(name: &str, only: &[&str]) -> nanshe_conformance::report::Report {
    let only = only.iter().map(|&path| path.to_owned()).collect();
    let selected = Selection {
        only,
        ..Selection::default()
    }
    .select()
    .unwrap();
    let known = KnownFailures::default();
    let options = Options::default();
    conform(implementation(name), (selected, known), options, |_| {}).unwrap()
}

#[test]
fn reference_passes_every_case_and_waits_for_hours_of_virtual_time() {
    let report = report("reference", &[]);
    let broken = report
        .cases
        .iter()
        .filter(|case| case.standing() != Standing::Passed);
    let broken: Vec<_> = broken.map(|case| (&case.path, &case.outcome)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(report.verdict(), Verdict::Valid);
    assert!(
        report.waited() > Duration::from_secs(3600),
        "{:?}",
        report.waited()
    );
}

#[test]
fn report_is_the_same_twice() {
    assert_eq!(
        json(&report("reference", &[])),
        json(&report("reference", &[]))
    );
}

#[test]
fn cases_fail_on_an_implementation_that_breaks_them() {
    // The specimen has no listing, and forgets that claims expire.
    let report = report("sticky-claims", &["lifetimes", "listing"]);
    assert_eq!(report.verdict(), Verdict::Violation);
    let failed = |path: &str| report.cases.iter().any(|case| case.path.starts_with(path));
    assert!(failed("listing/") && failed("lifetimes/"));
    assert!(report.count(Standing::Failed) > 10);
}

#[test]
fn no_case_waits_longer_than_it_says() {
    // Cases that wait too long without saying so would make real runs long, unseen.
    let wait = |path: &str| {
        nanshe_conformance::suite::cases()
            .find(|case| case.path == path)
            .unwrap()
            .wait_secs
    };
    for case in report("reference", &[]).cases {
        let said = Duration::from_secs(wait(&case.path));
        assert!(
            case.waited <= said,
            "{} says {said:?}, waited {:?}",
            case.path,
            case.waited
        );
    }
}
