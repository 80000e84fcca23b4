//! Where a case's expectation comes from.

use std::fmt;

/// Where a case's expectation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// The contract, which documents and code agree upon.
    Contract,
    /// Zaqar's documents, whatever its code does.
    Documents,
    /// Observed on a real server; the documents are silent.
    Observed,
    /// Documents, drivers and code disagree, and the reference decides. Never a *must*.
    Disputed,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contract => "contract",
            Self::Documents => "documents",
            Self::Observed => "observed",
            Self::Disputed => "disputed",
        })
    }
}
