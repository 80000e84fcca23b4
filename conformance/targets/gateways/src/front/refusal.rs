//! Why a request is not served, and the document that says so.

use http::StatusCode;
use serde_json::json;

use super::answer::Answer;
use crate::broker::Failed;

/// A request that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
    allow: Option<&'static str>,
}

impl Refusal {
    pub(super) const NOT_FOUND: Self = Self::of(StatusCode::NOT_FOUND);
    pub(super) const CLAIMED: Self = Self::of(StatusCode::FORBIDDEN);
    pub(super) const NOT_ACCEPTABLE: Self = Self::of(StatusCode::NOT_ACCEPTABLE);

    const fn of(status: StatusCode) -> Self {
        Self {
            status,
            why: String::new(),
            allow: None,
        }
    }

    /// Bad input, and what would be right.
    pub(super) fn bad(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            ..Self::of(StatusCode::BAD_REQUEST)
        }
    }

    /// A method that the route does not have; those that it has.
    pub(super) const fn method(allow: &'static str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            why: String::new(),
            allow: Some(allow),
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let title = self.status.canonical_reason().unwrap_or_default();
        let document = json!({ "title": title, "description": self.why });
        let answer = Answer::of(self.status).with_json(document);
        match self.allow {
            Some(allow) => answer.with_allow(allow),
            None => answer,
        }
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        let status = match failed {
            Failed::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Failed::Broken(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            why: failed.to_string(),
            ..Self::of(status)
        }
    }
}
