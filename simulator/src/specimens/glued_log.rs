//! Finds where its log is torn, reads what stands before, and writes on behind it: after the next death, what was
//! written there cannot be read.
//!
//! Modelled on the scenario *torn write*: the tail that a recovery leaves in place.

use crate::durable::{Log, start};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "glued-log",
    about: "writes on behind the torn end of its log",
    caught_by: Some("delivery/lost"),
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, GluedLog),
};

#[derive(Clone, Copy)]
struct GluedLog;

impl Log for GluedLog {
    fn cuts(&self) -> bool {
        false
    }
}
