//! Keeps all queues under one key, the tenant's name and the queue's with a dash between: tenant `a` with
//! queue `b-c` is tenant `a-b` with queue `c`.
//!
//! Modelled on Zaqar's Redis driver, whose keys join names with a dot still, and on H-18, where a listing
//! ran into other projects.

use super::front::{WorkQueue, answering};
use super::store::Store;
use super::tables::Place;
use crate::implementation::{Implementation, Takes};

pub(super) const SPECIMEN: Implementation = Implementation {
    name: "joined-names",
    about: "joins the names of tenant and queue with a dash (as H-18)",
    caught_by: Some("delivery/isolation"),
    takes: Takes::MANY_BEFORE_A_STORE,
    variants: &[],
    start: |context| {
        answering(JoinedNames {
            store: Store::new(&context),
        })
    },
};

struct JoinedNames {
    store: Store,
}

impl WorkQueue for JoinedNames {
    fn store(&self) -> &Store {
        &self.store
    }

    fn place(&self, project: &str, queue: &str) -> Place {
        Place {
            project: String::new(),
            queue: format!("{project}-{queue}"),
        }
    }
}
