//! Pre-signed URLs: what is signed on request, and which requests a signature covers.

use std::collections::BTreeSet;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;

use crate::broker::{Project, QueueName, Timestamp};

use super::bodies::Body;
use super::headers::latin_1;
use super::refusal::Refusal;
use super::settings::Settings;
use super::signing::{Grant, SigningKey, is_ambiguous};
use super::{calendar, json, route};

/// How long a share lasts that does not say.
const SHARE_SECS_DEFAULT: u64 = 24 * 60 * 60;
/// Methods in one share, at most.
const SHARE_METHODS_MAX: usize = 16;
const URL_SIGNATURE: HeaderName = HeaderName::from_static("url-signature");
const SHARED_RESOURCES: [&str; 3] = ["messages", "claims", "subscriptions"];

/// A grant and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What is allowed.
    pub grant: Grant,
    /// The signature of that.
    pub signature: String,
}

/// Signs what a request to share asks for. The queue need not exist.
pub(crate) fn sign(
    body: &Body,
    settings: &Settings,
    (project, queue): (&Project, &QueueName),
    now: Timestamp,
) -> Result<Share, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    if !members.keys().all(|name| is_known(name)) {
        return Err(Refusal::ShareInvalid("a member is unknown"));
    }
    let key = settings.signing_key.as_ref();
    let key = key.ok_or(Refusal::SigningKeyMissing)?;
    if is_ambiguous(&project.0) {
        return Err(Refusal::ShareInvalid(
            "a project with a comma or a backslash in its name cannot be signed for",
        ));
    }
    let expires_at_secs = match members.get("expires") {
        None => now.as_secs() + SHARE_SECS_DEFAULT,
        Some(expires) => expiry(expires, now)?,
    };
    let grant = Grant {
        paths: paths(members.get("paths").copied(), queue)?,
        methods: methods(members.get("methods").copied())?,
        project: project.clone(),
        expires_at_secs,
    };
    let signature = key.sign(&grant);
    Ok(Share { grant, signature })
}

/// Lets a request pass that has no signature, or one that covers it. The signature is that of what
/// the headers say, so what they say is checked first.
pub(crate) fn check_signature(
    parts: &Parts,
    key: Option<&SigningKey>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if !parts.headers.contains_key(URL_SIGNATURE) {
        return Ok(());
    }
    let covered = key.and_then(|key| {
        let signature = single(&parts.headers, "url-signature")?;
        let grant = granted(&parts.headers)?;
        let path = route::decode(parts.uri.path());
        let allowed = grant
            .methods
            .iter()
            .any(|method| method == parts.method.as_str())
            && grant.paths.iter().any(|granted| covers(granted, &path))
            && now.as_secs() < grant.expires_at_secs;
        (allowed && key.verifies(&grant, signature)).then_some(())
    });
    covered.ok_or(Refusal::SignatureInvalid)
}

/// What the headers claim to be granted. Without `URL-Expires` nothing is: Zaqar puts in an instant
/// that the signature can only contain by chance.
fn granted(headers: &HeaderMap) -> Option<Grant> {
    let list = |name| {
        let items = single(headers, name)?.split(',').map(str::to_owned);
        Some(items.collect::<Vec<_>>())
    };
    let (paths, methods) = (list("url-paths")?, list("url-methods")?);
    let mut project = headers.get_all("x-project-id").iter();
    let named = latin_1(project.next()?);
    let unambiguous = !paths
        .iter()
        .chain(&methods)
        .chain([&named])
        .any(|part| is_ambiguous(part));
    (unambiguous && project.next().is_none()).then_some(Grant {
        paths,
        methods,
        project: Project(named.into()),
        expires_at_secs: calendar::parse(single(headers, "url-expires")?)?,
    })
}

/// The signed path itself, or one below it.
fn covers(granted: &str, path: &str) -> bool {
    let below = path.strip_prefix(granted);
    !granted.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value: &HeaderValue = values.next()?;
    values
        .next()
        .is_none()
        .then(|| value.to_str().ok())
        .flatten()
}

fn is_known(member: &str) -> bool {
    matches!(member, "paths" | "methods" | "expires")
}

fn paths(value: Option<&RawValue>, queue: &QueueName) -> Result<Vec<String>, Refusal> {
    let invalid = Refusal::ShareInvalid("paths is not an array of messages, claims, subscriptions");
    let named = match value {
        None => BTreeSet::new(),
        Some(value) => strings(value).ok_or(invalid.clone())?,
    };
    if named
        .iter()
        .any(|name| !SHARED_RESOURCES.contains(&name.as_str()))
    {
        return Err(invalid);
    }
    let path = |resource: &str| format!("/v2/queues/{}/{resource}", queue.as_str());
    if named.is_empty() {
        return Ok(vec![path("messages")]);
    }
    Ok(named.iter().map(|name| path(name)).collect())
}

fn methods(value: Option<&RawValue>) -> Result<Vec<String>, Refusal> {
    let invalid = Refusal::ShareInvalid(
        "methods is not an array of at most 16 words without commas and backslashes",
    );
    let named = match value {
        None => BTreeSet::new(),
        Some(value) => strings(value).ok_or(invalid.clone())?,
    };
    if named.len() > SHARE_METHODS_MAX || named.iter().any(|name| is_ambiguous(name)) {
        return Err(invalid);
    }
    if named.is_empty() {
        return Ok(vec!["GET".to_owned()]);
    }
    Ok(named.into_iter().collect())
}

/// The strings of an array, sorted, each once.
fn strings(value: &RawValue) -> Option<BTreeSet<String>> {
    json::elements(value)?
        .into_iter()
        .map(json::string)
        .collect()
}

fn expiry(value: &RawValue, now: Timestamp) -> Result<u64, Refusal> {
    let parsed = json::string(value).as_deref().and_then(calendar::parse);
    let secs = parsed.ok_or(Refusal::ShareInvalid("expires is not an ISO 8601 date"))?;
    if secs <= now.as_secs() {
        return Err(Refusal::ShareInvalid("expires is in the past"));
    }
    Ok(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_covers_itself_and_what_lies_below() {
        let signed = "/v2/queues/q/messages";
        for path in ["/v2/queues/q/messages", "/v2/queues/q/messages/1"] {
            assert!(covers(signed, path), "{path}");
        }
        for path in [
            "/v2/queues/q",
            "/v2/queues/q/messages-too",
            "/v2/queues/q/claims",
        ] {
            assert!(!covers(signed, path), "{path}");
        }
        assert!(!covers("", "/v2/queues"));
    }
}
