//! Frames to inputs and outputs to frames, purely: the WebSocket transport.
//!
//! Zaqar v2, WebSocket: a text frame is JSON, a binary one MessagePack, and a response comes in the
//! encoding of its request, which it repeats. Inside there is only JSON text: MessagePack is turned
//! into it and back, so both mean the same, and bodies are bounded by their size as JSON.
//!
//! What is broken in the form of a request is told as `{"error"}`, what is wrong with what it asks
//! for as `{"exception", "error"}`; the status is in the headers of the response.
//!
//! There is no Keystone: `authenticate` is refused, and nothing else needs it, as in HTTP. A
//! signature that is given must hold: it grants nothing but the `message_*` actions of its queue.

mod action;
mod fault;
mod message_pack;
mod request;
mod response;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use serde::Serialize;
use serde_json::value::RawValue;

use super::bodies::Body;
use super::refusal::Failure;
use super::settings::Settings;
use super::{headers, json};
use crate::broker::{Caller, Input, JsonText, Limits, Output, SocketId, Timestamp};

use action::Action;
use fault::Fault;
use request::Reader;

/// What a frame may take beyond the largest body: its action, its headers, and names.
pub const ENVELOPE_BYTES_MAX: usize = 16 * 1024;
/// The version that every response names.
const API: &str = "v2";

/// How a frame is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In a text frame.
    Json,
    /// In a binary frame.
    MessagePack,
}

/// A message of the WebSocket protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How it is written.
    pub encoding: Encoding,
    /// What it says.
    pub bytes: Bytes,
}

impl Frame {
    /// A frame with this JSON.
    ///
    /// # Panics
    /// If it is no JSON.
    #[must_use]
    pub fn new(encoding: Encoding, json: String) -> Self {
        let bytes = match encoding {
            Encoding::Json => json.into(),
            Encoding::MessagePack => message_pack::from_json(&json).into(),
        };
        Self { encoding, bytes }
    }
}

/// A request, with what its response repeats of it.
#[derive(Clone, Debug)]
pub struct Request {
    encoding: Encoding,
    echo: Echo,
    asked: Result<Asked, Fault>,
}

#[derive(Clone, Debug)]
struct Asked {
    action: Action,
    caller: Caller,
    input: Input,
}

/// What came of a request.
pub(crate) enum Answer {
    Output(Output),
    Failure(Failure),
    Fault(Fault),
}

impl Request {
    /// Reads a frame that came from a socket at `now`.
    #[must_use]
    pub fn read(frame: &Frame, socket: SocketId, settings: &Settings, now: Timestamp) -> Self {
        let mut echo = Echo::default();
        let asked = json_of(frame).and_then(|text| {
            let members = json::document(&text)?;
            let members = json::members(members).ok_or(Fault::NotObject)?;
            let member = |name: &str, kept: &mut Option<JsonText>| {
                let value = members.get(name).copied();
                *kept = value.map(JsonText::new);
                value
            };
            let parts = Parts {
                action: member("action", &mut echo.action),
                headers: member("headers", &mut echo.headers),
                body: member("body", &mut echo.body),
                text: &text,
            };
            parts.asked(socket, settings, now)
        });
        Self {
            encoding: frame.encoding,
            echo,
            asked,
        }
    }

    /// How the socket is to be sent notifications from now on, if this says so.
    #[must_use]
    pub fn notification_encoding(&self) -> Option<Encoding> {
        let asked = self.asked.as_ref().ok()?;
        (asked.action == Action::SubscriptionCreate).then_some(self.encoding)
    }

    /// Answers it, with the help of the broker if it takes that.
    pub fn answer(
        self,
        settings: &Settings,
        ask: impl FnOnce(&Caller, Input) -> Result<Output, Failure>,
    ) -> Frame {
        let answer = match self.asked {
            Err(fault) => Answer::Fault(fault),
            Ok(Asked { caller, input, .. }) => match ask(&caller, input) {
                Ok(output) => Answer::Output(output),
                Err(failure) => Answer::Failure(failure),
            },
        };
        let (status, body) = response::body(&answer, settings);
        let response = Response {
            request: self.echo.document(),
            body: &body,
            headers: Status {
                status: status.as_u16(),
            },
        };
        let json = serde_json::to_string(&response).expect("invariant: our documents are JSON");
        Frame::new(self.encoding, json)
    }
}

/// Most bytes of a frame that any request may need.
#[must_use]
pub fn frame_bytes_max(limits: &Limits) -> usize {
    limits.body_bytes_max().saturating_add(ENVELOPE_BYTES_MAX)
}

/// Whether whoever sends these headers may open a socket. Browsers let any page open one, and say
/// which it is; so pages of other places get in only if they may see responses in HTTP as well.
#[must_use]
pub fn admits(headers: &HeaderMap, settings: &Settings) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let place = origin.split_once("://").map(|(_, place)| place);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let at_home = place.is_some() && place == host;
    origins.next().is_none() && (at_home || settings.cors_origins.contains(origin))
}

/// The frame as JSON text, not checked yet.
fn json_of(frame: &Frame) -> Result<Bytes, Fault> {
    match frame.encoding {
        Encoding::Json => Ok(frame.bytes.clone()),
        Encoding::MessagePack => Ok(message_pack::to_json(&frame.bytes)?.into()),
    }
}

/// The members of a request.
struct Parts<'a> {
    action: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
    body: Option<&'a RawValue>,
    /// The text that they are in.
    text: &'a Bytes,
}

impl Parts<'_> {
    fn asked(&self, socket: SocketId, settings: &Settings, now: Timestamp) -> Result<Asked, Fault> {
        let action = self.action.and_then(json::string);
        let action = Action::of(&action.ok_or(Fault::ActionNotString)?)?;
        let headers = self.headers.ok_or(Fault::HeadersNotObject)?;
        let headers = request::header_map(headers)?;
        let required = if action == Action::Authenticate {
            ["X-Project-ID", "X-Auth-Token"]
        } else {
            ["Client-ID", "X-Project-ID"]
        };
        for header in required {
            if !headers.contains_key(header) {
                return Err(Fault::HeaderMissing { header });
            }
        }
        if action == Action::Authenticate {
            return Err(Fault::NotAuthenticated("there is no Keystone"));
        }
        let body = self.body.map(|body| body.get().as_bytes());
        let body = body.map_or_else(
            || Bytes::from_static(b"{}"),
            |body| self.text.slice_ref(body),
        );
        let document = json::document(&body)?;
        let members = json::members(document).ok_or(Fault::BodyNotObject)?;
        action.check(&members)?;
        let reader = Reader {
            members,
            body: Body::Complete(body.clone()),
            settings,
            socket,
        };
        let queue = reader.queue(action).map_err(Fault::Refused)?;
        request::check_signature(action, queue.as_ref(), &headers, (settings, now))?;
        let caller = headers::caller(&headers, settings.limits.client_id_rule);
        let caller = caller.map_err(Fault::Refused)?;
        let input = reader.input(action, queue, &caller);
        let input = input.map_err(Fault::Refused)?;
        Ok(Asked {
            action,
            caller,
            input,
        })
    }
}

/// What a response repeats of its request.
#[derive(Clone, Debug, Default)]
struct Echo {
    action: Option<JsonText>,
    headers: Option<JsonText>,
    body: Option<JsonText>,
}

impl Echo {
    fn document(&self) -> EchoDocument<'_> {
        EchoDocument {
            action: self.action.as_ref(),
            body: OrEmpty(self.body.as_ref()),
            headers: OrEmpty(self.headers.as_ref()),
            api: API,
        }
    }
}

#[derive(Serialize)]
struct Response<'a> {
    request: EchoDocument<'a>,
    body: &'a RawValue,
    headers: Status,
}

#[derive(Serialize)]
struct EchoDocument<'a> {
    action: Option<&'a JsonText>,
    body: OrEmpty<'a>,
    headers: OrEmpty<'a>,
    api: &'static str,
}

#[derive(Serialize)]
struct Status {
    status: u16,
}

/// A value, or an empty object in its place.
struct OrEmpty<'a>(Option<&'a JsonText>);

impl Serialize for OrEmpty<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(value) => value.serialize(serializer),
            None => serializer.collect_map(std::iter::empty::<((), ())>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_other_places_get_in_only_if_they_are_allowed() {
        let settings = Settings {
            cors_origins: ["https://dashboard".to_owned()].into(),
            ..Settings::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("h:9000"));
        assert!(admits(&headers, &settings));
        for (origin, admitted) in [
            ("http://h:9000", true),
            ("https://dashboard", true),
            ("http://h", false),
            ("https://dashboard.elsewhere", false),
            ("null", false),
            ("h:9000", false),
        ] {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(admits(&headers, &settings), admitted, "{origin}");
        }
    }
}
