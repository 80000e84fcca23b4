//! The same scenario, implementation and seed give the same bytes: in another process, alone, in the
//! middle of a batch, with one thread and with two.

use std::collections::BTreeMap;
use std::process::Command;

use nanshe_simulator::{Threads, campaign};

use crate::{implementation, run_one, scenario};

const SEED: u64 = 5;

/// Where the child writes the history of [`SEED`].
const CHILD_WRITES_TO: &str = "NANSHE_TEST_HISTORY";

fn batch(threads: usize) -> BTreeMap<u64, String> {
    let (scenario, reference) = (
        scenario("delivery/lost-acknowledgement"),
        implementation("reference"),
    );
    let mut histories = BTreeMap::new();
    campaign(&scenario, reference, 0..12, &Threads(threads), |result| {
        let run = result.unwrap();
        histories.insert(run.seed, run.lines);
        true
    });
    histories
}

#[test]
fn seed_gives_the_same_bytes_alone_and_in_a_batch_with_any_number_of_threads() {
    let one = batch(1);
    assert_eq!(one.len(), 12);
    assert!(one == batch(2), "two threads differ from one");
    assert!(
        one[&SEED] == run_one(SEED, "reference").lines,
        "alone differs from the batch"
    );
    assert!(one[&SEED] != one[&(SEED + 1)], "two seeds give one history");
}

#[test]
fn specimens_are_as_deterministic_as_the_reference() {
    for specimen in nanshe_simulator::specimens::SPECIMENS {
        let again = || run_one(SEED, specimen.name).lines;
        assert!(again() == again(), "{}", specimen.name);
    }
}

/// Run by itself this only shows that there is a history. As a child of the test below it also writes
/// it down for its parent.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a parent process has no other way to say where"
)]
fn child_writes_the_history_down() {
    let run = run_one(SEED, "reference");
    assert!(run.operations > 100, "{} operations", run.operations);
    if let Ok(path) = std::env::var(CHILD_WRITES_TO) {
        std::fs::write(path, run.lines).unwrap();
    }
}

#[test]
fn two_processes_give_the_same_bytes() {
    let name = format!("nanshe-{}-history.jsonl", std::process::id());
    let path = std::env::temp_dir().join(name);
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "determinism::child_writes_the_history_down"])
        .env(CHILD_WRITES_TO, &path)
        .output()
        .unwrap();
    let theirs = std::fs::read(&path);
    drop(std::fs::remove_file(&path));
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    assert!(
        theirs.unwrap() == run_one(SEED, "reference").lines.as_bytes(),
        "two processes differ"
    );
}
