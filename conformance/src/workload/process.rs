//! One client: sends an operation, waits for the answer, and writes both down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};

use super::answers::understand;
use super::wire::{media_type, on_the_wire};
use super::{Board, UnderWay};
use crate::environment::World;
use crate::history::{Answer, Handle, Operation, Recorder};
use crate::target::{Client, Endpoint, Session};

const CLIENT_ID: HeaderName = HeaderName::from_static("client-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");

/// What names of queues begin with where all tokens are for one project: what would set tenants and runs apart.
pub(crate) fn names_behind_a_login(realm: &str, project: &str) -> String {
    format!("{realm}{project}-")
}

/// Why an operation did not happen for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It certainly did not: the service refused it with that status, of the client's errors.
    Refused(u16),
    /// There is no answer: it was not sent, or nobody knows.
    Silent(String),
    /// Nobody knows: an error of the server, or an answer that nobody understands.
    Unclear(String),
}

/// One client of the target, with one operation under way at a time.
pub struct Process {
    world: World,
    client: Client,
    handle: Handle,
    number: u64,
    tenant: String,
    realm: String,
    project: HeaderValue,
    client_id: HeaderValue,
    /// What names of queues begin with on the wire.
    names: String,
    board: Arc<Board>,
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
            number,
            tenant: String::new(),
            realm: String::new(),
            project: HeaderValue::from_static("nanshe"),
            client_id,
            names: String::new(),
            board: Arc::default(),
        }
    }

    /// The same client, by the tokens of `session`. They are all for one project, whatever a header says: what
    /// sets tenants and runs apart is in the names of queues then, and the history has them without it.
    #[must_use]
    pub fn logged_in(self, session: Option<Arc<Session>>) -> Self {
        let client = self.client.logged_in(session);
        Self { client, ..self }.named()
    }

    /// Puts together what the server is told of tenant and realm.
    fn named(mut self) -> Self {
        if self.client.is_logged_in() {
            self.names = names_behind_a_login(&self.realm, &self.tenant);
        } else {
            let name = format!("{}{}", self.realm, self.tenant);
            let header = HeaderValue::from_str(&name);
            self.project = header.expect("a project's name fits in a header");
        }
        self
    }

    /// The same client, as the tenant `project`.
    ///
    /// # Panics
    ///
    /// If no header can hold that name.
    #[must_use]
    pub fn in_project(self, project: &str) -> Self {
        Self {
            handle: self.handle.in_project(project),
            tenant: project.to_owned(),
            ..self
        }
        .named()
    }

    /// The same client, of a run whose tenants are all named after `realm`: a server that outlives runs
    /// must not show one what another left. The history has the names without it.
    ///
    /// # Panics
    ///
    /// If no header can hold that name.
    #[must_use]
    pub fn in_realm(self, realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            ..self
        }
        .named()
    }

    /// The same client, which shows on `board` what it does.
    #[must_use]
    pub fn on_board(self, board: Arc<Board>) -> Self {
        Self { board, ..self }
    }

    /// Its number in the history.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The world that the process lives in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Sends `operation`. The answer, if it happened for certain.
    pub async fn perform(&self, operation: Operation) -> Option<Answer> {
        self.ask(operation).await.ok()
    }

    /// Sends `operation`. The answer, if it happened for certain.
    ///
    /// # Errors
    ///
    /// [`NotDone`]: refused, or nobody knows.
    pub async fn ask(&self, operation: Operation) -> Result<Answer, NotDone> {
        let mut request = self.request(&operation);
        // A token may take its time, which is none of the target's: nothing has begun until there is one.
        let prepared = self.client.prepare(&mut request).await;
        let under_way = UnderWay {
            project: self.tenant.clone(),
            names: self.names.clone(),
            operation: operation.clone(),
        };
        let entry = self.board.begin(self.number, under_way);
        self.handle.invoke(&self.world, operation.clone());
        let outcome = match prepared {
            Ok(()) => self.client.send(request).await,
            Err(not_sent) => Err(not_sent),
        };
        if outcome.is_ok() {
            entry.answered();
        } else {
            drop(entry);
        }
        let answer = match outcome {
            Ok(answer) => answer,
            Err(not_answered) => {
                let why = not_answered.to_string();
                self.handle.not_answered(&self.world, not_answered);
                return Err(NotDone::Silent(why));
            }
        };
        let unclear = |why: String| {
            self.handle.unclear(&self.world, why.clone());
            Err(NotDone::Unclear(why))
        };
        let status = answer.status.as_u16();
        if answer.status.is_server_error() {
            return unclear(format!("status {status}"));
        }
        if let Some(understood) =
            understand(&operation, answer.status, &answer.headers, &answer.body)
        {
            self.handle.ok(&self.world, understood.clone());
            return Ok(understood);
        }
        if answer.status.is_client_error() {
            self.handle.refused(&self.world, status);
            return Err(NotDone::Refused(status));
        }
        unclear(format!("status {status} with an answer nobody understands"))
    }

    fn request(&self, operation: &Operation) -> Request<Bytes> {
        let (method, path, body) = on_the_wire(operation, &self.names);
        let mut request = Request::new(body.map_or_else(Bytes::new, Into::into));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("identifiers are encoded");
        let headers = request.headers_mut();
        headers.insert(CLIENT_ID, self.client_id.clone());
        headers.insert(PROJECT_ID, self.project.clone());
        headers.insert(header::CONTENT_TYPE, media_type(operation));
        request
    }
}
