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
    let error = refused(&[NOWHERE, "--duration", "604800", "--dry-run"]);
    assert!(
        error.starts_with("nanshe: --duration: messages would have to live 121"),
        "{error}"
    );
    assert!(refused(&["ftp://x"]).contains("is not a target URL"));
    assert!(refused(&[NOWHERE, "--rate", "0"]).contains("expected more than 0"));
    assert!(refused(&["no.toml"]).contains("there is no such file"));
    assert!(refused(&["--faults", "none", NOWHERE]).contains("TARGET stands before it"));
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

/// Every scenario file, in order.
fn scenarios() -> Vec<String> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir("scenarios").unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder).unwrap() {
            files.push(file.unwrap().path().to_string_lossy().into_owned());
        }
    }
    files.sort();
    files
}

#[test]
fn every_scenario_is_planned_or_refused_with_the_reason() {
    let (mut planned, mut refused) = (0, 0);
    for file in scenarios() {
        let words = [
            "stress",
            NOWHERE,
            "--scenario",
            &file,
            "--seed",
            "7",
            "--dry-run",
        ];
        let (exit, out, error) = nanshe(&words);
        let name = file.strip_prefix("scenarios/").unwrap();
        let name = name.strip_suffix(".toml").unwrap();
        if exit == Exit::Valid {
            planned += 1;
            assert!(out.contains(&format!(" of {name} on ")), "{out}");
        } else {
            refused += 1;
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
            let expected =
                format!("nanshe: nothing that goes wrong in {name} can be brought about");
            assert!(error.starts_with(&expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
    assert!(planned > 10 && refused > 3, "{planned} {refused}");
}

#[test]
fn plan_of_a_scenario_tells_what_is_left_out_and_why() {
    let plan = |target: &str, file: &str| {
        let words = [
            "stress",
            target,
            "--scenario",
            file,
            "--seed",
            "7",
            "--dry-run",
        ];
        nanshe(&words).1
    };
    let file = "scenarios/delivery/lost-acknowledgement.toml";
    let from_outside = plan(NOWHERE, file);
    insta::assert_snapshot!("plan_of_lost_acknowledgement", from_outside);
    let target = "conformance/targets/postgres.toml";
    let with_commands = plan(target, "scenarios/delivery/undone-delete.toml");
    insta::assert_snapshot!("plan_of_undone_delete_on_postgres", with_commands);
}

#[test]
fn workload_and_scenario_exclude_each_other() {
    let file = "scenarios/delivery/zombie-holder.toml";
    for more in [["--workload", "pop-storm"], ["--faults", "none"]] {
        let words = ["stress", NOWHERE, "--scenario", file];
        let (exit, _, error) = nanshe(&[&words[..], &more].concat());
        assert_eq!(exit, Exit::Usage);
        assert!(error.contains("cannot be used with"), "{error}");
    }
}
