//! Cross-origin requests: which responses a browser may show to a page of another origin.
//!
//! Zaqar v2, CORS: nothing is said unless origins are configured; a request of any other origin is
//! carried out all the same, without a word about origins.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

use super::settings::Settings;

const METHODS: &str = "GET, PUT, POST, DELETE, PATCH, HEAD";
const HEADERS: &str = "X-Auth-Token, X-Identity-Status, X-Roles, X-Service-Catalog, X-User-Id, \
    X-Tenant-Id, X-OpenStack-Request-ID, X-Trace-Info, X-Trace-HMAC, Client-id";
const EXPOSED: &str = "X-Auth-Token, X-Subject-Token, X-Service-Token, X-OpenStack-Request-ID";
/// Headers that a browser sends unasked.
const SAFE_HEADERS: &str = "Accept, Accept-Language, Content-Language";
const MAX_AGE_SECS: &str = "3600";

/// What is to be said about origins in the response to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    origin: HeaderValue,
    is_preflight: bool,
}

impl Cors {
    /// What a request calls for; `None`: nothing.
    #[must_use]
    pub fn of(parts: &Parts, settings: &Settings) -> Option<Self> {
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        let origin = origins.next()?;
        let allowed = |text: &str| settings.cors_origins.contains(text);
        if origins.next().is_some() || !origin.to_str().is_ok_and(allowed) {
            return None;
        }
        let wanted = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let is_preflight = parts.method == Method::OPTIONS && wanted.is_some();
        let grants = wanted.is_none_or(|method| METHODS.split(", ").any(|other| method == other))
            && parts
                .headers
                .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
                .iter()
                .all(is_granted);
        (!is_preflight || grants).then(|| Self {
            origin: origin.clone(),
            is_preflight,
        })
    }

    /// Says it.
    pub fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let mut say = |name, text| headers.insert(name, HeaderValue::from_static(text));
        say(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        if self.is_preflight {
            say(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            say(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            say(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECS);
        } else {
            say(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

/// Whether all of the headers that a request is to have are allowed.
fn is_granted(names: &HeaderValue) -> bool {
    let Ok(names) = names.to_str() else {
        return false;
    };
    let mut names = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.all(|name| {
        let mut allowed = HEADERS.split(", ").chain(SAFE_HEADERS.split(", "));
        allowed.any(|other| other.eq_ignore_ascii_case(name))
    })
}
