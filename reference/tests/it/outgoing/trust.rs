//! Webhooks with a token that Keystone gives for a trust.

use nanshe_reference::wire::keystone::Trustee;
use nanshe_reference::wire::{Secret, TrustRule};

use super::*;

const TRUST: &str = "b38c38c6a5a64f5b8f5d3f7a1d5a8b10";

async fn start(keystone: SocketAddr) -> Running {
    let settings = Settings {
        trust_rule: TrustRule::Accepted,
        ..Settings::default()
    };
    let outgoing = Outgoing {
        trustee: Some(Trustee {
            auth_url: Trustee::url(&format!("http://{keystone}/identity/v3")).unwrap(),
            username: "zaqar".to_owned(),
            password: Secret("hunter2".to_owned()),
            user_domain_name: "Default".to_owned(),
        }),
        ..Outgoing::default()
    };
    Running::start(settings, outgoing).await
}

/// An answer of Keystone with a token that lives for so many minutes.
fn token(value: &str, minutes: u32) -> String {
    let document = json!({"token": {
        "methods": ["password"],
        "issued_at": "2026-11-22T08:00:00.000000Z",
        "expires_at": format!("2026-11-22T08:{minutes:02}:00.000000Z"),
    }})
    .to_string();
    format!(
        "HTTP/1.1 201 Created\r\nX-Subject-Token: {value}\r\ncontent-length: {}\r\n\r\n{document}",
        document.len()
    )
}

/// The token that a request brings.
fn brought(request: &str) -> Option<&str> {
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix("x-auth-token: "))
}

/// What comes of a post of these messages if Keystone and the subscriber give these answers: the
/// requests to each, and the counts.
async fn deliver(
    messages: &[i64],
    keystone_answers: &[&str],
    statuses: &[u16],
) -> (Vec<String>, Vec<String>, DeliveryCounts) {
    let ((keystone, keystone_address), (subscriber, address)) = (listen().await, listen().await);
    let server = start(keystone_address).await;
    let options = json!({"trust_id": TRUST, "post_headers": {"X-Auth-Token": "mine"}});
    let uri = format!("trust+http://{address}/hook");
    assert_eq!(server.subscribe(&uri, &options).status, 201);
    server.world.post("q", 60, messages);
    let keystone_answers: Vec<String> = keystone_answers.iter().map(|&text| text.into()).collect();
    let asked = tokio::spawn(async move {
        let answers: Vec<&str> = keystone_answers.iter().map(String::as_str).collect();
        answer(keystone, &answers).await
    });
    let answers: Vec<String> = statuses.iter().map(|&status| empty(status)).collect();
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let got = answer(subscriber, &answers).await;
    let (asked, counts) = (asked.await.unwrap(), server.settled().await);
    server.stop().await;
    (asked, got, counts)
}

#[test]
fn one_token_serves_many_deliveries() {
    run(async {
        let (asked, got, counts) = deliver(&[1, 2], &[&token("t1", 59)], &[204, 200]).await;
        let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("POST /identity/v3/auth/tokens HTTP/1.1\r\n"),
            "{head}"
        );
        let asked: Value = serde_json::from_str(body).unwrap();
        let user = json!({
            "name": "zaqar", "password": "hunter2", "domain": {"name": "Default"},
        });
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let scope = json!({"OS-TRUST:trust": {"id": TRUST}});
        assert_eq!(
            asked,
            json!({"auth": {"identity": identity, "scope": scope}})
        );
        assert_eq!(got.len(), 2);
        for request in &got {
            assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
            assert_eq!(brought(request), Some("t1"));
            assert!(
                !request.contains("mine") && !request.contains(TRUST),
                "{request}"
            );
        }
        assert_eq!((counts.delivered, counts.retried), (2, 0));
    });
}

#[test]
fn a_token_that_the_subscriber_does_not_take_is_replaced() {
    run(async {
        let keystone = [&*token("t1", 59), &token("t2", 59)];
        let (_, got, counts) = deliver(&[1], &keystone, &[401, 204]).await;
        let tokens: Vec<_> = got.iter().map(|request| brought(request)).collect();
        assert_eq!(tokens, [Some("t1"), Some("t2")]);
        assert_eq!((counts.delivered, counts.retried), (1, 1));
    });
}

#[test]
fn a_token_that_ends_soon_is_used_once() {
    run(async {
        let keystone = [&*token("t1", 0), &token("t2", 1)];
        let (_, got, counts) = deliver(&[1, 2], &keystone, &[204, 204]).await;
        let tokens: Vec<_> = got.iter().map(|request| brought(request)).collect();
        assert_eq!(tokens, [Some("t1"), Some("t2")]);
        assert_eq!(counts.delivered, 2);
    });
}

#[test]
fn without_a_token_nothing_is_sent_and_only_a_lost_trust_is_given_up_at_once() {
    run(async {
        // A wrong password and a broken Keystone may be mended.
        let keystone = [&*empty(401), &empty(503), &token("t1", 59)];
        let (_, got, counts) = deliver(&[1], &keystone, &[204]).await;
        assert_eq!(got.len(), 1);
        assert_eq!((counts.delivered, counts.retried), (1, 2));
        for status in [403, 404] {
            let (_, _, counts) = deliver(&[1], &[&empty(status)], &[]).await;
            assert_eq!((counts.given_up, counts.retried), (1, 0), "{status}");
        }
    });
}

#[test]
fn a_subscription_with_a_trust_never_lacks_its_id() {
    run(async {
        let (_, keystone) = listen().await;
        let server = start(keystone).await;
        let refused = server.subscribe("trust+http://h", &json!({}));
        assert_eq!(refused.status, 400);
        assert_eq!(
            refused.json()["description"],
            "the subscriber needs a trust, and the options have no trust_id: make the trust first"
        );
        let queues = server.world.send("GET /v2/queues", "").json();
        assert_eq!(
            queues["queues"],
            json!([]),
            "a refusal leaves no queue behind"
        );
        let patch = |path: &str, body: &Value| {
            let answer = server
                .world
                .send(&format!("PATCH {path}"), &body.to_string());
            answer.status.as_u16()
        };
        let id = |answer: Answer| {
            let id = crate::support::text(&answer.json()["subscription_id"]);
            format!("/v2/queues/q/subscriptions/{id}")
        };
        let plain = id(server.subscribe("http://h", &json!({})));
        let trusted = id(server.subscribe("trust+http://h", &json!({"trust_id": TRUST})));
        assert_eq!(patch(&trusted, &json!({"options": {}})), 400);
        assert_eq!(
            patch(&trusted, &json!({"subscriber": "Trust+https://i"})),
            204
        );
        assert_eq!(patch(&plain, &json!({"subscriber": "trust+http://j"})), 400);
        let both = json!({"subscriber": "trust+http://j", "options": {"trust_id": TRUST}});
        assert_eq!(patch(&plain, &both), 204);
        server.stop().await;
    });
}
