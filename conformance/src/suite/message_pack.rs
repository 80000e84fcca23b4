//! JSON values as MessagePack, and back: what binary frames of a WebSocket hold.

use rmpv::Value as Packed;
use serde_json::{Map, Number, Value};

/// `value` as MessagePack.
pub(super) fn pack(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &packed(value)).expect("a vector takes all");
    bytes
}

/// What `bytes` say, if they are one value that JSON has as well. The one byte that MessagePack never
/// uses counts as null, as the decoder has it.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Value> {
    let packed = rmpv::decode::read_value(&mut bytes).ok()?;
    if !bytes.is_empty() {
        return None;
    }
    unpacked(packed)
}

fn packed(value: &Value) -> Packed {
    match value {
        Value::Null => Packed::Nil,
        Value::Bool(flag) => Packed::from(*flag),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Packed::from(number),
            (None, Some(number), _) => Packed::from(number),
            (None, None, number) => Packed::from(number.unwrap_or_default()),
        },
        Value::String(text) => Packed::from(text.as_str()),
        Value::Array(items) => items.iter().map(packed).collect(),
        Value::Object(members) => {
            let pairs = members.iter();
            let pairs = pairs.map(|(name, value)| (Packed::from(name.as_str()), packed(value)));
            Packed::Map(pairs.collect())
        }
    }
}

fn unpacked(value: Packed) -> Option<Value> {
    Some(match value {
        Packed::Nil => Value::Null,
        Packed::Boolean(flag) => Value::Bool(flag),
        Packed::Integer(number) => {
            let number = number
                .as_u64()
                .map(Number::from)
                .or_else(|| number.as_i64().map(Number::from));
            Value::Number(number?)
        }
        Packed::F32(number) => Value::Number(Number::from_f64(number.into())?),
        Packed::F64(number) => Value::Number(Number::from_f64(number)?),
        Packed::String(text) => Value::String(text.into_str()?),
        Packed::Array(items) => {
            let items: Option<Vec<Value>> = items.into_iter().map(unpacked).collect();
            Value::Array(items?)
        }
        Packed::Map(pairs) => {
            let mut members = Map::new();
            for (name, value) in pairs {
                members.insert(name.as_str()?.to_owned(), unpacked(value)?);
            }
            Value::Object(members)
        }
        // JSON has neither.
        Packed::Binary(_) | Packed::Ext(..) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let value = json!({
            "a": [1, -1, u64::MAX, i64::MIN, 1.5, "ü", "", null, true], "b": {}, "c": [], "": "d",
        });
        assert_eq!(unpack(&pack(&value)), Some(value));
    }

    #[test]
    fn what_json_has_not_or_is_not_one_value_is_none() {
        // Nothing; a value and more; a binary; a map whose name is a number.
        for bytes in [&b""[..], b"\xc0\xc0", b"\xc4\x01a", b"\x81\x01\x01"] {
            assert_eq!(unpack(bytes), None, "{bytes:?}");
        }
    }
}
