//! Requests that nobody would send: whatever comes, the service refuses it in order or carries it out.
//!
//! `PROPTEST_CASES` says for how long to go on. A case is a few requests in a row, so that there is
//! something to hit.

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use nanshe_reference::{Settings, SigningKey};
use proptest::prelude::*;

use crate::support::{ALICE, Answer, BOB, World};

#[derive(Clone, Debug)]
struct Raw {
    method: String,
    target: Vec<u8>,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

/// Bodies that are right somewhere; what is wrong with them is done to them.
const BODIES: [&str; 14] = [
    "",
    "{}",
    r#"{"messages":[{"ttl":300,"delay":1,"body":{"a":[1.5e3,"\u00e9",null]}},{"body":""}]}"#,
    r#"{"ttl":300,"grace":60}"#,
    r#"{"_default_message_ttl":60,"_max_messages_post_size":65536,"_default_message_delay":3}"#,
    r#"{"_dead_letter_queue":"d","_max_claim_count":1,"_dead_letter_queue_messages_ttl":99}"#,
    r#"[{"op":"replace","path":"/metadata/a","value":[]},{"op":"remove","path":"/metadata/~0~1"}]"#,
    r#"{"subscriber":"http://127.0.0.1:1/x","ttl":60,"options":{"post_headers":{"a":"b"}}}"#,
    r#"{"subscriber":"http://[::1]/","options":{"_retry_policy":{"retries_with_no_delay":2}}}"#,
    r#"{"confirmed":true}"#,
    r#"{"paths":["messages"],"methods":["GET"],"expires":"2030-01-01T00:00:00"}"#,
    r#"{"resource_types":["messages","subscriptions"]}"#,
    r#"{"a":{"b":{"c":[[[[[]]]]]}},"a":9223372036854775807}"#,
    r#"["\ud83d\ude00","\u0000",-0.0,1e308]"#,
];

const QUERIES: [&str; 16] = [
    "limit=2",
    "limit=-1",
    "limit=99999999999999999999",
    "echo=true",
    "include_claimed=yes",
    "include_delayed=maybe",
    "marker=x",
    "marker=%ff%00",
    "detailed=1",
    "with_count=on",
    "pop=1",
    "pop=0",
    "ids=a,b,%2C",
    "ids=3381af92-2b9e-11e3-b191-71861300734c",
    "claim_ids=3381af92-2b9e-11e3-b191-71861300734c",
    "claim_id=&=&&%",
];

fn method() -> impl Strategy<Value = String> {
    let known = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    prop_oneof![
        20 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}",
    ]
}

fn segment() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "v2",
        "queues",
        "q",
        "d",
        "messages",
        "claims",
        "subscriptions",
        "stats",
        "purge",
        "share",
        "ping",
        "confirm",
        "",
        "..",
        "%2F",
        "%00",
        "%ff",
        "3381af92-2b9e-11e3-b191-71861300734c",
    ];
    prop_oneof![
        30 => prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(0x21_u8.., 0..80),
    ]
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "/v2/queues/q",
        "/v2/queues/q/messages",
        "/v2/queues/q/claims",
        "/v2/queues",
        "/v2/ping",
        "/v2/queues/q/subscriptions",
        "/v2/queues/q/stats",
        "/v2/queues/q/purge",
        "/v2/",
        "/",
        "*",
        "/v2/queues/q/share",
        "/v2/queues/q/messages/",
        "/v2/queues/q/claims/",
    ];
    let path = prop_oneof![
        3 => prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(segment(), 0..7)
            .prop_map(|segments| [b"/".to_vec(), segments.join(&b'/')].concat()),
    ];
    let query = prop::collection::vec(prop::sample::select(QUERIES.to_vec()), 0..4);
    (path, query).prop_map(|(path, query)| {
        let query = query.join("&");
        [
            path,
            if query.is_empty() {
                vec![]
            } else {
                [b"?", query.as_bytes()].concat()
            },
        ]
        .concat()
    })
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let names = [
        "client-id",
        "x-project-id",
        "content-type",
        "accept",
        "url-signature",
        "url-paths",
        "url-methods",
        "url-expires",
        "origin",
        "access-control-request-method",
        "content-length",
        "x-anything",
    ];
    let values = [
        ALICE,
        BOB,
        "p",
        "",
        "*/*;q=0",
        "application/json",
        "application/x-www-form-urlencoded",
        "application/openstack-messaging-v2.0-json-patch",
        "/v2/queues/q/messages",
        "GET",
        ",",
        "2030-01-01T00:00:00",
        "https://a.example",
        "0",
    ];
    let value = prop_oneof![
        4 => prop::sample::select(values.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(prop_oneof![Just(9_u8), 0x20_u8..0x7f, 0x80_u8..], 0..300),
    ];
    (prop::sample::select(names.to_vec()), value)
}

/// A body that is right, cut, with bytes put in its place, or anything at all.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let known = || prop::sample::select(BODIES.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![
        3 => known(),
        3 => (known(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..3))
            .prop_map(|(mut body, at, bytes)| {
                let at = at.index(body.len() + 1);
                let end = (at + bytes.len()).min(body.len());
                body.splice(at..end, bytes);
                body
            }),
        2 => (known(), any::<prop::sample::Index>()).prop_map(|(mut body, at)| {
            body.truncate(at.index(body.len() + 1));
            body
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (1_usize..400).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ]
}

fn raw() -> impl Strategy<Value = Raw> {
    let headers = prop::collection::vec(header(), 0..4);
    (method(), target(), headers, any::<[bool; 4]>(), body()).prop_map(
        |(method, target, mut headers, absent, body)| {
            // Mostly somebody calls; otherwise every request would be refused for that.
            if absent != [true; 4] {
                headers.insert(0, ("client-id", ALICE.into()));
                headers.insert(1, ("x-project-id", b"p".to_vec()));
            }
            if method == "PATCH" {
                let kind = b"application/openstack-messaging-v2.0-json-patch";
                headers.insert(0, ("content-type", kind.to_vec()));
            }
            headers.dedup_by_key(|(name, _)| *name);
            Raw {
                method,
                target,
                headers,
                body,
            }
        },
    )
}

/// The request as hyper would hand it over; `None` if hyper would refuse it before.
fn request(raw: &Raw) -> Option<Request<Full<Bytes>>> {
    let target = Uri::try_from(raw.target.clone()).ok()?;
    let mut request = Request::builder().method(raw.method.as_str()).uri(target);
    for (name, value) in &raw.headers {
        request = request.header(*name, HeaderValue::from_bytes(value).ok()?);
    }
    request.body(Full::new(raw.body.clone().into())).ok()
}

fn check(answer: &Answer, raw: &Raw) {
    assert!(!answer.status.is_server_error(), "{answer:?} to {raw:?}");
    let id = answer.header("x-openstack-request-id").unwrap_or_default();
    assert!(id.starts_with("req-") && id.len() == 40, "{answer:?}");
    // Whoever takes no JSON gets none.
    if answer.status.is_client_error() && answer.status != StatusCode::NOT_ACCEPTABLE {
        let error = answer.json();
        for member in ["title", "description"] {
            let told = error[member].as_str().is_some_and(|text| !text.is_empty());
            assert!(told, "{answer:?} to {raw:?}");
        }
        assert_eq!(answer.header("content-type"), Some("application/json"));
    } else if !answer.body.is_empty() {
        answer.json();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_is_answered_with_a_5xx_and_every_4xx_says_why(
        requests in prop::collection::vec(raw(), 1..12),
    ) {
        let world = World::with_settings(Settings {
            signing_key: SigningKey::new("key".to_owned()),
            checksums: true,
            cors_origins: ["https://a.example".to_owned()].into(),
            ..Settings::default()
        });
        for raw in &requests {
            if let Some(request) = request(raw) {
                check(&world.call(request), raw);
            }
            world.advance_secs(7);
        }
    }
}
