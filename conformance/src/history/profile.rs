//! What the target promises beyond the bare contract, as far as a rule has to know it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the rules. What is not said is what promises least, so that nothing is condemned
/// that a service may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// When an answer that holds fewer messages than its limit proves that no more were there.
    #[serde(skip_serializing_if = "is_default")]
    pub short_answers: ShortAnswers,
    /// Whether a pop counts as a delivery for the dead-letter queue, and may move messages there.
    #[serde(skip_serializing_if = "is_default")]
    pub pops_count: bool,
    /// Between whose messages an order is promised.
    #[serde(skip_serializing_if = "is_default")]
    pub order: OrderProfile,
    /// Whether counts outside their possible range decide, or are only reported.
    #[serde(skip_serializing_if = "is_default")]
    pub strict_stats: bool,
    /// Whether a bulk delete has to name the claims of what it deletes.
    #[serde(skip_serializing_if = "is_default")]
    pub bulk_delete_needs_claims: bool,
    /// How long after its end a message may still be seen.
    #[serde(skip_serializing_if = "is_default")]
    pub expiry_lag_ns: u64,
    /// How long after its post a message is pushed to a reachable subscriber at the latest, all
    /// retries included; `None`: nobody promises.
    #[serde(skip_serializing_if = "is_default")]
    pub pushed_within_ns: Option<u64>,
}

impl Profile {
    /// How long after its end a message may still be seen.
    pub fn expiry_lag(&self) -> Duration {
        Duration::from_nanos(self.expiry_lag_ns)
    }

    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        is_default(self)
    }
}

/// When a claim or pop that came back short proves that no more was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShortAnswers {
    /// Always.
    Strict,
    /// If nothing else was in flight on the queue.
    #[default]
    Quiescent,
    /// If, besides, it belongs to the closing drain.
    Drain,
}

/// Between whose messages an order is promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderProfile {
    /// Those of one producer.
    #[default]
    Producer,
    /// Those of any two, if one's post ended before the other's began.
    Strict,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
