//! Parameters of a query: blank ones count as absent, of several the last one counts.

use percent_encoding::percent_decode_str;

use super::LIMIT_MAX;
use super::refusal::Refusal;

/// The parameters that are not blank, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(super) fn of(text: &str) -> Result<Self, Refusal> {
        let mut pairs = Vec::new();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !value.is_empty() {
                pairs.push((name, value));
            }
        }
        Ok(Self { pairs })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.pairs.iter().rev();
        let found = found.find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every value, also of those that are joined by commas; none twice.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let named = self.pairs.iter().filter(|(found, _)| found == name);
        let all = named.flat_map(|(_, value)| value.split(','));
        let mut list: Vec<String> = Vec::new();
        for value in all.filter(|value| !value.is_empty()) {
            if !list.iter().any(|known| known == value) {
                list.push(value.to_owned());
            }
        }
        list
    }

    /// A number of messages.
    pub(super) fn limit(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let last = text.rsplit(',').next().unwrap_or_default();
        let limit = last.parse().ok();
        let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit
            .map(Some)
            .ok_or_else(|| Refusal::bad("a limit is 1 to 20"))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        let text = self.text(name).unwrap_or("false").to_lowercase();
        match text.as_str() {
            "true" | "t" | "yes" | "y" | "1" | "on" => Ok(true),
            "false" | "f" | "no" | "n" | "0" | "off" => Ok(false),
            _ => Err(Refusal::bad("neither true nor false")),
        }
    }
}

fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Refusal::bad("a query is UTF-8"))?;
    Ok(decoded.into_owned())
}
