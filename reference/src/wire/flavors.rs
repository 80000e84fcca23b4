//! Flavors on the wire: their bodies, and how they are shown. Zaqar v2, Flavors.

use http::Method;
use http::request::Parts;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::broker::limits::QUEUE_NAME_CHARS_MAX;
use crate::broker::{CatalogueListing, FlavorInput, FlavorName, FlavorView, PoolName};

use super::bodies::Body;
use super::refusal::Refusal;
use super::settings::Settings;
use super::{json, pools};

/// What the simulated stores can do, all alike, so that any pools may make up a flavor. They are
/// memory: of Zaqar's names, `DURABILITY` would not be true.
const CAPABILITIES: [&str; 4] = ["FIFO", "CLAIMS", "AOD", "HIGH_THROUGHPUT"];
pub(crate) const PATH: &str = "/v2/flavors";

/// Reads a request to the flavor of this name.
pub(crate) fn input(
    name: &str,
    parts: &Parts,
    body: &Body,
    settings: &Settings,
) -> Result<FlavorInput, Refusal> {
    let name = FlavorName::parse(name).ok_or(Refusal::NameInvalid {
        kind: "flavor",
        chars_max: QUEUE_NAME_CHARS_MAX,
    })?;
    if parts.method == Method::PUT {
        return Ok(FlavorInput::Put(name, pool_list(body, settings, Known)?));
    }
    if parts.method == Method::PATCH {
        return Ok(FlavorInput::Update(name, pool_list(body, settings, Any)?));
    }
    if parts.method == Method::DELETE {
        return Ok(FlavorInput::Delete(name));
    }
    Ok(FlavorInput::Read(name))
}

/// Which members a body may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Members {
    Known,
    Any,
}

use Members::{Any, Known};

/// The pools that a body names, each once. Zaqar's own capabilities may be given, and say nothing.
fn pool_list(body: &Body, settings: &Settings, allowed: Members) -> Result<Vec<PoolName>, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    let known = |name: &String| matches!(name.as_str(), "pool_list" | "capabilities");
    if allowed == Known && !members.keys().all(known) {
        return Err(Refusal::FlavorInvalid("a member is unknown"));
    }
    let capabilities = members.get("capabilities");
    if allowed == Known && capabilities.is_some_and(|value| json::members(value).is_none()) {
        return Err(Refusal::FlavorInvalid("capabilities is not an object"));
    }
    let names = members.get("pool_list").and_then(|value| names(value));
    names.ok_or(Refusal::FlavorInvalid(
        "pool_list is not an array of the names of pools, at least one",
    ))
}

fn names(value: &RawValue) -> Option<Vec<PoolName>> {
    let elements = json::elements(value)?.into_iter();
    let name = |element| PoolName::parse(&json::string(element)?);
    let mut names = elements.map(name).collect::<Option<Vec<_>>>()?;
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then_some(names)
}

pub(crate) fn path(name: &FlavorName) -> String {
    format!("{PATH}/{}", name.as_str())
}

pub(crate) fn document(flavor: &FlavorView, detailed: bool) -> Value {
    let pools = flavor.pools.iter().map(PoolName::as_str);
    let mut document = json!({
        "name": flavor.name.as_str(),
        "href": path(&flavor.name),
        "pool_list": pools.collect::<Vec<_>>(),
    });
    if detailed {
        document["capabilities"] = json!(CAPABILITIES);
    }
    document
}

pub(crate) fn page(listing: &CatalogueListing, flavors: &[FlavorView]) -> Value {
    let documents = flavors
        .iter()
        .map(|flavor| document(flavor, listing.detailed));
    let documents: Vec<Value> = documents.collect();
    let last = flavors.last().map(|flavor| flavor.name.as_str());
    json!({"flavors": documents, "links": pools::next(PATH, listing, last)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavors_name_their_pools() {
        let read = |text: &str, allowed| {
            let body = Body::Complete(text.to_owned().into());
            let names = pool_list(&body, &Settings::default(), allowed).ok()?;
            Some(
                names
                    .iter()
                    .map(|name| name.as_str().to_owned())
                    .collect::<Vec<_>>()
                    .join(","),
            )
        };
        let twice = r#"{"pool_list":["b","a","b"],"capabilities":{"x":1}}"#;
        assert_eq!(read(twice, Known).as_deref(), Some("a,b"));
        let more = r#"{"pool_list":["a"],"pool":"a","capabilities":1}"#;
        assert_eq!(read(more, Any).as_deref(), Some("a"));
        assert_eq!(read(more, Known), None);
        for text in [
            "",
            "[]",
            "{}",
            r#"{"capabilities":{}}"#,
            r#"{"pool_list":[]}"#,
            r#"{"pool_list":"a"}"#,
            r#"{"pool_list":null}"#,
            r#"{"pool_list":["a",1]}"#,
            r#"{"pool_list":["no name"]}"#,
        ] {
            assert_eq!((read(text, Known), read(text, Any)), (None, None), "{text}");
        }
        assert_eq!(
            read(r#"{"pool_list":["a"],"capabilities":[]}"#, Known),
            None
        );
    }
}
