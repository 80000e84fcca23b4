//! One client: sends an operation, waits for the answer, and writes both down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use crate::environment::World;
use crate::history::{Answer, Handle, Operation, Posted, Recorder, Seen};
use crate::target::{Client, Endpoint};

/// What an identifier may not hold in a segment of a path, or in a query.
const NOT_IN_A_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'=');

/// One client of the target, with one operation under way at a time.
pub struct Process {
    world: World,
    client: Client,
    handle: Handle,
    project: HeaderValue,
    client_id: HeaderValue,
}

impl Process {
    /// A client that is `number` in the history `recorder` writes.
    pub fn new(
        world: World,
        (endpoint, patience): (Endpoint, Duration),
        (recorder, number): (Arc<Recorder>, u64),
    ) -> Self {
        let client = Client::new(Arc::clone(&world), endpoint, patience, 1);
        let client_id = format!("00000000-0000-4000-8000-{number:012x}");
        let client_id = client_id.parse().expect("a UUID is a valid header value");
        Self {
            world,
            client,
            handle: Handle::new(recorder, number),
            project: HeaderValue::from_static("nanshe"),
            client_id,
        }
    }

    /// The world that the process lives in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Sends `operation`. The answer, if it happened for certain.
    pub async fn perform(&self, operation: Operation) -> Option<Answer> {
        let request = self.request(&operation);
        self.handle.invoke(&self.world, operation.clone());
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            Err(not_answered) => {
                self.handle.not_answered(&self.world, not_answered);
                return None;
            }
        };
        if answer.status.is_server_error() {
            self.handle
                .unclear(&self.world, format!("status {}", answer.status.as_u16()));
            return None;
        }
        if let Some(understood) =
            understand(&operation, answer.status, &answer.headers, &answer.body)
        {
            self.handle.ok(&self.world, understood.clone());
            return Some(understood);
        }
        if answer.status.is_client_error() {
            self.handle.refused(&self.world, answer.status.as_u16());
        } else {
            let why = format!(
                "status {} with an answer nobody understands",
                answer.status.as_u16()
            );
            self.handle.unclear(&self.world, why);
        }
        None
    }

    fn request(&self, operation: &Operation) -> Request<Bytes> {
        let (method, path, body) = on_the_wire(operation);
        let mut request =
            Request::new(body.map_or_else(Bytes::new, |body| body.to_string().into()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("identifiers are encoded");
        let headers = request.headers_mut();
        headers.insert("client-id", self.client_id.clone());
        headers.insert("x-project-id", self.project.clone());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        request
    }
}

/// Method, path and body of the request that asks for `operation`.
fn on_the_wire(operation: &Operation) -> (Method, String, Option<Value>) {
    let base = format!("/v2/queues/{}", operation.queue());
    let encode = |id: &str| utf8_percent_encode(id, NOT_IN_A_SEGMENT).to_string();
    let lease = |ttl: &u64, grace: &u64| Some(json!({ "ttl": ttl, "grace": grace }));
    match operation {
        Operation::Post { messages, .. } => {
            let messages: Vec<Value> = messages.iter().map(to_json).collect();
            let body = json!({ "messages": messages });
            (Method::POST, format!("{base}/messages"), Some(body))
        }
        Operation::Claim {
            limit,
            ttl_secs,
            grace_secs,
            ..
        } => (
            Method::POST,
            format!("{base}/claims?limit={limit}"),
            lease(ttl_secs, grace_secs),
        ),
        Operation::Renew {
            claim,
            ttl_secs,
            grace_secs,
            ..
        } => (
            Method::PATCH,
            format!("{base}/claims/{}", encode(claim)),
            lease(ttl_secs, grace_secs),
        ),
        Operation::Release { claim, .. } => (
            Method::DELETE,
            format!("{base}/claims/{}", encode(claim)),
            None,
        ),
        Operation::Delete {
            message,
            claim: Some(claim),
            ..
        } => (
            Method::DELETE,
            format!(
                "{base}/messages/{}?claim_id={}",
                encode(message),
                encode(claim)
            ),
            None,
        ),
        Operation::Delete {
            message,
            claim: None,
            ..
        } => (
            Method::DELETE,
            format!("{base}/messages/{}", encode(message)),
            None,
        ),
        Operation::Pop { limit, .. } => {
            (Method::DELETE, format!("{base}/messages?pop={limit}"), None)
        }
        Operation::Get { message, .. } => (
            Method::GET,
            format!("{base}/messages/{}", encode(message)),
            None,
        ),
    }
}

/// The token stands in the body: a message whose post had no answer can still be recognised.
fn to_json(posted: &Posted) -> Value {
    json!({ "ttl": posted.ttl_secs, "body": { "token": posted.token } })
}

/// What an answer says; `None` if it is a refusal, or not understood.
fn understand(
    operation: &Operation,
    status: StatusCode,
    headers: &http::HeaderMap,
    body: &Bytes,
) -> Option<Answer> {
    let json = || serde_json::from_slice::<Value>(body).ok();
    match (operation, status.as_u16()) {
        (Operation::Post { messages, .. }, 201) => {
            let resources = json()?;
            let ids: Option<Vec<String>> = resources["resources"]
                .as_array()?
                .iter()
                .map(|href| Some(last_segment(href.as_str()?)))
                .collect();
            let ids = ids.filter(|ids| ids.len() == messages.len())?;
            Some(Answer::Post { ids })
        }
        (Operation::Claim { .. }, 201) => {
            let location = headers.get("location")?.to_str().ok()?;
            let messages = seen(json()?["messages"].as_array()?)?;
            Some(Answer::Claim {
                claim: Some(last_segment(location)),
                messages,
            })
        }
        (Operation::Claim { .. }, 204) => Some(Answer::Claim {
            claim: None,
            messages: Vec::new(),
        }),
        (Operation::Renew { .. }, 204) => Some(Answer::Renew),
        (Operation::Release { .. }, 204) => Some(Answer::Release),
        (Operation::Delete { .. }, 204) => Some(Answer::Delete),
        (Operation::Pop { .. }, 200) => Some(Answer::Pop {
            messages: seen(json()?["messages"].as_array()?)?,
        }),
        (Operation::Get { .. }, 200) => {
            let message = seen(&[json()?])?.pop();
            Some(Answer::Get { message })
        }
        (Operation::Get { .. }, 404) => Some(Answer::Get { message: None }),
        _ => None,
    }
}

/// The messages of an answer. One whose body is not as any producer made it has no token: a stranger,
/// which `delivery/unexpected` must see rather than an answer that nobody understands.
fn seen(messages: &[Value]) -> Option<Vec<Seen>> {
    let seen = |message: &Value| {
        let id = match message["id"].as_str() {
            Some(id) => id.to_owned(),
            None => last_segment(message["href"].as_str()?),
        };
        let token = message["body"]["token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Some(Seen { id, token })
    };
    messages.iter().map(seen).collect()
}

/// What stands after the last slash of a path, without its query.
fn last_segment(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
