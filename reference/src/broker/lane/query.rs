//! What is looked for in a lane, and how much looking it took.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::Entry;
use super::summary::Summary;
use crate::broker::clients::ClientKey;
use crate::broker::timestamp::Timestamp;

/// Counts the entries and branches that were looked at: the cost of a search without any clock.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Work(Cell<u64>);

impl Work {
    pub(crate) fn done(&self) -> u64 {
        self.0.get()
    }

    pub(super) fn add(&self, looks: usize) {
        let looks = u64::try_from(looks).unwrap_or(u64::MAX);
        self.0.set(self.0.get().wrapping_add(looks));
    }
}

/// A question about each entry. What it says of many at once must be true of each.
pub(crate) trait Query {
    fn admits(&self, entry: &Entry) -> bool;
    /// False only if none of them is admitted.
    fn may_admit(&self, all: &Summary) -> bool;
    /// True only if each of them is admitted.
    fn admits_all(&self, all: &Summary) -> bool;
    fn work(&self) -> &Work;
}

/// What somebody may see: it has not expired, is ready if only that will do, and is of another
/// client than the excluded one.
pub(crate) struct Wanted<'a> {
    pub(crate) now: Timestamp,
    pub(crate) ready: bool,
    pub(crate) excluded: Option<ClientKey>,
    pub(crate) work: &'a Work,
}

impl Query for Wanted<'_> {
    fn admits(&self, entry: &Entry) -> bool {
        entry.expires_at > self.now
            && (!self.ready || entry.ready_at <= self.now)
            && self.excluded != Some(entry.client)
    }

    fn may_admit(&self, all: &Summary) -> bool {
        all.expires_max > self.now
            && (!self.ready || all.ready_min <= self.now)
            && (self.excluded.is_none() || self.excluded != all.client)
    }

    fn admits_all(&self, all: &Summary) -> bool {
        all.expires_min > self.now
            && (!self.ready || all.ready_max <= self.now)
            && self.excluded.is_none()
    }

    fn work(&self) -> &Work {
        self.work
    }
}

/// What has expired.
pub(crate) struct Over<'a> {
    pub(crate) now: Timestamp,
    pub(crate) work: &'a Work,
}

impl Query for Over<'_> {
    fn admits(&self, entry: &Entry) -> bool {
        entry.expires_at <= self.now
    }

    fn may_admit(&self, all: &Summary) -> bool {
        all.expires_min <= self.now
    }

    fn admits_all(&self, all: &Summary) -> bool {
        all.expires_max <= self.now
    }

    fn work(&self) -> &Work {
        self.work
    }
}

/// What is ready, expired or not.
pub(crate) struct Ready<'a> {
    pub(crate) now: Timestamp,
    pub(crate) work: &'a Work,
}

impl Query for Ready<'_> {
    fn admits(&self, entry: &Entry) -> bool {
        entry.ready_at <= self.now
    }

    fn may_admit(&self, all: &Summary) -> bool {
        all.ready_min <= self.now
    }

    fn admits_all(&self, all: &Summary) -> bool {
        all.ready_max <= self.now
    }

    fn work(&self) -> &Work {
        self.work
    }
}

/// What is not ready yet, expired or not.
pub(crate) struct Held<'a> {
    pub(crate) now: Timestamp,
    pub(crate) work: &'a Work,
}

impl Query for Held<'_> {
    fn admits(&self, entry: &Entry) -> bool {
        entry.ready_at > self.now
    }

    fn may_admit(&self, all: &Summary) -> bool {
        all.ready_max > self.now
    }

    fn admits_all(&self, all: &Summary) -> bool {
        all.ready_min > self.now
    }

    fn work(&self) -> &Work {
        self.work
    }
}
