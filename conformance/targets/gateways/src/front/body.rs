//! What bodies of requests say, and which of them say nothing that can be served.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::broker::{Lease, Posted};

/// Largest bodies of requests, white space included.
pub(super) const MESSAGES_BYTES_MAX: usize = 262_144;
pub(super) const QUEUE_BYTES_MAX: usize = 65_536;

const MESSAGE_TTL_SECS: RangeInclusive<i64> = 60..=1_209_600;
const MESSAGE_TTL_SECS_DEFAULT: i64 = 3_600;
const CLAIM_SECS: RangeInclusive<i64> = 60..=43_200;
const CLAIM_TTL_SECS_DEFAULT: i64 = 300;
const CLAIM_GRACE_SECS_DEFAULT: i64 = 60;

type Object = Map<String, Value>;

/// An object; no body is an empty one.
pub(super) fn optional_object(body: &[u8], bytes_max: usize) -> Result<Object, Refusal> {
    if body.is_empty() {
        Ok(Object::new())
    } else {
        object(body, bytes_max)
    }
}

/// An object.
pub(super) fn object(body: &[u8], bytes_max: usize) -> Result<Object, Refusal> {
    if body.len() > bytes_max {
        return Err(Refusal::bad("the body is too long"));
    }
    // Malformed text, lone surrogates, numbers beyond floats and deep nesting end here.
    let value = serde_json::from_slice(body).map_err(|error| Refusal::bad(&error.to_string()))?;
    if has_long_integer(body) {
        return Err(Refusal::bad("an integer does not fit 64 bits"));
    }
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Refusal::bad("the body is no object"))
        }
    }
}

/// Whether a valid JSON text has an integer that a signed one of 64 bits does not hold. The parser makes
/// a float of it, and would tell everybody another number than was sent.
fn has_long_integer(text: &[u8]) -> bool {
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte == b'"' {
            while let Some(byte) = rest.next() {
                match byte {
                    b'\\' => drop(rest.next()),
                    b'"' => break,
                    _ => {}
                }
            }
        } else if byte == b'-' || byte.is_ascii_digit() {
            let mut number = String::from(char::from(byte));
            while let Some(byte) = rest.next_if(|byte| b"0123456789+-.eE".contains(byte)) {
                number.push(char::from(byte));
            }
            if !number.contains(['.', 'e', 'E']) && number.parse::<i64>().is_err() {
                return true;
            }
        }
    }
    false
}

/// A batch of messages.
pub(super) fn batch(body: &[u8], bytes_max: usize) -> Result<Vec<Posted>, Refusal> {
    let mut object = object(body, bytes_max)?;
    let Some(Value::Array(messages)) = object.remove("messages") else {
        return Err(Refusal::bad("messages: an array"));
    };
    if messages.is_empty() {
        return Err(Refusal::bad("messages: at least one"));
    }
    messages.into_iter().map(posted).collect()
}

fn posted(message: Value) -> Result<Posted, Refusal> {
    let Value::Object(mut message) = message else {
        return Err(Refusal::bad("a message is an object"));
    };
    let ttl_secs = seconds(&message, "ttl", MESSAGE_TTL_SECS)?.unwrap_or(MESSAGE_TTL_SECS_DEFAULT);
    let body = message.remove("body");
    let body = body.ok_or_else(|| Refusal::bad("a message has a body"))?;
    Ok(Posted { ttl_secs, body })
}

/// The terms of a claim.
pub(super) fn lease(object: &Object) -> Result<Lease, Refusal> {
    let ttl_secs = seconds(object, "ttl", CLAIM_SECS)?.unwrap_or(CLAIM_TTL_SECS_DEFAULT);
    let grace_secs = seconds(object, "grace", CLAIM_SECS)?.unwrap_or(CLAIM_GRACE_SECS_DEFAULT);
    Ok(Lease {
        ttl_secs,
        grace_secs,
    })
}

fn seconds(
    object: &Object,
    name: &str,
    range: RangeInclusive<i64>,
) -> Result<Option<i64>, Refusal> {
    let Some(value) = object.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_i64().filter(|seconds| range.contains(seconds));
    let (from, to) = range.into_inner();
    seconds
        .map(Some)
        .ok_or_else(|| Refusal::bad(&format!("{name}: an integer, {from} to {to}")))
}

/// Whether what is to be purged includes the messages.
pub(super) fn purges_messages(body: &[u8]) -> Result<bool, Refusal> {
    if body.is_empty() {
        return Ok(true);
    }
    let object = object(body, QUEUE_BYTES_MAX)?;
    let Some(Value::Array(types)) = object.get("resource_types") else {
        return Err(Refusal::bad("resource_types: an array"));
    };
    if types
        .iter()
        .any(|one| one != "messages" && one != "subscriptions")
    {
        return Err(Refusal::bad("resource_types: messages, subscriptions"));
    }
    Ok(types.iter().any(|one| one == "messages"))
}
