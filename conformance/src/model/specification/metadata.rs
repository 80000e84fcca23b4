//! Contract 4.1, 4.4 and 4.5: metadata, its defaults, and JSON patches of it.

use serde_json::{Map, Value, json};

use super::super::answer::{Difference, Heard};
use super::super::operation::{Change, Member};

/// The root of every legal path of a patch.
const ROOT: &str = "/metadata/";

/// Reserved members that have a default, which is shown while they are unset (contract 4.1).
const RESERVED: [&str; 7] = [
    "_max_messages_post_size",
    "_default_message_ttl",
    "_default_message_delay",
    "_dead_letter_queue",
    "_dead_letter_queue_messages_ttl",
    "_max_claim_count",
    "_enable_encrypt_messages",
];

/// What a patch makes of metadata.
pub(super) enum Patched {
    To(Map<String, Value>),
    /// Not even a patch.
    Malformed,
    /// With one of these statuses; the metadata stays as it was.
    Refused(Vec<u16>),
}

/// The names and values that a setting stands for.
fn members(member: Member, value: u64, target: &str) -> Vec<(&'static str, Value)> {
    match member {
        Member::Color => {
            let color = match value {
                0 => "red",
                1 => "green",
                _ => "blue",
            };
            vec![("color", json!(color))]
        }
        Member::Size => vec![("size", json!({ "is": value }))],
        Member::DefaultTtl => vec![("_default_message_ttl", json!(value))],
        Member::DefaultDelay => vec![("_default_message_delay", json!(value))],
        Member::DeadLetters => vec![
            ("_dead_letter_queue", json!(target)),
            ("_max_claim_count", json!(value)),
        ],
        Member::DeadLettersTtl => vec![("_dead_letter_queue_messages_ttl", json!(value))],
    }
}

/// The metadata object of these settings.
pub(super) fn object(settings: &[(Member, u64)], target: &str) -> Map<String, Value> {
    let members = settings
        .iter()
        .flat_map(|(member, value)| members(*member, *value, target));
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The JSON patch of these changes.
pub(super) fn patch(changes: &[Change], target: &str) -> Value {
    changes
        .iter()
        .flat_map(|change| steps(*change, target))
        .map(|step| match step.value {
            Some(value) => json!({ "op": step.op, "path": step.path, "value": value }),
            None => json!({ "op": step.op, "path": step.path }),
        })
        .collect()
}

struct Step {
    op: &'static str,
    path: String,
    value: Option<Value>,
}

fn steps(change: Change, target: &str) -> Vec<Step> {
    let step = |op, (name, value): (&str, Option<Value>)| Step {
        op,
        path: format!("{ROOT}{name}"),
        value,
    };
    let set = |op, member, value| -> Vec<Step> {
        members(member, value, target)
            .into_iter()
            .map(|(name, value)| step(op, (name, Some(value))))
            .collect()
    };
    match change {
        Change::Add(member, value) => set("add", member, value),
        Change::Replace(member, value) => set("replace", member, value),
        Change::Remove(member) => members(member, 0, target)
            .into_iter()
            .map(|(name, _)| step("remove", (name, None)))
            .collect(),
        Change::OutOfRange => vec![step("add", ("_default_message_ttl", Some(json!(59))))],
        Change::BadPath => vec![Step {
            op: "add",
            path: "/metadata".to_owned(),
            value: Some(json!(1)),
        }],
    }
}

/// What `changes` make of `before`.
pub(super) fn patched(before: &Map<String, Value>, changes: &[Change], target: &str) -> Patched {
    let mut after = before.clone();
    let mut conflicts = false;
    for step in changes.iter().flat_map(|change| steps(*change, target)) {
        let Some(name) = step.path.strip_prefix(ROOT) else {
            return Patched::Malformed;
        };
        let is_there = after.contains_key(name) || RESERVED.contains(&name);
        match (step.op, step.value) {
            ("remove" | "replace", _) if !is_there => conflicts = true,
            ("remove", _) => drop(after.remove(name)),
            (_, Some(value)) => drop(after.insert(name.to_owned(), value)),
            (_, None) => {}
        }
    }
    // A member is out of range if it is so in the end.
    let is_illegal = after.get("_default_message_ttl") == Some(&json!(59));
    match (conflicts, is_illegal) {
        (false, false) => Patched::To(after),
        (true, false) => Patched::Refused(vec![409]),
        (false, true) => Patched::Refused(vec![400]),
        (true, true) => Patched::Refused(vec![409, 400]),
    }
}

/// Demands that an answer shows `stored`, and defaults where nothing is stored.
pub(super) fn check(
    clause: &str,
    stored: &Map<String, Value>,
    heard: Heard<'_>,
) -> Result<(), Difference> {
    let document = heard.json(clause)?;
    let shown = document
        .as_object()
        .ok_or_else(|| heard.differs(clause, "a metadata object"))?;
    for (name, value) in stored {
        let came = shown.get(name);
        // A stored zero counts as nothing stored: the default is shown (contract 4.4).
        let is_falsy = *value == json!(0);
        if came != Some(value) && !(is_falsy && (came.is_none_or(|came| is_default(name, came)))) {
            return Err(heard.differs(clause, format!("member `{name}`: {value}")));
        }
    }
    for (name, value) in shown {
        if !stored.contains_key(name) && !is_default(name, value) {
            let expected = format!("no member `{name}` but its default, if it has one");
            return Err(heard.differs(clause, expected));
        }
    }
    Ok(())
}

/// Whether `value` may be shown for `name` while it is unset. How much a post may have, and what a
/// server adds under a leading underscore, is its own business.
fn is_default(name: &str, value: &Value) -> bool {
    match name {
        "_default_message_ttl" => *value == json!(3600),
        "_default_message_delay" => *value == json!(0),
        "_max_messages_post_size" => value.is_u64(),
        "_enable_encrypt_messages" => *value == json!(false),
        _ if RESERVED.contains(&name) => value.is_null(),
        _ => name.starts_with('_'),
    }
}
