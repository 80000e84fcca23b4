//! Takes expired messages away once an hour. Until then they lie in the way: nobody is given one, but whoever
//! claims or lists walks past all of them.

use std::time::Duration;

use super::Indexed;
use super::shelves::Shelves;
use crate::implementation::{Implementation, Takes};
use crate::specimens::front::answering;

/// How often the collector comes by.
const PERIOD: Duration = Duration::from_secs(3_600);

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "late-collection",
    about: "walks past expired messages until an hourly collector has come by",
    caught_by: Some("scaling/flat-cost"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(Indexed {
            shelves: Shelves::new(&context, PERIOD),
        })
    },
};
