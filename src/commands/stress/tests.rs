//! The command, without a server.

use crate::commands::tests::nanshe;
use crate::output::Exit;

const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn plan_is_told_without_a_target_and_is_the_same_for_the_same_seed() {
    let plan = || nanshe(&["stress", NOWHERE, "--seed", "7", "--dry-run"]);
    let (exit, out, error) = plan();
    assert_eq!((exit, error.as_str()), (Exit::Valid, ""));
    assert_eq!(plan().1, out);
    insta::assert_snapshot!(out);
}

#[test]
fn bad_usage_is_one_line_and_exits_2() {
    let refused = |args: &[&str]| {
        let (exit, out, error) = nanshe(&[&["stress"], args].concat());
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{args:?}");
        error
    };
    assert_eq!(
        refused(&[NOWHERE, "--workload", "pop-strom"]),
        "nanshe: --workload: `pop-strom`: there is no such workload (did you mean `pop-storm`?), see \
         `nanshe list workloads`\n"
    );
    let error = refused(&[NOWHERE, "--faults", "drop-answer"]);
    assert!(
        error.starts_with("nanshe: --faults: there is no fault `drop-answer` (did you mean"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
    assert!(refused(&["ftp://x"]).contains("is not a target URL"));
    assert!(refused(&[NOWHERE, "--rate", "0"]).contains("expected more than 0"));
    assert!(refused(&["no.toml"]).contains("there is no such file"));
}

#[test]
fn target_that_is_not_there_exits_3() {
    let (exit, out, error) = nanshe(&["stress", NOWHERE, "--duration", "1"]);
    assert_eq!((exit, out.as_str()), (Exit::Unknown, ""));
    assert!(error.starts_with("nanshe: http"), "{error}");
}

#[test]
fn run_that_is_not_there_or_not_whole_is_told_and_exits_2() {
    let (exit, out, error) = nanshe(&["replay", "no-such-run"]);
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert!(error.starts_with("nanshe: no-such-run/history.jsonl cannot be opened: "));
}
