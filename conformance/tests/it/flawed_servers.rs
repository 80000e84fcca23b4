//! Drawn sequences against small servers: a correct one is never blamed, and every flaw that is planted
//! in it is found, and shown by few requests.

use std::fmt::Write;
use std::sync::Arc;

use nanshe_conformance::model::{Findings, Found, Plan, run};
use nanshe_conformance::target::KnownDifference;
use nanshe_conformance::verdict::Verdict;

use self::flaws::{FLAWS, Flaw};
use self::server::{Pace, Server};

mod flaws;
mod server;
mod store;

/// Sequences of a correct server. Raise it to search for false alarms.
const CORRECT_SEQUENCES: u64 = 600;

/// Sequences within which a flaw must be found.
const FLAWED_SEQUENCES: u64 = 400;

/// Attempts at making the script of one shorter.
const SHRINK_ATTEMPTS_MAX: u64 = 600;

/// Requests that the script of a flaw may have.
const SCRIPT_REQUESTS_MAX: usize = 8;

fn findings(flaw: Option<Flaw>, pace: Pace, sequences: u64) -> Findings {
    findings_but(flaw, pace, (sequences, Vec::new()))
}

/// As [`findings`], where some differences are known.
fn findings_but(
    flaw: Option<Flaw>,
    pace: Pace,
    (sequences, known): (u64, Vec<KnownDifference>),
) -> Findings {
    let plan = Plan {
        known,
        shrink_attempts_max: SHRINK_ATTEMPTS_MAX,
        ..Plan::new(7, sequences)
    };
    let server = Arc::new(Server::new(flaw, pace));
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(run(server, &plan, |_| {}))
}

#[test]
fn correct_server_is_never_blamed_whether_exact_coarse_or_slow() {
    for pace in [Pace::Exact, Pace::WholeSeconds, Pace::Slow] {
        let findings = findings(None, pace, CORRECT_SEQUENCES);
        let verdict = findings.verdict();
        assert_eq!(verdict, Verdict::Valid, "{pace:?}: {}", findings.terminal());
    }
}

#[test]
fn every_planted_flaw_is_found_and_shown_by_few_requests() {
    let mut table = String::new();
    for flaw in FLAWS {
        let findings = findings(Some(flaw), Pace::Exact, FLAWED_SEQUENCES);
        let all: Vec<String> = findings
            .found
            .iter()
            .map(|found| {
                let clause = &found.difference.clause;
                format!("{} {clause}: {} requests", found.kind, found.requests)
            })
            .collect();
        let shortest = findings.found.iter().map(|found| found.requests).min();
        let holds = shortest.is_some_and(|shortest| shortest <= SCRIPT_REQUESTS_MAX);
        let mark = if holds { "" } else { "MISSED " };
        writeln!(table, "{mark}{flaw:?}: {}", all.join("; ")).unwrap();
    }
    assert!(!table.contains("MISSED"), "{table}");
}

#[test]
fn script_shows_the_flaw_with_everything_that_is_needed_and_nothing_else() {
    let findings = findings(Some(Flaw::NoExtension), Pace::Exact, FLAWED_SEQUENCES);
    let shortest = findings.found.iter().min_by_key(|found| found.requests);
    insta::assert_snapshot!(shortest.unwrap().script);
}

#[test]
fn report_is_the_same_twice() {
    let report = || findings(Some(Flaw::MarkerSkips), Pace::Exact, 60).json();
    assert_eq!(report(), report());
}

#[test]
fn known_differences_are_counted_and_excused_and_any_other_is_not() {
    let seen = findings(Some(Flaw::PopTakesClaimed), Pace::Exact, FLAWED_SEQUENCES);
    assert_eq!(seen.verdict(), Verdict::Violation);
    let known = |found: &Found| KnownDifference {
        kind: found.kind.parse().unwrap(),
        clause: found.difference.clause.clone(),
        came: "status ".to_owned(),
        case: "messages/pop-skips-claimed-messages".to_owned(),
        reason: "pops take claimed messages".to_owned(),
    };
    let all: Vec<KnownDifference> = seen.found.iter().map(known).collect();
    let again = |known| {
        let sequences = (FLAWED_SEQUENCES, known);
        findings_but(Some(Flaw::PopTakesClaimed), Pace::Exact, sequences)
    };
    let excused = again(all.clone());
    assert_eq!(excused.verdict(), Verdict::Valid, "{}", excused.terminal());
    let counted = |findings: &Findings| findings.recognized.iter().map(|one| one.sequences).sum();
    let (differ, recognized): (u64, u64) = (
        seen.found.iter().map(|found| found.sequences).sum(),
        counted(&excused),
    );
    assert_eq!(recognized, differ);
    // Another answer to the same operation is another difference.
    let other = all.into_iter().map(|known| KnownDifference {
        came: "status 599".to_owned(),
        ..known
    });
    assert_eq!(again(other.collect()).verdict(), Verdict::Violation);
}
