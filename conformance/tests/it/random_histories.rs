//! The rules against histories that were drawn: what a correct queue does is never condemned, and what
//! a flawed one does is caught as often as the evidence allows.
//!
//! A history is a mode, a flaw and a seed; a failing test names all three and tells the story.

use std::fmt::Write;

use nanshe_conformance::checker::{RULES, Verdicts, judge};
use nanshe_conformance::history::{Answer, History, Operation};
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
