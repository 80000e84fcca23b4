//! JSON values as the text the client sent. Owns no grammar: whoever makes one has checked it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, kept as text. Cloning shares it.
#[derive(Clone)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// Keeps a value that was read before.
    #[must_use]
    pub fn new(value: &RawValue) -> Self {
        Self(Arc::from(value.get()))
    }

    /// Keeps the JSON value in `text`.
    ///
    /// # Errors
    /// If `text` is not one JSON value.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(Self::new)
    }

    /// The text, without white space around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value as an integer. Numbers with a fraction or an exponent are none, and neither are
    /// booleans.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        self.as_str().parse().ok()
    }

    /// The value as a string.
    #[must_use]
    pub fn as_string(&self) -> Option<String> {
        serde_json::from_str(self.as_str()).ok()
    }

    /// The value as a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The members of an object; of members with one name, the last.
    #[must_use]
    pub fn as_members(&self) -> Option<BTreeMap<String, Self>> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(self.as_str()).ok()?;
        Some(
            members
                .into_iter()
                .map(|(name, value)| (name, Self::new(value)))
                .collect(),
        )
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// Whether the value is null, false, zero, or empty, which is how Zaqar tells that a member of
    /// the metadata is unset.
    #[must_use]
    pub fn is_falsy(&self) -> bool {
        let text = self.as_str();
        match text.as_bytes() {
            b"null" | b"false" | b"\"\"" => true,
            [b'[' | b'{', inner @ .., _] => inner.trim_ascii().is_empty(),
            [b'-' | b'0'..=b'9', ..] => {
                let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
                mantissa
                    .bytes()
                    .all(|byte| matches!(byte, b'-' | b'.' | b'0'))
            }
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|value| Self::new(&value))
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl fmt::Debug for JsonText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falsy_values_are_those_of_python() {
        for text in [
            "null", "false", "0", "-0", "0.0", "0e9", "\"\"", "[ ]", "{}",
        ] {
            assert!(JsonText::parse(text).unwrap().is_falsy(), "{text}");
        }
        for text in ["true", "1", "-1", "0.1", "\" \"", "[0]", "{\"a\":0}"] {
            assert!(!JsonText::parse(text).unwrap().is_falsy(), "{text}");
        }
    }

    #[test]
    fn only_integers_are_integers() {
        for text in ["60.0", "6e1", "true", "\"60\"", "null", "[]"] {
            assert_eq!(JsonText::parse(text).unwrap().as_integer(), None, "{text}");
        }
        assert_eq!(JsonText::parse(" 60 ").unwrap().as_integer(), Some(60));
    }

    #[test]
    fn the_text_survives_as_it_came() {
        let text = r#"{"a" : [1.50, "\u00e9"]}"#;
        let kept = JsonText::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&kept).unwrap(), text);
    }
}
