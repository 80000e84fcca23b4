//! Checksums of message bodies: the MD5 of what Python's `json.dumps` makes of them.
//!
//! Zaqar v2, "Checksum": separators with a space behind them, members in order of arrival, all
//! but ASCII escaped.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;

use md5::{Digest, Md5};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::broker::JsonText;

use super::json;

/// The checksum of a body, as a message shows it.
pub(crate) fn of(body: &JsonText) -> String {
    if body.is_null() {
        return String::new();
    }
    let mut text = String::new();
    dump(body.as_str(), &mut text).expect("invariant: a string takes all that is written");
    let mut shown = "MD5:".to_owned();
    for byte in Md5::digest(text.as_bytes()) {
        write!(shown, "{byte:02x}").expect("invariant: a string takes all that is written");
    }
    shown
}

/// Writes a value as Python does. Documents nest [`json::DEPTH_MAX`] levels, no deeper.
fn dump(text: &str, out: &mut String) -> fmt::Result {
    let value: &RawValue = serde_json::from_str(text).expect("invariant: bodies are JSON");
    match text.as_bytes().first() {
        Some(b'{') => {
            let mut before = "{";
            for (name, member) in members(value) {
                out.push_str(before);
                dump_string(&name, out)?;
                out.push_str(": ");
                dump(member.get(), out)?;
                before = ", ";
            }
            out.push_str(if before == "{" { "{}" } else { "}" });
        }
        Some(b'[') => {
            let mut before = "[";
            for element in json::elements(value).unwrap_or_default() {
                out.push_str(before);
                dump(element.get(), out)?;
                before = ", ";
            }
            out.push_str(if before == "[" { "[]" } else { "]" });
        }
        Some(b'"') => dump_string(&json::string(value).unwrap_or_default(), out)?,
        Some(b'-' | b'0'..=b'9') => dump_number(text, out)?,
        Some(_) | None => out.push_str(text),
    }
    Ok(())
}

fn dump_string(text: &str, out: &mut String) -> fmt::Result {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.push('"');
    Ok(())
}

/// Integers as they are, but for the sign of zero; others with the fewest digits that are exact.
fn dump_number(text: &str, out: &mut String) -> fmt::Result {
    if let Ok(integer) = text.parse::<i64>() {
        return write!(out, "{integer}");
    }
    let number: f64 = text.parse().expect("invariant: this is a number");
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent
        .parse()
        .expect("invariant: an exponent is an integer");
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
        return Ok(());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// The members of an object in order of arrival; one that comes again keeps its place.
fn members(value: &RawValue) -> Vec<(String, &RawValue)> {
    struct Members<'a>(PhantomData<&'a ()>);
    impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
        type Value = Vec<(String, &'a RawValue)>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut members, mut places) = (Self::Value::new(), BTreeMap::new());
            while let Some((name, member)) = map.next_entry::<String, &'de RawValue>()? {
                let place = *places.entry(name.clone()).or_insert(members.len());
                if place == members.len() {
                    members.push((name, member));
                } else {
                    members[place].1 = member;
                }
            }
            Ok(members)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(value.get());
    let members = reader.deserialize_map(Members(PhantomData));
    members.expect("invariant: this is an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumped(text: &str) -> String {
        let mut out = String::new();
        dump(JsonText::parse(text).unwrap().as_str(), &mut out).unwrap();
        out
    }

    /// What Python 3 makes of the same texts.
    #[test]
    fn values_are_written_as_python_writes_them() {
        for (text, expected) in [
            (r#"{"b":[1,{}],"a" : [ ]}"#, r#"{"b": [1, {}], "a": []}"#),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
            (
                r#""é\u00e9\ud83d\ude00\/\u007f\u0001""#,
                r#""\u00e9\u00e9\ud83d\ude00/\u007f\u0001""#,
            ),
            (r#""\"\\\b\f\n\r\t~ ""#, r#""\"\\\b\f\n\r\t~ ""#),
            (
                "[1.50,1e5,1E16,123456789012345680.0]",
                "[1.5, 100000.0, 1e+16, 1.2345678901234568e+17]",
            ),
            (
                "[0.0001,0.00001,-0.0,-0,1e-10,5e-324]",
                "[0.0001, 1e-05, -0.0, 0, 1e-10, 5e-324]",
            ),
            (
                "[true,false,null,-7,9007199254740993]",
                "[true, false, null, -7, 9007199254740993]",
            ),
            ("[9999999999999998.0,1e300]", "[9999999999999998.0, 1e+300]"),
        ] {
            assert_eq!(dumped(text), expected, "{text}");
        }
    }

    #[test]
    fn checksums_are_md5_and_a_null_has_none() {
        let of = |text| of(&JsonText::parse(text).unwrap());
        assert_eq!(of(r#"{"a":"é"}"#), "MD5:b61e59fffb433d9dc2a6f1fa17ca206d");
        assert_eq!(of("null"), "");
    }
}
