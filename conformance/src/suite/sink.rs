//! The suite's own subscriber: an HTTP server that answers as a case scripts it, and remembers what came.
//!
//! There is one for a run; each case has paths of its own below it, so that cases stay independent. Owns
//! connections and what arrived on them; what should have arrived is for the cases to say.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::environment::{Address, Instant, Stream, World};

/// Largest body of a request that is kept, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Most requests that are kept for one path. A sender gone wild must not fill the memory.
const RECEIVED_MAX: usize = 10_000;

/// Pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The suite's subscriber.
pub struct Sink {
    told: Address,
    paths: Mutex<BTreeMap<String, Place>>,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// With this status.
    Status(u16),
    /// The connection is closed once the whole request was read.
    Drop,
    /// The connection is closed when the head of the request was read.
    DropUnread,
    /// With something that is not HTTP.
    Garbage,
}

/// What a path does.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The answers to the first requests.
    pub(super) first: Vec<Answer>,
    /// The answer to all others.
    pub(super) then: Answer,
    /// How long it takes to answer.
    pub(super) delay: Duration,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// When its head was there.
    pub(super) at: Instant,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    /// Empty if it was not read.
    pub(super) body: Bytes,
}

struct Place {
    script: Script,
    answered: usize,
    received: Vec<Received>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            then: Answer::Status(200),
            delay: Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

impl Sink {
    /// As [`Sink::open`], where subscribers at `told` will find it: on loopback if that is there, or if
    /// nothing is told; else on all interfaces.
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
    pub async fn open_for(world: &World, told: Option<Address>) -> io::Result<Arc<Self>> {
        let is_loopback = |address: &Address| {
            let ip = address.host.parse::<std::net::IpAddr>();
            ip.is_ok_and(|ip| ip.is_loopback())
        };
        let bind = match &told {
            Some(told) if is_loopback(told) => told.clone(),
            Some(told) => Address {
                host: "0.0.0.0".to_owned(),
                port: told.port,
            },
            None => Address {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
        };
        Self::open(world, &bind, told).await
    }

    /// Listens at `bind` for the rest of the run. Subscribers are told `told`, whose port 0 stands for the
    /// one that is listened on, or where it listens.
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
    pub async fn open(
        world: &World,
        bind: &Address,
        told: Option<Address>,
    ) -> io::Result<Arc<Self>> {
        let listener = world.listen(bind).await?;
        let bound = listener.address();
        let told = told.map_or(bound.clone(), |told| match told.port {
            0 => Address {
                port: bound.port,
                ..told
            },
            _ => told,
        });
        let paths = Mutex::default();
        let sink = Arc::new(Self { told, paths });
        let (serving, world_within) = (Arc::clone(&sink), Arc::clone(world));
        world.spawn(Box::pin(async move {
            loop {
                match listener.accept().await {
                    Ok(stream) => {
                        let connection = Arc::clone(&serving).serve(stream, &world_within);
                        world_within.spawn(Box::pin(connection));
                    }
                    Err(_) => world_within.sleep(ACCEPT_RETRY).await,
                }
            }
        }));
        Ok(sink)
    }

    /// The URI of `path`, which begins with a slash.
    pub(super) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.told)
    }

    /// From now on `path` does this; what came there is kept.
    pub(super) fn script(&self, path: &str, script: Script) {
        let mut paths = self.lock();
        match paths.get_mut(path) {
            Some(place) => (place.script, place.answered) = (script, 0),
            None => {
                let (answered, received) = (0, Vec::new());
                let place = Place {
                    script,
                    answered,
                    received,
                };
                paths.insert(path.to_owned(), place);
            }
        }
    }

    /// What came to `path`, in order of arrival.
    pub(super) fn received(&self, path: &str) -> Vec<Received> {
        let paths = self.lock();
        paths
            .get(path)
            .map(|place| place.received.clone())
            .unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.paths.lock().expect("no holder of this lock panics")
    }

    fn serve(
        self: Arc<Self>,
        stream: Box<dyn Stream>,
        world: &World,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (sink, world) = (self, Arc::clone(world));
        let garbled = Arc::new(AtomicBool::new(false));
        let stream = Garbling {
            stream,
            garbled: Arc::clone(&garbled),
        };
        let service = service_fn(move |request| {
            let (sink, world) = (Arc::clone(&sink), Arc::clone(&world));
            let garbled = Arc::clone(&garbled);
            async move { sink.answer(request, (&world, &garbled)).await }
        });
        async move {
            // One request a connection: what is dropped then concerns no other request.
            let connection = http1::Builder::new()
                .keep_alive(false)
                .serve_connection(stream, service);
            // That it breaks is what cases ask for.
            drop(connection.await);
        }
    }

    /// Notes the request and answers it; an error closes the connection.
    async fn answer(
        &self,
        request: Request<Incoming>,
        (world, garbled): (&World, &AtomicBool),
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let at = world.now();
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let step = self.next_step(&path);
        let unread = step.is_some_and(|(answer, _)| answer == Answer::DropUnread);
        let body = if unread {
            Bytes::new()
        } else {
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
            body.map_err(io::Error::other)?.to_bytes()
        };
        let target = parts.uri.path_and_query().map(ToString::to_string);
        self.note(
            &path,
            Received {
                at,
                method: parts.method,
                target: target.unwrap_or_default(),
                headers: parts.headers,
                body,
            },
        );
        let Some((answer, delay)) = step else {
            return Ok(status(StatusCode::NOT_FOUND));
        };
        if delay > Duration::ZERO {
            world.sleep(delay).await;
        }
        match answer {
            Answer::Status(code) => Ok(status(
                StatusCode::from_u16(code).map_err(io::Error::other)?,
            )),
            Answer::Drop | Answer::DropUnread => Err(io::ErrorKind::ConnectionAborted.into()),
            Answer::Garbage => {
                garbled.store(true, Ordering::Relaxed);
                Ok(status(StatusCode::OK))
            }
        }
    }

    /// How the next request to `path` is answered, and after what time; `None` if no case knows it.
    fn next_step(&self, path: &str) -> Option<(Answer, Duration)> {
        let mut paths = self.lock();
        let place = paths.get_mut(path)?;
        let script = &place.script;
        let answer = script.first.get(place.answered).copied();
        let step = (answer.unwrap_or(script.then), script.delay);
        place.answered += 1;
        Some(step)
    }

    fn note(&self, path: &str, received: Received) {
        if let Some(place) = self.lock().get_mut(path)
            && place.received.len() < RECEIVED_MAX
        {
            place.received.push(received);
        }
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// A stream that can be made to say nonsense.
struct Garbling {
    stream: Box<dyn Stream>,
    garbled: Arc<AtomicBool>,
}

impl hyper::rt::Read for Garbling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Garbling {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.garbled.load(Ordering::Relaxed) {
            let nonsense = vec![b'#'; bytes.len()];
            return Pin::new(&mut *self.stream).poll_write(context, &nonsense);
        }
        Pin::new(&mut *self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
