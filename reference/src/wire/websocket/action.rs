//! Actions: which there are, and what their bodies have to look like.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::fault::Fault;
use crate::wire::json;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Authenticate,
    QueueList,
    QueueCreate,
    QueueGet,
    QueueDelete,
    QueueGetStats,
    QueuePurge,
    MessagePost,
    MessageList,
    MessageGet,
    MessageGetMany,
    MessageDelete,
    MessageDeleteMany,
    ClaimCreate,
    ClaimGet,
    ClaimUpdate,
    ClaimDelete,
    SubscriptionCreate,
    SubscriptionList,
    SubscriptionGet,
    SubscriptionDelete,
}

/// What a member of a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// A text that we hand out, or null where we hand out null.
    TextOrNull,
    Integer,
    Flag,
    Object,
    Array,
    Texts,
    /// Looked at where it is read.
    Anything,
}

type Member = (&'static str, Kind);

/// Actions that Zaqar names and cannot carry out: those of its administrators, and some more.
const WITHOUT_IMPLEMENTATION: [&str; 17] = [
    "flavor_create",
    "flavor_delete",
    "flavor_get",
    "flavor_list",
    "flavor_update",
    "get_home_doc",
    "health",
    "home",
    "home_get",
    "ping",
    "ping_get",
    "pool_create",
    "pool_delete",
    "pool_get",
    "pool_list",
    "pool_update",
    "health_get",
];

const QUEUE: Member = ("queue_name", Kind::Text);
const LIMIT: Member = ("limit", Kind::Integer);
const TTL: Member = ("ttl", Kind::Integer);
const GRACE: Member = ("grace", Kind::Integer);
const MARKER: Member = ("marker", Kind::TextOrNull);
const MESSAGE: Member = ("message_id", Kind::Text);
const CLAIM: Member = ("claim_id", Kind::Text);
const SUBSCRIPTION: Member = ("subscription_id", Kind::Text);

impl Action {
    pub(crate) fn of(name: &str) -> Result<Self, Fault> {
        Ok(match name {
            "authenticate" => Self::Authenticate,
            "queue_list" => Self::QueueList,
            "queue_create" => Self::QueueCreate,
            "queue_get" => Self::QueueGet,
            "queue_delete" => Self::QueueDelete,
            "queue_get_stats" => Self::QueueGetStats,
            "queue_purge" => Self::QueuePurge,
            "message_post" => Self::MessagePost,
            "message_list" => Self::MessageList,
            "message_get" => Self::MessageGet,
            "message_get_many" => Self::MessageGetMany,
            "message_delete" => Self::MessageDelete,
            "message_delete_many" => Self::MessageDeleteMany,
            "claim_create" => Self::ClaimCreate,
            "claim_get" => Self::ClaimGet,
            "claim_update" => Self::ClaimUpdate,
            "claim_delete" => Self::ClaimDelete,
            "subscription_create" => Self::SubscriptionCreate,
            "subscription_list" => Self::SubscriptionList,
            "subscription_get" => Self::SubscriptionGet,
            "subscription_delete" => Self::SubscriptionDelete,
            _ if WITHOUT_IMPLEMENTATION.contains(&name) => {
                return Err(Fault::ActionWithoutImplementation);
            }
            _ => return Err(Fault::ActionUnknown),
        })
    }

    /// Whether it is about one queue.
    pub(crate) const fn names_queue(self) -> bool {
        !matches!(self, Self::Authenticate | Self::QueueList)
    }

    /// The method of HTTP that a signature has to grant. Zaqar v2, WebSocket: `None`, for all but
    /// messages, means that no signature grants it.
    pub(crate) const fn granted_by(self) -> Option<&'static str> {
        match self {
            Self::MessagePost => Some("POST"),
            Self::MessageList | Self::MessageGet | Self::MessageGetMany => Some("GET"),
            Self::MessageDelete | Self::MessageDeleteMany => Some("DELETE"),
            Self::Authenticate
            | Self::QueueList
            | Self::QueueCreate
            | Self::QueueGet
            | Self::QueueDelete
            | Self::QueueGetStats
            | Self::QueuePurge
            | Self::ClaimCreate
            | Self::ClaimGet
            | Self::ClaimUpdate
            | Self::ClaimDelete
            | Self::SubscriptionCreate
            | Self::SubscriptionList
            | Self::SubscriptionGet
            | Self::SubscriptionDelete => None,
        }
    }

    /// Checks that what a body must have is there, and that all of it that is read is of its kind.
    /// Whatever else there is does not matter.
    pub(crate) fn check(self, members: &BTreeMap<String, &RawValue>) -> Result<(), Fault> {
        let (needed, optional) = self.members();
        for &(member, kind) in needed {
            let value = members.get(member);
            let value = value.ok_or(Fault::MemberMissing { member })?;
            kind.check(member, value)?;
        }
        for &(member, kind) in optional {
            if let Some(value) = members.get(member) {
                kind.check(member, value)?;
            }
        }
        Ok(())
    }

    /// The members that are needed, and those that are read if they are there.
    const fn members(self) -> (&'static [Member], &'static [Member]) {
        match self {
            Self::Authenticate => (&[], &[]),
            Self::QueueList => (&[], &[MARKER, LIMIT, ("detailed", Kind::Flag)]),
            Self::QueueCreate => (&[QUEUE], &[("metadata", Kind::Object)]),
            Self::QueueGet | Self::QueueDelete | Self::QueueGetStats => (&[QUEUE], &[]),
            Self::QueuePurge => (&[QUEUE], &[("resource_types", Kind::Texts)]),
            Self::MessagePost => (&[QUEUE, ("messages", Kind::Array)], &[]),
            Self::MessageList => (
                &[QUEUE],
                &[
                    MARKER,
                    LIMIT,
                    ("echo", Kind::Flag),
                    ("include_claimed", Kind::Flag),
                    ("include_delayed", Kind::Flag),
                ],
            ),
            Self::MessageGet => (&[QUEUE, MESSAGE], &[]),
            Self::MessageGetMany => (&[QUEUE, ("message_ids", Kind::Texts)], &[]),
            Self::MessageDelete => (&[QUEUE, MESSAGE], &[("claim_id", Kind::TextOrNull)]),
            Self::MessageDeleteMany => (
                &[QUEUE],
                &[
                    ("message_ids", Kind::Texts),
                    ("pop", Kind::Integer),
                    ("claim_ids", Kind::Texts),
                ],
            ),
            Self::ClaimCreate => (&[QUEUE], &[TTL, GRACE, LIMIT]),
            Self::ClaimGet | Self::ClaimDelete => (&[QUEUE, CLAIM], &[]),
            Self::ClaimUpdate => (&[QUEUE, CLAIM], &[TTL, GRACE]),
            Self::SubscriptionCreate => (
                &[QUEUE],
                &[
                    ("subscriber", Kind::Anything),
                    TTL,
                    ("options", Kind::Object),
                ],
            ),
            Self::SubscriptionList => (&[QUEUE], &[MARKER, LIMIT]),
            Self::SubscriptionGet | Self::SubscriptionDelete => (&[QUEUE, SUBSCRIPTION], &[]),
        }
    }
}

impl Kind {
    fn check(self, member: &'static str, value: &RawValue) -> Result<(), Fault> {
        let text = value.get();
        let (fits, expected) = match self {
            Self::Text => (text.starts_with('"'), "a string"),
            Self::TextOrNull => (text.starts_with('"') || text == "null", "a string"),
            Self::Integer => (json::integer(value).is_some(), "an integer"),
            Self::Flag => (matches!(text, "true" | "false"), "a boolean"),
            Self::Object => (text.starts_with('{'), "an object"),
            Self::Array => (text.starts_with('['), "an array"),
            Self::Texts => {
                let mut elements = json::elements(value).into_iter().flatten();
                let strings = elements.all(|element| element.get().starts_with('"'));
                (text.starts_with('[') && strings, "an array of strings")
            }
            Self::Anything => (true, ""),
        };
        if fits {
            Ok(())
        } else {
            Err(Fault::MemberOfAnotherKind { member, expected })
        }
    }
}
