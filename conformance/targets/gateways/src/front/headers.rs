//! Who asks, for which project, and whether an answer in JSON is what they want.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::refusal::Refusal;

const PROJECT_CHARS_MAX: usize = 256;
const QUEUE_BYTES_MAX: usize = 64;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    /// The client: 32 hexadecimal digits, however it spelled them.
    pub(super) client: String,
    /// The project.
    pub(super) project: String,
}

impl Sender {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let client = text(headers, "client-id");
        let client = uuid(&client).ok_or_else(|| Refusal::bad("Client-ID: a UUID"))?;
        let project = text(headers, "x-project-id");
        if project.is_empty() {
            return Err(Refusal::bad("X-Project-ID: not empty"));
        }
        Ok(Self { client, project })
    }
}

/// A header as text. Byte by byte, so that no two values become one.
fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(http::HeaderValue::as_bytes);
    value
        .unwrap_or_default()
        .iter()
        .map(|&byte| char::from(byte))
        .collect()
}

/// Every spelling of a UUID, in one.
fn uuid(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let bare = text.strip_prefix("urn:uuid:").unwrap_or(&text);
    let inner = bare
        .strip_prefix('{')
        .and_then(|bare| bare.strip_suffix('}'));
    let bare = inner.unwrap_or(bare);
    let digits: String = bare.chars().filter(|&c| c != '-').collect();
    let whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let dashes: Vec<usize> = bare.match_indices('-').map(|(at, _)| at).collect();
    let legal = dashes.is_empty() || dashes == [8, 13, 18, 23];
    (whole && legal).then_some(digits)
}

/// Bodies are no forms, and answers are JSON.
pub(super) fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let media = text(headers, CONTENT_TYPE.as_str());
    if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::bad("a body is JSON, not a form"));
    }
    let ranges: Vec<_> = headers.get_all(ACCEPT).iter().collect();
    let ranges = ranges.iter().filter_map(|value| value.to_str().ok());
    let ranges = ranges.collect::<Vec<_>>().join(",");
    if ranges.trim().is_empty() || admits_json(&ranges) {
        Ok(())
    } else {
        Err(Refusal::NOT_ACCEPTABLE)
    }
}

/// Of the ranges that hold JSON the narrowest counts, and it must not have the weight 0.
fn admits_json(ranges: &str) -> bool {
    let weighed = ranges.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let narrow = match parts.next()? {
            "application/json" => 2,
            "application/*" => 1,
            "*/*" => 0,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f64>().ok());
        Some((narrow, weight.is_some_and(|weight| weight > 0.0)))
    });
    weighed
        .max_by_key(|(narrow, _)| *narrow)
        .is_some_and(|(_, wanted)| wanted)
}

/// The contract's 2: lengths and characters of names.
pub(super) fn check_names(project: &str, queue: &str) -> Result<(), Refusal> {
    if project.chars().count() > PROJECT_CHARS_MAX {
        return Err(Refusal::bad("X-Project-ID: at most 256 characters"));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=QUEUE_BYTES_MAX).contains(&queue.len()) && queue.bytes().all(legal) {
        Ok(())
    } else {
        Err(Refusal::bad("a queue has 1 to 64 of A-Z a-z 0-9 _ - ."))
    }
}
