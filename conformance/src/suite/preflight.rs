//! Looks at a target before hundreds of cases do, and says what it found in words that tell what to do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};

use self::look::Look;
use super::profile::Probed;
use crate::environment::World;
use crate::target::{Description, Endpoint, NotAnswered};

mod clock;
mod look;
mod probe;

/// What preflight found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Capabilities that are a matter of configuration.
    pub probed: Probed,
    /// How wrong its clock may be, unless the target file says so.
    pub slack: Duration,
    /// What to tell the user, a line each.
    pub lines: Vec<String>,
}

/// Why no case can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreflightError {
    /// Nothing answers there.
    NotThere(String),
    /// What answers is not Zaqar v2, or wants something else of its clients.
    NotUsable(String),
}

impl fmt::Display for PreflightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere(line) | Self::NotUsable(line) => f.write_str(line),
        }
    }
}

impl std::error::Error for PreflightError {}

/// Asks whether anything like Zaqar v2 is there, which headers it wants, how coarse its clock is, and
/// how it is configured.
///
/// # Errors
///
/// One line that says what is there instead, and what to do about it.
pub async fn preflight(
    world: World,
    target: &Description,
    endpoint: &Endpoint,
) -> Result<Found, PreflightError> {
    looked(world, target, endpoint).await
}

/// In a box, so that all of it is compiled here, once, and not with everyone who waits for it.
fn looked<'a>(
    world: World,
    target: &'a Description,
    endpoint: &'a Endpoint,
) -> BoxFuture<'a, Result<Found, PreflightError>> {
    look(world, target, endpoint).boxed()
}

async fn look(
    world: World,
    target: &Description,
    endpoint: &Endpoint,
) -> Result<Found, PreflightError> {
    let look = Look::new(Arc::clone(&world), target, endpoint);
    let first = is_there(&look, target, endpoint).await?;
    let mut found = Found {
        slack: target.slack,
        lines: vec![first],
        ..Found::default()
    };
    probe::headers(&look, &mut found).await;
    probe::limits(&look, &mut found).await;
    probe::settings(&look, &mut found).await;
    probe::relations(&look, target, &mut found).await;
    clock::measure(&look, target, &mut found).await;
    look.clean_up().await;
    Ok(found)
}

async fn is_there(
    look: &Look,
    target: &Description,
    endpoint: &Endpoint,
) -> Result<String, PreflightError> {
    let unusable = |line: String| Err(PreflightError::NotUsable(format!("{endpoint} {line}")));
    let asked_at = look.now();
    let status = match look.ask(Method::GET, "/v2/ping").send().await {
        Ok(answer) => answer.status,
        Err(not_answered @ NotAnswered::NotSent(_)) => {
            let line = format!("{endpoint} is not there: {not_answered}");
            return Err(PreflightError::NotThere(line));
        }
        Err(not_answered @ NotAnswered::NoAnswer(_)) => {
            let line = format!("{endpoint} is there, but does not answer: {not_answered}");
            return Err(PreflightError::NotThere(line));
        }
    };
    let took = look.now().since(asked_at);
    match status {
        StatusCode::NO_CONTENT => Ok(format!("{endpoint} answers a ping in {took:.1?}")),
        StatusCode::UNAUTHORIZED if target.session.is_some() => {
            unusable("refuses the token that Keystone gave: is it of the same cloud?".to_owned())
        }
        StatusCode::UNAUTHORIZED => unusable(
            "wants a token (401): log in with --keystone and the usual OS_* variables, or with \
             --os-cloud NAME"
                .to_owned(),
        ),
        StatusCode::FORBIDDEN => {
            unusable("forbids a ping (403): does the user have a role in the project?".to_owned())
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            unusable("cannot reach its own store (503): start that, and try again".to_owned())
        }
        StatusCode::NOT_FOUND if look.lists_messages().await => {
            Ok(format!("{endpoint} knows no ping, but lists messages"))
        }
        StatusCode::NOT_FOUND => unusable(
            "does not look like Zaqar v2: GET /v2/ping answered 404, expected 204; does a path \
             belong in front of /v2 in its URL?"
                .to_owned(),
        ),
        status => unusable(format!(
            "does not look like Zaqar v2: GET /v2/ping answered {}, expected 204",
            status.as_u16()
        )),
    }
}
