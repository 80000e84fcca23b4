//! Small implementations that keep every promise about messages, and scale badly for an honest reason
//! (`guarantees.md`, section 5); and a sound one, of which each is a variation.
//!
//! What they do too much they really do, entry by entry: a real processor pays for it by the clock, a simulated one
//! by what they say they have examined. Time comes from the node's environment alone, so all of this runs in a
//! simulated world and outside of it.

use self::shelves::{IN_TIME, Shelves};
use super::front::{WorkQueue, answering};
use crate::implementation::{Implementation, Takes};

mod chattering_sessions;
mod counted_pages;
mod fixed_table;
mod late_collection;
mod one_lock;
mod one_table;
mod scanning_claims;
mod shelf;
mod shelves;

/// All of them, in the order of their names. No drawn scenario finds them out, only a ladder does.
pub(super) const SCALING: &[Implementation] = &[
    chattering_sessions::SPECIMEN,
    counted_pages::SPECIMEN,
    fixed_table::SPECIMEN,
    late_collection::SPECIMEN,
    one_lock::SPECIMEN,
    one_table::SPECIMEN,
    scanning_claims::SPECIMEN,
];

/// The sound one.
pub(super) const INDEXED: Implementation = Implementation {
    name: "indexed",
    about: "a work queue in memory that finds everything by an index, without dead letters",
    caught_by: None,
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(Indexed {
            shelves: Shelves::new(&context, IN_TIME),
        })
    },
};

struct Indexed {
    shelves: Shelves,
}

impl WorkQueue<Shelves> for Indexed {
    fn store(&self) -> &Shelves {
        &self.shelves
    }
}
