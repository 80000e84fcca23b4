//! A history that a real run would give, as long as anybody likes, for the checkers to judge.

use std::time::Duration;

use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{
    Answer, FORMAT, Header, History, Operation, Outcome, Posted, Profile, Record, Seen, VERSION,
};

const QUEUE: &str = "queue";

/// Time between the beginnings of two operations.
const EVERY_NS: u64 = 1_000_000;

/// Events of each message: three operations, each of which begins and ends.
const EVENTS_PER_MESSAGE: u64 = 6;

/// How many messages make so many events, about.
pub fn messages(events: u64) -> u64 {
    events / EVENTS_PER_MESSAGE
}

/// A correct history, in memory.
pub fn history(messages: u64) -> History {
    let record = |(number, (operation, answer))| {
        let (invoked_at, completed_at) = span(number);
        Record {
            process: 1,
            project: String::new(),
            operation,
            invoked_at,
            completed_at,
            outcome: Outcome::Ok(answer),
        }
    };
    let records = (0_u64..).zip(operations(messages)).map(record).collect();
    History {
        records,
        ..History::new(header())
    }
}

/// When the operation of that number begins and ends.
pub fn span(number: u64) -> (Instant, Instant) {
    let begins = Instant::from_nanos(number * EVERY_NS);
    (begins, begins.plus(Duration::from_nanos(EVERY_NS / 2)))
}

/// Each message is posted, claimed and deleted; then the queue is found empty.
pub fn operations(messages: u64) -> impl Iterator<Item = (Operation, Answer)> {
    let lives = (0..messages).flat_map(life_of);
    lives.chain([claim(None, Vec::new())])
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

/// What holds for it.
pub fn header() -> Header {
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
