//! A small pool of HTTP/1.1 connections that knows whether a request left.
//!
//! Every stream counts the bytes that it accepted. When a request fails and its connection accepted
//! nothing of it, it was *not sent*; anything else, time-outs included, is *no answer*.
//! hyper-util's pooled client cannot tell the two apart, and retries on its own.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use tokio::sync::Semaphore;

use super::description::Description;
use super::keystone::Session;
use super::tls::{Authorities, Connector};
use crate::environment::{Address, Instant, Stream, World, within};

/// Largest body of an answer that is read, in bytes. More is *no answer*.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest number of idle connections that a client keeps.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// What carries Keystone's token.
const TOKEN: &str = "x-auth-token";

/// Where a target's API begins: `http://HOST:PORT`, or `https`, and a path in front of `/v2`, mostly
/// empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port.
    pub address: Address,
    /// What stands before `/v2`, without a slash at its end.
    pub prefix: String,
    /// Who vouches for it, beside the well-known authorities, if it is `https`.
    pub tls: Option<Authorities>,
}

/// A URL that cannot be a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not a target URL: {why}, expected {scheme}[s]://HOST[:PORT][/PREFIX]")]
pub struct EndpointError {
    url: String,
    why: String,
    scheme: &'static str,
}

impl Endpoint {
    /// Parses `http://HOST[:PORT][/PREFIX]`, or the same with `https`.
    ///
    /// # Errors
    ///
    /// If it is not such a URL.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        Self::parse_as(url, "http", "https")
    }

    /// Parses `ws://HOST[:PORT][/PATH]`, or the same with `wss`.
    ///
    /// # Errors
    ///
    /// If it is not such a URL.
    pub fn parse_websocket(url: &str) -> Result<Self, EndpointError> {
        Self::parse_as(url, "ws", "wss")
    }

    fn parse_as(
        url: &str,
        scheme: &'static str,
        secured: &'static str,
    ) -> Result<Self, EndpointError> {
        let refuse = |why: &str| EndpointError {
            url: url.to_owned(),
            why: why.to_owned(),
            scheme,
        };
        let uri: http::Uri = url
            .trim()
            .parse()
            .map_err(|_| refuse("it does not parse"))?;
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(refuse("it names a user, whom reports would show"));
        }
        let (tls, default_port) = match uri.scheme_str() {
            Some(found) if found == scheme => (None, 80),
            Some(found) if found == secured => (Some(Authorities::default()), 443),
            Some(_) | None => {
                return Err(refuse(&format!("its scheme is not {scheme} or {secured}")));
            }
        };
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or(refuse("it has no host"))?;
        if uri.query().is_some() {
            return Err(refuse("it has a query"));
        }
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        // A port that is no number from 0 to 65535 is not a port to the URI parser, but part of nothing.
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let names_port = authority
            .rsplit(']')
            .next()
            .is_some_and(|end| end.contains(':'));
        let port = match uri.port_u16() {
            Some(port @ 1..) => port,
            None if !names_port => default_port,
            Some(0) | None => return Err(refuse("its port is not 1 to 65535")),
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            address: Address { host, port },
            prefix,
            tls,
        })
    }

    /// The same, if it is `https` with these authorities trusted as well.
    #[must_use]
    pub fn trusting(mut self, authorities: &Authorities) -> Self {
        self.tls = self.tls.map(|tls| tls.and(authorities));
        self
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.address, self.prefix)
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// Definite: no byte of the request left, so it certainly did not happen.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Indefinite: nobody knows whether it happened, or will.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// What became of a request.
pub type Outcome = Result<Answer, NotAnswered>;

/// Sends requests to one endpoint. It never retries a request of which a byte was sent.
pub struct Client {
    world: World,
    endpoint: Endpoint,
    /// What requests say in their `Host`; `None` if no header can.
    host: Option<HeaderValue>,
    connector: Option<Connector>,
    patience: Duration,
    in_flight: Semaphore,
    session: Option<Arc<Session>>,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    outgoing: Arc<Mutex<Outgoing>>,
}

/// What a stream accepted for sending.
#[derive(Default)]
struct Outgoing {
    bytes: u64,
    /// Whether it accepts no more. *Not sent* is only true if nothing can follow: hyper may still hold
    /// a request that the stream was not ready for.
    sealed: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that waits `patience` for a connection and as long again for an answer, and has at most
    /// `in_flight_max` requests under way.
    pub fn new(world: World, endpoint: Endpoint, patience: Duration, in_flight_max: usize) -> Self {
        let in_flight = Semaphore::new(in_flight_max);
        let connector = endpoint.tls.as_ref().map(|authorities| {
            Connector::new(authorities)
                .expect("invariant: authorities are checked when they are read")
        });
        Self {
            world,
            host: endpoint.address.to_string().parse().ok(),
            endpoint,
            connector,
            patience,
            in_flight,
            session: None,
            idle: Mutex::default(),
        }
    }

    /// A client of `target`, which is at `endpoint`.
    pub fn of(
        world: World,
        target: &Description,
        endpoint: Endpoint,
        in_flight_max: usize,
    ) -> Self {
        let client = Self::new(world, endpoint, target.patience, in_flight_max);
        client.logged_in(target.session.clone())
    }

    /// The same, by the tokens of `session`.
    #[must_use]
    pub fn logged_in(self, session: Option<Arc<Session>>) -> Self {
        Self { session, ..self }
    }

    /// Whether it sends a token with what it asks.
    pub fn is_logged_in(&self) -> bool {
        self.session.is_some()
    }

    /// How long it waits for a connection, and for an answer.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The endpoint it sends to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `request`, whose URI is a path below the endpoint's prefix, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// [`NotAnswered`]: not sent, or no answer.
    pub async fn send(&self, request: Request<Bytes>) -> Outcome {
        self.send_until(Instant::NEVER, request).await
    }

    /// As [`Self::send`], if it can be begun by `until`: later it is not sent. It may wait for a connection as long as
    /// ever: twice, if one that was kept takes nothing.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send_until(&self, until: Instant, mut request: Request<Bytes>) -> Outcome {
        self.prepare(&mut request).await?;
        self.send_as_it_is(until, request).await
    }

    /// Puts a token on `request`, if there is a login and none is there: with one, it can be sent at once.
    ///
    /// # Errors
    ///
    /// [`NotAnswered::NotSent`], if no header can hold the token.
    pub async fn prepare(&self, request: &mut Request<Bytes>) -> Result<(), NotAnswered> {
        if let Some(session) = &self.session
            && !request.headers().contains_key(TOKEN)
        {
            let token = HeaderValue::try_from(session.token().await)
                .map_err(|_| NotAnswered::NotSent("the token is no header value".to_owned()))?;
            request.headers_mut().insert(TOKEN, token);
        }
        Ok(())
    }

    /// As [`Self::send_until`], but without a token: this is how one is got.
    pub(super) async fn send_as_it_is(&self, until: Instant, request: Request<Bytes>) -> Outcome {
        let turn = self.in_flight.acquire().await;
        let _turn = turn.expect("the semaphore is never closed");
        if until < self.world.now() {
            return Err(NotAnswered::NotSent("it is too late".to_owned()));
        }
        let (parts, body) = request.into_parts();
        let uri = if self.endpoint.prefix.is_empty() {
            parts.uri
        } else {
            let path = format!("{}{}", self.endpoint.prefix, parts.uri);
            let uri = path.parse();
            uri.map_err(|error| NotAnswered::NotSent(format!("`{path}`: {error}")))?
        };
        let make = || {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = parts.method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = parts.headers.clone();
            if !request.headers().contains_key(header::HOST) {
                let host = self.host.clone();
                request.headers_mut().insert(
                    header::HOST,
                    host.expect("an address that connected is a valid header value"),
                );
            }
            request
        };
        // A kept connection may have been closed by the other side meanwhile. If it accepted nothing,
        // the request certainly did not happen, so trying once more on a new one repeats nothing.
        if let Some(connection) = self.take_idle() {
            match self.exchange(connection, make()).await {
                Err(NotAnswered::NotSent(_)) => {}
                outcome => return outcome,
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection, make()).await
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().expect("no holder of this lock panics");
        while let Some(connection) = idle.pop() {
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Connection, NotAnswered> {
        let not_sent = |why: String| NotAnswered::NotSent(why);
        let connect = async {
            let address = &self.endpoint.address;
            let stream = self.world.connect(address).await;
            let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
            self.secure(stream).await
        };
        let stream = within(&*self.world, self.patience, connect)
            .await
            .ok_or_else(|| not_sent(format!("no connection within {:?}", self.patience)))?
            .map_err(not_sent)?;
        let outgoing = Arc::<Mutex<Outgoing>>::default();
        let stream = Counted {
            stream,
            outgoing: Arc::clone(&outgoing),
        };
        let (sender, connection) = http1::Builder::new()
            .handshake(stream)
            .await
            .map_err(|error| not_sent(describe(&error)))?;
        self.world.spawn(Box::pin(async move {
            // Errors reach the one who waits for the answer.
            drop(connection.await);
        }));
        Ok(Connection { sender, outgoing })
    }

    /// `stream` to the endpoint, as it is to be spoken on: behind TLS, if that is wanted.
    pub(crate) async fn secure(&self, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, String> {
        match &self.connector {
            None => Ok(stream),
            Some(connector) => connector
                .secure(&self.endpoint.address.host, stream)
                .await
                .map_err(|error| format!("no TLS: {error}")),
        }
    }

    async fn exchange(&self, mut connection: Connection, request: Request<Full<Bytes>>) -> Outcome {
        let bytes_before = lock(&connection.outgoing).bytes;
        let whole = async {
            let response = connection
                .sender
                .send_request(request)
                .await
                .map_err(|e| describe(&e))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| format!("the answer's body broke off: {error}"))?;
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            })
        };
        let outcome = within(&*self.world, self.patience, whole)
            .await
            .unwrap_or_else(|| Err(format!("nothing within {:?}", self.patience)));
        match outcome {
            Ok(answer) => {
                let mut idle = self.idle.lock().expect("no holder of this lock panics");
                if idle.len() < IDLE_CONNECTIONS_MAX {
                    idle.push(connection);
                }
                Ok(answer)
            }
            Err(why) => {
                let mut outgoing = lock(&connection.outgoing);
                outgoing.sealed = true;
                if outgoing.bytes == bytes_before {
                    Err(NotAnswered::NotSent(why))
                } else {
                    Err(NotAnswered::NoAnswer(why))
                }
            }
        }
    }
}

fn lock(outgoing: &Mutex<Outgoing>) -> MutexGuard<'_, Outgoing> {
    outgoing.lock().expect("no holder of this lock panics")
}

/// An error with its causes, on one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A stream that counts the bytes it accepted for sending, until it is sealed.
struct Counted {
    stream: Box<dyn Stream>,
    outgoing: Arc<Mutex<Outgoing>>,
}

impl hyper::rt::Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, outgoing } = &mut *self;
        // Under the lock, so that nothing leaves once somebody was told that nothing did.
        let mut outgoing = lock(outgoing);
        if outgoing.sealed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut **stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            outgoing.bytes += u64::try_from(count).unwrap_or(u64::MAX);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
