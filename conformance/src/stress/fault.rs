//! Which faults a run may have, and when each strikes: drawn from the seed, printed, and stored.

use std::fmt;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::document::suggestion;
use crate::proxy::NetworkFault;
use crate::target::Control;

/// The largest share of requests, or of clients, that a fault strikes.
const SHARE_MAX: f64 = 0.3;

/// A fault lasts for a share of the work between these two.
const LASTS_SHARE: (f64, f64) = (0.05, 0.15);

/// How long a fault lasts at most, where time is not scaled.
pub const LASTS_MAX: Duration = Duration::from_secs(30);

/// Faults begin when the work has, and end before it does: these shares of it.
const BEGIN: f64 = 0.05;
const END: f64 = 0.95;

/// Faults of the network for each that may strike.
const ROUNDS: usize = 2;

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// On the way between clients and target.
    Network {
        /// What.
        kind: NetworkFault,
        /// Which share of requests, or of clients, it strikes.
        share: f64,
    },
    /// Clients die, with all they hold; others take their places at its end.
    KillClients {
        /// Which share of them.
        share: f64,
    },
    /// A process of the target dies at once, and is started again at its end.
    Kill {
        /// Its name.
        process: String,
    },
    /// A process of the target stands still.
    Stop {
        /// Its name.
        process: String,
    },
    /// A process of the target is started anew.
    Restart {
        /// Its name.
        process: String,
    },
    /// All processes of the target are started anew, one after the other.
    RollingRestart,
    /// A pair of commands of the target file.
    Custom {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { kind, share } => {
                write!(f, "{} {:.0}%{}", kind.word(), share * 100.0, kind.spares())
            }
            Self::KillClients { share } => write!(f, "kill-clients {:.0}%", share * 100.0),
            Self::Kill { process } => write!(f, "kill {process}"),
            Self::Stop { process } => write!(f, "stop {process}"),
            Self::Restart { process } => write!(f, "restart {process}"),
            Self::RollingRestart => f.write_str("rolling-restart"),
            Self::Custom { name } => f.write_str(name),
        }
    }
}

impl Fault {
    /// Whether it is a command's doing: two of those at once would undo each other.
    pub(super) fn is_ordered(&self) -> bool {
        match self {
            Self::Network { .. } | Self::KillClients { .. } => false,
            Self::Kill { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::RollingRestart
            | Self::Custom { .. } => true,
        }
    }
}

/// A fault with its time, from the start of the work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scheduled {
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
    /// When it begins, in milliseconds.
    pub from_ms: u64,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
}

impl Scheduled {
    /// When it begins.
    pub fn from(&self) -> Duration {
        Duration::from_millis(self.from_ms)
    }

    /// How long it lasts.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.for_ms)
    }
}

/// A word that names no fault, or none of this target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{word}`{near}, expected {expected}")]
pub struct FaultError {
    word: String,
    near: String,
    expected: String,
}

/// The faults that a run may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Menu(Vec<Fault>);

impl Menu {
    /// The faults that `words` name: faults, or `none`, `network`, `process`, `all`.
    ///
    /// # Errors
    ///
    /// If one of them names no fault of a target that allows `control`.
    pub fn of(words: &[String], control: &Control) -> Result<Self, FaultError> {
        let (network, process) = (network(), ordered(control));
        let mut menu = Vec::new();
        for word in words {
            let all = || network.iter().chain(&process);
            let named: Vec<Fault> = match word.as_str() {
                "none" => continue,
                "network" => network.clone(),
                "process" if !process.is_empty() => process.clone(),
                "all" => all().cloned().collect(),
                _ => all()
                    .filter(|fault| word_of(fault) == *word)
                    .cloned()
                    .collect(),
            };
            if named.is_empty() {
                let mut words = vec!["none".to_owned(), "all".to_owned(), "network".to_owned()];
                if !process.is_empty() {
                    words.push("process".to_owned());
                }
                for fault in all() {
                    let word = word_of(fault);
                    if !words.contains(&word) {
                        words.push(word);
                    }
                }
                let near = suggestion(word, words.iter().map(String::as_str));
                return Err(FaultError {
                    word: word.clone(),
                    near,
                    expected: words.join(", "),
                });
            }
            menu.extend(named);
        }
        Ok(Self(menu))
    }

    /// Whether it has faults of the network, for which a proxy stands before the target.
    pub fn has_network(&self) -> bool {
        let mut faults = self.0.iter();
        faults.any(|fault| matches!(fault, Fault::Network { .. }))
    }

    /// When what strikes during `work`: every fault at least once, those of the network overlapping as
    /// it happens, those that commands bring about one after the other. None lasts longer than `longest`.
    pub fn draw(&self, seed: u64, work: Duration, longest: Duration) -> Vec<Scheduled> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from_be_bytes(*b"schedule"));
        let (ordered, free): (Vec<&Fault>, Vec<&Fault>) =
            self.0.iter().partition(|fault| fault.is_ordered());
        let mut schedule = Vec::new();
        for fault in free.iter().cycle().take(free.len() * ROUNDS) {
            let share = random.random_range(0.05..SHARE_MAX);
            let fault = with_share(fault, share);
            schedule.push(place(fault, (BEGIN, END), (work, longest), &mut random));
        }
        let slots = f64::from(u32::try_from(ordered.len()).unwrap_or(u32::MAX));
        let slot = (END - BEGIN) / slots;
        let mut begin = BEGIN;
        for fault in ordered {
            let between = (begin, begin + slot);
            schedule.push(place(fault.clone(), between, (work, longest), &mut random));
            begin += slot;
        }
        schedule.sort_by_key(|scheduled| scheduled.from_ms);
        schedule
    }
}

/// Puts `fault` somewhere between two shares of the work, so that it ends there as well.
fn place(
    fault: Fault,
    (begin, end): (f64, f64),
    (work, longest): (Duration, Duration),
    random: &mut ChaCha8Rng,
) -> Scheduled {
    let room = work.mul_f64(end - begin);
    let lasts = work.mul_f64(random.random_range(LASTS_SHARE.0..LASTS_SHARE.1));
    let lasts = lasts.min(longest).min(room.mul_f64(0.8));
    let from = work.mul_f64(begin) + (room - lasts).mul_f64(random.random_range(0.0..1.0));
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Scheduled {
        fault,
        from_ms: millis(from),
        for_ms: millis(lasts),
    }
}

fn with_share(fault: &Fault, share: f64) -> Fault {
    match fault {
        // Half of the clients at most, but more than one.
        Fault::Network {
            kind: kind @ NetworkFault::CutOff,
            ..
        } => Fault::Network {
            kind: *kind,
            share: share + 0.2,
        },
        Fault::Network { kind, .. } => Fault::Network { kind: *kind, share },
        Fault::KillClients { .. } => Fault::KillClients { share },
        Fault::Kill { .. }
        | Fault::Stop { .. }
        | Fault::Restart { .. }
        | Fault::RollingRestart
        | Fault::Custom { .. } => fault.clone(),
    }
}

fn network() -> Vec<Fault> {
    let strikes = NetworkFault::ALL.into_iter();
    let strikes = strikes.map(|kind| Fault::Network { kind, share: 0.0 });
    strikes.chain([Fault::KillClients { share: 0.0 }]).collect()
}

fn ordered(control: &Control) -> Vec<Fault> {
    let mut faults = Vec::new();
    for process in &control.processes {
        let name = || process.name.clone();
        if process.kill_and_start.is_some() {
            faults.push(Fault::Kill { process: name() });
        }
        if process.stop_and_continue.is_some() {
            faults.push(Fault::Stop { process: name() });
        }
        if process.restart.is_some() {
            faults.push(Fault::Restart { process: name() });
        }
    }
    let restarts = |process: &crate::target::Controlled| {
        process.restart.is_some() || process.kill_and_start.is_some()
    };
    if control.processes.iter().any(restarts) {
        faults.push(Fault::RollingRestart);
    }
    let custom = control.faults.iter();
    faults.extend(custom.map(|pair| Fault::Custom {
        name: pair.name.clone(),
    }));
    faults
}

/// What `--faults` calls it.
fn word_of(fault: &Fault) -> String {
    match fault {
        Fault::Network { kind, .. } => kind.word().to_owned(),
        Fault::KillClients { .. } => "kill-clients".to_owned(),
        Fault::Kill { .. } => "kill".to_owned(),
        Fault::Stop { .. } => "stop".to_owned(),
        Fault::Restart { .. } => "restart".to_owned(),
        Fault::RollingRestart => "rolling-restart".to_owned(),
        Fault::Custom { name } => name.clone(),
    }
}

/// The words that `--faults` understands on any target, for listings.
pub fn fault_words() -> Vec<(String, &'static str)> {
    let about = |fault: &Fault| match fault {
        Fault::Network { kind, .. } => match kind {
            NetworkFault::DropRequests => "requests vanish, their clients wait in vain",
            NetworkFault::DropAnswers => "answers vanish: processed, but nobody knows",
            NetworkFault::DelayRequests => {
                "requests arrive late, perhaps when nobody waits any more"
            }
            NetworkFault::ResetRequests => "connections are reset in the middle of a request",
            NetworkFault::ResetAnswers => "connections are reset in the middle of an answer",
            NetworkFault::SlowAnswers => "answers trickle",
            NetworkFault::DuplicateRequests => {
                "requests other than posts are sent twice, as by a load balancer that tries again"
            }
            NetworkFault::CutOff => {
                "a share of the clients is cut off; what they send arrives later"
            }
        },
        Fault::KillClients { .. } => "clients die with all they hold, others take their places",
        Fault::Kill { .. } => "a process dies at once, and is started again",
        Fault::Stop { .. } => "a process stands still for a while",
        Fault::Restart { .. } => "a process is started anew",
        Fault::RollingRestart => "all processes are started anew, one after the other",
        Fault::Custom { .. } => "a pair of commands of the target file",
    };
    let process = || "…".to_owned();
    let of_a_target = [
        Fault::Kill { process: process() },
        Fault::Stop { process: process() },
        Fault::Restart { process: process() },
        Fault::RollingRestart,
    ];
    let all = network().into_iter().chain(of_a_target);
    all.map(|fault| (word_of(&fault), about(&fault))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(words: &[&str]) -> Result<Menu, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Menu::of(&words, &Control::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn schedule_is_the_same_for_the_same_seed_and_has_every_fault() {
        let work = Duration::from_secs(60);
        let menu = menu(&["network"]).unwrap();
        let schedule = menu.draw(7, work, LASTS_MAX);
        assert_eq!(schedule, menu.draw(7, work, LASTS_MAX));
        assert_ne!(schedule, menu.draw(8, work, LASTS_MAX));
        assert_eq!(schedule.len(), (NetworkFault::ALL.len() + 1) * ROUNDS);
        for kind in NetworkFault::ALL {
            let mut faults = schedule.iter().map(|scheduled| &scheduled.fault);
            assert!(
                faults.any(
                    |fault| matches!(fault, Fault::Network { kind: found, .. } if *found == kind)
                ),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn every_fault_ends_before_the_work_does_however_short_that_is() {
        for secs in [1, 5, 60, 3_600] {
            let work = Duration::from_secs(secs);
            for seed in 0..50 {
                for scheduled in menu(&["all"]).unwrap().draw(seed, work, LASTS_MAX) {
                    let end = scheduled.from() + scheduled.lasts();
                    assert!(end <= work && scheduled.for_ms > 0, "{scheduled:?}");
                    assert!(scheduled.lasts() <= LASTS_MAX);
                }
            }
        }
    }

    #[test]
    fn word_that_names_no_fault_of_the_target_is_refused_with_those_that_do() {
        let error = menu(&["drop-answer"]).unwrap_err();
        assert!(
            error.starts_with(
                "there is no fault `drop-answer` (did you mean `drop-answers`?), expected none, all, \
                 network, drop-requests, "
            ),
            "{error}"
        );
        assert!(menu(&["process"]).is_err());
        assert_eq!(menu(&["none"]).unwrap(), Menu::default());
    }
}
