//! Queue metadata, and the reserved members of it that the broker obeys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use thiserror::Error;

use super::json_text::JsonText;
use super::limits::{Limits, MESSAGE_TTL_SECS_MIN};
use super::queue::QueueName;
use super::retry::{RETRY_POLICY, RetryPolicy};

/// Queue metadata as stored: members and their values, in order of their names.
pub type Metadata = BTreeMap<String, JsonText>;

const MESSAGES_POST_SIZE: &str = "_max_messages_post_size";
const MESSAGE_TTL: &str = "_default_message_ttl";
const MESSAGE_DELAY: &str = "_default_message_delay";
const DEAD_LETTER_QUEUE: &str = "_dead_letter_queue";
const DEAD_LETTER_TTL: &str = "_dead_letter_queue_messages_ttl";
const CLAIM_COUNT: &str = "_max_claim_count";
const ENCRYPTION: &str = "_enable_encrypt_messages";

/// The reserved members that are shown even where they are unset.
const SHOWN: [&str; 7] = [
    MESSAGES_POST_SIZE,
    MESSAGE_TTL,
    MESSAGE_DELAY,
    DEAD_LETTER_QUEUE,
    DEAD_LETTER_TTL,
    CLAIM_COUNT,
    ENCRYPTION,
];

/// A reserved member with a value it may not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttributeFault {
    /// Not an integer, or not within the bounds.
    #[error("{member} is not an integer between {min} and {max}")]
    NotWithin {
        /// The reserved member.
        member: &'static str,
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Not a boolean.
    #[error("{member} is not a boolean")]
    NotBoolean {
        /// The reserved member.
        member: &'static str,
    },
    /// The retry policy cannot be followed.
    #[error("_retry_policy: {0}")]
    RetryPolicy(&'static str),
}

/// What the reserved members say. `None`: unset, or null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) messages_post_bytes_max: Option<usize>,
    pub(crate) message_ttl_secs: Option<u32>,
    pub(crate) message_delay_secs: Option<u32>,
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) retry_policy: Option<RetryPolicy>,
}

/// Where messages go that were handed out too often. Only with both `_max_claim_count` and
/// `_dead_letter_queue` set; a value of the latter that is no queue name counts as unset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLetters {
    pub(crate) queue: QueueName,
    pub(crate) claim_count_max: u64,
    pub(crate) ttl_secs: Option<u32>,
}

impl Attributes {
    /// Reads and checks the reserved members.
    pub(crate) fn read(metadata: &Metadata, limits: &Limits) -> Result<Self, AttributeFault> {
        let ttl_range = (MESSAGE_TTL_SECS_MIN, limits.message_ttl_secs_max);
        let post_bytes_max = u32::try_from(limits.messages_post_bytes_max).unwrap_or(u32::MAX);
        let post_bytes = integer(metadata, MESSAGES_POST_SIZE, (1, post_bytes_max))?;
        let message_ttl_secs = integer(metadata, MESSAGE_TTL, ttl_range)?;
        let message_delay_secs =
            integer(metadata, MESSAGE_DELAY, (0, limits.message_delay_secs_max))?;
        let dead_letter_ttl_secs = integer(metadata, DEAD_LETTER_TTL, ttl_range)?;
        let claim_count_max = claim_count_max(metadata)?;
        check_encryption(metadata)?;
        let retry_policy = set(metadata, RETRY_POLICY).map(RetryPolicy::read);
        let dead_letter_queue = metadata
            .get(DEAD_LETTER_QUEUE)
            .and_then(JsonText::as_string)
            .and_then(|name| QueueName::parse(&name));
        let dead_letters =
            dead_letter_queue
                .zip(claim_count_max)
                .map(|(queue, claim_count_max)| DeadLetters {
                    queue,
                    claim_count_max,
                    ttl_secs: dead_letter_ttl_secs,
                });
        Ok(Self {
            messages_post_bytes_max: post_bytes
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            message_ttl_secs,
            message_delay_secs: message_delay_secs.filter(|&secs| secs > 0),
            dead_letters,
            retry_policy: retry_policy.transpose()?,
        })
    }
}

/// Whether a patch may replace or remove the member although it is not stored.
pub(crate) fn is_always_shown(member: &str) -> bool {
    SHOWN.contains(&member)
}

/// The metadata as a client sees it: reserved members that are absent or falsy read as their
/// defaults.
#[must_use]
pub fn shown(metadata: &Metadata, limits: &Limits) -> Metadata {
    let mut shown = metadata.clone();
    for member in SHOWN {
        if metadata.get(member).is_none_or(JsonText::is_falsy) {
            shown.insert(member.to_owned(), default_of(member, limits));
        }
    }
    shown
}

fn default_of(member: &str, limits: &Limits) -> JsonText {
    let text = match member {
        MESSAGES_POST_SIZE => limits.messages_post_bytes_max.to_string(),
        MESSAGE_TTL => limits.message_ttl_secs_default.to_string(),
        MESSAGE_DELAY => limits.message_delay_secs_default.to_string(),
        ENCRYPTION => "false".to_owned(),
        _ => "null".to_owned(),
    };
    JsonText::parse(&text).expect("invariant: numbers and words are JSON")
}

fn set<'a>(metadata: &'a Metadata, member: &str) -> Option<&'a JsonText> {
    metadata.get(member).filter(|value| !value.is_null())
}

fn integer(
    metadata: &Metadata,
    member: &'static str,
    (min, max): (u32, u32),
) -> Result<Option<u32>, AttributeFault> {
    let Some(value) = set(metadata, member) else {
        return Ok(None);
    };
    let fault = AttributeFault::NotWithin {
        member,
        min: min.into(),
        max: max.into(),
    };
    let number = value
        .as_integer()
        .and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| (min..=max).contains(number))
        .map(Some)
        .ok_or(fault)
}

fn claim_count_max(metadata: &Metadata) -> Result<Option<u64>, AttributeFault> {
    let Some(value) = set(metadata, CLAIM_COUNT) else {
        return Ok(None);
    };
    let fault = AttributeFault::NotWithin {
        member: CLAIM_COUNT,
        min: 0,
        max: i64::MAX,
    };
    value
        .as_integer()
        .and_then(|count| u64::try_from(count).ok())
        .map(Some)
        .ok_or(fault)
}

fn check_encryption(metadata: &Metadata) -> Result<(), AttributeFault> {
    match set(metadata, ENCRYPTION) {
        Some(value) if value.as_bool().is_none() => {
            Err(AttributeFault::NotBoolean { member: ENCRYPTION })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(text: &str) -> Metadata {
        JsonText::parse(text).unwrap().as_members().unwrap()
    }

    fn read(text: &str) -> Result<Attributes, AttributeFault> {
        Attributes::read(&metadata(text), &Limits::default())
    }

    #[test]
    fn null_means_unset_for_every_reserved_member() {
        let text = r#"{"_max_messages_post_size":null,"_default_message_ttl":null,
            "_default_message_delay":null,"_dead_letter_queue":null,"_max_claim_count":null,
            "_dead_letter_queue_messages_ttl":null,"_enable_encrypt_messages":null,
            "_retry_policy":null}"#;
        assert_eq!(read(text), Ok(Attributes::default()));
    }

    #[test]
    fn reserved_members_out_of_range_or_of_the_wrong_type_are_refused() {
        for text in [
            r#"{"_default_message_ttl":59}"#,
            r#"{"_default_message_ttl":1209601}"#,
            r#"{"_default_message_ttl":60.0}"#,
            r#"{"_default_message_ttl":""}"#,
            r#"{"_default_message_ttl":true}"#,
            r#"{"_default_message_delay":901}"#,
            r#"{"_default_message_delay":-1}"#,
            r#"{"_max_messages_post_size":0}"#,
            r#"{"_max_messages_post_size":262145}"#,
            r#"{"_dead_letter_queue_messages_ttl":1}"#,
            r#"{"_max_claim_count":-1}"#,
            r#"{"_max_claim_count":"3"}"#,
            r#"{"_enable_encrypt_messages":1}"#,
            r#"{"_retry_policy":[]}"#,
            r#"{"_retry_policy":{"minimum_delay":null}}"#,
            r#"{"_retry_policy":{"minimum_delay":25,"maximum_delay":30}}"#,
            r#"{"_retry_policy":{"retry_backoff_function":"random"}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dead_letters_need_a_count_and_a_queue_name() {
        assert!(
            read(r#"{"_dead_letter_queue":"d"}"#)
                .unwrap()
                .dead_letters
                .is_none()
        );
        assert!(
            read(r#"{"_max_claim_count":1}"#)
                .unwrap()
                .dead_letters
                .is_none()
        );
        let odd = r#"{"_max_claim_count":1,"_dead_letter_queue":"no such name!"}"#;
        assert!(read(odd).unwrap().dead_letters.is_none());
        let both = read(r#"{"_max_claim_count":0,"_dead_letter_queue":"d"}"#).unwrap();
        assert_eq!(both.dead_letters.unwrap().claim_count_max, 0);
    }

    #[test]
    fn falsy_reserved_members_are_shown_as_their_defaults() {
        let limits = Limits::default();
        let stored = metadata(r#"{"_default_message_ttl":null,"_dead_letter_queue":"","k":0}"#);
        let shown = shown(&stored, &limits);
        assert_eq!(shown["_default_message_ttl"].as_str(), "3600");
        assert_eq!(shown["_dead_letter_queue"].as_str(), "null");
        assert_eq!(shown["_max_messages_post_size"].as_str(), "262144");
        assert_eq!(shown["k"].as_str(), "0");
        assert_eq!(shown.len(), 8);
    }
}
