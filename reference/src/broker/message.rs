//! Messages: what is kept of one, and its life.
//!
//! ```text
//!            delay ends          claimed
//!  Delayed ────────────► Active ─────────► Claimed
//!     │                    │  ◄─────────────  │
//!     │                    │ released, or     │
//!     │                    │ the claim ended  │
//!     ▼                    ▼                  ▼
//!  expired              expired, deleted, popped,       (from Delayed also: deleted, purged)
//!                       purged, moved away
//! ```
//!
//! What ends by itself is seen to have ended at once, whatever is still written down.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clients::ClientKey;
use super::id::{MessageId, Uuid};
use super::json_text::JsonText;
use super::slab::Slot;
use super::timestamp::Timestamp;

/// Who asks: an id the client chose for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ClientId {
    /// A UUID, however it was spelled.
    Uuid(Uuid),
    /// A free-form string, where those are allowed.
    Text(Arc<str>),
}

/// The place of a message in the one order of all messages of a broker. It only grows, so that a
/// marker of a deleted queue does not skip messages of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Rank(pub(crate) u64);

/// Which backlog a message belongs to. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct BacklogId(pub(crate) u64);

/// Where a message stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Delayed { until: Timestamp },
    Active,
    Claimed { claim: Slot, until: Timestamp },
}

impl State {
    /// When it is active, unless something else happens before: long ago if it is.
    pub(crate) const fn ready_at(self) -> Timestamp {
        match self {
            Self::Active => Timestamp::from_nanos(0),
            Self::Delayed { until } | Self::Claimed { until, .. } => until,
        }
    }

    /// The claim that holds it, if that has not ended by now.
    pub(crate) fn holder(self, now: Timestamp) -> Option<Slot> {
        match self {
            Self::Claimed { claim, until } if until > now => Some(claim),
            Self::Claimed { .. } | Self::Active | Self::Delayed { .. } => None,
        }
    }
}

/// A message as stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) body: JsonText,
    pub(crate) client: ClientKey,
    pub(crate) backlog: BacklogId,
    pub(crate) rank: Rank,
    pub(crate) posted_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// As reported. After an extension it is the claim's ttl and grace, counted from the claim,
    /// while `age` still counts from the post; so `ttl - age` is not the remaining life.
    pub(crate) ttl_secs: u32,
    pub(crate) claim_count: u32,
    pub(crate) state: State,
}
