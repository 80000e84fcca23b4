//! The body of a message: the token by which it is known, and beside some tokens content that the service has to keep as
//! it is.

use serde::{Deserialize, Serialize};

use super::answers::Any;

/// About one message in so many has content.
const CONTENT_EVERY: u64 = 8;

/// What the token of a message that has content ends with: an answer that shows it without says something.
const HAS_CONTENT: char = '+';

/// What is told of content that is not there.
const ABSENT: &str = "";

/// What services are careless about: quotes and escapes, characters of two to four bytes, and what is no string in another
/// place.
const PIECES: [&str; 8] = [
    "plain",
    "\"quoted\" and \\back",
    "line\nbreak\ttab",
    "é",
    "漢字",
    "🦀",
    "1e400",
    "{\"a\":[null]}",
];

/// One in so many contents is a piece and nothing else.
const BARE_EVERY: u64 = 6;

/// The token and the content of the message of that number, of the client of that name.
pub(super) fn make(name: &str, serial: u64) -> (String, Option<String>) {
    let token = format!("{name}-{serial}");
    if serial % CONTENT_EVERY != 1 {
        return (token, None);
    }
    let content = content(&token, serial / CONTENT_EVERY);
    (format!("{token}{HAS_CONTENT}"), Some(content))
}

/// The content that is made in that turn. But for bare pieces no two are alike, and neither are the lengths of
/// neighbours.
fn content(token: &str, turn: u64) -> String {
    let piece = |place: u64| {
        let count = PIECES.len() as u64;
        PIECES[usize::try_from(place % count).expect("invariant: below the number of pieces")]
    };
    if turn % BARE_EVERY == BARE_EVERY - 1 {
        return piece(turn / BARE_EVERY + 6).to_owned();
    }
    let pieces = (0..=(turn + 3) % 5).map(|n| piece(turn + 3 * n + 4));
    let pieces: Vec<&str> = pieces.collect();
    format!("{token} {}", pieces.join(" "))
}

/// As it is sent.
#[derive(Serialize)]
pub(super) struct Sent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    pub token: &'a str,
}

/// As an answer shows it, whoever made it.
#[derive(Default, Deserialize)]
pub(super) struct Shown<'a> {
    #[serde(borrow, default)]
    token: Any<'a>,
    #[serde(borrow, default)]
    content: Any<'a>,
}

impl Shown<'_> {
    /// The token, empty if it is not as any producer made it, and the content. No producer sends what is told of one
    /// that is no string.
    pub(super) fn read(&self) -> (String, Option<String>) {
        let token: String = self.token.of().unwrap_or_default();
        let content = self.content.of();
        let other = || {
            self.content
                .written()
                .map(|json| format!("no string: {json}"))
        };
        let content = content.or_else(other);
        let is_missing = content.is_none() && token.ends_with(HAS_CONTENT);
        (
            token,
            content.or_else(|| is_missing.then(|| ABSENT.to_owned())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (String, Option<String>) {
        let shown: Shown<'_> = serde_json::from_str(body).unwrap();
        shown.read()
    }

    #[test]
    fn what_is_sent_is_read_again() {
        let mut bare = 0;
        for serial in 1..=1_000 {
            let (token, content) = make("m", serial);
            let (content, token) = (content.as_deref(), token.as_str());
            bare += usize::from(content.is_some_and(|it| PIECES.contains(&it)));
            let body = serde_json::to_string(&Sent { content, token }).unwrap();
            assert_eq!(read(&body), (token.to_owned(), content.map(str::to_owned)));
        }
        assert!(bare >= PIECES.len());
    }

    #[test]
    fn every_piece_is_sent_bare() {
        let sent = |serial| make("m", serial).1;
        let sent: Vec<String> = (1..=1_000).filter_map(sent).collect();
        for piece in PIECES {
            assert!(sent.iter().any(|it| it == piece), "{piece}");
        }
    }

    #[test]
    fn content_that_is_gone_or_of_another_kind_is_told() {
        let content = |body: &str| read(body).1;
        assert_eq!(content(r#"{"token": "m-1+"}"#).as_deref(), Some(""));
        let null = content(r#"{"token": "m-1+", "content": null}"#);
        assert_eq!(null.as_deref(), Some(""));
        let list = content(r#"{"token": "m-1+", "content": ["c"]}"#);
        assert_eq!(list.as_deref(), Some(r#"no string: ["c"]"#));
        assert_eq!(content(r#"{"token": "m-2"}"#), None);
    }

    #[test]
    fn piece_that_was_read_as_what_it_looks_like_is_another_content() {
        let decoded =
            |piece: &&&str| serde_json::from_str::<&serde_json::value::RawValue>(piece).is_ok();
        let looks_like_json: Vec<&&str> = PIECES.iter().filter(decoded).collect();
        assert_eq!(looks_like_json, [&"1e400", &"{\"a\":[null]}"]);
        for piece in looks_like_json {
            let (_, content) = read(&format!(r#"{{"token": "m-1+", "content": {piece}}}"#));
            assert_ne!(content.as_deref(), Some(*piece));
        }
    }
}
