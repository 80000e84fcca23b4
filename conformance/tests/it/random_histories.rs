//! The rules against histories that were drawn: what a correct queue does is never condemned, and what
//! a flawed one does is caught as often as the evidence allows.
//!
//! A history is a mode, a flaw and a seed; a failing test names all three and tells the story.

use std::fmt::Write;

use nanshe_conformance::checker::{RULES, Verdicts, judge, judge_on, judge_stored};
use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{
    Answer, Event, History, Operation, Outcome, Posted, Record, Seen, What, read, write,
};
use nanshe_conformance::verdict::Verdict;

use self::clients::{Mode, Repertoire};
use self::flaws::{FLAWS, Planted};
use self::generator::generate;

mod clients;
mod flaws;
mod generator;
mod linearisation;
mod model;

/// Histories of the correct model in each mode.
const SEEDS_PER_MODE: u64 = 1_500;

/// How many, if somebody searches for false alarms: `NANSHE_SEEDS=200000 cargo test --release …`.
const SEEDS_VARIABLE: Option<&str> = option_env!("NANSHE_SEEDS");

/// Long histories have that many times the operations: so fewer of them.
const LONG_FACTOR: u64 = 6;

fn seeds(mode: Mode) -> std::ops::Range<u64> {
    let seeds = SEEDS_VARIABLE.map_or(SEEDS_PER_MODE, |seeds| seeds.parse().unwrap());
    0..if mode.is_long() {
        seeds / LONG_FACTOR
    } else {
        seeds
    }
}

/// Histories in which a flaw has to strike; that many are judged.
const STRUCK_COUNT: usize = 200;

/// Seeds that are tried in each mode until a flaw has struck often enough.
const SEEDS_PER_FLAW_MAX: u64 = 4_000;

/// Claims, and what ends them.
const PLAIN_MODES: [Mode; 4] = modes(Repertoire::Plain);

/// All operations, and queues with settings.
const RICH_MODES: [Mode; 4] = modes(Repertoire::Rich);

/// All operations, longer, by clients that look at what they do.
const LONG_MODES: [Mode; 4] = modes(Repertoire::Long {
    has_settings: false,
});

/// The same, of queues with settings.
const LONG_RICH_MODES: [Mode; 4] = modes(Repertoire::Long { has_settings: true });

const fn modes(repertoire: Repertoire) -> [Mode; 4] {
    const fn mode(mixes_leases: bool, expires_messages: bool, repertoire: Repertoire) -> Mode {
        Mode {
            mixes_leases,
            expires_messages,
            repertoire,
        }
    }
    [
        mode(false, false, repertoire),
        mode(false, true, repertoire),
        mode(true, false, repertoire),
        mode(true, true, repertoire),
    ]
}

fn all_modes() -> impl Iterator<Item = Mode> {
    [PLAIN_MODES, RICH_MODES, LONG_MODES, LONG_RICH_MODES]
        .into_iter()
        .flatten()
}

/// Rules that plain histories exercise as well.
const PLAIN_RULES: [&str; 4] = [
    "delivery/lost",
    "delivery/unexpected",
    "delivery/resurrected",
    "claims/overlap",
];

#[test]
fn correct_queue_is_never_condemned() {
    for mode in all_modes() {
        for seed in seeds(mode) {
            let history = generate(mode, None, seed).history;
            let verdicts = judge(&history);
            let is_condemned = verdicts.rules.iter().any(|rule| rule.violations > 0);
            assert!(!is_condemned, "{mode:?}, seed {seed}{}", tell(&verdicts));
        }
    }
}

/// What a wide search found, and what was wrong then.
#[test]
fn alarms_that_were_false_once_are_not_raised_again() {
    let once = [
        // A list and a claim in one instant: either may have acted first.
        (RICH_MODES[0], 7_028),
        // A queue is deleted, and a message posted to it, in one instant.
        (RICH_MODES[1], 55_169),
        // A message that was moved is held by a claim of its dead-letter queue; a delete by its old name
        // is refused.
        (LONG_RICH_MODES[1], 5_871),
    ];
    for (mode, seed) in once {
        let verdicts = judge(&generate(mode, None, seed).history);
        let is_condemned = verdicts.rules.iter().any(|rule| rule.violations > 0);
        assert!(!is_condemned, "{mode:?}, seed {seed}{}", tell(&verdicts));
    }
}

#[test]
fn every_planted_flaw_is_caught_by_its_rule() {
    let mut misses = String::new();
    for planted in FLAWS {
        let (struck, caught) = hunt(planted);
        let (flaw, wanted) = (planted.flaw, planted.caught_percent_min);
        assert_eq!(struck, STRUCK_COUNT, "{flaw:?} strikes too seldom");
        if caught * 100 < wanted * struck {
            writeln!(misses, "{flaw:?}: {caught} of {struck}, not {wanted} %").unwrap();
        }
    }
    assert!(misses.is_empty(), "caught too seldom:\n{misses}");
}

/// The events of a history, in the order of time.
fn events(history: &History) -> Vec<Event> {
    let mut events = Vec::new();
    let at_phases = history.phases.iter();
    events.extend(at_phases.map(|&(at, phase)| (at, What::Phase { phase })));
    for record in &history.records {
        let process = record.process;
        let invoke = What::Invoke {
            process,
            project: record.project.clone(),
            operation: record.operation.clone(),
        };
        events.push((record.invoked_at, invoke));
        let end = match record.outcome.clone() {
            Outcome::Ok(answer) => What::Ok { process, answer },
            Outcome::Fail { status } => What::Fail { process, status },
            Outcome::Info => What::Info {
                process,
                why: "nobody knows".to_owned(),
            },
        };
        if record.completed_at < Instant::NEVER {
            events.push((record.completed_at, end));
        }
    }
    events.sort_by_key(|&(at, _)| at);
    let event = |(at, what)| Event { at, what };
    events.into_iter().map(event).collect()
}

#[test]
fn judged_from_its_lines_or_on_many_threads_a_history_has_the_same_verdicts() {
    const SEEDS: u64 = 60;
    let flaws = FLAWS.iter().map(|planted| Some(planted.flaw)).chain([None]);
    let (mut told, mut exercised) = (0, 0);
    for flaw in flaws {
        for (mode, seed) in RICH_MODES
            .iter()
            .flat_map(|&mode| (0..SEEDS).map(move |seed| (mode, seed)))
        {
            let history = generate(mode, flaw, seed).history;
            let mut lines = Vec::new();
            write(&mut lines, &history.header, &events(&history)).unwrap();
            let whole = judge(&read(&lines[..]).unwrap());
            assert_eq!(
                judge_stored(|| Ok(&lines[..]), 3).unwrap(),
                whole,
                "{flaw:?} {mode:?} {seed}"
            );
            assert_eq!(judge_on(&history, 3).verdict(), whole.verdict());
            told += whole
                .rules
                .iter()
                .map(|rule| rule.told.len())
                .sum::<usize>();
            exercised += whole.rules.iter().map(|rule| rule.exercised).sum::<u64>();
        }
    }
    assert!(told > 1_000 && exercised > 100_000, "{told} {exercised}");
}

/// Long enough to be judged in parts: each message is posted, handed out and deleted, and every seventh
/// handed out twice.
fn long_history() -> History {
    const MESSAGES: u64 = 30_000;
    let queue = || "queue".to_owned();
    let claim = |number: u64, name: &str| {
        let operation = Operation::Claim {
            queue: queue(),
            limit: 1,
            ttl_secs: 60,
            grace_secs: 60,
        };
        let claim = Some(format!("{name}{number}"));
        let messages = vec![Seen::new(format!("m{number}"), format!("t{number}"))];
        (operation, Answer::Claim { claim, messages })
    };
    let mut operations = Vec::new();
    for number in 0..MESSAGES {
        let messages = vec![Posted::new(format!("t{number}"), 3_600)];
        let ids = vec![format!("m{number}")];
        let post = Operation::Post {
            queue: queue(),
            messages,
        };
        operations.extend([(post, Answer::Post { ids }), claim(number, "c")]);
        if number % 7 == 0 {
            operations.push(claim(number, "d"));
        }
        let delete = Operation::Delete {
            queue: queue(),
            message: format!("m{number}"),
            claim: Some(format!("c{number}")),
        };
        operations.push((delete, Answer::Delete));
    }
    let template = generate(RICH_MODES[0], None, 0).history.header;
    let mut history = History::new(template);
    for (number, (operation, answer)) in (0..).zip(operations) {
        history.records.push(Record {
            process: 1,
            project: String::new(),
            operation,
            invoked_at: Instant::from_nanos(number * 1_000_000),
            completed_at: Instant::from_nanos(number * 1_000_000 + 500_000),
            outcome: Outcome::Ok(answer),
        });
    }
    history
}

#[test]
fn long_history_has_the_same_verdicts_on_any_number_of_threads() {
    let history = long_history();
    let alone = judge(&history);
    let overlaps = alone.rule("claims/overlap").unwrap();
    assert_eq!((overlaps.violations, overlaps.told.len()), (4_286, 20));
    assert!(overlaps.told[0].token == "t0" && overlaps.told[1].token == "t7");
    for threads in [2, 5] {
        assert_eq!(judge_on(&history, threads), alone, "{threads} threads");
    }
}

#[test]
fn drawn_histories_exercise_every_rule_and_every_operation() {
    const SEEDS: u64 = 300;
    const SEEDS_LONG: u64 = 60;
    let mut counts = Counts::default();
    let mut valid = [0; RULES.len()];
    for mode in all_modes() {
        for seed in 0..if mode.is_long() { SEEDS_LONG } else { SEEDS } {
            let history = generate(mode, None, seed).history;
            counts.add(&history);
            for (valid, rule) in valid.iter_mut().zip(judge(&history).rules) {
                *valid += u32::from(rule.exercised > 0 && rule.verdict == Verdict::Valid);
            }
        }
    }
    for (rule, valid) in RULES.iter().zip(valid) {
        let is_old = PLAIN_RULES.contains(&rule.name);
        let wanted = if is_old { 400 } else { 100 };
        assert!(valid >= wanted, "{}: {valid} valid", rule.name);
    }
    let Counts {
        unanswered,
        renewed,
        released,
        deleted,
        popped,
        absent,
    } = counts;
    let rarest = [unanswered, renewed, released, deleted, popped, absent]
        .into_iter()
        .min();
    assert!(rarest.unwrap() >= 200, "{counts:?}");
}

/// In how many histories the flaw struck, and in how many of those its rule found it.
fn hunt(planted: &Planted) -> (usize, usize) {
    let modes = if planted.needs_settings {
        LONG_RICH_MODES
    } else {
        LONG_MODES
    };
    let seeds = (0..SEEDS_PER_FLAW_MAX).flat_map(|seed| modes.map(|mode| (mode, seed)));
    let drawn = seeds.map(|(mode, seed)| generate(mode, Some(planted.flaw), seed));
    let struck = drawn.filter(|generated| generated.has_struck);
    let caught = struck.take(STRUCK_COUNT).map(|generated| {
        let verdicts = judge(&generated.history);
        let mut rules = planted.rules.iter();
        rules.any(|rule| verdicts.rule(rule).unwrap().violations > 0)
    });
    let caught: Vec<bool> = caught.collect();
    (
        caught.len(),
        caught.into_iter().filter(|&caught| caught).count(),
    )
}

/// What was done, and answered as told.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    unanswered: usize,
    renewed: usize,
    released: usize,
    deleted: usize,
    popped: usize,
    absent: usize,
}

impl Counts {
    fn add(&mut self, history: &History) {
        for record in &history.records {
            self.unanswered += usize::from(record.is_info());
            match record.answer() {
                Some(Answer::Renew) => self.renewed += 1,
                Some(Answer::Release) => self.released += 1,
                Some(Answer::Delete) => {
                    let is_claimed =
                        matches!(record.operation, Operation::Delete { claim: Some(_), .. });
                    self.deleted += usize::from(is_claimed);
                }
                Some(Answer::Pop { messages }) => self.popped += messages.len(),
                Some(Answer::Get { message }) => self.absent += usize::from(message.is_none()),
                _ => {}
            }
        }
    }
}

/// Every violation with the operations that prove it.
fn tell(verdicts: &Verdicts) -> String {
    let mut told = String::new();
    for rule in &verdicts.rules {
        for violation in &rule.told {
            let (token, summary) = (&violation.token, &violation.summary);
            write!(told, "\n{}: {token} {summary}", rule.rule).unwrap();
            for line in &violation.story {
                write!(told, "\n    {line}").unwrap();
            }
        }
    }
    told
}
