//! Drawn sequences against the unchanged reference, in virtual time.

use nanshe_conformance::model::{Findings, Plan};
use nanshe_conformance::verdict::Verdict;
use nanshe_simulator::model;

use crate::implementation;

fn findings(name: &str, plan: Plan) -> Findings {
    model(implementation(name), plan, |_| {}, || None).unwrap()
}

#[test]
fn reference_agrees_with_the_specification_over_hundreds_of_sequences() {
    let findings = findings("reference", Plan::new(1, 400));
    assert_eq!(
        findings.verdict(),
        Verdict::Valid,
        "{}",
        findings.terminal()
    );
    assert_eq!(findings.sequences, 400);
    // Most operations have something to do.
    assert!(findings.requests > 400 * 15, "{}", findings.requests);
}
