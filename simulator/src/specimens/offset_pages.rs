//! Pages by counting: a marker says how many messages were shown, and the next page leaves out as many. What
//! is deleted in between moves the rest forward, out of sight.
//!
//! Modelled on the scenario *page skip*: SQL's `OFFSET`, as the removed SQL driver paged (H-46's driver).

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Listed, Page, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "offset-pages",
    about: "pages by offset: what is deleted between two pages hides as many others",
    caught_by: Some("delivery/page-gap"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(OffsetPages {
            store: Store::new(&context),
        })
    },
};

struct OffsetPages {
    store: Store,
}

impl WorkQueue for OffsetPages {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn list(&self, place: Place, page: Page) -> Listed {
        self.store
            .transact(|tables, now| {
                let marker = page.marker.as_ref().and_then(|marker| marker.parse().ok());
                let offset: usize = marker.unwrap_or(0);
                let all = tables.listable(&place, &page, now).into_iter();
                let shown = all.map(|(_, row)| row).skip(offset).take(page.limit);
                let rows: Vec<_> = shown.collect();
                let next = (offset + rows.len()).to_string();
                Listed { rows, next }
            })
            .await
    }
}
