//! What can go wrong, and where.

use std::fmt;
use std::time::Duration;

use nanshe_conformance::history::NOT_POSTS;
use serde::{Deserialize, Serialize};

/// Something that goes wrong for a while. Begin and length are drawn from the seed, between the two
/// bounds given.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When it begins: at the earliest, at the latest.
    pub from: (Duration, Duration),
    /// How long it lasts: at least, at most.
    pub lasts: (Duration, Duration),
}

/// The kinds of faults. Shares are between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are told where the kinds are")]
pub enum FaultKind {
    /// A share of the requests is lost.
    LoseRequests { share: f64, how: Loss },
    /// A share of the answers is lost: the request was processed, and its client does not know.
    LoseAnswers { share: f64, how: Loss },
    /// A share of the requests arrives twice, as from a balancer that tries again.
    Duplicate { share: f64 },
    /// What is on the links of a node is held back, the end of a connection included, until the heal.
    Partition { node: String, direction: Direction },
    /// What a node sends and is sent vanishes; connections stay half-open for good.
    BlackHole { node: String },
    /// Every open connection of a node is reset, once, at the beginning.
    Reset { node: String },
    /// The links of a node take so many times as long.
    SlowLink { node: String, factor: u32 },
    /// The process dies; what it wrote is with the operating system. Another takes its place at the end.
    Kill { node: String },
    /// The machine loses its power, and what it had not synced; nobody is told. It is back at the end.
    Crash { node: String },
    /// Nothing runs on a node; what it is sent waits.
    Pause { node: String },
    /// A server's clock is set forward (or back) by so many milliseconds, and put right at the end.
    ClockJump { node: String, by_ms: (i64, i64) },
    /// A server's disk takes nothing more.
    DiskFull { node: String },
    /// Everything on a server's disk takes so many times as long.
    SlowDisk { node: String, factor: u32 },
    /// A share of what is read from a server's disk cannot be.
    ReadErrors { node: String, share: f64 },
    /// A request costs a server's processor so many times as much.
    Busy { node: String, factor: u32 },
}

/// What a client sees of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The connection is reset.
    Reset,
    /// Nothing, until it loses patience.
    Hang,
}

/// Which way a partition works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both ways.
    Both,
    /// What is sent to the node.
    In,
    /// What the node sends.
    Out,
}

/// The words for the kinds, as scenario files have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the word for the kind of that name")]
pub enum Word {
    LoseRequests,
    LoseAnswers,
    Duplicate,
    Partition,
    BlackHole,
    Reset,
    SlowLink,
    Kill,
    Crash,
    Pause,
    ClockJump,
    DiskFull,
    SlowDisk,
    ReadErrors,
    Busy,
}

impl Word {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::LoseRequests,
        Self::LoseAnswers,
        Self::Duplicate,
        Self::Partition,
        Self::BlackHole,
        Self::Reset,
        Self::SlowLink,
        Self::Kill,
        Self::Crash,
        Self::Pause,
        Self::ClockJump,
        Self::DiskFull,
        Self::SlowDisk,
        Self::ReadErrors,
        Self::Busy,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoseRequests => "lose-requests",
            Self::LoseAnswers => "lose-answers",
            Self::Duplicate => "duplicate",
            Self::Partition => "partition",
            Self::BlackHole => "black-hole",
            Self::Reset => "reset",
            Self::SlowLink => "slow-link",
            Self::Kill => "kill",
            Self::Crash => "crash",
            Self::Pause => "pause",
            Self::ClockJump => "clock-jump",
            Self::DiskFull => "disk-full",
            Self::SlowDisk => "slow-disk",
            Self::ReadErrors => "read-errors",
            Self::Busy => "busy",
        }
    }

    /// Whether it is about servers alone.
    pub fn is_for_servers(self) -> bool {
        matches!(
            self,
            Self::Crash
                | Self::ClockJump
                | Self::DiskFull
                | Self::SlowDisk
                | Self::ReadErrors
                | Self::Busy
        )
    }

    /// Whether a node that it strikes is not there meanwhile.
    pub fn takes_the_node_away(self) -> bool {
        matches!(self, Self::Kill | Self::Crash | Self::Pause)
    }
}

impl FaultKind {
    /// Its word.
    pub fn word(&self) -> Word {
        match self {
            Self::LoseRequests { .. } => Word::LoseRequests,
            Self::LoseAnswers { .. } => Word::LoseAnswers,
            Self::Duplicate { .. } => Word::Duplicate,
            Self::Partition { .. } => Word::Partition,
            Self::BlackHole { .. } => Word::BlackHole,
            Self::Reset { .. } => Word::Reset,
            Self::SlowLink { .. } => Word::SlowLink,
            Self::Kill { .. } => Word::Kill,
            Self::Crash { .. } => Word::Crash,
            Self::Pause { .. } => Word::Pause,
            Self::ClockJump { .. } => Word::ClockJump,
            Self::DiskFull { .. } => Word::DiskFull,
            Self::SlowDisk { .. } => Word::SlowDisk,
            Self::ReadErrors { .. } => Word::ReadErrors,
            Self::Busy { .. } => Word::Busy,
        }
    }

    /// How far a clock jumps, at least and at most, in milliseconds, if one does.
    pub fn jump_ms(&self) -> Option<(i64, i64)> {
        if let Self::ClockJump { by_ms, .. } = self {
            return Some(*by_ms);
        }
        None
    }

    /// The node that it strikes, unless it strikes all.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::LoseRequests { .. } | Self::LoseAnswers { .. } | Self::Duplicate { .. } => None,
            Self::Partition { node, .. }
            | Self::BlackHole { node }
            | Self::Reset { node }
            | Self::SlowLink { node, .. }
            | Self::Kill { node }
            | Self::Crash { node }
            | Self::Pause { node }
            | Self::ClockJump { node, .. }
            | Self::DiskFull { node }
            | Self::SlowDisk { node, .. }
            | Self::ReadErrors { node, .. }
            | Self::Busy { node, .. } => Some(node),
        }
    }
}

impl fmt::Display for FaultKind {
    /// As histories name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word().as_str())?;
        if let Some(node) = self.node() {
            write!(f, " {node}")?;
        }
        match self {
            Self::LoseRequests { share, how } | Self::LoseAnswers { share, how } => match how {
                Loss::Reset => write!(f, " {share} reset"),
                Loss::Hang => write!(f, " {share} hang"),
            },
            Self::Duplicate { share } => write!(f, " {share} ({NOT_POSTS})"),
            Self::ReadErrors { share, .. } => write!(f, " {share}"),
            Self::Partition { direction, .. } => match direction {
                Direction::Both => Ok(()),
                Direction::In => f.write_str(" in"),
                Direction::Out => f.write_str(" out"),
            },
            Self::SlowLink { factor, .. }
            | Self::SlowDisk { factor, .. }
            | Self::Busy { factor, .. } => write!(f, " {factor}"),
            Self::BlackHole { .. }
            | Self::Reset { .. }
            | Self::Kill { .. }
            | Self::Crash { .. }
            | Self::Pause { .. }
            | Self::ClockJump { .. }
            | Self::DiskFull { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_as_files_have_them() {
        for word in Word::ALL {
            let written = toml::Value::try_from(word).unwrap();
            assert_eq!(written.as_str(), Some(word.as_str()));
        }
    }
}
