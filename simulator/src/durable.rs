//! A broker that survives: the reference behind a write-ahead log on its node's disk.
//!
//! Every request is written to the log, with the instant at which it happens, and synced if it may change something;
//! then it is carried out and answered. The reference is deterministic, so the log, carried out again
//! after a death, gives the same state. A record has its length and a checksum: what a crash tore is found,
//! and cut off before anything is written behind it.
//!
//! [`Log`] and [`Durable`] are what the `specimens` that have a disk are made of: each writes, or reads back,
//! in its own way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use nanshe_conformance::environment::BoxFuture;
use nanshe_reference::broker::{Limits, Timestamp};
use nanshe_reference::service::{Clock, Service};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, oneshot};
use tower_service::Service as _;

use crate::implementation::{
    Answer, Answering, Implementation, Inbound, NodeContext, Takes, empty, recovering,
};
use crate::world::{Disk, sleep};

/// The log's name on the disk.
const FILE: &str = "log";

/// How long to wait before a disk that cannot be read is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Headers of a request that its outcome depends on.
const HEADERS: [&str; 4] = ["x-project-id", "client-id", "content-type", "accept"];

/// The implementation, as `nanshe list implementations` shows it.
pub(crate) const IMPLEMENTATION: Implementation = Implementation {
    name: "durable",
    about: "the reference behind a write-ahead log on a simulated disk: it survives kills and crashes",
    caught_by: None,
    takes: Takes::ONE_ON_DISK,
    variants: &[],
    start: |context| start(&context, WriteAhead),
};

/// A request as the log keeps it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// When it happens: nanoseconds since the Unix epoch, by the node's clock.
    pub(crate) at: u64,
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// How a log is written, and read back. As it stands it is right.
pub(crate) trait Log: Clone + Send + Sync + 'static {
    /// Whether the request has to be in the log. Reads have to: that time has passed shows to them, and what they
    /// tidy up on the way decides which ids come next.
    fn keeps(&self, _: &Entry) -> bool {
        true
    }

    /// Writes an entry down, so that no crash takes it away if it changes something; what follows a read that a
    /// crash took away is gone too.
    fn write(&self, disk: Disk, entry: Entry) -> BoxFuture<std::io::Result<()>> {
        Box::pin(async move {
            disk.append(FILE, &record(&entry)).await?;
            if entry.method != "GET" {
                disk.sync(FILE).await?;
            }
            Ok(())
        })
    }

    /// What a log tells, and how many of its bytes that are: what follows is torn.
    fn read(&self, bytes: &[u8]) -> (Vec<Entry>, usize) {
        let (mut entries, mut place) = (Vec::new(), 0);
        while let Some((entry, length)) = next_record(&bytes[place..]) {
            entries.push(entry);
            place += length;
        }
        (entries, place)
    }

    /// Whether a log that cannot be read is asked for again, until it can.
    fn patience(&self) -> bool {
        true
    }

    /// Whether what is torn is cut off before anything is written behind it.
    fn cuts(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy)]
struct WriteAhead;

impl Log for WriteAhead {}

/// Its length, its checksum, and the entry.
pub(crate) fn record(entry: &Entry) -> Vec<u8> {
    let entry = serde_json::to_vec(entry).expect("invariant: an entry can be written");
    let length = u32::try_from(entry.len()).expect("invariant: requests are bounded");
    let mut record = length.to_le_bytes().to_vec();
    record.extend(checksum(&entry).to_le_bytes());
    record.extend(entry);
    record
}

/// The first record, and its length; `None` if it is not whole.
fn next_record(bytes: &[u8]) -> Option<(Entry, usize)> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let sum = u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?);
    let end = 12_usize.checked_add(usize::try_from(length).ok()?)?;
    let entry = bytes.get(12..end)?;
    (checksum(entry) == sum)
        .then(|| serde_json::from_slice(entry).ok().map(|entry| (entry, end)))?
}

/// FNV-1a: what a crash leaves is not made by an enemy.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The clock that the reference reads: what the log says, or the node's when nothing is carried out.
#[derive(Default)]
struct LogClock(AtomicU64);

impl Clock for LogClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// The broker, and what it stands on.
struct Durable<L> {
    log: L,
    disk: Disk,
    service: Service,
    clock: Arc<LogClock>,
    node: NodeContext,
    /// One at a time: the order in the log is the order in which things happen.
    turn: Mutex<()>,
}

/// Starts a broker whose log is kept by `log`.
pub(crate) fn start<L: Log>(context: &NodeContext, log: L) -> Answering {
    let clock = Arc::new(LogClock::default());
    // Its ids come from a seed that is the same after every death: the log leads to them again.
    let service = Service::new(Limits::default(), 0, Arc::clone(&clock) as _);
    let durable = Arc::new(Durable {
        log,
        disk: context.disk.clone(),
        service,
        clock,
        node: context.clone(),
        turn: Mutex::new(()),
    });
    let recovery: BoxFuture<Answering> = Box::pin(async move {
        durable.recover().await;
        let answering: Answering = Arc::new(move |request| {
            let durable = Arc::clone(&durable);
            Box::pin(async move { durable.answer(request).await })
        });
        answering
    });
    recovering(context, recovery)
}

impl<L: Log> Durable<L> {
    /// Carries out what the log tells.
    async fn recover(&self) {
        let bytes = loop {
            match self.disk.read(FILE).await {
                Ok(bytes) => break bytes,
                // Nothing may be served before all of it is known.
                Err(_) if self.log.patience() => sleep(AGAIN_AFTER).await,
                Err(_) => break Vec::new(),
            }
        };
        let (entries, whole) = self.log.read(&bytes);
        if self.log.cuts() && whole < bytes.len() {
            while self.disk.truncate(FILE, whole).await.is_err() {
                sleep(AGAIN_AFTER).await;
            }
        }
        for entry in entries {
            self.carry_out(entry).await;
        }
    }

    async fn answer(self: &Arc<Self>, request: Request<Inbound>) -> Answer {
        let Some(entry) = entry(request).await else {
            return empty(StatusCode::BAD_REQUEST);
        };
        let (durable, (sender, receiver)) = (Arc::clone(self), oneshot::channel());
        // A task of its own: a client that goes away must not leave the log ahead of the state.
        self.node.environment.spawn(Box::pin(async move {
            let answer = durable.handle(entry).await;
            // Nobody may wait for it any more.
            drop(sender.send(answer));
        }));
        receiver
            .await
            .unwrap_or_else(|_| empty(StatusCode::SERVICE_UNAVAILABLE))
    }

    async fn handle(&self, mut entry: Entry) -> Answer {
        let _turn = self.turn.lock().await;
        // A clock that goes back must not: what is read now was carried out before.
        let now = self.node.clock.now().as_nanos();
        entry.at = now.max(self.clock.now().as_nanos());
        if self.log.keeps(&entry) {
            let writing = self.log.write(self.disk.clone(), entry.clone());
            if writing.await.is_err() {
                return empty(StatusCode::SERVICE_UNAVAILABLE);
            }
        }
        self.carry_out(entry).await
    }

    async fn carry_out(&self, entry: Entry) -> Answer {
        self.clock.0.store(entry.at, Ordering::Relaxed);
        let mut request = Request::new(Full::new(Bytes::from(entry.body)));
        let (method, uri) = (
            Method::from_bytes(entry.method.as_bytes()),
            entry.uri.parse(),
        );
        let (Ok(method), Ok(uri)) = (method, uri) else {
            return empty(StatusCode::BAD_REQUEST);
        };
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        for (name, value) in entry.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
            {
                request.headers_mut().insert(name, value);
            }
        }
        match self.service.clone().call(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

/// The request as an entry that has no instant yet; `None` if it did not arrive whole, or is no text.
async fn entry(request: Request<Inbound>) -> Option<Entry> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let header = |name: &&str| {
        let value = parts.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    Some(Entry {
        at: 0,
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: HEADERS.iter().filter_map(header).collect(),
        body: String::from_utf8(body.to_vec()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: u64) -> Vec<u8> {
        let entry = |at| Entry {
            at,
            method: "POST".to_owned(),
            uri: "/v2/queues/q/messages".to_owned(),
            headers: Vec::new(),
            body: "{}".to_owned(),
        };
        let records = (0..count).map(|at| record(&entry(at)));
        records.collect::<Vec<_>>().concat()
    }

    #[test]
    fn whatever_is_torn_is_found_and_everything_before_is_read() {
        let (whole, two) = (written(3), written(2).len());
        assert_eq!(WriteAhead.read(&whole).0.len(), 3);
        for end in two..whole.len() {
            let (entries, length) = WriteAhead.read(&whole[..end]);
            assert_eq!((entries.len(), length), (2, two), "cut at {end}");
        }
        for place in two..whole.len() {
            let mut torn = whole.clone();
            torn[place] ^= 0x55;
            assert_eq!(WriteAhead.read(&torn).0.len(), 2, "damaged at {place}");
        }
    }
}
