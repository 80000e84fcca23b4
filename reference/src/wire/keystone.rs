//! Tokens from Keystone, version 3: how one is asked for, and what is read in the answer.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde_json::{Value, json};

use crate::broker::Outcome;

use super::calendar;
use super::secret::Secret;

/// What a token is sent in.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-auth-token");
/// Where a new token stands in an answer.
const NEW_TOKEN_HEADER: &str = "x-subject-token";

/// The user that subscribers' trusts are given to, and where it gets its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trustee {
    /// Where Keystone is, with or without `/v3`.
    pub auth_url: Uri,
    /// The name of the user.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The name of its domain.
    pub user_domain_name: String,
}

/// A token, and how long it lives from when it was issued. Both instants in the answer are
/// Keystone's, so it does not matter how its clock stands to ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As it is sent.
    pub value: HeaderValue,
    /// Its lifetime.
    pub lifetime_secs: u64,
}

impl Trustee {
    /// The URL as a URI; `None` if nothing can be asked there.
    #[must_use]
    pub fn url(text: &str) -> Option<Uri> {
        let uri: Uri = text.parse().ok()?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain = uri.query().is_none() && uri.host().is_some_and(|host| !host.is_empty());
        (known && plain).then_some(uri)
    }

    /// Asks for a token with the rights of a trust.
    #[must_use]
    pub fn token_request(&self, trust: &str) -> Request<Bytes> {
        let base = self.auth_url.to_string();
        let base = base.trim_end_matches('/');
        let base = base.strip_suffix("/v3").unwrap_or(base);
        let document = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": self.username,
                "domain": {"name": self.user_domain_name},
                "password": self.password.0,
            }}},
            "scope": {"OS-TRUST:trust": {"id": trust}},
        }});
        let mut request = Request::new(Bytes::from(document.to_string()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{base}/v3/auth/tokens")
            .parse()
            .expect("invariant: a URI has a path behind its authority");
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json.clone());
        request.headers_mut().insert(ACCEPT, json);
        request
    }
}

/// Reads an answer.
///
/// # Errors
/// The outcome of the delivery that needs the token, if the answer has none: a trust that does not
/// exist any more, or was not given to us, will not come back.
pub fn token(answer: &Response<Bytes>) -> Result<Token, Outcome> {
    match answer.status() {
        StatusCode::CREATED | StatusCode::OK => {}
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => return Err(Outcome::Refused),
        // Among them 401: that the password is wrong is our business, and may be mended.
        _ => return Err(Outcome::Failed),
    }
    let value = answer.headers().get(NEW_TOKEN_HEADER);
    let mut value = value.cloned().ok_or(Outcome::Failed)?;
    value.set_sensitive(true);
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let instant = |member| document["token"][member].as_str().and_then(calendar::parse);
    let lifetime = instant("expires_at").zip(instant("issued_at"));
    let lifetime = lifetime.and_then(|(end, start)| end.checked_sub(start));
    Ok(Token {
        value,
        // Of a token that does not say how long it lives we know only that it lives now.
        lifetime_secs: lifetime.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_by_password_within_a_trust() {
        for url in [
            "http://k:5000",
            "http://k:5000/",
            "http://k:5000/v3",
            "http://k:5000/v3/",
        ] {
            let trustee = Trustee {
                auth_url: Trustee::url(url).unwrap(),
                username: "zaqar".to_owned(),
                password: Secret("pw\"".to_owned()),
                user_domain_name: "Default".to_owned(),
            };
            let request = trustee.token_request("t1");
            assert_eq!(request.uri(), "http://k:5000/v3/auth/tokens", "{url}");
            let expected = concat!(
                r#"{"auth":{"identity":{"methods":["password"],"password":{"user":"#,
                r#"{"domain":{"name":"Default"},"name":"zaqar","password":"pw\""}}},"#,
                r#""scope":{"OS-TRUST:trust":{"id":"t1"}}}}"#
            );
            assert_eq!(request.body(), expected);
            assert!(!format!("{trustee:?}").contains("pw"));
        }
        let below = Trustee::url("https://k/identity").unwrap();
        assert_eq!(below.path(), "/identity");
        for url in ["", "k", "ftp://k", "http://", "/v3", "http://k?x"] {
            assert_eq!(Trustee::url(url), None, "{url}");
        }
    }

    #[test]
    fn a_token_lives_from_its_issue_to_its_end() {
        let answer = |status: u16, body: &str| {
            let answer = Response::builder()
                .status(status)
                .header("X-Subject-Token", "abc");
            token(
                &answer
                    .body(Bytes::copy_from_slice(body.as_bytes()))
                    .unwrap(),
            )
        };
        let hour = r#"{"token":{"issued_at":"2026-11-22T08:00:00.5Z",
            "expires_at":"2026-11-22T09:00:00.000000Z"}}"#;
        let got = answer(201, hour).unwrap();
        assert_eq!(
            (got.value, got.lifetime_secs),
            ("abc".parse().unwrap(), 3_600)
        );
        for body in [
            "",
            "{}",
            r#"{"token":{"issued_at":"2026-11-22T08:00:00Z"}}"#,
        ] {
            assert_eq!(answer(201, body).unwrap().lifetime_secs, 0, "{body}");
        }
        for (status, expected) in [
            (401, Outcome::Failed),
            (403, Outcome::Refused),
            (404, Outcome::Refused),
            (503, Outcome::Failed),
        ] {
            assert_eq!(answer(status, hour), Err(expected), "{status}");
        }
        assert_eq!(token(&Response::new(Bytes::new())), Err(Outcome::Failed));
    }
}
