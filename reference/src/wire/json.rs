//! The JSON we accept: stricter than the grammar, and checked before anything is made of it.
//!
//! Zaqar v2, JSON input rules: UTF-8 without a byte order mark; integers fit 64 bits with sign;
//! numbers are finite; no lone surrogates; bounded nesting; of members with one name the last
//! wins.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// How deep arrays and objects may nest.
pub const DEPTH_MAX: usize = 128;

/// Why a text is not JSON that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JsonFault {
    /// The bytes are not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// The grammar does not allow it.
    #[error("unexpected input at byte {at}")]
    Unexpected {
        /// Where.
        at: usize,
    },
    /// An integer does not fit 64 bits, or a number is not finite.
    #[error("the number at byte {at} is out of range")]
    NumberOutOfRange {
        /// Where.
        at: usize,
    },
    /// A surrogate without its other half.
    #[error("the string has half a surrogate pair before byte {at}")]
    LoneSurrogate {
        /// Where.
        at: usize,
    },
    /// Arrays and objects nest too deeply.
    #[error("it nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Checks a whole document and keeps its text.
pub(crate) fn document(bytes: &[u8]) -> Result<&RawValue, JsonFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::NotUtf8)?;
    Checker { bytes, at: 0 }.document()?;
    Ok(serde_json::from_str(text).expect("invariant: what was checked is JSON"))
}

/// The members of an object; `None` if it is something else.
pub(crate) fn members(value: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The members of an object in the order in which they came; `None` if it is something else. For
/// objects of which few members are wanted, and of which there are many.
pub(crate) fn fields(value: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(value.get()).ok()
}

/// The members of an object.
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The value of a member; the last one.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.0.iter().rev();
        members
            .find(|(other, _)| other == name)
            .map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Self)
    }
}

/// A name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The elements of an array; `None` if it is something else.
pub(crate) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The content of a string; `None` if it is something else.
pub(crate) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// An integer; `None` if it is something else, be it a number with a fraction or a boolean.
pub(crate) fn integer(value: &RawValue) -> Option<i64> {
    value.get().parse().ok()
}

/// What has to come next.
#[derive(Clone, Copy)]
enum Expected {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    CommaOrEnd,
}

/// Walks a document without recursion, so that nesting costs a byte a level and no stack.
struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Checker<'_> {
    fn document(mut self) -> Result<(), JsonFault> {
        // The closing bracket of every container that is open.
        let mut open: Vec<u8> = Vec::new();
        let mut expected = Expected::Value;
        loop {
            self.skip_space();
            expected = match (expected, self.peek()) {
                (Expected::ValueOrEnd, Some(b']')) | (Expected::KeyOrEnd, Some(b'}')) => {
                    self.at += 1;
                    open.pop();
                    Expected::CommaOrEnd
                }
                (Expected::CommaOrEnd, Some(byte)) if open.last() == Some(&byte) => {
                    self.at += 1;
                    open.pop();
                    Expected::CommaOrEnd
                }
                (Expected::CommaOrEnd, Some(b',')) => {
                    self.at += 1;
                    if open.last() == Some(&b'}') {
                        Expected::Key
                    } else {
                        Expected::Value
                    }
                }
                (Expected::KeyOrEnd | Expected::Key, _) => {
                    self.string()?;
                    self.skip_space();
                    self.expect(b':')?;
                    Expected::Value
                }
                (Expected::Value | Expected::ValueOrEnd, Some(bracket @ (b'[' | b'{'))) => {
                    self.at += 1;
                    if open.len() == DEPTH_MAX {
                        return Err(JsonFault::TooDeep);
                    }
                    let array = bracket == b'[';
                    open.push(if array { b']' } else { b'}' });
                    if array {
                        Expected::ValueOrEnd
                    } else {
                        Expected::KeyOrEnd
                    }
                }
                (Expected::Value | Expected::ValueOrEnd, _) => {
                    self.scalar()?;
                    Expected::CommaOrEnd
                }
                (Expected::CommaOrEnd, _) => return Err(self.unexpected()),
            };
            if open.is_empty() {
                self.skip_space();
                return if self.peek().is_none() {
                    Ok(())
                } else {
                    Err(self.unexpected())
                };
            }
        }
    }

    fn scalar(&mut self) -> Result<(), JsonFault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let rest = &self.bytes[self.at..];
                let word = ["null", "true", "false"]
                    .into_iter()
                    .find(|word| rest.starts_with(word.as_bytes()))
                    .ok_or(self.unexpected())?;
                self.at += word.len();
                Ok(())
            }
        }
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let in_range = if whole {
            text.parse::<i64>().is_ok()
        } else {
            text.parse::<f64>().is_ok_and(f64::is_finite)
        };
        if in_range {
            Ok(())
        } else {
            Err(JsonFault::NumberOutOfRange { at: start })
        }
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected());
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonFault> {
        self.expect(b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                Some(_) | None => return Err(self.unexpected()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xd800..=0xdbff => {
                    let low = self.bytes[self.at..].starts_with(b"\\u").then(|| {
                        self.at += 1;
                        self.code_unit()
                    });
                    match low {
                        Some(Ok(0xdc00..=0xdfff)) => Ok(()),
                        Some(Err(fault)) => Err(fault),
                        Some(Ok(_)) | None => Err(JsonFault::LoneSurrogate { at: self.at }),
                    }
                }
                0xdc00..=0xdfff => Err(JsonFault::LoneSurrogate { at: self.at }),
                _ => Ok(()),
            },
            Some(_) | None => Err(self.unexpected()),
        }
    }

    /// Reads `uXXXX`.
    fn code_unit(&mut self) -> Result<u32, JsonFault> {
        self.expect(b'u')?;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or(self.unexpected())?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonFault> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn unexpected(&self) -> JsonFault {
        JsonFault::Unexpected { at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of documents: enough of them in a row are now and then a document.
    fn document_like() -> impl Strategy<Value = String> {
        let pieces = [
            "[",
            "]",
            "{",
            "}",
            "\"a\"",
            ":",
            ",",
            "1",
            "-",
            "0",
            ".5",
            "e9",
            "E-2",
            "\"",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\ud83d",
            "\\n",
            "true",
            "null",
            " ",
            "{\"a\":",
            "[1,",
            "\u{1F600}",
            "\n",
            "]]",
        ];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..9)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_accepted_is_json_and_what_is_refused_is_not_or_is_out_of_bounds(
            text in document_like(),
        ) {
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            match document(text.as_bytes()) {
                Ok(_) => prop_assert!(parsed.is_ok()),
                Err(JsonFault::NumberOutOfRange { .. }) => {}
                Err(fault) => prop_assert!(parsed.is_err(), "{}", fault),
            }
        }
    }

    #[test]
    fn json_is_accepted() {
        for text in [
            " { } ",
            "[]",
            "[1,2 , 3]",
            r#"{"a":{"b":[{}]},"c":-0.5e+3}"#,
            "\"\\u0000\\ud83d\\ude00\"",
            "9223372036854775807",
            "-9223372036854775808",
            "0",
            "null",
            "[true,false]",
            "1e308",
            "\"\u{1F600}\"",
            "1E5",
            "[[],[[]]]",
        ] {
            assert_eq!(
                document(text.as_bytes()).map(RawValue::get),
                Ok(text.trim()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "nul",
            "[1 2]",
            "\"a",
            "\"\\x\"",
            "\"\n\"",
            "NaN",
            "Infinity",
            "-Infinity",
            "1 2",
            "]",
            "[}",
            "{]",
            "\u{feff}{}",
            "'a'",
            "+1",
            "\"\\u12g4\"",
            "[,1]",
            "{,}",
            ",",
            "nullx",
            "[1}",
        ] {
            assert!(document(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(document(b"\"\xff\"").err(), Some(JsonFault::NotUtf8));
    }

    #[test]
    fn numbers_out_of_range_are_refused_wherever_they_are() {
        for text in [
            "9223372036854775808",
            "[[-9223372036854775809]]",
            "{\"a\":1e400}",
            "-1e999",
        ] {
            let fault = document(text.as_bytes()).err();
            assert!(
                matches!(fault, Some(JsonFault::NumberOutOfRange { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn lone_surrogates_are_refused() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#""\ud800x""#,
        ] {
            let fault = document(text.as_bytes()).err();
            assert!(
                matches!(fault, Some(JsonFault::LoneSurrogate { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(document(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(
            document(nested(DEPTH_MAX + 1).as_bytes()).err(),
            Some(JsonFault::TooDeep)
        );
        assert_eq!(
            document("[".repeat(2_000).as_bytes()).err(),
            Some(JsonFault::TooDeep)
        );
    }

    #[test]
    fn of_members_with_one_name_the_last_wins() {
        let object = document(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(members(object).unwrap()["a"].get(), "2");
        let object = document(br#"{"a":1,"\u0061":3,"b":[2]}"#).unwrap();
        let fields = fields(object).unwrap();
        assert_eq!(fields.get("a").map(RawValue::get), Some("3"));
        assert_eq!(fields.get("b").map(RawValue::get), Some("[2]"));
        assert!(fields.get("c").is_none());
        assert!(super::fields(document(b"[]").unwrap()).is_none());
    }
}
