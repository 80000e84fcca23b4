//! Where a request goes: the segments of its path, and its query as it is written.

use bytes::Bytes;
use http::{Request, Uri};

/// The parts of a target, or of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Behind the first slash, as they are written.
    pub(super) segments: Vec<String>,
    /// Names and values, as they are written.
    pub(super) query: Vec<(String, String)>,
}

impl Place {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        Self::read(&request.uri().to_string())
    }

    pub(super) fn read(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path.trim_start_matches('/').split('/').map(str::to_owned);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self {
            segments: segments.collect(),
            query: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// The segments, for a match.
    pub(super) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The last value of that name that is not blank.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut named = self
            .query
            .iter()
            .filter(|(one, value)| one == name && !value.is_empty());
        named.next_back().map(|(_, value)| value.as_str())
    }

    /// With this value alone under that name.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.query.retain(|(one, _)| one != name);
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As a request has it.
    pub(super) fn write(&self) -> String {
        let pairs = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let query = pairs.collect::<Vec<_>>().join("&");
        let path = self.segments.join("/");
        if query.is_empty() {
            format!("/{path}")
        } else {
            format!("/{path}?{query}")
        }
    }

    /// `request`, sent here instead.
    pub(super) fn redirect(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        *request.uri_mut() = self.write().parse::<Uri>().unwrap();
        request
    }

    /// How many entries a page may have, if that is said rightly or not at all.
    pub(super) fn limit(&self) -> Option<usize> {
        let limit = self.value("limit").unwrap_or("10").parse().ok()?;
        (1..=20).contains(&limit).then_some(limit)
    }
}
