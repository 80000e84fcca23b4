//! Logs in to Keystone, version 3, and keeps the token fresh.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::client::{Client, Endpoint};
use super::credentials::{Credentials, Identity};
use super::tls::Authorities;
use crate::environment::{Instant, World};

/// How long a login may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token that ends within this span is renewed first.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// Why nobody could log in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot log in at {url}: {why}")]
pub struct LoginError {
    url: String,
    why: String,
}

/// A login that gives out tokens, and gets a new one before the old one ends.
pub struct Session {
    client: Client,
    world: World,
    credentials: Credentials,
    project: String,
    token: Mutex<Token>,
    /// Held by who renews, so that it is done once.
    renewing: tokio::sync::Mutex<()>,
}

/// A token, and until when it is used.
#[derive(Clone)]
struct Token {
    text: String,
    renew_at: Instant,
}

impl std::fmt::Debug for Session {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    ///
    /// One line that says where and why not.
    pub async fn login(world: World, credentials: Credentials) -> Result<Self, LoginError> {
        let url = credentials.url.clone();
        let refuse = |why: String| LoginError {
            url: url.clone(),
            why,
        };
        let endpoint =
            Endpoint::parse(&credentials.url).map_err(|error| refuse(error.to_string()))?;
        let endpoint = match &credentials.cacert {
            None => endpoint,
            Some(file) => endpoint.trusting(
                &Authorities::read(file.as_ref()).map_err(|error| refuse(error.to_string()))?,
            ),
        };
        let client = Client::new(world.clone(), endpoint, PATIENCE, 1);
        let (token, project) = fetch(&client, &world, &credentials).await.map_err(refuse)?;
        Ok(Self {
            client,
            world,
            credentials,
            project,
            token: Mutex::new(token),
            renewing: tokio::sync::Mutex::default(),
        })
    }

    /// The project that the tokens are for.
    pub fn project(&self) -> String {
        self.project.clone()
    }

    /// A token that does not end soon. The old one, if there is no new one to be had: what is then
    /// refused is told by who refuses it.
    pub(super) async fn token(&self) -> String {
        let current = || {
            self.token
                .lock()
                .expect("no holder of this lock panics")
                .clone()
        };
        let token = current();
        if self.world.now() < token.renew_at {
            return token.text;
        }
        let _renewing = self.renewing.lock().await;
        let token = current();
        if self.world.now() < token.renew_at {
            return token.text;
        }
        match fetch(&self.client, &self.world, &self.credentials).await {
            Ok((token, _)) => {
                *self.token.lock().expect("no holder of this lock panics") = token.clone();
                token.text
            }
            Err(_) => token.text,
        }
    }
}

/// A new token, and the project that it is for.
async fn fetch(
    client: &Client,
    world: &World,
    credentials: &Credentials,
) -> Result<(Token, String), String> {
    let prefix = &client.endpoint().prefix;
    let path = if prefix.ends_with("/v3") {
        "/auth/tokens"
    } else {
        "/v3/auth/tokens"
    };
    let mut request = Request::new(Bytes::from(question(credentials).to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(path);
    let json = http::HeaderValue::from_static("application/json");
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, json.clone());
    request.headers_mut().insert(header::ACCEPT, json);
    let asked_at = world.now();
    let answer = client
        .send_as_it_is(Instant::NEVER, request)
        .await
        .map_err(|error| error.to_string())?;
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == StatusCode::UNAUTHORIZED {
        return Err("Keystone refuses the credentials (401)".to_owned());
    }
    if answer.status != StatusCode::CREATED {
        let said = document["error"]["message"]
            .as_str()
            .unwrap_or("no message");
        return Err(format!(
            "Keystone answered {}: {said}",
            answer.status.as_u16()
        ));
    }
    let text = answer
        .headers
        .get("x-subject-token")
        .and_then(|text| text.to_str().ok());
    let text = text.ok_or("the answer has no X-Subject-Token: is it Keystone v3?")?;
    let token = &document["token"];
    let project = token["project"]["id"].as_str().ok_or(
        "the token is for no project: say which by OS_PROJECT_NAME, or project_name in clouds.yaml",
    )?;
    // Both instants are of Keystone's own clock, so nobody else's matters.
    let instant = |name: &str| token[name].as_str().and_then(seconds);
    let lives = match (instant("issued_at"), instant("expires_at")) {
        (Some(issued), Some(expires)) => expires.saturating_sub(issued),
        (None, _) | (_, None) => 3_600,
    };
    let span = Duration::from_secs(lives).saturating_sub(RENEW_BEFORE);
    let token = Token {
        text: text.to_owned(),
        renew_at: asked_at.plus(span),
    };
    Ok((token, project.to_owned()))
}

/// What Keystone v3 is asked: `POST /v3/auth/tokens`.
fn question(credentials: &Credentials) -> Value {
    let domain = |name: &str, id: Option<&String>, or: &str| match id {
        Some(id) => json!({ "id": id }),
        None => json!({ "name": if name.is_empty() { or } else { name } }),
    };
    let identity = match &credentials.identity {
        Identity::Password { user, password } => {
            let mut who = json!({ "password": password });
            match &user.id {
                Some(id) => who["id"] = json!(id),
                None => {
                    who["name"] = json!(user.name);
                    who["domain"] = domain(&user.domain_name, user.domain_id.as_ref(), "Default");
                }
            }
            json!({ "methods": ["password"], "password": { "user": who } })
        }
        Identity::ApplicationCredential { user, secret } => {
            let mut credential = json!({ "secret": secret });
            match &user.id {
                Some(id) => credential["id"] = json!(id),
                None => {
                    let of = domain(&user.domain_name, user.domain_id.as_ref(), "Default");
                    credential["name"] = json!(user.name);
                    credential["user"] = json!({ "name": user.owner, "domain": of });
                }
            }
            json!({
                "methods": ["application_credential"],
                "application_credential": credential,
            })
        }
    };
    let mut question = json!({ "auth": { "identity": identity } });
    if let Some(project) = &credentials.project {
        let mut scope = json!({});
        match &project.id {
            Some(id) => scope["id"] = json!(id),
            None => {
                scope["name"] = json!(project.name);
                let of = domain(&project.domain_name, project.domain_id.as_ref(), "Default");
                scope["domain"] = of;
            }
        }
        question["auth"]["scope"] = json!({ "project": scope });
    }
    question
}

/// Seconds of `2026-11-24T06:52:04.000000Z` since some day; only differences mean something.
fn seconds(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hours, minutes, seconds) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years of March to February, so that leap days end them.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_differ_by_their_seconds() {
        let from = |text| seconds(text).unwrap();
        let hour = from("2026-11-24T07:52:04.000000Z") - from("2026-11-24T06:52:04.000000Z");
        assert_eq!(hour, 3_600);
        let leap = from("2028-03-01T00:00:00Z") - from("2028-02-28T00:00:00Z");
        assert_eq!(leap, 2 * 86_400);
        let year = from("2027-01-01T00:00:00Z") - from("2026-12-31T23:59:59Z");
        assert_eq!(year, 1);
        assert_eq!(seconds("soon"), None);
    }
}
