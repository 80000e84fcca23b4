//! Mail: the addresses of mail subscribers, and what notifications say when they come as mail.
//!
//! Owns the syntax of addresses and subjects. They go into the lines of a protocol, so whatever
//! could end a line or start another address is refused here, before it is stored.

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::broker::{Content, JsonText, Notice, Notification};

use super::notice::Invitation;
use super::render::QUERY;
use super::settings::Settings;
use super::webhook::message_document;

/// Bytes of an address before and behind its `@`, at most: RFC 5321, 4.5.3.1.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
/// Bytes of a subject or a name.
const PHRASE_BYTES_MAX: usize = 512;
/// What the local part of an address may have beside letters, digits and dots: RFC 5322, 3.2.3.
const LOCAL_SIGNS: &[u8] = b"!#$%&'*+/=?^_`{|}~-";

/// Somebody who sends mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The name that is shown.
    pub name: Option<String>,
    /// The address.
    pub address: String,
}

/// What an operator decides about mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// Who sends if a subscription says nothing, and who asks for confirmation.
    pub from: Mailbox,
    /// The page behind the link in a request to confirm.
    pub confirmation_url: String,
    /// Where the page reaches this service, if that is known: scheme, host and port.
    pub service_url: Option<String>,
}

/// A mail with a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Who sends it.
    pub from: Mailbox,
    /// The address that it goes to.
    pub to: String,
    /// What it is about; may be empty.
    pub subject: String,
    /// What it says.
    pub text: String,
}

impl Mailbox {
    /// Reads `a@b` or `Name <a@b>`. `None`: something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(text) => {
                let (name, address) = text.split_once('<')?;
                (Some(name.trim()).filter(|name| !name.is_empty()), address)
            }
            None => (None, text.trim()),
        };
        let valid = is_address(address) && name.is_none_or(is_phrase);
        valid.then(|| Self {
            name: name.map(str::to_owned),
            address: address.to_owned(),
        })
    }
}

impl std::fmt::Display for Mailbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(out, "{name} <{}>", self.address),
            None => out.write_str(&self.address),
        }
    }
}

/// Who a `mailto:` URI means, and the subject it asks for. `None`: it is none that can be sent to.
/// Zaqar v2, "Webhook delivery format": other fields in the query are ignored.
fn target(uri: &str) -> Option<(String, Option<String>)> {
    let (scheme, rest) = uri.split_once(':')?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let address = percent_decode_str(address).decode_utf8().ok()?.into_owned();
    let subject = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("subject").then_some(value)
    });
    let subject = subject.map(|text| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().map(String::from)
    });
    let subject = subject.transpose().ok()?;
    let valid = scheme.eq_ignore_ascii_case("mailto")
        && is_address(&address)
        && subject.as_deref().is_none_or(is_phrase)
        && !uri.contains('#')
        && !rest.starts_with("//");
    valid.then_some((address, subject))
}

/// Whether mail can be sent to this URI.
pub(crate) fn is_target(uri: &str) -> bool {
    target(uri).is_some()
}

/// Whether mail can be made of these options.
pub(crate) fn are_options(options: &JsonText) -> bool {
    let members = options.as_members().unwrap_or_default();
    let text = |member| {
        members
            .get(member)
            .map(|value: &JsonText| value.as_string())
    };
    let from =
        text("from").is_none_or(|from| from.is_some_and(|from| Mailbox::parse(&from).is_some()));
    let subject =
        text("subject").is_none_or(|subject| subject.is_some_and(|text| is_phrase(&text)));
    from && subject
}

/// The mail that brings a notification to its subscriber; `None` if there is no relay.
///
/// # Panics
/// If the notification is of a subscription that was not read by [`decode`](super::decode).
pub(crate) fn mail(notification: &Notification, settings: &Settings) -> Option<Mail> {
    let mail = settings.mail.as_ref()?;
    let (_, uri) = notification.subscriber.trust_and_uri();
    let (to, asked) = target(uri).expect("invariant: subscribers were checked");
    match &notification.content {
        Content::Message(message) => {
            let members = notification.options.as_members().unwrap_or_default();
            let option = |member| members.get(member).and_then(JsonText::as_string);
            let from = option("from").and_then(|from| Mailbox::parse(&from));
            Some(Mail {
                from: from.unwrap_or_else(|| mail.from.clone()),
                to,
                // As in Zaqar: the URI says more about this subscriber than the options do.
                subject: asked.or_else(|| option("subject")).unwrap_or_default(),
                text: message_document(&notification.queue, message),
            })
        }
        // Whoever subscribes somebody else must not choose what a request to confirm looks like.
        Content::Notice(notice) => Some(Mail {
            from: mail.from.clone(),
            to,
            subject: match notice {
                Notice::ConfirmationRequest => "Zaqar Notification - Subscription Confirmation",
                Notice::UnsubscriptionNotice => "Zaqar Notification - Unsubscribe Confirmation",
            }
            .to_owned(),
            text: notice_text(notification, *notice, settings)?,
        }),
    }
}

/// Zaqar v2, "Confirmation flow": a link to a page that does what a webhook does by itself.
fn notice_text(notification: &Notification, notice: Notice, settings: &Settings) -> Option<String> {
    let mail = settings.mail.as_ref()?;
    let (queue, project) = (notification.queue.as_str(), &notification.project.0);
    let link = Invitation::of(notification, settings)?;
    let service = mail.service_url.as_ref();
    let url = service.map(|url| format!("{}{}", url.trim_end_matches('/'), link.path));
    let query: Vec<String> = [
        ("Signature", link.signature.as_str()),
        ("Methods", "PUT"),
        ("Paths", &link.path),
        ("Project", project),
        ("Expires", &link.expires),
        ("Url", url.as_deref().unwrap_or_default()),
        ("Queue", queue),
    ]
    .iter()
    .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY)))
    .collect();
    let page = &mail.confirmation_url;
    let joint = if page.contains('?') { '&' } else { '?' };
    let (what, aim) = match notice {
        Notice::ConfirmationRequest => ("chosen to subscribe to", "confirm this subscription"),
        Notice::UnsubscriptionNotice => ("unsubscribed from", "subscribe again"),
    };
    Some(format!(
        "You have {what} the queue: {queue}. This queue belongs to project: {project}. To {aim}, \
         visit this link: {page}{joint}{}",
        query.join("&")
    ))
}

/// Whether this is an address with a plain local part and a domain. Quoted local parts, address
/// literals and letters beyond ASCII are not.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let atom = |atom: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || LOCAL_SIGNS.contains(&byte);
        !atom.is_empty() && atom.bytes().all(allowed)
    };
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let edges = label.starts_with('-') || label.ends_with('-');
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(allowed) && !edges
    };
    local.len() <= LOCAL_BYTES_MAX
        && local.split('.').all(atom)
        && domain.len() <= DOMAIN_BYTES_MAX
        && domain.split('.').all(label)
}

/// Whether this is one line.
fn is_phrase(text: &str) -> bool {
    let breaks =
        |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    text.len() <= PHRASE_BYTES_MAX && !text.contains(breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_goes_to_one_plain_address() {
        let long = format!("mailto:{}@h", "x".repeat(LOCAL_BYTES_MAX + 1));
        for (uri, address, subject) in [
            ("mailto:a@h", "a@h", None),
            ("MAILTO:a.b+c@h-1.example", "a.b+c@h-1.example", None),
            ("mailto:a%2Bb@h", "a+b@h", None),
            ("mailto:a@h?subject=x", "a@h", Some("x")),
            (
                "mailto:a@h?cc=b@h&Subject=x+y%20%C3%A9&subject=z",
                "a@h",
                Some("x y é"),
            ),
        ] {
            let expected = (address.to_owned(), subject.map(str::to_owned));
            assert_eq!(target(uri), Some(expected), "{uri}");
        }
        for uri in [
            "mailto:",
            "mailto:a",
            "mailto:@h",
            "mailto:a@",
            "mailto:a@h,b@h",
            "mailto:a@b@h",
            "mailto:a b@h",
            "mailto:.a@h",
            "mailto:a..b@h",
            "mailto:a@h..b",
            "mailto:a@-h",
            "mailto:\"a\"@h",
            "mailto:a@[127.0.0.1]",
            "mailto:é@h",
            "mailto:a%0D%0Ab@h",
            "mailto:a@h%0D%0ABcc:b@h",
            "mailto:a@h?subject=x%0D%0ABcc:%20b@h",
            "mailto:a@h?subject=%0A",
            "mailto:a@h?subject=%FF",
            "mailto:a@h#x",
            "mailto://a@h",
            &long,
        ] {
            assert_eq!(target(uri), None, "{uri}");
        }
    }

    #[test]
    fn senders_are_addresses_with_or_without_a_name() {
        for (text, name, address) in [
            ("a@h", None, "a@h"),
            ("<a@h>", None, "a@h"),
            ("Ada & Co. <a@h>", Some("Ada & Co."), "a@h"),
        ] {
            let mailbox = Mailbox::parse(text).unwrap();
            assert_eq!(
                (mailbox.name.as_deref(), mailbox.address.as_str()),
                (name, address)
            );
            assert_eq!(Mailbox::parse(&mailbox.to_string()), Some(mailbox));
        }
        for text in [
            "",
            "a",
            "a@h>",
            "<a@h",
            "x\r\nBcc: b@h <a@h>",
            "x <a@h\r\n>",
            "a@h, b@h",
        ] {
            assert_eq!(Mailbox::parse(text), None, "{text}");
        }
    }

    #[test]
    fn options_of_mail_are_lines() {
        for (text, valid) in [
            ("{}", true),
            (r#"{"from":"A <a@h>","subject":"é"}"#, true),
            (r#"{"from":"","subject":""}"#, false),
            (r#"{"from":5}"#, false),
            (r#"{"subject":null}"#, false),
            (r#"{"subject":"x\r\nBcc: b@h"}"#, false),
            (r#"{"subject":"x\u0000"}"#, false),
            (r#"{"from":"a@h\nBcc: b@h"}"#, false),
        ] {
            let options = JsonText::parse(text).unwrap();
            assert_eq!(are_options(&options), valid, "{text}");
        }
    }
}
