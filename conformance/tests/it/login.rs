//! Keystone, by a small stand-in: an identity service, and a broker behind a gate that wants its tokens.

use crate::in_process::ABSENT;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use nanshe_conformance::environment::{InProcess, TokioEnvironment, World};
use nanshe_conformance::report::Standing;
use nanshe_conformance::suite::{Capability, Options, PreflightError, Selection, preflight, run};
use nanshe_conformance::target::{Credentials, Description, Endpoint, Identity, Named, Session};
use serde_json::{Value, json};

use crate::in_process::reference;

mod loads;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

/// `/identity` gives out tokens that live for five minutes; all else is the broker's, for who has one.
#[derive(Clone)]
struct Cloud {
    broker: nanshe_reference::Service,
    issued: Arc<Mutex<Vec<tokio::time::Instant>>>,
    asked: Arc<Mutex<Vec<Value>>>,
    /// What the broker was asked about.
    queues: Arc<Mutex<BTreeSet<String>>>,
}

const LIFE: Duration = Duration::from_secs(300);

impl Cloud {
    fn new() -> Self {
        Self {
            broker: reference(),
            issued: Arc::default(),
            asked: Arc::default(),
            queues: Arc::default(),
        }
    }

    fn issue(&self, question: Value) -> Response<Full<Bytes>> {
        let identity = &question["auth"]["identity"];
        let password = identity["password"]["user"]["password"] == "open sesame";
        let secret = identity["application_credential"]["secret"] == "open sesame";
        self.asked.lock().unwrap().push(question);
        let mut response = Response::new(Full::default());
        if !password && !secret {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            return response;
        }
        let mut issued = self.issued.lock().unwrap();
        issued.push(tokio::time::Instant::now());
        let token = json!({ "token": {
            "project": { "id": "the-one-project" },
            "issued_at": "2026-11-24T06:52:04.000000Z",
            "expires_at": "2026-11-24T06:57:04.000000Z",
        }});
        *response.body_mut() = Full::new(token.to_string().into());
        *response.status_mut() = StatusCode::CREATED;
        let text = format!("token-{}", issued.len() - 1);
        response
            .headers_mut()
            .insert("x-subject-token", text.parse().unwrap());
        response
    }

    fn admits(&self, token: Option<&HeaderValue>) -> bool {
        let issued = self.issued.lock().unwrap();
        let number =
            token.and_then(|token| token.to_str().ok()?.strip_prefix("token-")?.parse().ok());
        let at = number.and_then(|number: usize| issued.get(number));
        at.is_some_and(|at| at.elapsed() < LIFE)
    }
}

impl tower_service::Service<Request<Incoming>> for Cloud {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
        let mut cloud = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            if head.uri.path() == "/identity/v3/auth/tokens" {
                return Ok(cloud.issue(serde_json::from_slice(&body).unwrap()));
            }
            if !cloud.admits(head.headers.get("x-auth-token")) {
                let mut refused = Response::new(Full::default());
                *refused.status_mut() = StatusCode::UNAUTHORIZED;
                return Ok(refused);
            }
            let mut path = head.uri.path().split('/');
            if let Some(queue) = path.nth(3) {
                cloud.queues.lock().unwrap().insert(queue.to_owned());
            }
            // As Keystone's middleware does, whatever the client wrote.
            let project = HeaderValue::from_static("the-one-project");
            head.headers.insert("x-project-id", project);
            let request = Request::from_parts(head, Full::new(body));
            tower_service::Service::call(&mut cloud.broker, request).await
        })
    }
}

fn password(word: &str) -> Credentials {
    let named = |name: &str| Named {
        name: name.to_owned(),
        ..Named::default()
    };
    Credentials {
        url: "http://cloud/identity".to_owned(),
        identity: Identity::Password {
            user: named("u"),
            password: word.to_owned(),
        },
        project: Some(named("p")),
        cacert: None,
    }
}

fn world(cloud: &Cloud) -> World {
    Arc::new(InProcess::new(
        Arc::new(TokioEnvironment::new()),
        cloud.clone(),
    ))
}

fn target() -> (Description, Endpoint) {
    let endpoint = Endpoint::parse("http://cloud").unwrap();
    (
        Description::of_endpoint("cloud".to_owned(), endpoint.clone()),
        endpoint,
    )
}

#[tokio::test(start_paused = true)]
async fn suite_runs_behind_keystone_and_renews_its_token_before_it_ends() {
    let cloud = Cloud::new();
    let world = world(&cloud);
    let session = Session::login(Arc::clone(&world), password("open sesame"))
        .await
        .unwrap();
    let (mut target, endpoint) = target();
    target.session = Some(Arc::new(session));
    preflight(Arc::clone(&world), &target, &endpoint)
        .await
        .unwrap();
    let selection = Selection {
        wait_secs_max: Some(1_000),
        ..Selection::default()
    };
    let selected = selection.select().unwrap();
    let reached = (&target, endpoint);
    let report = run(world, reached, &selected, &Options::default(), |_| {}).await;
    report.assert_valid();
    let needs = |case: &&&nanshe_conformance::suite::Case| {
        let more = [
            Capability::Projects,
            Capability::ExactExpiry,
            Capability::TotalOrder,
        ];
        let absent = |need| more.contains(need) || ABSENT.contains(need);
        case.needs.iter().any(absent)
    };
    let count = selected.cases.iter().filter(needs).count();
    assert_eq!(report.count(Standing::NotApplicable), count);
    // Among them all cases about WebSocket: each of those needs a project of its own. Most are judged all the same.
    assert!(report.count(Standing::Passed) * 2 > selected.cases.len());
    // The run took at least a quarter of an hour, and tokens live for five minutes.
    assert!(cloud.issued.lock().unwrap().len() >= 3);
}

#[tokio::test(start_paused = true)]
async fn login_asks_as_keystone_version_3_wants_it() {
    let cloud = Cloud::new();
    let session = Session::login(world(&cloud), password("open sesame"))
        .await
        .unwrap();
    assert_eq!(session.project(), "the-one-project");
    let application = Credentials {
        identity: Identity::ApplicationCredential {
            user: Named {
                id: Some("i".to_owned()),
                ..Named::default()
            },
            secret: "open sesame".to_owned(),
        },
        project: None,
        ..password("")
    };
    Session::login(world(&cloud), application).await.unwrap();
    let domain = json!({ "name": "Default" });
    let expected = [
        json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": "u", "domain": domain, "password": "open sesame",
            }}},
            "scope": { "project": { "name": "p", "domain": domain } },
        }}),
        json!({ "auth": { "identity": {
            "methods": ["application_credential"],
            "application_credential": { "id": "i", "secret": "open sesame" },
        }}}),
    ];
    assert_eq!(*cloud.asked.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn wrong_password_and_missing_login_say_what_to_do() {
    let cloud = Cloud::new();
    let error = Session::login(world(&cloud), password("open barley"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot log in at http://cloud/identity: Keystone refuses the credentials (401)"
    );
    let (target, endpoint) = target();
    let error = preflight(world(&cloud), &target, &endpoint)
        .await
        .unwrap_err();
    let PreflightError::NotUsable(line) = &error else {
        panic!("{error:?}");
    };
    assert!(
        line.contains("wants a token (401): log in with --keystone"),
        "{line}"
    );
}
