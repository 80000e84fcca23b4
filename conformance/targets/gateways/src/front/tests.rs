//! The front before a broker that is an array in memory, and whose answers are scripted: what is asked
//! of a broker, and what reaches nobody.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use http::Request as HttpRequest;

use super::*;
use crate::broker::{Claim, Failed, Lease, Message, Outcome, Posted};

/// Writes down what it is asked, and answers with what there is at most one of.
#[derive(Debug, Default)]
struct Script {
    asked: Mutex<Vec<String>>,
    deletion: Option<Deletion>,
    is_broken: bool,
}

impl Script {
    fn note(&self, what: String) -> Outcome<()> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(what);
        if self.is_broken {
            return Err(Failed::Broken("gone".to_owned()));
        }
        Ok(())
    }
}

fn shown(id: &str) -> Message {
    Message {
        id: id.to_owned(),
        ttl_secs: 300,
        age_secs: 1,
        body: json!({ "a": 1 }),
        claim: (id == "held").then(|| "c1".to_owned()),
    }
}

impl Broker for Script {
    async fn ping(&self) -> Outcome<()> {
        self.note("ping".to_owned())
    }

    async fn create_queue(&self, place: &Place) -> Outcome<bool> {
        self.note(format!("create {}/{}", place.project, place.queue))?;
        Ok(place.queue == "new")
    }

    async fn delete_queue(&self, place: &Place) -> Outcome<()> {
        self.note(format!("delete queue {}", place.queue))
    }

    async fn post(&self, _: &Place, client: &str, batch: &[Posted]) -> Outcome<Vec<String>> {
        let told: Vec<String> = batch
            .iter()
            .map(|posted| format!("{}s {}", posted.ttl_secs, posted.body))
            .collect();
        self.note(format!("post by {client}: {}", told.join(", ")))?;
        Ok((0..batch.len())
            .map(|number| format!("m{number}"))
            .collect())
    }

    async fn list(&self, _: &Place, page: &Page) -> Outcome<(Vec<Message>, String)> {
        self.note(format!("list {page:?}"))?;
        let messages = match page.marker {
            Some(_) => Vec::new(),
            None => vec![shown("free"), shown("held")],
        };
        Ok((messages, "7".to_owned()))
    }

    async fn get(&self, _: &Place, id: &str) -> Outcome<Option<Message>> {
        self.note(format!("get {id}"))?;
        Ok((id == "held").then(|| shown(id)))
    }

    async fn delete(&self, _: &Place, id: &str, claim: Option<&str>) -> Outcome<Deletion> {
        self.note(format!("delete {id} under {claim:?}"))?;
        Ok(self.deletion.unwrap_or(Deletion::Done))
    }

    async fn claim(
        &self,
        place: &Place,
        limit: i64,
        lease: Lease,
    ) -> Outcome<Option<(String, Vec<Message>)>> {
        let (ttl, grace) = (lease.ttl_secs, lease.grace_secs);
        self.note(format!("claim {limit} for {ttl} and {grace}"))?;
        let some = place.queue != "empty";
        Ok(some.then(|| ("c1".to_owned(), vec![shown("held")])))
    }

    async fn read_claim(&self, _: &Place, claim: &str) -> Outcome<Option<Claim>> {
        self.note(format!("read claim {claim}"))?;
        Ok(None)
    }

    async fn renew(&self, _: &Place, claim: &str, lease: Lease) -> Outcome<bool> {
        self.note(format!("renew {claim} for {}", lease.ttl_secs))?;
        Ok(claim == "c1")
    }

    async fn release(&self, _: &Place, claim: &str) -> Outcome<()> {
        self.note(format!("release {claim}"))
    }

    async fn pop(&self, _: &Place, limit: i64) -> Outcome<Vec<Message>> {
        self.note(format!("pop {limit}"))?;
        Ok(vec![shown("free")])
    }
}

/// The scripted broker waits for nothing, so its front is done at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a scripted broker waits for nothing"),
    }
}

fn ask_with(
    front: &Front<Script>,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response<Bytes> {
    let mut request = HttpRequest::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    now(front.answer(head, Bytes::copy_from_slice(body)))
}

const USUAL: [(&str, &str); 2] = [
    ("client-id", "6B2E4F0A-27A1-4A5E-8F3C-0D9C5C1A7E11"),
    ("x-project-id", "p"),
];

fn ask(front: &Front<Script>, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let response = ask_with(front, (method, path), &USUAL, body);
    let json = serde_json::from_slice(response.body()).unwrap_or_default();
    (response.status().as_u16(), json)
}

fn front() -> Front<Script> {
    Front::new(Script::default())
}

fn asked(front: &Front<Script>) -> Vec<String> {
    let mut asked = front
        .broker
        .asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *asked)
}

#[test]
fn batch_reaches_the_broker_with_its_defaults_and_is_answered_with_hrefs_in_order() {
    let front = front();
    let body = br#"{"messages": [{"body": null}, {"ttl": 60, "body": "\u0000", "x": 1}]}"#;
    let response = ask_with(&front, ("POST", "/v2/queues/q/messages"), &USUAL, body);
    assert_eq!(response.status(), 201);
    assert_eq!(
        response.headers()["location"],
        "/v2/queues/q/messages?ids=m0,m1"
    );
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    let hrefs = json!(["/v2/queues/q/messages/m0", "/v2/queues/q/messages/m1"]);
    assert_eq!(answer["resources"], hrefs);
    let client = "6b2e4f0a27a14a5e8f3c0d9c5c1a7e11";
    let told = format!(r#"post by {client}: 3600s null, 60s "\u0000""#);
    assert_eq!(asked(&front), [told]);
}

#[test]
fn bad_batches_are_refused_and_reach_no_broker() {
    let front = front();
    let long = format!(r#"{{"messages": [{{"body": "{}"}}]}}"#, "b".repeat(262_144));
    let deep = format!(
        r#"{{"messages": [{{"body": {}{}}}]}}"#,
        "[".repeat(2_000),
        "]".repeat(2_000)
    );
    let bad: [&[u8]; 19] = [
        b"",
        b"[]",
        b"null",
        b"\"messages\"",
        b"{\"messages\": []}",
        b"{\"messages\": {}}",
        b"{\"messages\": [5]}",
        b"{\"messages\": [{\"ttl\": 60}]}",
        b"{\"messages\": [{\"ttl\": 59, \"body\": 1}]}",
        b"{\"messages\": [{\"ttl\": 1209601, \"body\": 1}]}",
        b"{\"messages\": [{\"ttl\": 60.0, \"body\": 1}]}",
        b"{\"messages\": [{\"ttl\": true, \"body\": 1}]}",
        b"{\"messages\": [{\"ttl\": null, \"body\": 1}]}",
        b"{\"messages\": [{\"body\": NaN}]}",
        b"{\"messages\": [{\"body\": 9223372036854775808}]}",
        b"{\"messages\": [{\"body\": \"\\ud800\"}]}",
        b"\xef\xbb\xbf{\"messages\": [{\"body\": 1}]}",
        long.as_bytes(),
        deep.as_bytes(),
    ];
    for body in bad {
        let (status, document) = ask(&front, "POST", "/v2/queues/q/messages", body);
        let text = String::from_utf8_lossy(body.get(..60).unwrap_or(body)).into_owned();
        assert_eq!(
            (status, document["title"].is_string()),
            (400, true),
            "{text}"
        );
    }
    assert!(asked(&front).is_empty());
}

#[test]
fn digits_in_strings_and_floats_are_no_long_integers() {
    let front = front();
    let body =
        br#"{"messages": [{"body": ["\"99999999999999999999", 1e300, -9223372036854775808]}]}"#;
    assert_eq!(ask(&front, "POST", "/v2/queues/q/messages", body).0, 201);
}

#[test]
fn checks_come_in_the_order_of_the_contract() {
    let front = front();
    let [client, project] = USUAL;
    let html = ("accept", "text/html");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let long = "p".repeat(257);
    for (route, headers, status) in [
        (("GET", "/v2/nowhere"), vec![], 404),
        (("PUT", "/v2/queues/q"), vec![form, html], 400),
        (("PUT", "/v2/queues/q"), vec![html], 406),
        (("PUT", "/v2/queues/q"), vec![project], 400),
        (
            ("PUT", "/v2/queues/q"),
            vec![("client-id", "x"), project],
            400,
        ),
        (("PUT", "/v2/queues/q"), vec![client], 400),
        (
            ("PUT", "/v2/queues/q"),
            vec![client, ("x-project-id", "")],
            400,
        ),
        (
            ("PUT", "/v2/queues/q"),
            vec![client, ("x-project-id", &long)],
            400,
        ),
        (("LOCK", "/v2/queues/a%0A"), vec![client, project], 400),
        (("LOCK", "/v2/queues/q"), vec![client, project], 405),
    ] {
        let response = ask_with(&front, route, &headers, b"");
        assert_eq!(response.status(), status, "{route:?} {headers:?}");
    }
    assert!(asked(&front).is_empty());
}

#[test]
fn accept_is_judged_by_its_narrowest_range_and_weight() {
    let front = front();
    for (accept, status) in [
        ("*/*", 204),
        ("text/html, application/*;q=0.1", 204),
        ("application/json;q=0, */*", 406),
        ("text/*", 406),
    ] {
        let headers = [USUAL[0], USUAL[1], ("accept", accept)];
        let response = ask_with(&front, ("GET", "/v2/ping"), &headers, b"");
        assert_eq!(response.status(), status, "{accept}");
    }
}

#[test]
fn page_names_claims_in_hrefs_and_its_link_keeps_the_parameters() {
    let front = front();
    let path = "/v2/queues/q/messages?echo=True&limit=&include_claimed=yes&limit=2&unknown=1";
    let (status, page) = ask(&front, "GET", path, b"");
    assert_eq!(status, 200);
    assert_eq!(page["messages"][0]["href"], "/v2/queues/q/messages/free");
    assert_eq!(
        page["messages"][1]["href"],
        "/v2/queues/q/messages/held?claim_id=c1"
    );
    let href = page["links"][0]["href"].as_str().unwrap();
    assert!(
        href.ends_with("?limit=2&echo=true&include_claimed=true&marker=7"),
        "{href}"
    );
    let (_, end) = ask(&front, "GET", href, b"");
    assert_eq!(end, json!({ "messages": [], "links": [] }));
    for bad in [
        "limit=0",
        "limit=21",
        "limit=x",
        "echo=perhaps",
        "include_delayed=2",
    ] {
        assert_eq!(
            ask(&front, "GET", &format!("/v2/queues/q/messages?{bad}"), b"").0,
            400
        );
    }
}

#[test]
fn claim_has_default_terms_and_refuses_others_than_the_contract_allows() {
    let front = front();
    let response = ask_with(&front, ("POST", "/v2/queues/q/claims"), &USUAL, b"");
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], "/v2/queues/q/claims/c1");
    let (status, _) = ask(
        &front,
        "POST",
        "/v2/queues/empty/claims?limit=20",
        b"{\"ttl\": 60}",
    );
    assert_eq!(status, 204);
    assert_eq!(
        asked(&front),
        ["claim 10 for 300 and 60", "claim 20 for 60 and 60"]
    );
    for body in [
        "[]",
        "{\"ttl\": 59}",
        "{\"grace\": 43201}",
        "{\"ttl\": 60.5}",
        "{\"grace\": null}",
    ] {
        let (status, _) = ask(&front, "POST", "/v2/queues/q/claims", body.as_bytes());
        assert_eq!(status, 400, "{body}");
    }
    assert!(asked(&front).is_empty());
}

#[test]
fn renewal_needs_a_body_and_a_live_claim() {
    let front = front();
    for (claim, body, status) in [
        ("c1", "", 400),
        ("c1", "{}", 204),
        ("c2", "{}", 404),
        ("a%00", "{}", 404),
    ] {
        let path = format!("/v2/queues/q/claims/{claim}");
        assert_eq!(
            ask(&front, "PATCH", &path, body.as_bytes()).0,
            status,
            "{claim} {body}"
        );
    }
    assert_eq!(asked(&front), ["renew c1 for 300", "renew c2 for 300"]);
}

#[test]
fn deletion_is_answered_as_the_broker_decides_and_odd_identifiers_are_unknown() {
    for (deletion, status) in [
        (Deletion::Done, 204),
        (Deletion::Claimed, 403),
        (Deletion::NotHeld, 400),
    ] {
        let front = Front::new(Script {
            deletion: Some(deletion),
            ..Script::default()
        });
        let (found, _) = ask(&front, "DELETE", "/v2/queues/q/messages/m?claim_id=", b"");
        assert_eq!(found, status);
        ask(
            &front,
            "DELETE",
            "/v2/queues/q/messages/m?claim_id=%00",
            b"",
        );
        assert_eq!(
            asked(&front),
            ["delete m under None", "delete m under Some(\"-\")"]
        );
    }
    let front = front();
    assert_eq!(
        ask(&front, "DELETE", "/v2/queues/q/messages/%00", b"").0,
        204
    );
    assert_eq!(ask(&front, "GET", "/v2/queues/q/messages/", b"").0, 404);
    assert!(asked(&front).is_empty());
}

#[test]
fn either_ids_or_pop_is_deleted_by_and_what_the_broker_lacks_is_501() {
    let front = front();
    for (query, status) in [
        ("", 400),
        ("?ids=a&pop=1", 400),
        ("?pop=21", 400),
        ("?pop=2", 200),
        ("?ids=a,b", 501),
    ] {
        let path = format!("/v2/queues/q/messages{query}");
        assert_eq!(ask(&front, "DELETE", &path, b"").0, status, "{query}");
    }
    assert_eq!(asked(&front), ["pop 2"]);
    assert_eq!(ask(&front, "GET", "/v2/queues/q/stats", b"").0, 501);
}

#[test]
fn broken_broker_is_503_with_an_error_document_and_request_ids_differ() {
    let front = Front::new(Script {
        is_broken: true,
        ..Script::default()
    });
    let answers: Vec<_> = (0..2)
        .map(|_| ask_with(&front, ("GET", "/v2/ping"), &USUAL, b""))
        .collect();
    for response in &answers {
        let document: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(document["description"], "the broker failed: gone");
    }
    let id = |response: &Response<Bytes>| response.headers()["x-openstack-request-id"].clone();
    assert_ne!(id(&answers[0]), id(&answers[1]));
}
