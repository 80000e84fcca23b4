//! Why a case stopped.

use serde::Serialize;

/// One request and what came back, as reports show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Method, path, headers and body, one a line, as sent.
    pub sent: String,
    /// Status line, headers and body, or why there is no answer.
    pub came: String,
}

/// A claim that a server broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The contract's clause, as `5.7`.
    pub clause: String,
    /// What that clause demands.
    pub expected: String,
    /// What came instead.
    pub came: String,
    /// The last exchanges, the deciding one last.
    pub exchanges: Vec<Exchange>,
}

/// Why a case stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server broke the case's claim.
    Failed(Box<Failure>),
    /// Nobody knows: the server did not answer, or the case ran out of time.
    Unknown {
        /// What is missing.
        why: String,
        /// The last exchanges.
        exchanges: Vec<Exchange>,
    },
}
