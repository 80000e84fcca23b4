//! The three answers.

use std::fmt;

use serde::Serialize;

/// Valid, violation or unknown. Nothing turns unknown into valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every promise that was looked at was kept.
    Valid,
    /// Too little evidence.
    Unknown,
    /// A promise was broken.
    Violation,
}

impl Verdict {
    /// The worst of many; [`Verdict::Unknown`] of none, since nothing was shown.
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Violation => "violation",
        })
    }
}
