//! What a branch knows of the entries below it.

use super::Entry;
use crate::broker::clients::ClientKey;
use crate::broker::timestamp::Timestamp;

/// Of at least one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) expires_min: Timestamp,
    pub(crate) expires_max: Timestamp,
    pub(crate) ready_min: Timestamp,
    pub(crate) ready_max: Timestamp,
    /// Whose they are, if all of them are of one client.
    pub(crate) client: Option<ClientKey>,
    pub(crate) len: u32,
}

impl Summary {
    pub(crate) const fn of(entry: &Entry) -> Self {
        Self {
            expires_min: entry.expires_at,
            expires_max: entry.expires_at,
            ready_min: entry.ready_at,
            ready_max: entry.ready_at,
            client: Some(entry.client),
            len: 1,
        }
    }

    /// Of both.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            expires_min: self.expires_min.min(other.expires_min),
            expires_max: self.expires_max.max(other.expires_max),
            ready_min: self.ready_min.min(other.ready_min),
            ready_max: self.ready_max.max(other.ready_max),
            client: self.client.filter(|_| self.client == other.client),
            len: self.len + other.len,
        }
    }
}
