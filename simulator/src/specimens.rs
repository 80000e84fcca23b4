//! Small implementations that are wrong in ways that real ones were.
//!
//! Each is modelled on a named bug or a scenario, and names the rule that must catch it. Nothing here is an
//! `if broken`: steps are not atomic over a store, a log is not synced, a lease is kept by the wrong clock. They
//! are how the harness itself is tested.
//!
//! Most put the API (`front`) before a `store` whose steps on its `tables` are right; those with a disk put it
//! before the log of `durable`.

use crate::implementation::{Answering, Implementation, Takes};

mod cached_route;
mod check_then_claim;
mod coarse_leases;
mod cut_batch;
mod drifting_counters;
mod forgotten_claims;
mod front;
mod full_disk;
mod glued_log;
mod guessing_recovery;
mod hidden_letters;
mod joined_names;
mod late_count;
mod late_sweep;
mod limited_scan;
mod lost_delays;
mod lost_marker;
mod offset_pages;
mod parallel_batch;
mod question_marks;
mod read_then_pop;
mod restarting_ids;
mod retried_insert;
mod revived_claims;
mod scaling;
mod stale_replica;
mod steps;
mod sticky_claims;
mod store;
mod tables;
mod unchecked_batch;
mod unextended;
mod unfenced_delete;
mod unlisted_release;
mod unsynced_log;
mod volatile_deletes;
mod write_behind;

/// All specimens, in the order of their names.
pub const SPECIMENS: &[Implementation] = &[
    cached_route::SPECIMEN,
    check_then_claim::SPECIMEN,
    coarse_leases::SPECIMEN,
    cut_batch::SPECIMEN,
    drifting_counters::SPECIMEN,
    forgotten_claims::SPECIMEN,
    full_disk::SPECIMEN,
    glued_log::SPECIMEN,
    guessing_recovery::SPECIMEN,
    hidden_letters::SPECIMEN,
    joined_names::SPECIMEN,
    late_count::SPECIMEN,
    late_sweep::SPECIMEN,
    limited_scan::SPECIMEN,
    lost_delays::SPECIMEN,
    lost_marker::SPECIMEN,
    offset_pages::SPECIMEN,
    parallel_batch::SPECIMEN,
    question_marks::SPECIMEN,
    read_then_pop::SPECIMEN,
    restarting_ids::SPECIMEN,
    retried_insert::SPECIMEN,
    revived_claims::SPECIMEN,
    stale_replica::SPECIMEN,
    sticky_claims::SPECIMEN,
    unchecked_batch::SPECIMEN,
    unextended::SPECIMEN,
    unfenced_delete::SPECIMEN,
    unlisted_release::SPECIMEN,
    unsynced_log::SPECIMEN,
    volatile_deletes::SPECIMEN,
    write_behind::SPECIMEN,
];

/// Those that scale badly, each caught by a rule about scaling and by no other: drawn scenarios leave them out.
pub const SCALING: &[Implementation] = scaling::SCALING;

/// The sound work queue that each of [`SCALING`] is a variation of.
pub const INDEXED: Implementation = scaling::INDEXED;

/// The API over the store, every operation one step: what most specimens are but for one flaw.
pub(crate) const TRANSACTIONAL: Implementation = Implementation {
    name: "transactional",
    about: "any number of servers before a store in which every operation is one step",
    caught_by: None,
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| transactional(store::Store::new(&context)),
};

struct Transactional {
    store: store::Store,
}

impl front::WorkQueue for Transactional {
    fn store(&self) -> &store::Store {
        &self.store
    }
}

fn transactional(store: store::Store) -> Answering {
    front::answering(Transactional { store })
}
