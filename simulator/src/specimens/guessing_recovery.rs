//! Takes a log that cannot be read for one that is empty, and begins anew.
//!
//! Modelled on the scenario *read error*: a recovery that falls back to a fresh state.

use crate::durable::{Log, start};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "guessing-recovery",
    about: "takes a log that cannot be read for an empty one",
    caught_by: Some("delivery/lost"),
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, GuessingRecovery),
};

#[derive(Clone, Copy)]
struct GuessingRecovery;

impl Log for GuessingRecovery {
    fn patience(&self) -> bool {
        false
    }
}
