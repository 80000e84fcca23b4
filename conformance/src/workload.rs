//! What concurrent clients do, one file per workload, and what their operations look like on the wire.
//!
//! A workload's clients write down every operation in the [`crate::history`]; nothing they decide
//! depends on anything but the seed and the answers.

pub use self::actor::Actor;
pub use self::board::{Board, UnderWay};
pub use self::drain::{Drained, drain_place};
pub use self::kind::{Act, Action, Kind, Place, Turn, WORKLOADS};
pub use self::plan::{Settings, Table, Workload, WorkloadError};
#[cfg(feature = "http")]
pub(crate) use self::process::names_behind_a_login;
pub use self::process::{NotDone, Process};
pub use self::pub_sub::pushed;
pub use self::wire::may_be_repeated;

mod actor;
mod answers;
mod batches;
mod board;
mod body;
mod claimers;
mod dead_letters;
mod delayed;
mod drain;
mod kind;
mod metadata;
mod observers;
mod plan;
mod pop_storm;
mod process;
mod pub_sub;
mod tenants;
mod wire;
mod work_queue;
