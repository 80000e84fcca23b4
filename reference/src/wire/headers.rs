//! Request headers: who calls, and what they accept. Owns the order in which these are checked.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::broker::limits::PROJECT_CHARS_MAX;
use crate::broker::{Caller, ClientId, ClientIdRule, Project, Uuid};

use super::refusal::Refusal;

const CLIENT_ID: HeaderName = HeaderName::from_static("client-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const FORM: &str = "application/x-www-form-urlencoded";

/// Checks that apply to every route, `/` included.
pub(crate) fn check_media_types(headers: &HeaderMap) -> Result<(), Refusal> {
    // Exactly this value: with a parameter behind it, it slips through (Zaqar v2, observed).
    let is_form = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(FORM.as_bytes()));
    if is_form && headers.contains_key(CONTENT_LENGTH) {
        return Err(Refusal::FormContentType);
    }
    if !accepts_json(headers) {
        return Err(Refusal::NotAcceptable);
    }
    Ok(())
}

/// Reads who calls.
pub(crate) fn caller(headers: &HeaderMap, rule: ClientIdRule) -> Result<Caller, Refusal> {
    let mut clients = headers.get_all(CLIENT_ID).iter();
    let client = clients.next().ok_or(Refusal::ClientIdMissing)?;
    let single = clients.next().is_none();
    let client = client
        .to_str()
        .ok()
        .filter(|text| single && !text.is_empty());
    let client = client
        .and_then(|text| client_id(text, rule))
        .ok_or(Refusal::ClientIdInvalid)?;
    let project = headers.get(PROJECT_ID).filter(|value| !value.is_empty());
    let project = project.ok_or(Refusal::ProjectMissing)?;
    let project = match project.to_str() {
        Ok(ascii) => Arc::from(ascii),
        Err(_) => Arc::from(latin_1(project)),
    };
    Ok(Caller {
        project: Project(project),
        client,
    })
}

/// The length of a project matters only where a queue is named (Zaqar v2, observed).
pub(crate) fn check_project_length(project: &Project) -> Result<(), Refusal> {
    // As many bytes are no more characters.
    if project.0.len() > PROJECT_CHARS_MAX && project.0.chars().count() > PROJECT_CHARS_MAX {
        return Err(Refusal::ProjectTooLong {
            chars_max: PROJECT_CHARS_MAX,
        });
    }
    Ok(())
}

fn client_id(text: &str, rule: ClientIdRule) -> Option<ClientId> {
    match rule {
        ClientIdRule::Strict => uuid(text).map(ClientId::Uuid),
        ClientIdRule::FreeForm {
            chars_min,
            chars_max,
        } => {
            let fits = (chars_min..=chars_max).contains(&text.chars().count());
            fits.then(|| ClientId::Text(Arc::from(text)))
        }
    }
}

/// A UUID of any version: with or without dashes, in braces, or with a `urn:uuid:` before it.
fn uuid(text: &str) -> Option<Uuid> {
    let text = match text.get(..9) {
        Some(prefix) if prefix.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        Some(_) | None => text,
    };
    let text = match text.strip_prefix('{') {
        Some(braced) => braced.strip_suffix('}')?,
        None => text,
    };
    Uuid::parse_dashed(text).or_else(|| Uuid::parse_plain(text))
}

/// Header bytes as characters, one each, so that no two projects are taken for one.
pub(crate) fn latin_1(value: &HeaderValue) -> String {
    value
        .as_bytes()
        .iter()
        .map(|&byte| char::from(byte))
        .collect()
}

/// Whether the `Accept` headers allow JSON. The most specific range that fits decides.
fn accepts_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ACCEPT) {
        return true;
    }
    let mut decided: Option<(u8, bool)> = None;
    for value in headers.get_all(ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let specificity = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/json") => 3,
                Some("application/*") => 2,
                Some("*/*") => 1,
                Some(_) | None => continue,
            };
            let allowed = parts.all(|parameter| !is_zero_quality(parameter));
            if decided.is_none_or(|(best, _)| specificity >= best) {
                decided = Some((specificity, allowed));
            }
        }
    }
    decided.is_some_and(|(_, allowed)| allowed)
}

fn is_zero_quality(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("q")
        && value.trim().bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn ranges_that_cover_json_are_accepted() {
        for value in [
            "*/*",
            "application/*",
            "application/json",
            "text/html, application/json;q=0.1",
            "APPLICATION/JSON",
            "text/html;q=1, */*;q=0.8",
            "application/json; charset=utf-8",
            "application/json, */*;q=0",
        ] {
            assert!(accepts_json(&accepting(value)), "{value}");
        }
        assert!(accepts_json(&HeaderMap::new()));
    }

    #[test]
    fn ranges_that_exclude_json_are_not() {
        for value in [
            "text/html",
            "text/*",
            "application/json;q=0",
            "*/*, application/json;q=0.0",
            "application/json;q=0, */*",
            "",
            "application/xml",
        ] {
            assert!(!accepts_json(&accepting(value)), "{value}");
        }
    }

    #[test]
    fn every_spelling_of_a_uuid_is_one_client() {
        let dashed = uuid("3381af92-2b9e-11e3-b191-71861300734c");
        assert!(dashed.is_some());
        for text in [
            "3381af922b9e11e3b19171861300734c",
            "3381AF92-2B9E-11E3-B191-71861300734C",
            "{3381af92-2b9e-11e3-b191-71861300734c}",
            "urn:uuid:3381af92-2b9e-11e3-b191-71861300734c",
        ] {
            assert_eq!(uuid(text), dashed, "{text}");
        }
        for text in [
            "",
            "me",
            "3381af92",
            "{3381af922b9e11e3b19171861300734c",
            "é23456789",
        ] {
            assert_eq!(uuid(text), None, "{text}");
        }
    }

    #[test]
    fn free_form_clients_are_bounded_by_length() {
        let rule = ClientIdRule::FreeForm {
            chars_min: 10,
            chars_max: 36,
        };
        assert!(client_id("123456789", rule).is_none());
        assert!(client_id("1234567890", rule).is_some());
        assert!(client_id(&"x".repeat(37), rule).is_none());
    }
}
