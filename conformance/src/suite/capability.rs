//! What implementations and their configurations may lack: a case that needs more is not applicable.

use std::fmt;

/// One thing that an implementation, as it is configured, offers or not.
///
/// What every implementation must have is no capability: queues that are created and deleted; messages
/// that are posted, listed, read and deleted; claims that are made, read, renewed, released and expire.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// A client names its project in `X-Project-ID`, so that a case can have two. Not so with Keystone.
    Projects,
    /// The version list, the home document, and `OPTIONS`.
    Discovery,
    /// Queues have metadata, reserved members included, which `GET` shows.
    Metadata,
    /// Metadata is changed by `PATCH`.
    Patch,
    /// The queues of a project are listed.
    QueueLists,
    /// Queues have statistics.
    Stats,
    /// Queues are purged.
    Purge,
    /// Several messages are read or deleted by their `ids`.
    Bulk,
    /// Messages are popped.
    Pop,
    /// Messages can be delayed.
    Delay,
    /// Messages that were claimed too often move to another queue.
    DeadLetters,
    /// Bodies can be encrypted where they are stored.
    Encryption,
    /// Messages carry a checksum: `enable_checksum`.
    Checksums,
    /// Client identifiers must be UUIDs: `client_id_uuid_safe = strict`.
    UuidClients,
    /// Client identifiers are any text: `client_id_uuid_safe = off`.
    FreeFormClients,
    /// Deleting by `ids` takes claimed messages too: `message_delete_with_claim_id = False`.
    BulkDeleteIgnoresClaims,
    /// Deleting by `ids` needs `claim_ids`: `message_delete_with_claim_id = True`.
    BulkDeleteNeedsClaims,
    /// Queues have subscriptions.
    Subscriptions,
    /// Notifications are posted to subscribers, and the suite's sink can be reached from the target.
    Webhooks,
    /// Subscribers are asked to confirm: `require_confirmation`.
    Confirmation,
    /// Notifications go out by mail, and the suite's mail sink can be reached from the target.
    Mail,
    /// A signing key is configured, so that access to a queue can be shared.
    PreSigned,
    /// That key is known to the suite: the target file names it.
    KnownSigningKey,
    /// Administrators have routes of their own, health among them: `admin_mode`.
    Admin,
    /// Pools and flavors exist: `pooling`, with `admin_mode`.
    Pools,
    /// An origin is allowed by the `[cors]` section.
    Cors,
    /// The WebSocket transport can be reached: the target file or `--websocket` names its address.
    #[serde(rename = "websocket")]
    WebSocket,
    /// What expires does so within two seconds, not within the minute that the documents allow.
    ExactExpiry,
    /// Messages have one order, also between producers.
    TotalOrder,
}

impl Capability {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 29] = [
        Self::Projects,
        Self::Discovery,
        Self::Metadata,
        Self::Patch,
        Self::QueueLists,
        Self::Stats,
        Self::Purge,
        Self::Bulk,
        Self::Pop,
        Self::Delay,
        Self::DeadLetters,
        Self::Encryption,
        Self::Checksums,
        Self::UuidClients,
        Self::FreeFormClients,
        Self::BulkDeleteIgnoresClaims,
        Self::BulkDeleteNeedsClaims,
        Self::Subscriptions,
        Self::Webhooks,
        Self::Confirmation,
        Self::Mail,
        Self::PreSigned,
        Self::KnownSigningKey,
        Self::Admin,
        Self::Pools,
        Self::Cors,
        Self::WebSocket,
        Self::ExactExpiry,
        Self::TotalOrder,
    ];

    /// The word for it in target files and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Discovery => "discovery",
            Self::Metadata => "metadata",
            Self::Patch => "patch",
            Self::QueueLists => "queue-lists",
            Self::Stats => "stats",
            Self::Purge => "purge",
            Self::Bulk => "bulk",
            Self::Pop => "pop",
            Self::Delay => "delay",
            Self::DeadLetters => "dead-letters",
            Self::Encryption => "encryption",
            Self::Checksums => "checksums",
            Self::UuidClients => "uuid-clients",
            Self::FreeFormClients => "free-form-clients",
            Self::BulkDeleteIgnoresClaims => "bulk-delete-ignores-claims",
            Self::BulkDeleteNeedsClaims => "bulk-delete-needs-claims",
            Self::Subscriptions => "subscriptions",
            Self::Webhooks => "webhooks",
            Self::Confirmation => "confirmation",
            Self::Mail => "mail",
            Self::PreSigned => "pre-signed",
            Self::KnownSigningKey => "known-signing-key",
            Self::Admin => "admin",
            Self::Pools => "pools",
            Self::Cors => "cors",
            Self::WebSocket => "websocket",
            Self::ExactExpiry => "exact-expiry",
            Self::TotalOrder => "total-order",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_is_listed_once_under_the_word_that_files_use() {
        for (place, capability) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(capability as usize, place);
            let word = serde_json::to_value(capability).unwrap();
            assert_eq!(word, capability.word());
        }
    }
}
