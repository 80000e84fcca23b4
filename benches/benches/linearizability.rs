//! Side by side with a general linearizability checker, on the same histories: where each stops.
//!
//! The histories are what both can express: clients that post one message each to one queue, and pop
//! one. Each is judged as it is, and with its last pop changed to return what another had popped. The
//! general checker knows the queue as first in, first out, as it is here; it searches for an order, and
//! our rules do not.
//!
//! The tester of the stateright crate is not among them: the crate cannot be had without its explorer
//! and the HTTP server of that.
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use nanshe_conformance::checker::judge;
use nanshe_conformance::environment::Instant as At;
use nanshe_conformance::history::{
    Answer, FORMAT, Header, History, Operation, Outcome, Posted, Profile, Record, Seen, VERSION,
};
use porcupine_rs::{CheckResult, Model, check_operations_timeout};

const QUEUE: &str = "queue";
/// How many clients overlap, and how many operations they make together.
const CLIENTS: [usize; 4] = [2, 4, 8, 16];
const OPERATIONS: [usize; 8] = [20, 50, 100, 200, 500, 1_000, 10_000, 100_000];
/// After which a search counts as stopped. Longer histories are not tried then.
const LIMIT: Duration = Duration::from_secs(3);

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (operations, limit) = if is_test {
        (&OPERATIONS[..3], LIMIT / 10)
    } else {
        (&OPERATIONS[..], LIMIT)
    };
    println!("clients  operations  history       our rules     porcupine-rs");
    for clients in CLIENTS {
        for is_wrong in [false, true] {
            let mut has_stopped = false;
            for &count in operations {
                let calls = calls(clients, count, is_wrong);
                let (ours, condemned) = timed(|| is_condemned(&history(&calls)));
                assert_eq!(condemned, is_wrong, "{clients} clients, {count} operations");
                let theirs = if has_stopped {
                    "not tried".to_owned()
                } else {
                    // A search that stopped leaves much memory behind, which its successor tidies up:
                    // the better of two tells.
                    let one = timed(|| search(&calls, limit));
                    let again = (one.0 < limit).then(|| timed(|| search(&calls, limit)));
                    let (took, found) = again.filter(|again| again.0 < one.0).unwrap_or(one);
                    // One that was stopped may say that there is no order.
                    let found = if took < limit {
                        found
                    } else {
                        CheckResult::Unknown
                    };
                    let expected = if is_wrong {
                        CheckResult::Illegal
                    } else {
                        CheckResult::Ok
                    };
                    assert!(
                        found == expected || found == CheckResult::Unknown,
                        "{found:?}"
                    );
                    has_stopped = found == CheckResult::Unknown;
                    if has_stopped {
                        format!("over {limit:?}")
                    } else {
                        told(took)
                    }
                };
                let kind = if is_wrong { "wrong" } else { "right" };
                println!(
                    "{clients:7}  {count:10}  {kind:7}  {:>14}  {theirs:>15}",
                    told(ours)
                );
            }
        }
    }
}

fn told(took: Duration) -> String {
    format!("{:.3} ms", took.as_secs_f64() * 1_000.0)
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started_at = Instant::now();
    let done = work();
    (started_at.elapsed(), done)
}

/// What one client asked and was told.
#[derive(Clone, Debug)]
struct Call {
    client: usize,
    from: u64,
    until: u64,
    asked: Asked,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Post(usize),
    Pop(Option<usize>),
}

/// Draws what clients saw of a queue. Each operation acts between its beginning and its end, and all
/// clients overlap all the time.
fn calls(clients: usize, count: usize, is_wrong: bool) -> Vec<Call> {
    let mut random = Random(1 + u64::try_from(clients).unwrap_or(0));
    // When each acts, and what it is; then the queue does them one after the other.
    let mut calls = Vec::new();
    let mut acts: BTreeMap<(u64, usize), bool> = BTreeMap::new();
    let mut free_at = vec![0; clients];
    for number in 0..count {
        let client = number % clients;
        let from = free_at[client] + 1 + random.below(100);
        let until = from + 1_000 + random.below(1_000);
        free_at[client] = until;
        acts.insert(
            (from + random.below(until - from), number),
            random.below(100) < 55,
        );
        calls.push(Call {
            client,
            from,
            until,
            asked: Asked::Pop(None),
        });
    }
    let mut queue = VecDeque::new();
    let mut popped = Vec::new();
    for (&(_, number), &is_post) in &acts {
        if is_post {
            queue.push_back(number);
            calls[number].asked = Asked::Post(number);
        } else {
            let message = queue.pop_front();
            popped.extend(message.map(|message| (number, message)));
            calls[number].asked = Asked::Pop(message);
        }
    }
    if is_wrong && let [(_, first), .., (last, _)] = popped[..] {
        calls[last].asked = Asked::Pop(Some(first));
    }
    calls.sort_by_key(|call| call.from);
    calls
}

/// Marsaglia's xorshift: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn history(calls: &[Call]) -> History {
    let record = |call: &Call| {
        let queue = QUEUE.to_owned();
        let (id, token) = (|it| format!("m{it}"), |it| format!("t{it}"));
        let (operation, answer) = match call.asked {
            Asked::Post(number) => {
                let messages = vec![Posted::new(token(number), 1_209_600)];
                let ids = vec![id(number)];
                (Operation::Post { queue, messages }, Answer::Post { ids })
            }
            Asked::Pop(message) => {
                let seen = message.map(|it| Seen::new(id(it), token(it)));
                let messages = seen.into_iter().collect();
                (Operation::Pop { queue, limit: 1 }, Answer::Pop { messages })
            }
        };
        Record {
            process: u64::try_from(call.client).unwrap_or(0),
            project: String::new(),
            operation,
            invoked_at: At::from_nanos(call.from),
            completed_at: At::from_nanos(call.until),
            outcome: Outcome::Ok(answer),
        }
    };
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed: 1,
        scenario: String::new(),
        target: "generated".to_owned(),
        slack_ns: 0,
        latest_effect_ns: Some(0),
        profile: Profile::default(),
    };
    History {
        records: calls.iter().map(record).collect(),
        ..History::new(header)
    }
}

fn is_condemned(history: &History) -> bool {
    judge(history).rules.iter().any(|rule| rule.violations > 0)
}

fn search(calls: &[Call], limit: Duration) -> CheckResult {
    let operation = |call: &Call| porcupine_rs::Operation {
        client_id: u32::try_from(call.client).ok(),
        call_time: i64::try_from(call.from).unwrap_or(i64::MAX),
        return_time: i64::try_from(call.until).unwrap_or(i64::MAX),
        op: call.asked,
        metadata: None,
    };
    let operations: Vec<_> = calls.iter().map(operation).collect();
    check_operations_timeout::<Fifo>(&operations, limit)
}

/// The queue as the general checker knows it.
#[derive(Clone, Debug)]
struct Fifo;

impl Model for Fifo {
    type State = VecDeque<usize>;
    type Op = Asked;
    type Metadata = ();

    fn init() -> Self::State {
        VecDeque::new()
    }

    fn step(state: &Self::State, op: &Self::Op) -> (bool, Self::State) {
        let mut next = state.clone();
        let is_right = match *op {
            Asked::Post(number) => {
                next.push_back(number);
                true
            }
            Asked::Pop(message) => next.pop_front() == message,
        };
        (is_right, next)
    }
}
