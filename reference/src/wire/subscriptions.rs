//! Subscriptions on the wire: their bodies, the URIs of subscribers, and how they are shown.

use http::{HeaderName, HeaderValue, Uri};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::broker::limits::SUBSCRIPTION_TTL_SECS_MIN;
use crate::broker::{
    JsonText, NewSubscription, QueueName, SocketId, Subscriber, SubscriptionListing,
    SubscriptionUpdate, SubscriptionView, TRUST_ID,
};

use super::bodies::Body;
use super::refusal::Refusal;
use super::render::{Link, queue_path};
use super::settings::{Scheme, Settings, TrustRule};
use super::{json, mail};

/// Bytes in the URI of a subscriber, at most.
pub const SUBSCRIBER_BYTES_MAX: usize = 2_048;
/// Headers that a subscription may add to its deliveries, at most.
pub const POST_HEADERS_MAX: usize = 32;
/// What stands in a template for the message, quotes included.
pub(crate) const MESSAGE_PLACEHOLDER: &str = "\"$zaqar_message$\"";
/// How often a message may stand in a template. Zaqar has no bound, so that a small subscription
/// makes large requests.
const PLACEHOLDERS_MAX: usize = 4;
/// Bytes in the id of a trust. Keystone's have 32.
const TRUST_ID_BYTES_MAX: usize = 64;
/// Headers that decide how a request is framed and where it goes. A subscription that could set
/// them could say one thing to us and another to whoever forwards the delivery.
const RESERVED_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Members that Zaqar's own names collide with, observed, and `confirmed`, which has a resource of
/// its own.
const UPDATE_FORBIDDEN: [&str; 4] = ["confirmed", "project", "queue", "subscription_id"];

pub(crate) fn new_subscription(
    body: &Body,
    settings: &Settings,
) -> Result<NewSubscription, Refusal> {
    subscription(body, settings, None)
}

/// What a socket asks for: without a subscriber it subscribes itself.
pub(crate) fn new_subscription_of(
    socket: SocketId,
    body: &Body,
    settings: &Settings,
) -> Result<NewSubscription, Refusal> {
    subscription(body, settings, Some(Subscriber::Socket(socket)))
}

fn subscription(
    body: &Body,
    settings: &Settings,
    asker: Option<Subscriber>,
) -> Result<NewSubscription, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    let subscriber = match members.get("subscriber") {
        Some(uri) => subscriber(uri, settings)?,
        None => asker.ok_or(Refusal::SubscriberMissing)?,
    };
    let options = members
        .get("options")
        .map(|value| options(value))
        .transpose()?;
    let empty = || JsonText::parse("{}").expect("invariant: this is JSON");
    Ok(NewSubscription {
        subscriber,
        ttl_secs: members
            .get("ttl")
            .map(|value| ttl_secs(value))
            .transpose()?,
        options: options.unwrap_or_else(empty),
    })
}

pub(crate) fn update(body: &Body, settings: &Settings) -> Result<SubscriptionUpdate, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    if members
        .keys()
        .any(|name| UPDATE_FORBIDDEN.contains(&name.as_str()))
    {
        return Err(Refusal::SubscriptionUpdateInvalid);
    }
    let uri = members.get("subscriber");
    let update = SubscriptionUpdate {
        subscriber: uri.map(|uri| subscriber(uri, settings)).transpose()?,
        ttl_secs: members
            .get("ttl")
            .map(|value| ttl_secs(value))
            .transpose()?,
        options: members
            .get("options")
            .map(|value| options(value))
            .transpose()?,
    };
    if update == SubscriptionUpdate::default() {
        return Err(Refusal::SubscriptionUpdateInvalid);
    }
    Ok(update)
}

/// What a subscriber answers to the request to confirm.
pub(crate) fn confirmation(body: &Body, settings: &Settings) -> Result<bool, Refusal> {
    let document = body.required(settings.limits.queue_metadata_bytes_max)?;
    let members = json::members(document).ok_or(Refusal::BodyNotObject)?;
    let confirmed = members.get("confirmed").map(|value| value.get());
    match confirmed {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) | None => Err(Refusal::ConfirmationInvalid),
    }
}

/// The headers that the options ask for. `None`: they are no headers.
pub(crate) fn post_headers(options: &JsonText) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let members = options.as_members()?;
    let Some(headers) = members.get("post_headers") else {
        return Some(Vec::new());
    };
    let headers = headers.as_members()?;
    if headers.len() > POST_HEADERS_MAX {
        return None;
    }
    let header = |(name, value): (String, JsonText)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_str(&value.as_string()?).ok()?;
        (!RESERVED_HEADERS.contains(&name.as_str())).then_some((name, value))
    };
    headers.into_iter().map(header).collect()
}

/// The scheme of a URI that something can be sent to.
fn parse_uri(text: &str, settings: &Settings) -> Result<Scheme, Refusal> {
    let (scheme, _) = text.split_once(':').ok_or(Refusal::SubscriberInvalid)?;
    let scheme = Scheme::ALL
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
        .ok_or(Refusal::SubscriberInvalid)?;
    if scheme == Scheme::Mailto {
        let valid = mail::is_target(text);
        return valid.then_some(scheme).ok_or(Refusal::SubscriberInvalid);
    }
    let (_, text) = Subscriber::split_trust(text);
    let uri: Uri = text.parse().map_err(|_| Refusal::SubscriberInvalid)?;
    let authority = uri.authority().ok_or(Refusal::SubscriberInvalid)?;
    let (host, port) = (
        authority.host(),
        authority.port_u16().map(|port| format!(":{port}")),
    );
    // What is left over would be a port that is none, or credentials, which are not sent.
    let whole = authority.as_str() == format!("{host}{}", port.unwrap_or_default());
    let rest = text.split_once(':').map_or("", |(_, rest)| rest);
    if host.is_empty() || !whole || !rest.starts_with("//") {
        return Err(Refusal::SubscriberInvalid);
    }
    if !settings.address_rule.admits_literal(host) {
        return Err(Refusal::SubscriberAddressDenied);
    }
    Ok(scheme)
}

fn subscriber(value: &RawValue, settings: &Settings) -> Result<Subscriber, Refusal> {
    let text = json::string(value).filter(|text| text.len() <= SUBSCRIBER_BYTES_MAX);
    let text = text.ok_or(Refusal::SubscriberInvalid)?;
    let scheme = parse_uri(&text, settings)?;
    let missing = match scheme {
        _ if !settings.subscriber_schemes.contains(&scheme) => {
            Some("this service does not send to such subscribers")
        }
        Scheme::Mailto if settings.mail.is_none() => Some("there is no mail relay"),
        Scheme::TrustHttp | Scheme::TrustHttps if settings.trust_rule == TrustRule::Refused => {
            Some("there is no Keystone")
        }
        Scheme::Http | Scheme::Https | Scheme::Mailto | Scheme::TrustHttp | Scheme::TrustHttps => {
            None
        }
    };
    match missing {
        Some(missing) => Err(Refusal::SubscriberSchemeUnsupported(missing)),
        None => Ok(Subscriber::Uri(text.into())),
    }
}

/// How messages are delivered. Policies are read by the broker; all that goes into a request is
/// checked here, so that whatever is stored can be sent.
fn options(value: &RawValue) -> Result<JsonText, Refusal> {
    let options = JsonText::new(value);
    let members = options.as_members().ok_or(Refusal::OptionsInvalid)?;
    let template = members.get("post_data");
    if let Some(template) = template {
        let template = template.as_string().ok_or(Refusal::OptionsInvalid)?;
        if template.matches(MESSAGE_PLACEHOLDER).count() > PLACEHOLDERS_MAX {
            return Err(Refusal::OptionsInvalid);
        }
    }
    post_headers(&options).ok_or(Refusal::OptionsInvalid)?;
    let trust = members.get(TRUST_ID).map(JsonText::as_string);
    let trust = trust.is_none_or(|id| id.is_some_and(|id| is_trust(&id)));
    if !trust || !mail::are_options(&options) {
        return Err(Refusal::OptionsInvalid);
    }
    Ok(options)
}

/// Whether Keystone could name a trust like this.
fn is_trust(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=TRUST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(allowed)
}

fn ttl_secs(value: &RawValue) -> Result<u64, Refusal> {
    let number = json::integer(value).and_then(|number| u64::try_from(number).ok());
    let number = number.filter(|&number| number >= SUBSCRIPTION_TTL_SECS_MIN);
    number.ok_or(Refusal::SubscriptionTtlInvalid {
        min: SUBSCRIPTION_TTL_SECS_MIN,
    })
}

/// The path of the subscriptions to a queue.
pub(crate) fn path(queue: &QueueName) -> String {
    format!("{}/subscriptions", queue_path(queue))
}

#[derive(Serialize)]
pub(crate) struct SubscriptionDocument<'a> {
    id: String,
    source: &'a str,
    subscriber: String,
    ttl: u64,
    age: u64,
    options: &'a JsonText,
    confirmed: bool,
}

impl<'a> SubscriptionDocument<'a> {
    pub(crate) fn new(queue: &'a QueueName, subscription: &'a SubscriptionView) -> Self {
        Self {
            id: subscription.id.to_string(),
            source: queue.as_str(),
            subscriber: subscription.subscriber.to_string(),
            ttl: subscription.ttl_secs,
            age: subscription.age_secs,
            options: &subscription.options,
            confirmed: subscription.confirmed,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct SubscriptionPage<'a> {
    subscriptions: Vec<SubscriptionDocument<'a>>,
    links: Vec<Link>,
}

impl<'a> SubscriptionPage<'a> {
    pub(crate) fn new(
        queue: &'a QueueName,
        listing: &SubscriptionListing,
        subscriptions: &'a [SubscriptionView],
    ) -> Self {
        let document = |subscription| SubscriptionDocument::new(queue, subscription);
        let next = |last: &SubscriptionView| {
            let query = [
                ("limit", listing.limit.to_string()),
                ("marker", last.id.to_string()),
            ];
            Link::next(&path(queue), &query)
        };
        Self {
            subscriptions: subscriptions.iter().map(document).collect(),
            links: subscriptions.last().map(next).into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mail::{MailSettings, Mailbox};
    use super::super::network::{AddressRule, Network};
    use super::*;

    fn body(text: &str) -> Body {
        Body::Complete(text.to_owned().into())
    }

    #[test]
    fn subscribers_are_addresses_that_can_be_posted_to() {
        let read = |uri: &str| {
            let document = serde_json::json!({"subscriber": uri}).to_string();
            new_subscription(&body(&document), &Settings::default())
        };
        for uri in [
            "http://h",
            "HTTPS://h:8/p?q=1",
            "http://[::1]:80/",
            "http://h/#part",
        ] {
            assert_eq!(read(uri).unwrap().subscriber.to_string(), uri);
        }
        let long = format!("http://h/{}", "x".repeat(SUBSCRIBER_BYTES_MAX));
        for uri in [
            "",
            "h",
            "/path",
            "http:",
            "http://",
            "http:///p",
            "http://u:p@h",
            "http://h:x/",
            "http://h:65536/",
            "http://h/ x",
            "ftp://h",
            "mailto:a@h",
            "trust+http://h",
            &long,
        ] {
            assert!(read(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn schemes_may_be_left_out() {
        let settings = Settings {
            subscriber_schemes: [Scheme::Http].into(),
            ..Settings::default()
        };
        let read = |text| new_subscription(&body(text), &settings);
        assert!(read(r#"{"subscriber":"http://h"}"#).is_ok());
        assert!(read(r#"{"subscriber":"https://h"}"#).is_err());
    }

    #[test]
    fn mail_and_trusts_need_somebody_who_brings_them() {
        let mail = MailSettings {
            from: Mailbox::parse("zaqar@h").unwrap(),
            confirmation_url: String::new(),
            service_url: None,
        };
        let able = Settings {
            mail: Some(mail),
            trust_rule: TrustRule::Accepted,
            ..Settings::default()
        };
        let read = |uri: &str, settings: &Settings| {
            let document = serde_json::json!({"subscriber": uri}).to_string();
            new_subscription(&body(&document), settings).map(|new| new.subscriber.to_string())
        };
        for (uri, missing) in [
            ("mailto:a@h", "there is no mail relay"),
            ("trust+http://h", "there is no Keystone"),
            ("TRUST+https://h/p", "there is no Keystone"),
        ] {
            let refusal = Refusal::SubscriberSchemeUnsupported(missing);
            assert_eq!(read(uri, &Settings::default()), Err(refusal));
            assert_eq!(read(uri, &able).as_deref(), Ok(uri));
        }
        for uri in [
            "mailto:a",
            "trust+mailto:a@h",
            "trust+http:h",
            "trust+trust+http://h",
        ] {
            assert_eq!(read(uri, &able), Err(Refusal::SubscriberInvalid), "{uri}");
        }
    }

    #[test]
    fn denied_addresses_cannot_subscribe() {
        let settings = Settings {
            address_rule: AddressRule {
                denied: vec![Network::parse("127.0.0.0/8").unwrap()],
                allowed: Vec::new(),
            },
            trust_rule: TrustRule::Accepted,
            ..Settings::default()
        };
        let read = |uri: &str| {
            let document = serde_json::json!({"subscriber": uri}).to_string();
            new_subscription(&body(&document), &settings).map(|_| ())
        };
        for uri in [
            "http://127.0.0.1:8/",
            "https://[::ffff:7f00:1]/",
            "trust+http://127.1.2.3",
        ] {
            assert_eq!(read(uri), Err(Refusal::SubscriberAddressDenied), "{uri}");
        }
        assert_eq!(read("http://128.0.0.1"), Ok(()));
        assert_eq!(read("http://localhost"), Ok(()));
    }

    #[test]
    fn options_are_what_a_request_can_be_made_of() {
        let read = |text: &str| options(serde_json::from_str(text).unwrap());
        for text in [
            "{}",
            r#"{"post_headers":{"X-A":"1","content-type":"text/plain"},"post_data":"x"}"#,
            r#"{"from":"a@h","anything":[null]}"#,
        ] {
            assert_eq!(read(text).unwrap().as_str(), text);
        }
        for text in [
            "null",
            "[]",
            "\"\"",
            r#"{"post_data":5}"#,
            &format!(
                "{{\"post_data\":\"{}\"}}",
                "\\\"$zaqar_message$\\\"".repeat(5)
            ),
            r#"{"post_headers":[]}"#,
            r#"{"post_headers":{"a b":"1"}}"#,
            r#"{"post_headers":{"a":1}}"#,
            r#"{"post_headers":{"a":"x\r\nb: y"}}"#,
            r#"{"from":5}"#,
            r#"{"subject":"x\ny"}"#,
            r#"{"trust_id":""}"#,
            r#"{"trust_id":null}"#,
            r#"{"trust_id":"a/../b"}"#,
            r#"{"post_headers":{"Host":"h"}}"#,
            r#"{"post_headers":{"Content-Length":"0"}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn updates_name_something_that_can_be_updated() {
        let read = |text| update(&body(text), &Settings::default());
        assert_eq!(read(r#"{"ttl":60,"other":1}"#).unwrap().ttl_secs, Some(60));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"other":1}"#,
            r#"{"ttl":59}"#,
            r#"{"ttl":null}"#,
            r#"{"ttl":60,"confirmed":true}"#,
            r#"{"ttl":60,"queue":"q"}"#,
            r#"{"options":null}"#,
            r#"{"subscriber":""}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn confirmations_are_booleans() {
        let read = |text| confirmation(&body(text), &Settings::default());
        assert_eq!(read(r#"{"confirmed":true,"x":1}"#), Ok(true));
        assert_eq!(read(r#"{"confirmed": false}"#), Ok(false));
        for text in [
            "",
            "{}",
            "true",
            r#"{"confirmed":1}"#,
            r#"{"confirmed":"true"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
