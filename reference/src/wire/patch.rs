//! The JSON patch of queue metadata: `add`, `replace` and `remove` of `/metadata/<member>`.

use serde_json::value::RawValue;

use crate::broker::{Change, JsonText};

use super::json;
use super::refusal::Refusal;

/// The one media type of a queue patch.
pub(crate) const MEDIA_TYPE: &str = "application/openstack-messaging-v2.0-json-patch";

/// Reads the steps of a patch.
pub(crate) fn changes(document: &RawValue) -> Result<Vec<Change>, Refusal> {
    let steps = json::elements(document).ok_or(Refusal::BodyNotArray)?;
    steps.into_iter().map(change).collect()
}

fn change(step: &RawValue) -> Result<Change, Refusal> {
    let members = json::members(step).ok_or(Refusal::PatchInvalid("a step is not an object"))?;
    let text = |name: &str| members.get(name).and_then(|value| json::string(value));
    let op = text("op").ok_or(Refusal::PatchInvalid("a step has no op"))?;
    let path = text("path").ok_or(Refusal::PatchInvalid("a step has no path"))?;
    let value = members.get("value").map(|value| JsonText::new(value));
    let missing = Refusal::PatchInvalid("a step has no value");
    match op.as_str() {
        "add" => Ok(Change::Add {
            member: member(&path)?,
            value: value.ok_or(missing)?,
        }),
        "replace" => Ok(Change::Replace {
            member: member(&path)?,
            value: value.ok_or(missing)?,
        }),
        "remove" => Ok(Change::Remove {
            member: member(&path)?,
        }),
        _ => Err(Refusal::PatchInvalid("op is not add, replace or remove")),
    }
}

/// The member a pointer names. A doubled slash in front is tolerated (Zaqar v2, observed).
fn member(path: &str) -> Result<String, Refusal> {
    let rest = path
        .strip_prefix('/')
        .ok_or(Refusal::PatchInvalid("a path starts with a slash"))?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let (root, member) = rest
        .split_once('/')
        .filter(|(_, member)| !member.contains('/'))
        .ok_or(Refusal::PatchInvalid("a path has two segments"))?;
    if !unescape(root.trim())?.eq_ignore_ascii_case("metadata") {
        return Err(Refusal::PatchInvalid("a path starts with /metadata"));
    }
    let member = unescape(member.trim())?;
    if member.is_empty() {
        return Err(Refusal::PatchInvalid("a path names a member"));
    }
    Ok(member)
}

/// RFC 6901: `~1` is a slash and `~0` a tilde, and there is nothing else behind a tilde.
fn unescape(segment: &str) -> Result<String, Refusal> {
    let mut text = String::with_capacity(segment.len());
    let mut characters = segment.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '~' => match characters.next() {
                Some('0') => '~',
                Some('1') => '/',
                Some(_) | None => {
                    return Err(Refusal::PatchInvalid("a tilde is followed by 0 or 1"));
                }
            },
            other => other,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_name_a_member_of_the_metadata() {
        for (path, name) in [
            ("/metadata/k", "k"),
            ("//metadata/k", "k"),
            ("/METADATA/k", "k"),
            ("/metadata/ k ", "k"),
            ("/metadata/a~1b~0c", "a/b~c"),
            ("/metadata/~01", "~1"),
        ] {
            assert_eq!(member(path).as_deref(), Ok(name), "{path}");
        }
    }

    #[test]
    fn other_pointers_are_refused() {
        for path in [
            "",
            "/",
            "metadata/k",
            "/metadata",
            "/metadata/",
            "/metadata//k",
            "/metadata/k/",
            "/meta/k",
            "/metadata/a/b",
            "/metadata/a~2",
            "/metadata/a~",
            "///metadata/k",
            "/metadata/ ",
        ] {
            assert!(member(path).is_err(), "{path}");
        }
    }

    #[test]
    fn steps_need_their_members() {
        for text in [
            r#"{"path":"/metadata/k","value":1}"#,
            r#"{"op":"add","value":1}"#,
            r#"{"op":"add","path":"/metadata/k"}"#,
            r#"{"op":"test","path":"/metadata/k","value":1}"#,
            r#"{"op":"add","path":5,"value":1}"#,
            "5",
        ] {
            assert!(
                change(serde_json::from_str(text).unwrap()).is_err(),
                "{text}"
            );
        }
        let text = r#"{"op":"add","path":"/metadata/k","value":null}"#;
        assert!(change(serde_json::from_str(text).unwrap()).is_ok());
    }
}
