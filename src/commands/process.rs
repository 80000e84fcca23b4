//! `nanshe` as a process: what signals do to `serve` and to `conform`. A test target of its own, since
//! only those are told where the program is.
#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const HEAD: &str = "HTTP/1.1\r\nhost: x\r\nclient-id: 3381af92-2b9e-11e3-b191-71861300734c\r\n\
    x-project-id: secret-project\r\n";

/// A process, which does not outlive the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts it; and where it listens, for clients and for operators.
fn start(log: &str) -> (Server, String, String) {
    start_with(&["--log", log])
}

fn start_with(words: &[&str]) -> (Server, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nanshe"))
        .args(["serve", "--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = |before: &str| {
        let line = lines.next().unwrap().unwrap();
        line.strip_prefix(before).unwrap().to_owned()
    };
    let (admin, clients) = (address("admin http://"), address("serving http://"));
    (Server(child), clients, admin)
}

fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn signal(process: &Server, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.0.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn terminate(server: &Server) {
    signal(server, Signal::TERM);
}

fn said(server: &mut Server) -> String {
    let mut said = String::new();
    let mut error = server.0.stderr.take().unwrap();
    error.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_request_under_way_when_sigterm_comes_is_answered_and_then_the_process_ends() {
    let (mut server, clients, admin) = start("info");
    let body = r#"{"messages":[{"body":2}]}"#;
    let length = body.len();
    let mut late = TcpStream::connect(&clients).unwrap();
    let request = format!(
        "POST /v2/queues/q/messages {HEAD}content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    late.write_all(request.as_bytes()).unwrap();
    let mut interim = [0; 25];
    late.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let ready = format!("GET /ready {HEAD}connection: close\r\n\r\n");
    assert!(ask(&admin, &ready).starts_with("HTTP/1.1 200"));

    terminate(&server);
    while ask(&admin, &ready).starts_with("HTTP/1.1 200") {}
    late.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(server.0.wait().unwrap().success());
    let said = said(&mut server);
    for event in ["serving", "stopping connections=1", "stopped"] {
        assert!(said.contains(event), "{event} in {said}");
    }
    assert!(
        !said.contains("secret-project") && !said.contains("messages"),
        "{said}"
    );
}

#[test]
fn what_is_told_of_a_request_has_the_id_of_its_response() {
    let (mut server, clients, _) = start("debug");
    let answer = ask(
        &clients,
        &format!("GET /v2/ping {HEAD}connection: close\r\n\r\n"),
    );
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-openstack-request-id: "));
    terminate(&server);
    assert!(server.0.wait().unwrap().success());
    let said = said(&mut server);
    let told = said.lines().find(|line| line.contains("answered")).unwrap();
    for part in [
        &format!("request_id={:?}", id.unwrap()),
        "GET",
        "/v2/ping",
        "status=204",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

/// How many queues there are, as operators see it.
fn queues(admin: &str) -> u32 {
    let request = format!("GET /metrics {HEAD}connection: close\r\n\r\n");
    let metrics = ask(admin, &request);
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("nanshe_queues "));
    count.unwrap().parse::<u32>().unwrap()
}

/// Runs this, and presses Ctrl-C once it `is_due`; what it tells.
fn interrupted(words: &[&str], is_due: impl Fn(&Server) -> bool) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_nanshe"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut run = Server(run.unwrap());
    while !is_due(&run) {}
    signal(&run, Signal::INT);
    let mut told = String::new();
    let mut output = run.0.stdout.take().unwrap();
    output.read_to_string(&mut told).unwrap();
    assert_eq!(run.0.wait().unwrap().code(), Some(3), "{told}");
    told
}

#[test]
fn a_run_of_the_suite_that_is_interrupted_tells_what_it_knows_and_leaves_no_queue() {
    let (_server, clients, admin) = start("error");
    let url = format!("http://{clients}");
    let told = interrupted(&["conform", &url], |_| queues(&admin) >= 100);
    assert!(told.contains("STOPPED EARLY: Ctrl-C was pressed"), "{told}");
    assert_eq!(queues(&admin), 0);
}

#[cfg(madsim)]
#[test]
fn campaign_that_is_interrupted_tells_what_it_knows_and_leaves_nothing_half_written() {
    let scenario = "scenarios/delivery/lost-acknowledgement.toml";
    for (words, name) in [
        (
            &["simulate", scenario][..],
            "delivery-lost-acknowledgement-reference-0-9000000-stopped",
        ),
        (
            &["explore", "--implementation", "reference"],
            "drawn-reference-0-9000000-stopped",
        ),
    ] {
        let runs = format!("nanshe-interrupted-{}-{}", words[0], std::process::id());
        let runs = std::env::temp_dir().join(runs);
        let run = Command::new(env!("CARGO_BIN_EXE_nanshe"))
            .args(words)
            .args(["--seeds", "9000000", "--runs"])
            .arg(&runs)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut run = Server(run.unwrap());
        // It is made when the signals are listened for.
        while !runs.exists() {}
        signal(&run, Signal::INT);
        let (mut told, mut said) = (String::new(), String::new());
        let mut out = run.0.stdout.take().unwrap();
        out.read_to_string(&mut told).unwrap();
        let mut error = run.0.stderr.take().unwrap();
        error.read_to_string(&mut said).unwrap();
        assert_eq!(run.0.wait().unwrap().code(), Some(3), "{told}{said}");
        assert!(said.contains("NOT WHOLE: Ctrl-C was pressed"), "{said}");
        assert!(runs.join(name).join("summary.json").exists(), "{told}");
        let left = std::fs::read_dir(&runs).unwrap();
        let left: Vec<String> = left
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        let is_partial = |name: &String| name.starts_with(".partial");
        assert!(!left.iter().any(is_partial), "{left:?}");
        std::fs::remove_dir_all(&runs).unwrap();
    }
}

/// Whether signals are listened for: the kernel says for which there is a handler.
#[cfg(madsim)]
fn listens(process: &Server) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (Signal::INT.as_raw() - 1)) != 0
}

#[cfg(madsim)]
#[test]
fn what_runs_in_virtual_time_and_is_interrupted_tells_what_it_knows() {
    let runs = std::env::temp_dir().join(format!("nanshe-interrupted-{}", std::process::id()));
    let folder = runs.to_string_lossy();
    for (words, says) in [
        (
            &["conform", "--model", "--sequences", "900000000"][..],
            "UNKNOWN stopped early: Ctrl-C was pressed",
        ),
        (
            &["scale", "--longest", "10000000", "--runs", &folder],
            "NOT WHOLE: it was stopped",
        ),
    ] {
        let told = interrupted(words, listens);
        assert!(told.contains(says), "{told}");
    }
    assert!(runs.join("scale-reference-0-stopped/report.json").exists());
    std::fs::remove_dir_all(&runs).unwrap();
}

#[test]
fn drawn_sequences_leave_no_queue_whether_or_not_they_are_interrupted() {
    let (_server, clients, admin) = start("error");
    let url = format!("http://{clients}");
    let words = [
        "conform",
        &url,
        "--model",
        "--sequences",
        "100000",
        "--seed",
        "1",
    ];
    let told = interrupted(&words, |_| queues(&admin) >= 20);
    assert!(told.contains("stopped early: Ctrl-C was pressed"), "{told}");
    assert_eq!(queues(&admin), 0);

    let run = |more: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_nanshe"))
            .args(["conform", &url])
            .args(["--model", "--sequences", "5", "--wait-max", "0"])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
    };
    run(&[]);
    assert_eq!(queues(&admin), 0);
    // The counter-check: there is something to delete.
    run(&["--keep"]);
    assert!(queues(&admin) > 0);
}

#[test]
fn seeds_in_processes_of_their_own_are_told_as_those_in_this_one() {
    let run = |more: &[&str]| {
        let runs =
            std::env::temp_dir().join(format!("nanshe-{}-{}", std::process::id(), more.len()));
        let run = Command::new(env!("CARGO_BIN_EXE_nanshe"))
            .args(["simulate", "scenarios/delivery/lost-acknowledgement.toml"])
            .args(["--seeds", "4", "--json", "--runs"])
            .arg(&runs)
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let seed = std::fs::read(runs.join("latest/seed-3.jsonl")).unwrap();
        std::fs::remove_dir_all(runs).unwrap();
        assert!(run.status.success(), "{run:?}");
        (String::from_utf8(run.stdout).unwrap(), seed)
    };
    if cfg!(madsim) {
        assert!(run(&["--in-process"]) == run(&["--workers", "2"]));
    }
}

const SCENARIO: &str = r#"
name = "delivery/answers-lost"
about = "Answers are lost, and a clock jumps."
implementation = "reference"
work_secs = 100
patience_ms = 1000
[workload.competing-consumers]
clients = 4
[[fault]]
kind = "lose-answers"
share = 0.2
how = "reset"
from_secs = [0, 0]
for_secs = [100, 100]
[[fault]]
kind = "clock-jump"
node = "server-0"
by_ms = [1000, 1000]
from_secs = [0, 9]
for_secs = [1, 1]
"#;

#[test]
fn scenario_is_played_on_a_real_server_without_what_cannot_be_done_from_outside() {
    let (_server, clients, _) = start_with(&["--log", "error", "--time-scale", "100"]);
    let folder = std::env::temp_dir().join(format!("nanshe-{}-played", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("answers-lost.toml");
    std::fs::write(&file, SCENARIO).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_nanshe"))
        .args(["stress", &format!("http://{clients}"), "--scenario"])
        .arg(&file)
        .args([
            "--time-scale",
            "100",
            "--patience",
            "1",
            "--seed",
            "1",
            "--runs",
        ])
        .arg(folder.join("runs"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let read = |name: &str| {
        let path = folder.join("runs/latest").join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let (history, plan) = (read("history.jsonl"), read("plan.json"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(run.status.success(), "{run:?}");
    let said = String::from_utf8(run.stderr).unwrap();
    let line = "not as in the scenario: clock-jump server-0: left out: the clock of the target is out of reach";
    assert!(said.contains(line) && plan.contains("clock-jump"), "{said}");
    let mut lines = history.lines();
    let head = lines.next().unwrap();
    assert!(head.contains("delivery/answers-lost"), "{head}");
    // The fault, and what it struck.
    let struck = lines.filter(|line| line.contains("reset-answers process"));
    assert!(struck.count() > 10, "{history}");
}
