//! Small, deliberately naive implementations. Each is modelled on a bug that a real service had, its
//! flaw is real, and it names the rule that must catch it. They are how the harness itself is tested.
//!
//! All of them keep their state in a simulated `store` that is a round trip away, as real ones keep
//! theirs in Redis or a database: what happens between two round trips is where the bugs live.

use crate::implementation::Implementation;

mod check_then_claim;
mod http;
mod stale_replica;
mod sticky_claims;
mod store;
mod unchecked_batch;

/// Every specimen.
pub const SPECIMENS: &[Implementation] = &[
    check_then_claim::SPECIMEN,
    stale_replica::SPECIMEN,
    sticky_claims::SPECIMEN,
    unchecked_batch::SPECIMEN,
];
