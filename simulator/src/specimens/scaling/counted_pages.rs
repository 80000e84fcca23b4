//! Pages by counting: every page is looked for from the beginning of the queue, past all that the pages before it
//! have shown, as SQL's `OFFSET` does. Its markers are right; only their price grows.

use super::shelf::Shelf;
use super::shelves::{IN_TIME, Shelves};
use crate::implementation::{Implementation, Takes};
use crate::specimens::front::{WorkQueue, answering};
use crate::specimens::tables::{Listed, Page, Place};

/// Before the rank of every message.
const BEGINNING: u64 = 0;

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "counted-pages",
    about: "walks past all that lies before a page",
    caught_by: Some("scaling/flat-cost"),
    takes: Takes::ONE_IN_MEMORY,
    variants: &[],
    start: |context| {
        answering(CountedPages {
            shelves: Shelves::new(&context, IN_TIME),
        })
    },
};

struct CountedPages {
    shelves: Shelves,
}

impl WorkQueue<Shelves> for CountedPages {
    fn store(&self) -> &Shelves {
        &self.shelves
    }

    async fn list(&self, place: Place, page: Page) -> Listed {
        let walk = |shelf: &mut Shelf, now| shelf.walk(BEGINNING, &page, now);
        self.shelves.look(&place, walk).await
    }
}
