//! MessagePack to JSON text and back. What JSON cannot say is refused: binary data, extensions,
//! keys that are no strings, numbers that are not finite.
//!
//! An integer stays one, a float stays one, and a float of 32 bits is read as the one of 64 bits
//! with the same value. Whether an integer fits is found out where all JSON is checked.

use std::fmt::{self, Write as _};

use rmp::Marker;
use rmp::decode::{RmpRead, read_marker};
use rmp::encode;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::wire::json::DEPTH_MAX;

/// Levels that are read at one go. Whoever reads JSON bounds its recursion; below this the rest is
/// read anew, so that everything that can be nested can be said.
const LEVELS_AT_ONCE: usize = 64;

/// Why bytes are not MessagePack that we accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum MessagePackFault {
    /// It ends in the middle.
    #[error("it ends in the middle of a value")]
    Incomplete,
    /// There is more behind its end.
    #[error("something follows the value")]
    Trailing,
    /// Binary data or an extension.
    #[error("binary data and extensions have no place in JSON")]
    NotInJson,
    /// The one byte that means nothing.
    #[error("a byte is reserved")]
    Reserved,
    /// A key is not a string.
    #[error("a key is not a string")]
    KeyNotString,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A number is not finite.
    #[error("a number is not finite")]
    NotFinite,
    /// Arrays and maps nest too deeply.
    #[error("it nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Reads one value, and writes it as JSON.
pub(crate) fn to_json(bytes: &[u8]) -> Result<String, MessagePackFault> {
    let mut reader = Reader {
        rest: bytes,
        json: String::with_capacity(bytes.len()),
    };
    reader.value(0)?;
    if !reader.rest.is_empty() {
        return Err(MessagePackFault::Trailing);
    }
    Ok(reader.json)
}

/// Writes JSON that was checked.
pub(crate) fn from_json(json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    write_value(json, &mut out);
    out
}

struct Reader<'a> {
    rest: &'a [u8],
    json: String,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<(), MessagePackFault> {
        let marker = self.marker()?;
        match marker {
            Marker::Null => self.json.push_str("null"),
            Marker::True => self.json.push_str("true"),
            Marker::False => self.json.push_str("false"),
            Marker::FixPos(number) => self.show(number),
            Marker::FixNeg(number) => self.show(number),
            Marker::U8 => self.number::<1, _>(u8::from_be_bytes)?,
            Marker::U16 => self.number::<2, _>(u16::from_be_bytes)?,
            Marker::U32 => self.number::<4, _>(u32::from_be_bytes)?,
            Marker::U64 => self.number::<8, _>(u64::from_be_bytes)?,
            Marker::I8 => self.number::<1, _>(i8::from_be_bytes)?,
            Marker::I16 => self.number::<2, _>(i16::from_be_bytes)?,
            Marker::I32 => self.number::<4, _>(i32::from_be_bytes)?,
            Marker::I64 => self.number::<8, _>(i64::from_be_bytes)?,
            Marker::F32 => {
                let number = f32::from_be_bytes(self.array()?);
                self.float(number.into())?;
            }
            Marker::F64 => {
                let number = f64::from_be_bytes(self.array()?);
                self.float(number)?;
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                self.string(marker)?;
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                self.array_of_values(marker, depth)?;
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.map(marker, depth)?,
            Marker::Reserved => return Err(MessagePackFault::Reserved),
            Marker::Bin8
            | Marker::Bin16
            | Marker::Bin32
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32
            | Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16 => return Err(MessagePackFault::NotInJson),
        }
        Ok(())
    }

    fn array_of_values(&mut self, marker: Marker, depth: usize) -> Result<(), MessagePackFault> {
        check_depth(depth)?;
        self.json.push('[');
        // Nothing is set aside for as many as are announced: every one takes a byte at least.
        for index in 0..self.length(marker)? {
            if index > 0 {
                self.json.push(',');
            }
            self.value(depth + 1)?;
        }
        self.json.push(']');
        Ok(())
    }

    fn map(&mut self, marker: Marker, depth: usize) -> Result<(), MessagePackFault> {
        check_depth(depth)?;
        self.json.push('{');
        for index in 0..self.length(marker)? {
            if index > 0 {
                self.json.push(',');
            }
            let key = self.marker()?;
            self.string(key)?;
            self.json.push(':');
            self.value(depth + 1)?;
        }
        self.json.push('}');
        Ok(())
    }

    fn string(&mut self, marker: Marker) -> Result<(), MessagePackFault> {
        let length = if let Marker::FixStr(length) = marker {
            length.into()
        } else if marker == Marker::Str8 {
            self.array().map(u8::from_be_bytes)?.into()
        } else if marker == Marker::Str16 {
            self.array().map(u16::from_be_bytes)?.into()
        } else if marker == Marker::Str32 {
            self.array().map(u32::from_be_bytes)?
        } else {
            // Only where a key has to be.
            return Err(MessagePackFault::KeyNotString);
        };
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| MessagePackFault::NotUtf8)?;
        let quoted = serde_json::to_string(text).expect("invariant: a string is JSON");
        self.json.push_str(&quoted);
        Ok(())
    }

    fn float(&mut self, number: f64) -> Result<(), MessagePackFault> {
        if !number.is_finite() {
            return Err(MessagePackFault::NotFinite);
        }
        let shown = serde_json::to_string(&number).expect("invariant: it is finite");
        self.json.push_str(&shown);
        Ok(())
    }

    fn number<const BYTES: usize, T: fmt::Display>(
        &mut self,
        read: fn([u8; BYTES]) -> T,
    ) -> Result<(), MessagePackFault> {
        let number = read(self.array()?);
        self.show(number);
        Ok(())
    }

    fn show(&mut self, number: impl fmt::Display) {
        write!(self.json, "{number}").expect("invariant: a string takes all that is written");
    }

    /// How many elements or members follow a marker of an array or a map.
    fn length(&mut self, marker: Marker) -> Result<u32, MessagePackFault> {
        if let Marker::FixArray(length) | Marker::FixMap(length) = marker {
            Ok(length.into())
        } else if matches!(marker, Marker::Array16 | Marker::Map16) {
            self.array().map(u16::from_be_bytes).map(u32::from)
        } else {
            self.array().map(u32::from_be_bytes)
        }
    }

    fn marker(&mut self) -> Result<Marker, MessagePackFault> {
        read_marker(&mut self.rest).map_err(|_| MessagePackFault::Incomplete)
    }

    fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], MessagePackFault> {
        let mut bytes = [0; BYTES];
        let read = self.rest.read_exact_buf(&mut bytes);
        read.map_err(|_| MessagePackFault::Incomplete)?;
        Ok(bytes)
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], MessagePackFault> {
        let length = usize::try_from(length).map_err(|_| MessagePackFault::Incomplete)?;
        let split = self.rest.split_at_checked(length);
        let (taken, rest) = split.ok_or(MessagePackFault::Incomplete)?;
        self.rest = rest;
        Ok(taken)
    }
}

const fn check_depth(depth: usize) -> Result<(), MessagePackFault> {
    if depth >= DEPTH_MAX {
        return Err(MessagePackFault::TooDeep);
    }
    Ok(())
}

fn write_value(json: &str, out: &mut Vec<u8>) {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let writer = Writer {
        levels: LEVELS_AT_ONCE,
        out,
    };
    writer
        .deserialize(&mut deserializer)
        .expect("invariant: what was checked is JSON");
}

/// Writes the next value of a document.
struct Writer<'a> {
    levels: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    const fn inner(&mut self) -> Writer<'_> {
        Writer {
            levels: self.levels - 1,
            out: &mut *self.out,
        }
    }

    /// Puts the head of a container before what was written since `start`.
    fn put_head(
        &mut self,
        start: usize,
        head: impl FnOnce(&mut Vec<u8>) -> Result<Marker, encode::ValueWriteError>,
    ) {
        let mut bytes = Vec::new();
        head(&mut bytes).expect("invariant: a vector takes all that is written");
        self.out.splice(start..start, bytes);
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.levels > 0 {
            return deserializer.deserialize_any(self);
        }
        let rest: &RawValue = serde::Deserialize::deserialize(deserializer)?;
        write_value(rest.get(), self.out);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        written(encode::write_nil(self.out))
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        written(encode::write_bool(self.out, value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        written(encode::write_sint(self.out, value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        written(encode::write_uint(self.out, value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        written(encode::write_f64(self.out, value))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        written(encode::write_str(self.out, value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let (start, mut count) = (self.out.len(), 0);
        while elements.next_element_seed(self.inner())?.is_some() {
            count += 1;
        }
        self.put_head(start, |out| encode::write_array_len(out, count));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let (start, mut count) = (self.out.len(), 0);
        while let Some(name) = members.next_key::<String>()? {
            written(encode::write_str(self.out, &name))?;
            members.next_value_seed(self.inner())?;
            count += 1;
        }
        self.put_head(start, |out| encode::write_map_len(out, count));
        Ok(())
    }
}

fn written<T, F: fmt::Debug, E>(result: Result<T, F>) -> Result<(), E> {
    result.expect("invariant: a vector takes all that is written");
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::wire::json;

    /// What another reader of MessagePack makes of the bytes.
    fn read_elsewhere(bytes: &[u8]) -> Value {
        let mut rest = bytes;
        let value = rmpv::decode::read_value(&mut rest).unwrap();
        assert!(rest.is_empty());
        of_other(&value)
    }

    fn of_other(value: &rmpv::Value) -> Value {
        match value {
            rmpv::Value::Nil => Value::Null,
            rmpv::Value::Boolean(value) => Value::from(*value),
            rmpv::Value::Integer(value) => Value::from(value.as_i64().unwrap()),
            rmpv::Value::F64(value) => Value::from(*value),
            rmpv::Value::String(value) => Value::from(value.as_str().unwrap()),
            rmpv::Value::Array(values) => values.iter().map(of_other).collect(),
            rmpv::Value::Map(members) => {
                let member = |(name, value): &(rmpv::Value, rmpv::Value)| {
                    (name.as_str().unwrap().to_owned(), of_other(value))
                };
                Value::Object(members.iter().map(member).collect())
            }
            rmpv::Value::F32(_) | rmpv::Value::Binary(_) | rmpv::Value::Ext(..) => {
                panic!("JSON has no {value}")
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-200_i64..300).prop_map(Value::from),
            any::<f64>()
                .prop_filter("JSON has no others", |number| number.is_finite())
                .prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map(".{0,3}", inner, 0..20)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_the_same_here_and_elsewhere(value in any_json()) {
            let bytes = from_json(&value.to_string());
            prop_assert_eq!(&read_elsewhere(&bytes), &value);
            let back: Value = serde_json::from_str(&to_json(&bytes).unwrap()).unwrap();
            prop_assert_eq!(&back, &value);
        }

        #[test]
        fn what_is_read_of_any_bytes_is_json(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = to_json(&bytes) {
                let parsed = serde_json::from_str::<Value>(&text);
                prop_assert!(parsed.is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn values_keep_their_kind_and_take_the_fewest_bytes() {
        for (json, bytes) in [
            ("null", &b"\xc0"[..]),
            ("127", b"\x7f"),
            ("128", b"\xcc\x80"),
            ("-32", b"\xe0"),
            ("-33", b"\xd0\xdf"),
            ("1.0", b"\xcb\x3f\xf0\0\0\0\0\0\0"),
            ("\"\u{e9}\"", b"\xa2\xc3\xa9"),
            ("[1,[]]", b"\x92\x01\x90"),
            ("{\"a\":false}", b"\x81\xa1a\xc2"),
            (
                "9223372036854775807",
                b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
            ),
        ] {
            assert_eq!(from_json(json), bytes, "{json}");
            assert_eq!(to_json(bytes).as_deref(), Ok(json), "{json}");
        }
        // A float of 32 bits has one of 64 bits with its value.
        assert_eq!(
            to_json(b"\xca\x3d\xcc\xcc\xcd").as_deref(),
            Ok("0.10000000149011612")
        );
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for (bytes, fault) in [
            (&b""[..], MessagePackFault::Incomplete),
            (b"\xcd\x01", MessagePackFault::Incomplete),
            (b"\xa3ab", MessagePackFault::Incomplete),
            (b"\xdd\xff\xff\xff\xff", MessagePackFault::Incomplete),
            (b"\xdb\xff\xff\xff\xff", MessagePackFault::Incomplete),
            (b"\x81\xa1a", MessagePackFault::Incomplete),
            (b"\x01\x02", MessagePackFault::Trailing),
            (b"\xc4\x01a", MessagePackFault::NotInJson),
            (b"\xd4\x01a", MessagePackFault::NotInJson),
            (b"\xc1", MessagePackFault::Reserved),
            (b"\x81\x01\x02", MessagePackFault::KeyNotString),
            (b"\x81\xc4\x01a\x02", MessagePackFault::KeyNotString),
            (b"\xa1\xff", MessagePackFault::NotUtf8),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", MessagePackFault::NotFinite),
            (b"\xca\x7f\xc0\0\0", MessagePackFault::NotFinite),
        ] {
            assert_eq!(to_json(bytes), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn what_nests_as_deep_as_json_may_goes_both_ways() {
        let json = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        assert!(json::document(json.as_bytes()).is_ok());
        let bytes = from_json(&json);
        assert_eq!(to_json(&bytes), Ok(json));
        let deeper = [b"\x91", bytes.as_slice()].concat();
        assert_eq!(to_json(&deeper), Err(MessagePackFault::TooDeep));
        assert_eq!(to_json(&[0x91; 100_000]), Err(MessagePackFault::TooDeep));
    }
}
