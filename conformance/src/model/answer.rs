//! Answers as the specification reads them, and differences.

use serde::Serialize;
use serde_json::Value;

use crate::href;
use crate::suite::Sent;
use crate::target::Answer;

/// Bytes of a body that a difference shows.
const BODY_SHOWN_BYTES_MAX: usize = 600;

/// Where an answer differs from what the contract demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The contract's clause, as `5.7`.
    pub clause: String,
    /// What that clause demands.
    pub expected: String,
    /// What came instead.
    pub came: String,
}

/// An answer, and when it was asked for and came.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) sent: Sent,
    pub(super) answer: &'a Answer,
}

/// A message as an answer shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) age: f64,
    pub(super) ttl: Value,
    pub(super) body: Value,
}

impl Heard<'_> {
    /// The difference from `expected`.
    pub(super) fn differs(&self, clause: &str, expected: impl Into<String>) -> Difference {
        Difference {
            clause: clause.to_owned(),
            expected: expected.into(),
            came: describe(self.answer),
        }
    }

    /// Its status, which must be one of `statuses`: `why` says what makes it so.
    pub(super) fn status(
        &self,
        clause: &str,
        statuses: &[u16],
        why: &str,
    ) -> Result<u16, Difference> {
        let status = self.answer.status.as_u16();
        if statuses.contains(&status) {
            return Ok(status);
        }
        let words: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let because = if why.is_empty() { "" } else { ": " };
        let expected = format!("status {}{because}{why}", words.join(" or "));
        Err(self.differs(clause, expected))
    }

    pub(super) fn json(&self, clause: &str) -> Result<Value, Difference> {
        serde_json::from_slice(&self.answer.body).map_err(|_| self.differs(clause, "a JSON body"))
    }

    /// The members of `messages`; `age` may be missing where nothing is said about it.
    pub(super) fn messages(&self, clause: &str) -> Result<Vec<Shown>, Difference> {
        let document = self.json(clause)?;
        let entries = document["messages"].as_array();
        let entries = entries.ok_or_else(|| self.differs(clause, "`messages`: an array"))?;
        entries
            .iter()
            .map(|entry| self.message(clause, entry))
            .collect()
    }

    /// One message.
    pub(super) fn message(&self, clause: &str, entry: &Value) -> Result<Shown, Difference> {
        let (id, age) = (entry["id"].as_str(), entry["age"].as_f64());
        match (id, age, entry.get("body")) {
            (Some(id), Some(age), Some(body)) => Ok(Shown {
                id: id.to_owned(),
                age,
                ttl: entry["ttl"].clone(),
                body: body.clone(),
            }),
            _ => Err(self.differs(clause, "messages with `id`, `age` and `body`")),
        }
    }

    /// The marker in the next link of a collection.
    pub(super) fn next_marker(&self) -> Result<String, Difference> {
        let document = self.json("1.9")?;
        let links = document["links"].as_array();
        let next = links.and_then(|links| links.iter().find(|link| link["rel"] == "next"));
        let marker = next.and_then(|link| marker_of(link["href"].as_str()?));
        marker.ok_or_else(|| self.differs("1.9", "a next link with a `marker` on a non-empty page"))
    }
}

/// The value of `marker` in the query of `href`, as it stands there: still percent-encoded.
fn marker_of(href: &str) -> Option<String> {
    let (_, query) = href.split_once('?')?;
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("marker="))?;
    let sane = !value.is_empty() && format!("/?{value}").parse::<http::Uri>().is_ok();
    sane.then(|| value.to_owned())
}

/// The identifier at the end of a path that an answer gives.
pub(super) fn last_segment(path: &str) -> Option<String> {
    let id = href::usable_segment(path);
    is_segment(&id).then_some(id)
}

/// Whether `text` can stand in a path as it is.
fn is_segment(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~:%".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// An answer on one line.
pub(super) fn describe(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    let text = String::from_utf8_lossy(&answer.body);
    if text.is_empty() {
        return format!("status {status}");
    }
    if text.len() <= BODY_SHOWN_BYTES_MAX {
        return format!("status {status}, body {text}");
    }
    let end = text.floor_char_boundary(BODY_SHOWN_BYTES_MAX);
    format!(
        "status {status}, body {}… ({} bytes)",
        &text[..end],
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_is_taken_from_wherever_it_stands_in_the_link() {
        let marker = |href| marker_of(href);
        assert_eq!(
            marker("/v2/queues/b/messages?marker=7&limit=1").unwrap(),
            "7"
        );
        assert_eq!(marker("?limit=1&marker=a%2Fb").unwrap(), "a%2Fb");
        for none in [
            "/v2/queues/b/messages",
            "?limit=1",
            "?marker=",
            "?marker=a b",
        ] {
            assert_eq!(marker(none), None, "{none}");
        }
    }

    #[test]
    fn segments_that_would_change_a_path_are_refused() {
        assert_eq!(last_segment("/v2/x/id-1?claim_id=c").unwrap(), "id-1");
        for bad in ["/v2/x/", "/v2/x/a b", ""] {
            assert_eq!(last_segment(bad), None, "{bad}");
        }
    }
}
