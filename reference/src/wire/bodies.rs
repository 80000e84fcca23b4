//! Request bodies: from bytes to what the broker takes.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::broker::limits::{CLAIM_GRACE_SECS_MIN, CLAIM_TTL_SECS_MIN, MESSAGE_TTL_SECS_MIN};
use crate::broker::{
    Change, ClaimTerms, JsonText, Limits, Metadata, NewMessage, PurgeScope, RequestedDelay,
};

use super::refusal::Refusal;
use super::{json, patch};

/// The body of a request, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Complete(Bytes),
    /// It is longer than any request may be, and was not kept.
    TooLong,
    /// The client broke off.
    Incomplete,
    /// It did not arrive in time.
    TooSlow,
}

impl Body {
    /// Nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Complete(Bytes::new())
    }

    fn bytes(&self, bytes_max: usize) -> Result<&Bytes, Refusal> {
        match self {
            Self::Complete(bytes) if bytes.len() <= bytes_max => Ok(bytes),
            Self::Complete(_) | Self::TooLong => Err(Refusal::BodyTooLong { bytes_max }),
            Self::Incomplete => Err(Refusal::BodyIncomplete),
            Self::TooSlow => Err(Refusal::BodyTooSlow),
        }
    }

    pub(crate) fn required(&self, bytes_max: usize) -> Result<&RawValue, Refusal> {
        self.optional(bytes_max)?.ok_or(Refusal::BodyMissing)
    }

    fn optional(&self, bytes_max: usize) -> Result<Option<&RawValue>, Refusal> {
        let bytes = self.bytes(bytes_max)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(json::document(bytes)?))
    }
}

pub(crate) fn metadata(body: &Body, limits: &Limits) -> Result<Metadata, Refusal> {
    let Some(document) = body.optional(limits.queue_metadata_bytes_max)? else {
        return Ok(Metadata::new());
    };
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    Ok(members
        .into_iter()
        .map(|(name, value)| (name, JsonText::new(value)))
        .collect())
}

pub(crate) fn changes(body: &Body, limits: &Limits) -> Result<Vec<Change>, Refusal> {
    patch::changes(body.required(limits.queue_metadata_bytes_max)?)
}

pub(crate) fn purge_scope(body: &Body, limits: &Limits) -> Result<PurgeScope, Refusal> {
    let Some(document) = body.optional(limits.queue_metadata_bytes_max)? else {
        return Ok(PurgeScope::Everything);
    };
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    let types = members
        .get("resource_types")
        .and_then(|value| json::elements(value));
    let (mut messages, mut subscriptions) = (false, false);
    for kind in types.ok_or(Refusal::PurgeScopeInvalid)? {
        match json::string(kind).as_deref() {
            Some("messages") => messages = true,
            Some("subscriptions") => subscriptions = true,
            Some(_) | None => return Err(Refusal::PurgeScopeInvalid),
        }
    }
    Ok(match (messages, subscriptions) {
        (true, true) => PurgeScope::Everything,
        (true, false) => PurgeScope::Messages,
        (false, true) => PurgeScope::Subscriptions,
        (false, false) => PurgeScope::Nothing,
    })
}

/// The messages of a post, and how many bytes the whole request took.
pub(crate) fn messages(body: &Body, limits: &Limits) -> Result<(usize, Vec<NewMessage>), Refusal> {
    let bytes = body.bytes(limits.messages_post_bytes_max)?.len();
    let document = body.required(limits.messages_post_bytes_max)?;
    let members = json::fields(document).ok_or(Refusal::BodyNotObject)?;
    let messages = members
        .get("messages")
        .and_then(json::elements)
        .filter(|messages| !messages.is_empty())
        .ok_or(Refusal::MessagesMissing)?;
    let messages: Result<_, _> = messages
        .into_iter()
        .map(|message| new_message(message, limits))
        .collect();
    Ok((bytes, messages?))
}

fn new_message(message: &RawValue, limits: &Limits) -> Result<NewMessage, Refusal> {
    let members = json::fields(message).ok_or(Refusal::MessageNotObject)?;
    let ttl_range = (MESSAGE_TTL_SECS_MIN, limits.message_ttl_secs_max);
    let ttl_secs = members
        .get("ttl")
        .map(|ttl| secs(ttl, "ttl", ttl_range))
        .transpose()?;
    let delay = match members.get("delay") {
        None => RequestedDelay::Absent,
        Some(delay) => match json::integer(delay) {
            Some(secs) => RequestedDelay::Secs(secs),
            None => RequestedDelay::NotAnInteger,
        },
    };
    let body = members.get("body").ok_or(Refusal::MessageBodyMissing)?;
    Ok(NewMessage {
        ttl_secs,
        delay,
        body: JsonText::new(body),
    })
}

/// The terms of a new claim; without a body, the defaults.
pub(crate) fn new_claim(body: &Body, limits: &Limits) -> Result<ClaimTerms, Refusal> {
    match body.optional(limits.body_bytes_max())? {
        Some(document) => claim_terms(document, limits),
        None => Ok(ClaimTerms {
            ttl_secs: limits.claim_ttl_secs_default,
            grace_secs: limits.claim_grace_secs_default,
        }),
    }
}

/// The terms of a renewal, which needs a body.
pub(crate) fn renewal(body: &Body, limits: &Limits) -> Result<ClaimTerms, Refusal> {
    claim_terms(body.required(limits.body_bytes_max())?, limits)
}

fn claim_terms(document: &RawValue, limits: &Limits) -> Result<ClaimTerms, Refusal> {
    let members = json::fields(document).ok_or(Refusal::BodyNotObject)?;
    let ttl_range = (CLAIM_TTL_SECS_MIN, limits.claim_ttl_secs_max);
    let grace_range = (CLAIM_GRACE_SECS_MIN, limits.claim_grace_secs_max);
    let ttl = members
        .get("ttl")
        .map(|ttl| secs(ttl, "ttl", ttl_range))
        .transpose()?;
    let grace = members
        .get("grace")
        .map(|grace| secs(grace, "grace", grace_range))
        .transpose()?;
    Ok(ClaimTerms {
        ttl_secs: ttl.unwrap_or(limits.claim_ttl_secs_default),
        grace_secs: grace.unwrap_or(limits.claim_grace_secs_default),
    })
}

fn secs(value: &RawValue, member: &'static str, (min, max): (u32, u32)) -> Result<u32, Refusal> {
    let number = json::integer(value).and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or(Refusal::MemberOutOfRange { member, min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::Complete(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn bodies_of_another_shape_are_refused() {
        let limits = Limits::default();
        for text in [
            "[]",
            "5",
            "null",
            "\"messages\"",
            "[\"messages\"]",
            "{}",
            "",
            "{\"messages\":[]}",
        ] {
            assert!(messages(&body(text), &limits).is_err(), "{text}");
        }
        for text in ["[]", "5", "null"] {
            assert!(metadata(&body(text), &limits).is_err(), "{text}");
            assert!(new_claim(&body(text), &limits).is_err(), "{text}");
            assert!(purge_scope(&body(text), &limits).is_err(), "{text}");
        }
        for text in ["{}", "5", "", "{\"op\":\"add\"}"] {
            assert!(changes(&body(text), &limits).is_err(), "{text}");
        }
        assert!(renewal(&body(""), &limits).is_err());
    }

    #[test]
    fn messages_are_checked_one_by_one() {
        let limits = Limits::default();
        for message in [
            "5",
            "{}",
            "{\"ttl\":60}",
            "{\"body\":1,\"ttl\":59}",
            "{\"body\":1,\"ttl\":60.0}",
            "{\"body\":1,\"ttl\":null}",
            "{\"body\":1,\"ttl\":true}",
            "{\"body\":1,\"ttl\":1209601}",
        ] {
            let text = format!("{{\"messages\":[{{\"body\":1}},{message}]}}");
            assert!(messages(&body(&text), &limits).is_err(), "{message}");
        }
        let text = r#"{"messages":[{"body":null,"ttl":60,"delay":"x","other":1}],"more":[]}"#;
        let (bytes, read) = messages(&body(text), &limits).unwrap();
        assert_eq!(
            (bytes, read.len(), read[0].ttl_secs),
            (text.len(), 1, Some(60))
        );
        assert_eq!(read[0].delay, RequestedDelay::NotAnInteger);
    }

    #[test]
    fn sizes_are_exact() {
        let limits = Limits::default();
        let padded = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
        assert!(metadata(&body(&padded(65_536)), &limits).is_ok());
        let too_long = Err(Refusal::BodyTooLong { bytes_max: 65_536 });
        assert_eq!(metadata(&body(&padded(65_537)), &limits), too_long);
        assert_eq!(metadata(&Body::TooLong, &limits), too_long);
    }

    #[test]
    fn claims_fall_back_to_the_defaults() {
        let limits = Limits::default();
        let defaults = ClaimTerms {
            ttl_secs: 300,
            grace_secs: 60,
        };
        assert_eq!(new_claim(&body(""), &limits), Ok(defaults));
        assert_eq!(renewal(&body("{\"x\":1}"), &limits), Ok(defaults));
        for text in [
            "{\"ttl\":59}",
            "{\"grace\":43201}",
            "{\"grace\":\"60\"}",
            "{\"ttl\":60.5}",
        ] {
            assert!(renewal(&body(text), &limits).is_err(), "{text}");
        }
    }

    #[test]
    fn purges_name_what_they_purge() {
        let limits = Limits::default();
        let scope = |text: &str| purge_scope(&body(text), &limits);
        assert_eq!(scope(""), Ok(PurgeScope::Everything));
        assert_eq!(scope(r#"{"resource_types":[]}"#), Ok(PurgeScope::Nothing));
        assert_eq!(
            scope(r#"{"resource_types":["messages"]}"#),
            Ok(PurgeScope::Messages)
        );
        for text in [
            "{}",
            r#"{"resource_types":null}"#,
            r#"{"resource_types":["pools"]}"#,
        ] {
            assert!(scope(text).is_err(), "{text}");
        }
    }
}
