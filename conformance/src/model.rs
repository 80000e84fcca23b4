//! Model-based conformance: drawn sequences of operations, each answer compared with a sequential
//! specification.
//!
//! * `operation`: what sequences are made of, drawn by proptest; [`Kind`]s can be left out.
//! * `specification`: what the contract demands of a server that one client at a time asks.
//! * `run`: one sequence against a [`Served`]; `campaign`: many, [`run`](fn@run); `shrink`: smaller ones.
//! * `leavings`: what sequences used on a server that goes on.
//! * `script`, `report`: what was found, as requests that a person can repeat.

mod answer;
mod campaign;
mod certainty;
mod leavings;
mod operation;
mod report;
mod run;
mod script;
mod shrink;
mod specification;

pub use self::answer::Difference;
pub use self::campaign::{Plan, Progress, run, run_until};
pub use self::leavings::Noted;
pub use self::operation::{Kind, Without};
pub use self::report::{Findings, Found, Recognized};
pub use self::run::{Reached, Served};
pub use self::specification::Rules;
