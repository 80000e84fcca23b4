//! What concurrent clients do, one file per workload, and what their operations look like on the wire.
//!
//! A workload's clients write down every operation in the [`crate::history`]; nothing they decide
//! depends on anything but the seed and the answers.

pub use self::competing_consumers::{Consumer, Mix, Producer, drain};
pub use self::process::Process;

mod competing_consumers;
mod process;
mod wire;
