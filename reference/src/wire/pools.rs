//! Pools on the wire: their bodies, and how they are shown. Zaqar v2, Pools.

use std::sync::Arc;

use http::Method;
use http::request::Parts;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::broker::limits::{
    DRAINED_PER_REQUEST_MAX, PAGE_SIZE_DEFAULT, POOL_URI_CHARS_MAX, QUEUE_NAME_CHARS_MAX,
};
use crate::broker::{
    CatalogueListing, FlavorName, JsonText, NewPool, PoolInput, PoolName, PoolUpdate, PoolView,
};

use super::bodies::Body;
use super::refusal::Refusal;
use super::render::Link;
use super::settings::Settings;
use super::{json, query_of};

/// The members of a pool; in a put there may be no other.
const MEMBERS: [&str; 4] = ["uri", "weight", "flavor", "options"];
pub(crate) const PATH: &str = "/v2/pools";

/// Reads a request to the pool of this name.
pub(crate) fn input(
    name: &str,
    parts: &Parts,
    body: &Body,
    settings: &Settings,
) -> Result<PoolInput, Refusal> {
    let name = parse_name(name)?;
    if parts.method == Method::PUT {
        return Ok(PoolInput::Put(name, new_pool(body, settings)?));
    }
    if parts.method == Method::PATCH {
        return Ok(PoolInput::Update(name, update(body, settings)?));
    }
    if parts.method == Method::DELETE {
        return Ok(PoolInput::Delete(name));
    }
    let detailed = query_of(parts).flag("detailed")?;
    Ok(PoolInput::Read {
        pool: name,
        detailed,
    })
}

/// Reads a request to drain the pool of this name. Like a page, it may name a limit.
pub(crate) fn drain(name: &str, parts: &Parts) -> Result<PoolInput, Refusal> {
    let pool = parse_name(name)?;
    let limit = query_of(parts).count("limit", DRAINED_PER_REQUEST_MAX)?;
    Ok(PoolInput::Drain {
        pool,
        limit: limit.unwrap_or(DRAINED_PER_REQUEST_MAX),
    })
}

/// Reads which pools or flavors a page is to show.
pub(crate) fn listing(parts: &Parts, limit_max: usize) -> Result<CatalogueListing, Refusal> {
    let query = query_of(parts);
    let limit = query.count("limit", limit_max)?;
    Ok(CatalogueListing {
        marker: query.text("marker").map(str::to_owned),
        limit: limit.unwrap_or(PAGE_SIZE_DEFAULT.min(limit_max)),
        detailed: query.flag("detailed")?,
    })
}

fn parse_name(text: &str) -> Result<PoolName, Refusal> {
    PoolName::parse(text).ok_or(Refusal::NameInvalid {
        kind: "pool",
        chars_max: QUEUE_NAME_CHARS_MAX,
    })
}

fn new_pool(body: &Body, settings: &Settings) -> Result<NewPool, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    if !members.keys().all(|name| MEMBERS.contains(&name.as_str())) {
        return Err(Refusal::PoolInvalid("a member is unknown"));
    }
    let missing = Refusal::PoolInvalid("uri and weight are needed");
    let (uri, weight) = members
        .get("uri")
        .zip(members.get("weight"))
        .ok_or(missing)?;
    let flavor = members.get("flavor").map(|value| parse_flavor(value));
    let options = members.get("options").map(|value| parse_options(value));
    let empty = || JsonText::parse("{}").expect("invariant: this is JSON");
    Ok(NewPool {
        uri: parse_uri(uri)?,
        weight: parse_weight(weight)?,
        flavor: flavor.transpose()?.flatten(),
        options: options.transpose()?.unwrap_or_else(empty),
    })
}

fn update(body: &Body, settings: &Settings) -> Result<PoolUpdate, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    let member = |name| members.get(name).copied();
    let update = PoolUpdate {
        uri: member("uri").map(parse_uri).transpose()?,
        weight: member("weight").map(parse_weight).transpose()?,
        flavor: member("flavor").map(parse_flavor).transpose()?,
        options: member("options").map(parse_options).transpose()?,
    };
    if update == PoolUpdate::default() {
        return Err(Refusal::PoolInvalid(
            "one of uri, weight, flavor and options is needed",
        ));
    }
    Ok(update)
}

/// Any URI will do: the stores are all in this process, so nobody connects to it.
fn parse_uri(value: &RawValue) -> Result<Arc<str>, Refusal> {
    let text = json::string(value).filter(|text| is_uri(text));
    let invalid = Refusal::PoolInvalid("uri is not a URI of at most 255 characters");
    text.map(Arc::from).ok_or(invalid)
}

/// A scheme, a colon and something visible.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.len() <= POOL_URI_CHARS_MAX
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

fn parse_weight(value: &RawValue) -> Result<u32, Refusal> {
    let weight = json::integer(value).and_then(|number| u32::try_from(number).ok());
    weight.ok_or(Refusal::MemberOutOfRange {
        member: "weight",
        min: 0,
        max: u32::MAX,
    })
}

/// Null and an empty name are none.
fn parse_flavor(value: &RawValue) -> Result<Option<FlavorName>, Refusal> {
    if value.get() == "null" {
        return Ok(None);
    }
    let invalid = Refusal::PoolInvalid("flavor is not the name of a flavor");
    match json::string(value) {
        Some(name) if name.is_empty() => Ok(None),
        Some(name) => FlavorName::parse(&name).map(Some).ok_or(invalid),
        None => Err(invalid),
    }
}

fn parse_options(value: &RawValue) -> Result<JsonText, Refusal> {
    let object = json::members(value).is_some();
    let invalid = Refusal::PoolInvalid("options is not an object");
    object.then(|| JsonText::new(value)).ok_or(invalid)
}

pub(crate) fn path(name: &PoolName) -> String {
    format!("{PATH}/{}", name.as_str())
}

pub(crate) fn document(pool: &PoolView) -> Value {
    let mut document = json!({
        "name": pool.name.as_str(),
        "href": path(&pool.name),
        "uri": pool.uri.as_ref(),
        "weight": pool.weight,
        "flavor": pool.flavor.as_ref().map(FlavorName::as_str),
    });
    if let Some(options) = &pool.options {
        document["options"] = json!(options);
    }
    document
}

pub(crate) fn page(listing: &CatalogueListing, pools: &[PoolView]) -> Value {
    let documents: Vec<Value> = pools.iter().map(document).collect();
    let last = pools.last().map(|pool| pool.name.as_str());
    json!({"pools": documents, "links": next(PATH, listing, last)})
}

/// The link to the page behind the one that ends with `last`; none behind an empty one.
pub(crate) fn next(path: &str, listing: &CatalogueListing, last: Option<&str>) -> Vec<Link> {
    let link = |last| Link::next(path, &parameters(listing, Some(last)));
    last.map(link).into_iter().collect()
}

/// Where a page was found: its path with the parameters that took effect.
pub(crate) fn location(path: &str, listing: &CatalogueListing) -> String {
    Link::next(path, &parameters(listing, listing.marker.as_deref())).into_href()
}

fn parameters(listing: &CatalogueListing, marker: Option<&str>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", listing.limit.to_string())];
    query.extend(listing.detailed.then(|| ("detailed", "true".to_owned())));
    query.extend(marker.map(|marker| ("marker", marker.to_owned())));
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::Complete(text.to_owned().into())
    }

    #[test]
    fn pools_have_a_uri_and_a_weight_and_nothing_unknown() {
        let read = |text| new_pool(&body(text), &Settings::default());
        let pool = read(r#"{"uri":"redis://h","weight":0}"#).unwrap();
        assert_eq!((pool.uri.as_ref(), pool.weight), ("redis://h", 0));
        assert_eq!((pool.flavor, pool.options.as_str()), (None, "{}"));
        let pool = r#"{"uri":"a:b","weight":4294967295,"flavor":"f","options":{"a":[1]}}"#;
        let pool = read(pool).unwrap();
        assert_eq!(pool.weight, u32::MAX);
        assert_eq!(pool.flavor, FlavorName::parse("f"));
        assert_eq!(pool.options.as_str(), r#"{"a":[1]}"#);
        for flavor in ["null", "\"\""] {
            let text = format!(r#"{{"uri":"a:b","weight":1,"flavor":{flavor}}}"#);
            let read = new_pool(&body(&text), &Settings::default());
            assert_eq!(read.unwrap().flavor, None);
        }
        for text in [
            "",
            "[]",
            "{}",
            r#"{"uri":"a:b"}"#,
            r#"{"weight":1}"#,
            r#"{"uri":"a:b","weight":-1}"#,
            r#"{"uri":"a:b","weight":4294967296}"#,
            r#"{"uri":"a:b","weight":1.0}"#,
            r#"{"uri":"a:b","weight":true}"#,
            r#"{"uri":"a:b","weight":"1"}"#,
            r#"{"uri":"a:b","weight":null}"#,
            r#"{"uri":1,"weight":1}"#,
            r#"{"uri":"a:b","weight":1,"group":"g"}"#,
            r#"{"uri":"a:b","weight":1,"name":"p"}"#,
            r#"{"uri":"a:b","weight":1,"flavor":1}"#,
            r#"{"uri":"a:b","weight":1,"flavor":"no name"}"#,
            r#"{"uri":"a:b","weight":1,"options":[]}"#,
            r#"{"uri":"a:b","weight":1,"options":null}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn updates_change_something_and_may_say_more() {
        let read = |text| update(&body(text), &Settings::default());
        let cleared = read(r#"{"flavor":"","group":1}"#).unwrap();
        let expected = PoolUpdate {
            flavor: Some(None),
            ..PoolUpdate::default()
        };
        assert_eq!(cleared, expected);
        assert_eq!(read(r#"{"weight":3}"#).unwrap().weight, Some(3));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"group":1}"#,
            r#"{"weight":null}"#,
            r#"{"weight":-1}"#,
            r#"{"uri":""}"#,
            r#"{"options":null}"#,
            r#"{"weight":1,"flavor":{}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn uris_have_a_scheme_and_are_not_long() {
        let long = format!("a:{}", "b".repeat(253));
        for text in ["mongodb://h:1,i:2/?replicaSet=r", "memory:", "a:/", &long] {
            assert_eq!(is_uri(text), text != "memory:", "{text}");
        }
        let longer = format!("{long}b");
        for text in ["", "a", ":b", "1a:b", "a b:c", "a:b c", "a:\u{e9}", &longer] {
            assert!(!is_uri(text), "{text}");
        }
    }
}
