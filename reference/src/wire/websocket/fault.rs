//! What is wrong with a frame, and how each kind of failure is told.

use http::StatusCode;
use thiserror::Error;

use super::message_pack::MessagePackFault;
use crate::wire::json::JsonFault;
use crate::wire::refusal::{Failure, Refusal};

/// Why a frame is not passed to the broker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("the frame is not valid JSON: {0}")]
    NotJson(#[from] JsonFault),
    #[error("the frame is not valid MessagePack: {0}")]
    NotMessagePack(#[from] MessagePackFault),
    #[error("the frame is not an object")]
    NotObject,
    #[error("the action is not a string")]
    ActionNotString,
    #[error("there is no such action")]
    ActionUnknown,
    #[error("the action has no implementation")]
    ActionWithoutImplementation,
    #[error("headers is not an object")]
    HeadersNotObject,
    #[error("the header {header} is missing")]
    HeaderMissing { header: &'static str },
    #[error("the header {header} is not a string, or one that HTTP could not carry")]
    HeaderInvalid { header: &'static str },
    #[error("body is not an object")]
    BodyNotObject,
    #[error("body has no {member}")]
    MemberMissing { member: &'static str },
    #[error("{member} is not {expected}")]
    MemberOfAnotherKind {
        member: &'static str,
        expected: &'static str,
    },
    /// Zaqar v2, WebSocket: an action that nobody vouches for.
    #[error("not authenticated: {0}")]
    NotAuthenticated(&'static str),
    /// Everything that is wrong in HTTP as well.
    #[error("{0}")]
    Refused(Refusal),
}

impl Fault {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::NotAuthenticated(_) => StatusCode::FORBIDDEN,
            Self::NotJson(_)
            | Self::NotMessagePack(_)
            | Self::NotObject
            | Self::ActionNotString
            | Self::ActionUnknown
            | Self::ActionWithoutImplementation
            | Self::HeadersNotObject
            | Self::HeaderMissing { .. }
            | Self::HeaderInvalid { .. }
            | Self::BodyNotObject
            | Self::MemberMissing { .. }
            | Self::MemberOfAnotherKind { .. }
            | Self::Refused(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Whether this is about how messages look, not about what is in them. Then Zaqar finds it by its
/// schema, before any handler is asked.
pub(crate) const fn is_of_schema(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::MessagesMissing | Refusal::MessageNotObject | Refusal::MessageBodyMissing
    )
}

/// The exception that Zaqar's handlers would have raised, or one like it.
pub(crate) fn exception(failure: &Failure) -> &'static str {
    match failure.status().0.as_u16() {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        500 => "InternalError",
        _ => "ValidationFailed",
    }
}
