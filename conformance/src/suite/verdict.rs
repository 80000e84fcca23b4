//! Why a case stopped.

use serde::{Deserialize, Serialize};

/// One request and what came back, as reports show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The request.
    pub sent: Part,
    /// The answer, or why there is none.
    pub came: Part,
}

/// One half of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Method and path, the status, or why there is no answer.
    pub line: String,
    /// `name: value`, in the order of the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// The body, cut off where it is very long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

impl Part {
    /// The lines of the message, its headers included.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().map(String::as_str);
        std::iter::once(self.line.as_str())
            .chain(headers)
            .chain(self.body.lines())
    }

    /// The lines of the message, without its headers.
    pub fn gist(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.line.as_str()).chain(self.body.lines())
    }
}

/// A claim that a server broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
