//! The WebSocket transport: a client in either encoding, and what it sees.

mod access;
mod actions;
#[cfg(feature = "server")]
mod connections;
mod failures;
mod random;

use nanshe_reference::broker::SocketId;
use nanshe_reference::wire::websocket::{Encoding, Frame};
use serde_json::{Value, json};

use crate::support::{ALICE, World};

const SOCKET: SocketId = SocketId(1);
const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

/// MessagePack by other hands than those of the broker.
pub(crate) fn pack(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &to_other(value)).unwrap();
    bytes
}

pub(crate) fn unpack(mut bytes: &[u8]) -> Value {
    let value = rmpv::decode::read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty());
    of_other(&value)
}

fn to_other(value: &Value) -> rmpv::Value {
    match value {
        Value::Null => rmpv::Value::Nil,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().unwrap().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(to_other).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| (name.as_str().into(), to_other(value));
            rmpv::Value::Map(members.iter().map(member).collect())
        }
    }
}

fn of_other(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(value) => json!(value),
        rmpv::Value::Integer(value) => json!(value.as_i64().unwrap()),
        rmpv::Value::F64(value) => json!(value),
        rmpv::Value::String(value) => json!(value.as_str().unwrap()),
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

fn read(frame: &Frame) -> Value {
    match frame.encoding {
        Encoding::Json => serde_json::from_slice(&frame.bytes).unwrap(),
        Encoding::MessagePack => unpack(&frame.bytes),
    }
}

/// What a client says on one socket, in one encoding.
struct Client<'a> {
    world: &'a World,
    encoding: Encoding,
    socket: SocketId,
    headers: Value,
}

impl<'a> Client<'a> {
    fn new(world: &'a World, encoding: Encoding) -> Self {
        Self {
            world,
            encoding,
            socket: SOCKET,
            headers: json!({"Client-ID": ALICE, "X-Project-ID": "p"}),
        }
    }

    fn raw(&self, bytes: Vec<u8>) -> (u64, Value, Value) {
        let frame = Frame {
            encoding: self.encoding,
            bytes: bytes.into(),
        };
        let (answer, _) = self.world.service.answer_frame(&frame, self.socket);
        assert_eq!(
            answer.encoding, self.encoding,
            "in the encoding of the request"
        );
        let response = read(&answer);
        let status = response["headers"]["status"].as_u64().unwrap();
        (
            status,
            response["body"].clone(),
            response["request"].clone(),
        )
    }

    fn send(&self, document: &Value) -> (u64, Value, Value) {
        self.raw(match self.encoding {
            Encoding::Json => document.to_string().into_bytes(),
            Encoding::MessagePack => pack(document),
        })
    }

    /// The status and the body of the answer. That it repeats the request is checked.
    fn ask(&self, action: &str, body: &Value) -> (u64, Value) {
        let document = json!({
            "action": action, "headers": self.headers, "body": body, "more": "is tolerated",
        });
        let (status, answer, request) = self.send(&document);
        let repeated =
            json!({"action": action, "headers": self.headers, "body": body, "api": "v2"});
        assert_eq!(request, repeated);
        (status, answer)
    }

    fn ok(&self, status: u64, action: &str, body: &Value) -> Value {
        let answer = self.ask(action, body);
        assert_eq!(answer.0, status, "{action} {body}: {}", answer.1);
        answer.1
    }

    /// The error of an answer that has one, be it of a handler or not.
    fn refused(&self, status: u64, action: &str, body: &Value) -> Value {
        let error = self.ok(status, action, body);
        assert!(error["error"].is_string(), "{error}");
        let members = error.as_object().unwrap().len();
        assert_eq!(members, 1 + usize::from(error["exception"].is_string()));
        error
    }
}
