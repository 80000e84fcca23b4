//! Every bound of the API that an operator may set, with Zaqar's defaults.
//!
//! Owns the numbers; what happens beyond them is decided where they are checked.

use serde::{Deserialize, Serialize};

/// Queues or messages on a page, and messages in a claim, when the request names no limit.
pub const PAGE_SIZE_DEFAULT: usize = 10;
/// Characters in a queue name, at most.
pub const QUEUE_NAME_CHARS_MAX: usize = 64;
/// Characters in a project id, at most.
pub const PROJECT_CHARS_MAX: usize = 256;
/// Shortest lifetime of a message.
pub const MESSAGE_TTL_SECS_MIN: u32 = 60;
/// Shortest lifetime of a claim.
pub const CLAIM_TTL_SECS_MIN: u32 = 60;
/// Shortest grace of a claim.
pub const CLAIM_GRACE_SECS_MIN: u32 = 60;

/// Characters in the URI of a pool, at most.
pub const POOL_URI_CHARS_MAX: usize = 255;
/// Pools, at most.
pub const POOLS_MAX: usize = 1_000;
/// Flavors, at most.
pub const FLAVORS_MAX: usize = 1_000;
/// Queues that one request moves out of a pool, at most.
pub const DRAINED_PER_REQUEST_MAX: usize = 1_000;

/// Shortest lifetime of a subscription.
pub const SUBSCRIPTION_TTL_SECS_MIN: u64 = 60;

/// No subscription ends after this second since the Unix epoch, the last of the year 9999.
pub const SUBSCRIPTION_END_SECS_MAX: u64 = 253_402_300_799;

/// Which strings are client ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientIdRule {
    /// Only UUIDs, in any spelling.
    Strict,
    /// Any string of a length within these bounds.
    FreeForm {
        /// Fewest characters.
        chars_min: usize,
        /// Most characters.
        chars_max: usize,
    },
}

/// Whether a bulk delete has to name the claims that hold the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkDeleteRule {
    /// `DELETE …/messages?ids=` deletes claimed messages too.
    IgnoresClaims,
    /// Zaqar's `message_delete_with_claim_id`: every listed message must be held by a listed claim.
    NeedsClaims,
}

/// Whether subscribers have to say that they want what they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfirmationRule {
    /// Whoever is subscribed gets messages.
    NotNeeded,
    /// Whoever is subscribed is asked first, and gets messages once it has confirmed.
    Required,
}

/// Where queues are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolingRule {
    /// All in one store.
    OneStore,
    /// Each in one of the pools that operators add.
    Pools,
}

/// What becomes of a queue that no pool takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VirtualPoolRule {
    /// It is not created.
    Disabled,
    /// It is kept in the one store, which is no pool, for life.
    Enabled,
}

/// The bounds a broker keeps. `Default` is the table of Zaqar's configuration reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Lifetime of a message that names none, in a queue that names none.
    pub message_ttl_secs_default: u32,
    /// Longest lifetime of a message.
    pub message_ttl_secs_max: u32,
    /// Delay shown for a queue that names none. Zero: such a queue does not delay.
    pub message_delay_secs_default: u32,
    /// Longest delay of a message.
    pub message_delay_secs_max: u32,
    /// Lifetime of a claim that names none.
    pub claim_ttl_secs_default: u32,
    /// Longest lifetime of a claim.
    pub claim_ttl_secs_max: u32,
    /// Grace of a claim that names none.
    pub claim_grace_secs_default: u32,
    /// Longest grace of a claim.
    pub claim_grace_secs_max: u32,
    /// Lifetime of a subscription that names none.
    pub subscription_ttl_secs_default: u64,
    /// Most subscriptions on a page.
    pub subscriptions_per_page_max: usize,
    /// Messages kept for subscribers of one queue that have not got them, at most. Beyond it the
    /// oldest are dropped for those who lack them, and counted.
    pub notifications_pending_max: usize,
    /// Bytes in the bodies of these, at most.
    pub notification_bytes_pending_max: usize,
    /// Attempts to send something that are under way for one project, at most.
    pub deliveries_per_project_max: usize,
    /// Whether subscribers have to confirm.
    pub confirmation_rule: ConfirmationRule,
    /// Most queues on a page.
    pub queues_per_page_max: usize,
    /// Most messages on a page, and most ids in a bulk read or delete.
    pub messages_per_page_max: usize,
    /// Most messages in one claim or pop.
    pub messages_per_claim_or_pop_max: usize,
    /// Most bytes in the body of a request that sets or patches metadata.
    pub queue_metadata_bytes_max: usize,
    /// Most bytes in the body of a request that posts messages.
    pub messages_post_bytes_max: usize,
    /// Which strings are client ids.
    pub client_id_rule: ClientIdRule,
    /// Whether a bulk delete respects claims.
    pub bulk_delete_rule: BulkDeleteRule,
    /// Where queues are kept.
    pub pooling_rule: PoolingRule,
    /// What becomes of a queue that no pool takes.
    pub virtual_pool_rule: VirtualPoolRule,
    /// Most pools on a page.
    pub pools_per_page_max: usize,
    /// Most flavors on a page.
    pub flavors_per_page_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_ttl_secs_default: 3_600,
            message_ttl_secs_max: 1_209_600,
            message_delay_secs_default: 0,
            message_delay_secs_max: 900,
            claim_ttl_secs_default: 300,
            claim_ttl_secs_max: 43_200,
            claim_grace_secs_default: 60,
            claim_grace_secs_max: 43_200,
            subscription_ttl_secs_default: 3_600,
            subscriptions_per_page_max: 20,
            notifications_pending_max: 10_000,
            notification_bytes_pending_max: 16 * 1024 * 1024,
            deliveries_per_project_max: 16,
            confirmation_rule: ConfirmationRule::NotNeeded,
            queues_per_page_max: 20,
            messages_per_page_max: 20,
            messages_per_claim_or_pop_max: 20,
            queue_metadata_bytes_max: 65_536,
            messages_post_bytes_max: 262_144,
            client_id_rule: ClientIdRule::Strict,
            bulk_delete_rule: BulkDeleteRule::IgnoresClaims,
            pooling_rule: PoolingRule::OneStore,
            virtual_pool_rule: VirtualPoolRule::Disabled,
            pools_per_page_max: 20,
            flavors_per_page_max: 20,
        }
    }
}

impl Limits {
    /// Most bytes of a body that any request may need.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.messages_post_bytes_max
            .max(self.queue_metadata_bytes_max)
    }
}
