//! The checkers: events a second, from memory, over a history that a real run would give.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use nanshe_conformance::checker::judge;
use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{
    Answer, FORMAT, Header, History, Operation, Outcome, Posted, Profile, Record, Seen, VERSION,
};

const QUEUE: &str = "queue";

/// A correct history: each message is posted, claimed and deleted; then the queue is found empty.
fn history(messages: u64) -> History {
    let operations = (0..messages)
        .flat_map(life_of)
        .chain([claim(None, Vec::new())]);
    let record = |(number, (operation, answer))| {
        let invoked_at = Instant::from_nanos(number * 1_000_000);
        let completed_at = invoked_at.plus(Duration::from_micros(500));
        let outcome = Outcome::Ok(answer);
        Record {
            process: 1,
            project: String::new(),
            operation,
            invoked_at,
            completed_at,
            outcome,
        }
    };
    let records = (0_u64..).zip(operations).map(record).collect();
    History {
        records,
        ..History::new(header())
    }
}

fn life_of(number: u64) -> [(Operation, Answer); 3] {
    let (token, id) = (format!("t{number}"), format!("m{number}"));
    let queue = || QUEUE.to_owned();
    let messages = vec![Posted::new(token.clone(), 1_209_600)];
    let name = Some(format!("c{number}"));
    let seen = vec![Seen::new(id.clone(), token)];
    let delete = Operation::Delete {
        queue: queue(),
        message: id.clone(),
        claim: name.clone(),
    };
    [
        (
            Operation::Post {
                queue: queue(),
                messages,
            },
            Answer::Post { ids: vec![id] },
        ),
        claim(name, seen),
        (delete, Answer::Delete),
    ]
}

fn claim(claim: Option<String>, messages: Vec<Seen>) -> (Operation, Answer) {
    let queue = QUEUE.to_owned();
    let operation = Operation::Claim {
        queue,
        limit: 1,
        ttl_secs: 60,
        grace_secs: 60,
    };
    (operation, Answer::Claim { claim, messages })
}

fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        seed: 1,
        scenario: String::new(),
        target: "generated".to_owned(),
        slack_ns: 1_000,
        latest_effect_ns: Some(0),
        profile: Profile::default(),
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("checker");
    group.sample_size(10);
    for messages in [1_000, 100_000] {
        let history = history(messages);
        // Two events an operation: it begins, it ends.
        let events = u64::try_from(history.records.len()).unwrap_or(0) * 2;
        group.throughput(Throughput::Elements(events));
        group.bench_function(format!("{events} events"), |bencher| {
            bencher.iter(|| black_box(judge(black_box(&history))));
        });
    }
    group.finish();
    criterion.final_summary();
}
