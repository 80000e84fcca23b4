//! Whole simulated runs of chosen size: clients, faults, a history, and its verdicts.

use std::time::Duration;

use nanshe_conformance::document::Document;
use nanshe_simulator::scenario::Scenario;
use nanshe_simulator::{Run, implementations, run};

/// A consumer's world in which much goes wrong, and nothing is ever idle: shares of requests and answers are lost, a
/// client dies, and another is cut off for a while.
const FAULTS: &str = r#"
    [[fault]]
    kind = "lose-answers"
    how = "reset"
    share = 0.02
    from_secs = [0, 0]
    for_secs = [3600, 3600]
    [[fault]]
    kind = "lose-requests"
    how = "reset"
    share = 0.02
    from_secs = [0, 0]
    for_secs = [3600, 3600]
    [[fault]]
    kind = "duplicate"
    share = 0.02
    from_secs = [0, 0]
    for_secs = [3600, 3600]
    [[fault]]
    kind = "kill"
    node = "client-0"
    from_secs = [1, 1]
    for_secs = [2, 2]
    [[fault]]
    kind = "partition"
    node = "client-1"
    from_secs = [1, 1]
    for_secs = [5, 5]
"#;

/// A world of `clients`, each of which takes `turns` turns.
///
/// # Panics
///
/// If there are fewer clients than the faults strike, which is 2.
pub fn with_faults(clients: u32, turns: u64) -> Scenario {
    let text = format!("{}{FAULTS}", head(clients));
    let file = "the benchmark's scenario";
    let scenario = Scenario::parse(Document { file, text: &text });
    Scenario {
        turns: Some(turns),
        ..scenario.expect("the faults strike the first two clients")
    }
}

/// A world in which a server starts, nobody does anything, and the drain finds nothing.
///
/// # Panics
///
/// Never: the scenario is good.
pub fn without_operations() -> Scenario {
    let file = "the benchmark's scenario";
    let text = head(1);
    let scenario = Scenario::parse(Document { file, text: &text });
    Scenario {
        turns: Some(0),
        ..scenario.expect("invariant: a scenario without faults is good")
    }
}

/// Consumers who do not wait between two turns, for an hour if nobody stops them; a message outlives that.
fn head(clients: u32) -> String {
    format!(
        "name = 'benchmarks/world'\nabout = ''\nimplementation = 'reference'\nwork_secs = 3600\n\
         patience_ms = 2000\nmessages_expire = true\n[workload.competing-consumers]\nclients = {clients}\n\
         queues = 8\nbatch_max = 2\npause_ms_max = 100\nmessage_ttl_secs = 1209600\n"
    )
}

/// The reference in `scenario`.
///
/// # Panics
///
/// If the run has no verdict, or a bad one: then its figures would mean nothing.
pub fn reference(scenario: &Scenario, seed: u64) -> Run {
    let reference = implementations().next().expect("the reference comes first");
    let run = run(scenario, reference, seed).expect("the reference does not panic");
    assert_eq!(run.trouble, None);
    let broken = run.verdicts.rules.iter().find(|rule| rule.violations > 0);
    assert!(broken.is_none(), "{broken:?}");
    run
}

/// Virtual time over the time that it took.
pub fn times_as_fast(virtual_time: Duration, took: Duration) -> f64 {
    virtual_time.as_secs_f64() / took.as_secs_f64().max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_are_as_large_as_they_are_asked_to_be_and_faults_strike_in_them() {
        let run = reference(&with_faults(10, 20), 1);
        assert!((200..2_000).contains(&run.operations), "{}", run.operations);
        assert!(run.struck > 0 && run.faults.len() == 5, "{:?}", run.faults);
        let idle = reference(&without_operations(), 1);
        // What the workload needs, and the drain.
        assert!(idle.operations < 40, "{}", idle.operations);
        assert_eq!(idle.struck, 0);
    }
}
