//! What the answers to operations say.
//!
//! Answers are read straight into what is wanted of them: at full speed, a tree of all that they hold costs as much as
//! the broker that answers.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::Shown;
use crate::history::{Answer, Operation, Seen};
use crate::href::last_segment;

/// What an answer says; `None` if it is a refusal, or not understood.
pub(super) fn understand(
    operation: &Operation,
    status: StatusCode,
    headers: &http::HeaderMap,
    body: &Bytes,
) -> Option<Answer> {
    let listed = || {
        let page: Page<'_> = json(body)?;
        seen(page.messages)
    };
    match (operation, status.as_u16()) {
        (Operation::Post { messages, .. }, 201) => {
            let Resources { resources } = json(body)?;
            let ids: Vec<String> = resources.iter().map(|href| last_segment(href)).collect();
            (ids.len() == messages.len()).then_some(Answer::Post { ids })
        }
        (Operation::Claim { .. }, 201) => {
            let location = headers.get("location")?.to_str().ok()?;
            let claim = Some(last_segment(location));
            let messages = listed()?;
            Some(Answer::Claim { claim, messages })
        }
        (Operation::Claim { .. }, 204) => Some(Answer::Claim {
            claim: None,
            messages: Vec::new(),
        }),
        (Operation::ClaimGet { .. }, 200) => Some(Answer::ClaimGet {
            messages: Some(listed()?),
        }),
        (Operation::Pop { .. }, 200) => listed().map(|messages| Answer::Pop { messages }),
        (Operation::Get { .. }, 200) => {
            let message = seen(vec![json(body)?])?.pop();
            Some(Answer::Get { message })
        }
        (Operation::GetMany { .. }, 200) => listed().map(|messages| Answer::GetMany { messages }),
        (Operation::List { .. }, 200) => {
            let page: Page<'_> = json(body)?;
            let next = next_marker(&page);
            let messages = seen(page.messages)?;
            Some(Answer::List { messages, next })
        }
        (Operation::Stats { .. }, 200) => {
            let Stats { messages } = json(body)?;
            Some(Answer::Stats {
                free: messages.free,
                claimed: messages.claimed,
                total: messages.total,
            })
        }
        (Operation::Subscribe { .. }, 201) => {
            let Subscribed { subscription_id } = json(body)?;
            Some(Answer::Subscribe {
                subscription: subscription_id,
            })
        }
        (_, status) => understand_status(operation, status),
    }
}

/// What an answer says that has no body.
fn understand_status(operation: &Operation, status: u16) -> Option<Answer> {
    match (operation, status) {
        (Operation::Renew { .. }, 204) => Some(Answer::Renew),
        (Operation::Release { .. }, 204) => Some(Answer::Release),
        (Operation::Delete { .. }, 204) => Some(Answer::Delete),
        (Operation::BulkDelete { .. }, 204) => Some(Answer::BulkDelete),
        (Operation::Purge { .. }, 204) => Some(Answer::Purge),
        (Operation::DeleteQueue { .. }, 204) => Some(Answer::DeleteQueue),
        (Operation::SetMetadata { .. }, 200) => Some(Answer::SetMetadata),
        (Operation::CreateQueue { .. }, 201) => Some(Answer::CreateQueue { created: true }),
        (Operation::CreateQueue { .. }, 204) => Some(Answer::CreateQueue { created: false }),
        // An absence is an observation.
        (Operation::Get { .. }, 404) => Some(Answer::Get { message: None }),
        (Operation::ClaimGet { .. }, 404) => Some(Answer::ClaimGet { messages: None }),
        (Operation::GetMany { .. }, 404) => Some(Answer::GetMany {
            messages: Vec::new(),
        }),
        (Operation::List { .. }, 204) => Some(Answer::List {
            messages: Vec::new(),
            next: None,
        }),
        _ => None,
    }
}

fn json<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Option<T> {
    serde_json::from_slice(body).ok()
}

#[derive(Deserialize)]
struct Resources<'a> {
    #[serde(borrow)]
    resources: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow, default)]
    links: Option<Vec<Link<'a>>>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    rel: Any<'a>,
    #[serde(borrow, default)]
    href: Any<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Any<'a>,
    #[serde(borrow, default)]
    href: Any<'a>,
    #[serde(borrow, default)]
    body: Any<'a>,
}

#[derive(Deserialize)]
struct Stats {
    messages: Counts,
}

#[derive(Deserialize)]
struct Counts {
    free: u64,
    claimed: u64,
    total: u64,
}

#[derive(Deserialize)]
struct Subscribed {
    subscription_id: String,
}

/// A value of any kind: one that is not of the right kind must not hide what else an answer says.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Any<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a> Any<'a> {
    /// The value, if it is a `T`.
    pub(super) fn of<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.0?.get()).ok()
    }

    /// The value as it is written; `None` if there is none, or null.
    pub(super) fn written(&self) -> Option<&'a str> {
        self.0.map(RawValue::get)
    }
}

/// The marker in the link to the next page, decoded.
fn next_marker(page: &Page<'_>) -> Option<String> {
    let is_next = |link: &&Link<'_>| link.rel.of::<String>().is_some_and(|rel| rel == "next");
    let href: String = page.links.as_ref()?.iter().find(is_next)?.href.of()?;
    let (_, query) = href.split_once('?')?;
    let marker = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("marker="))?;
    let marker = percent_decode_str(marker).decode_utf8().ok()?;
    Some(marker.into_owned())
}

/// The messages of an answer. One whose body is not as any producer made it has no token: a stranger,
/// which `delivery/unexpected` must see rather than an answer that nobody understands.
fn seen(messages: Vec<Message<'_>>) -> Option<Vec<Seen>> {
    let seen = |message: Message<'_>| {
        let id = match message.id.of() {
            Some(id) => id,
            None => last_segment(&message.href.of::<String>()?),
        };
        let body: Shown<'_> = message.body.of().unwrap_or_default();
        let (token, body) = body.read();
        Some(Seen { id, token, body })
    };
    messages.into_iter().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(body: &'static str) -> Option<Answer> {
        let list = Operation::List {
            queue: "q".to_owned(),
            chain: 1,
            marker: None,
            limit: 10,
            echo: true,
            include_claimed: true,
            include_delayed: true,
        };
        let body = Bytes::from_static(body.as_bytes());
        understand(&list, StatusCode::OK, &http::HeaderMap::new(), &body)
    }

    #[test]
    fn page_is_read_with_the_marker_of_the_next() {
        let page = r#"{"links": [{"rel": "self", "href": "/a"}, {"rel": "next", "href": "/v2/q?limit=2&marker=a%2Bb"}],
            "messages": [{"id": "1", "age": 3, "body": {"token": "t\u0031", "content": "c"}}, {"href": "/v2/q/messages/2?x=1", "body": {"token": "u"}}]}"#;
        let seen = |id: &str, token: &str, body: Option<&str>| Seen {
            id: id.to_owned(),
            token: token.to_owned(),
            body: body.map(str::to_owned),
        };
        let expected = Answer::List {
            messages: vec![seen("1", "t1", Some("c")), seen("2", "u", None)],
            next: Some("a+b".to_owned()),
        };
        assert_eq!(listed(page), Some(expected));
    }

    #[test]
    fn message_that_no_producer_made_is_a_stranger_and_hides_no_other() {
        for body in ["\"text\"", "null", "[1]", "{\"token\": 7}", "{}"] {
            let page = format!(r#"{{"messages": [{{"id": "1", "body": {body}}}]}}"#);
            let answer = listed(Box::leak(page.into_boxed_str()));
            let Some(Answer::List { messages, next }) = answer else {
                panic!("{body} is not understood");
            };
            assert_eq!((messages[0].token.as_str(), next), ("", None));
        }
        for page in [
            "",
            "{}",
            "[]",
            r#"{"messages": [7]}"#,
            r#"{"messages": [{}]}"#,
        ] {
            assert_eq!(listed(page), None, "{page}");
        }
    }
}
