//! Documents with messages, written straight into bytes: those that are asked for most.
//!
//! Nothing in them needs escapes: names of queues and ids are made of letters, digits, dots and
//! dashes, and the body of a message is JSON as it came.

use bytes::Bytes;

use crate::broker::{ClaimView, MessageId, MessageView, QueueName, Uuid};

use super::checksum;
use super::render::{Link, queue_path};
use super::settings::Settings;

/// More than a message takes beside its body, its path and its claim.
const MESSAGE_BYTES: usize = 256;

/// `{"resources": […]}`: where messages are that were posted.
pub(crate) fn resources(path: &str, ids: &[MessageId]) -> Bytes {
    let mut text = Text::with_capacity(32 + ids.len() * (path.len() + 48));
    text.push(r#"{"resources":["#);
    text.list(ids, |text, id| {
        text.push("\"");
        text.push(path);
        text.push("/");
        text.uuid(id.0);
        text.push("\"");
    });
    text.push("]}");
    text.0.into()
}

/// A queue, and the settings under which something in it is shown.
pub(crate) struct Shown<'a> {
    path: String,
    settings: &'a Settings,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(queue: &QueueName, settings: &'a Settings) -> Self {
        let path = queue_path(queue);
        Self { path, settings }
    }

    /// One message.
    pub(crate) fn message(&self, message: &MessageView) -> Bytes {
        let mut text = self.sized(std::slice::from_ref(message));
        self.write(&mut text, message);
        text.0.into()
    }

    /// `{"messages": […]}`.
    pub(crate) fn messages(&self, messages: &[MessageView]) -> Bytes {
        let mut text = self.sized(messages);
        text.push("{");
        self.write_all(&mut text, messages);
        text.push("}");
        text.0.into()
    }

    /// The same, with where it goes on.
    pub(crate) fn page(&self, messages: &[MessageView], next: Option<&Link>) -> Bytes {
        let mut text = self.sized(messages);
        text.push("{");
        self.write_all(&mut text, messages);
        text.push(r#","links":["#);
        if let Some(link) = next {
            text.push(r#"{"rel":"next","href":""#);
            text.push(link.href());
            text.push(r#""}"#);
        }
        text.push("]}");
        text.0.into()
    }

    /// A claim and its messages.
    pub(crate) fn claim(&self, claim: &ClaimView) -> Bytes {
        let mut text = self.sized(&claim.messages);
        text.push(r#"{"age":"#);
        text.number(claim.age_secs);
        text.push(r#","ttl":"#);
        text.number(claim.ttl_secs.into());
        text.push(",");
        self.write_all(&mut text, &claim.messages);
        text.push(r#","href":""#);
        text.push(&self.path);
        text.push("/claims/");
        text.uuid(claim.id.0);
        text.push(r#""}"#);
        text.0.into()
    }

    /// Room for a document with these messages.
    fn sized(&self, messages: &[MessageView]) -> Text {
        let each = MESSAGE_BYTES + self.path.len();
        let bodies = messages.iter().map(|message| message.body.as_str().len());
        Text::with_capacity(bodies.sum::<usize>() + messages.len() * each + MESSAGE_BYTES)
    }

    fn write_all(&self, text: &mut Text, messages: &[MessageView]) {
        text.push(r#""messages":["#);
        text.list(messages, |text, message| self.write(text, message));
        text.push("]");
    }

    fn write(&self, text: &mut Text, message: &MessageView) {
        text.push(r#"{"id":""#);
        text.uuid(message.id.0);
        text.push(r#"","href":""#);
        text.push(&self.path);
        text.push("/messages/");
        text.uuid(message.id.0);
        if let Some(claim) = message.claim {
            text.push("?claim_id=");
            text.uuid(claim.0);
        }
        text.push(r#"","ttl":"#);
        text.number(message.ttl_secs.into());
        text.push(r#","age":"#);
        text.number(message.age_secs);
        text.push(r#","body":"#);
        text.push(message.body.as_str());
        if self.settings.checksums {
            text.push(r#","checksum":""#);
            text.push(&checksum::of(&message.body));
            text.push("\"");
        }
        text.push("}");
    }
}

/// What was popped. A pop is no claim, so nothing leads there any more.
pub(crate) fn popped(messages: &[MessageView]) -> Bytes {
    let bodies = messages.iter().map(|message| message.body.as_str().len());
    let bytes = bodies.sum::<usize>() + (messages.len() + 1) * MESSAGE_BYTES;
    let mut text = Text::with_capacity(bytes);
    text.push(r#"{"messages":["#);
    text.list(messages, |text, message| {
        text.push(r#"{"id":""#);
        text.uuid(message.id.0);
        text.push(r#"","age":"#);
        text.number(message.age_secs);
        text.push(r#","ttl":"#);
        text.number(message.ttl_secs.into());
        text.push(r#","body":"#);
        text.push(message.body.as_str());
        text.push(r#","claim_id":"#);
        match message.claim {
            None => text.push("null"),
            Some(claim) => {
                text.push("\"");
                text.uuid(claim.0);
                text.push("\"");
            }
        }
        text.push(r#","claim_count":"#);
        text.number(message.claim_count.into());
        text.push("}");
    });
    text.push("]}");
    text.0.into()
}

/// JSON as it is written.
struct Text(Vec<u8>);

impl Text {
    fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    fn push(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn uuid(&mut self, id: Uuid) {
        self.0.extend_from_slice(&id.to_ascii());
    }

    fn number(&mut self, number: u64) {
        serde_json::to_writer(&mut self.0, &number).expect("invariant: a number is JSON");
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(",");
            }
            write(self, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::broker::{ClaimId, JsonText};

    fn uuid(byte: u8) -> Uuid {
        Uuid::from_bytes([byte; 16])
    }

    fn view(claim: Option<ClaimId>) -> MessageView {
        MessageView {
            id: MessageId(uuid(1)),
            claim,
            ttl_secs: 60,
            age_secs: u64::MAX,
            body: JsonText::parse(r#"{"a" : "\" \\ é"}"#).unwrap(),
            claim_count: 3,
        }
    }

    fn read(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn documents_are_json_with_the_members_that_zaqar_shows() {
        let queue = QueueName::parse("a-b._C").unwrap();
        let settings = Settings {
            checksums: true,
            ..Settings::default()
        };
        let shown = Shown::new(&queue, &settings);
        let claim = ClaimId(uuid(2));
        let (one, two) = (uuid(1).to_string(), uuid(2).to_string());
        let views = [view(None), view(Some(claim))];
        let body = json!({"a": "\" \\ é"});
        let message = |query: &str| {
            json!({
                "id": one, "href": format!("/v2/queues/a-b._C/messages/{one}{query}"),
                "ttl": 60, "age": u64::MAX, "body": body,
                "checksum": checksum::of(&views[0].body),
            })
        };
        let both = json!([message(""), message(&format!("?claim_id={two}"))]);
        assert_eq!(read(&shown.message(&views[0])), message(""));
        assert_eq!(read(&shown.messages(&views)), json!({"messages": both}));
        assert_eq!(
            read(&shown.page(&[], None)),
            json!({"messages": [], "links": []})
        );
        let link = Link::next("/v2/queues/q/messages", &[("marker", "\"&".to_owned())]);
        let next = json!({"rel": "next", "href": "/v2/queues/q/messages?marker=%22%26"});
        assert_eq!(
            read(&shown.page(&views, Some(&link))),
            json!({"messages": both, "links": [next]})
        );
        let view = ClaimView {
            id: claim,
            ttl_secs: 61,
            age_secs: 0,
            messages: views.to_vec(),
        };
        let href = format!("/v2/queues/a-b._C/claims/{two}");
        assert_eq!(
            read(&shown.claim(&view)),
            json!({"age": 0, "ttl": 61, "messages": both, "href": href})
        );
        let pop = |claim: Value| {
            json!({"id": one, "age": u64::MAX, "ttl": 60, "body": body, "claim_id": claim,
                "claim_count": 3})
        };
        assert_eq!(
            read(&popped(&views)),
            json!({"messages": [pop(Value::Null), pop(json!(two))]})
        );
        let ids = [MessageId(uuid(1)), MessageId(uuid(2))];
        assert_eq!(
            read(&resources("/m", &ids)),
            json!({"resources": [format!("/m/{one}"), format!("/m/{two}")]})
        );
    }
}
