//! Keeps the queues of cases apart where all cases share one project.
//!
//! A case writes `/v2/queues/q`, and so do all others. With a project of its own that is its own
//! queue; in a shared one the name gets a prefix of the case's on the way out, and loses it on the way
//! back. So cases need not know.

use bytes::Bytes;

/// What stands before the name of a queue in paths, links and signed paths.
const BEFORE_NAME: &str = "/v2/queues/";

/// What stands before the name of a queue in its metadata.
const BEFORE_DEAD_LETTERS: &str = "\"_dead_letter_queue\":\"";

/// A prefix of queue names; the empty one changes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    prefix: String,
}

impl Namespace {
    /// The namespace whose names begin with `prefix`, which appears nowhere else.
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The prefix.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A path or header as the server is to see it.
    pub(super) fn path_outward(&self, text: &str) -> String {
        self.insert(text, BEFORE_NAME)
    }

    /// A body as the server is to see it.
    pub(super) fn body_outward(&self, body: Bytes) -> Bytes {
        match std::str::from_utf8(&body) {
            Ok(text) if !self.prefix.is_empty() && text.contains(BEFORE_DEAD_LETTERS) => {
                self.insert(text, BEFORE_DEAD_LETTERS).into()
            }
            Ok(_) | Err(_) => body,
        }
    }

    fn insert(&self, text: &str, before: &str) -> String {
        if self.prefix.is_empty() {
            return text.to_owned();
        }
        let mut pieces = text.split(before);
        let mut outward = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            outward.push_str(before);
            // An empty name stays one: it is a case's question what becomes of it.
            let is_name = !piece.is_empty() && !piece.starts_with(['/', '?', '"']);
            // What the server told a subscriber has it already.
            if is_name && !piece.starts_with(&self.prefix) {
                outward.push_str(&self.prefix);
            }
            outward.push_str(piece);
        }
        outward
    }

    /// Bytes of an answer as the case is to see them.
    pub(super) fn inward(&self, bytes: &Bytes) -> Bytes {
        let prefix = self.prefix.as_bytes();
        if prefix.is_empty() {
            return bytes.clone();
        }
        let mut inward = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_ref();
        while let Some((first, tail)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(prefix) {
                rest = after;
            } else {
                inward.push(*first);
                rest = tail;
            }
        }
        inward.into()
    }
}

/// The name of the queue that `path` leads to or below, if it does.
pub(crate) fn queue_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(BEFORE_NAME)?;
    let name = rest.split(['/', '?']).next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_the_prefix_on_the_way_out_and_lose_it_on_the_way_back() {
        let names = Namespace::new("n1-".to_owned());
        let out = |path| names.path_outward(path);
        assert_eq!(
            out("/v2/queues/q/messages?x=1"),
            "/v2/queues/n1-q/messages?x=1"
        );
        assert_eq!(
            out("/v2/queues/a,/v2/queues/b"),
            "/v2/queues/n1-a,/v2/queues/n1-b"
        );
        for path in [
            "/v2/queues",
            "/v2/queues?limit=1",
            "/v2/queues/",
            "/v2/ping",
        ] {
            assert_eq!(out(path), path);
        }
        assert_eq!(out("/v2/queues/n1-q/claims"), "/v2/queues/n1-q/claims");
        let body = names.body_outward(r#"{"_dead_letter_queue":"dead","x":"q"}"#.into());
        assert_eq!(body, r#"{"_dead_letter_queue":"n1-dead","x":"q"}"#);
        let back = names.inward(&Bytes::from_static(b"\xff/v2/queues/n1-q n1-"));
        assert_eq!(back.as_ref(), b"\xff/v2/queues/q ");
    }

    #[test]
    fn without_a_prefix_nothing_changes() {
        let names = Namespace::default();
        assert_eq!(names.path_outward("/v2/queues/q"), "/v2/queues/q");
        assert_eq!(names.inward(&Bytes::from_static(b"n1-")), "n1-");
    }

    #[test]
    fn queue_of_a_path_is_its_name() {
        assert_eq!(queue_of("/v2/queues/q/messages?x"), Some("q"));
        assert_eq!(queue_of("/v2/queues/q"), Some("q"));
        assert_eq!(queue_of("/v2/queues?limit=1"), None);
        assert_eq!(queue_of("/v2/queues/"), None);
    }
}
