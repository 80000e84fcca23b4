//! Pages by the last message seen, and looks that message up: if it is gone by then, the walk begins again at
//! the head.
//!
//! Modelled on Zaqar 23's Redis driver, which does so still, and on H-09, which repeated the first item.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::{Listed, Page, Place};
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "lost-marker",
    about: "begins a walk again when the message of its marker was deleted (as H-09)",
    caught_by: Some("delivery/page-repeat"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(LostMarker {
            store: Store::new(&context),
        })
    },
};

struct LostMarker {
    store: Store,
}

impl WorkQueue for LostMarker {
    fn store(&self) -> &Store {
        &self.store
    }

    async fn list(&self, place: Place, page: Page) -> Listed {
        self.store
            .transact(|tables, now| {
                let marker = page.marker.as_ref();
                let marker = marker.and_then(|id| tables.find(&place, id, now));
                let after = marker.unwrap_or(0);
                let all = tables.listable(&place, &page, now).into_iter();
                let shown = all.filter(|(rank, _)| *rank > after).take(page.limit);
                let rows: Vec<_> = shown.map(|(_, row)| row).collect();
                let last = rows.last().map(|row| row.id.clone());
                let next = last.or(page.marker.clone()).unwrap_or_default();
                Listed { rows, next }
            })
            .await
    }
}
