//! One simulated TCP connection: two ends, a pipe in each direction.
//!
//! Bytes arrive in order, each after the latency of its link. A held link keeps back everything, the
//! end of the stream included. A fault may strike where a new request or a new answer begins.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use nanshe_conformance::environment::Instant;

use super::network::{Network, NodeId, Strike};
use super::time::{self, Timer};

/// Bytes on their way in one direction before the writer has to wait.
const IN_FLIGHT_BYTES_MAX: usize = 256 * 1024;

/// The two sides of a connection, as indexes.
const CLIENT: usize = 0;
const SERVER: usize = 1;

/// What both ends share.
pub(super) struct Connection {
    /// `pipes[side]` carries what `side` writes.
    pipes: [Pipe; 2],
    /// The side that wrote last: a change means that a request or an answer begins.
    turn: usize,
}

/// One direction.
struct Pipe {
    from: NodeId,
    to: NodeId,
    segments: VecDeque<(Instant, Bytes)>,
    in_flight: usize,
    last_arrives_at: Instant,
    /// When what was written before is on the link, and the next can follow.
    sent_at: Instant,
    held: bool,
    /// The stream ends, in the way given, when everything before has arrived.
    end: Option<(Instant, End)>,
    /// The other end reads no more: it says so at this instant.
    deaf_from: Option<Instant>,
    /// What is written is accepted and goes nowhere.
    swallows: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    timer: Timer,
    writer_timer: Timer,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

impl Pipe {
    fn new(network: &Network, from: NodeId, to: NodeId) -> Self {
        Self {
            from,
            to,
            segments: VecDeque::new(),
            in_flight: 0,
            last_arrives_at: Instant::START,
            sent_at: Instant::START,
            held: network.is_held(from, to),
            end: None,
            deaf_from: None,
            swallows: false,
            reader: None,
            writer: None,
            timer: Timer::new(),
            writer_timer: Timer::new(),
        }
    }

    /// When what is sent now arrives: never before what was sent earlier.
    fn arrival(&mut self, network: &Network, bytes: usize) -> Instant {
        self.sent_at = self
            .sent_at
            .max(self.timer.now())
            .plus(network.transmission(bytes));
        let arrives_at = self.sent_at.plus(network.latency(self.from, self.to));
        self.last_arrives_at = self.last_arrives_at.max(arrives_at);
        self.last_arrives_at
    }

    fn send(&mut self, network: &Network, bytes: &[u8]) {
        if self.swallows {
            return;
        }
        let arrives_at = self.arrival(network, bytes.len());
        self.in_flight += bytes.len();
        self.segments
            .push_back((arrives_at, Bytes::copy_from_slice(bytes)));
        self.alarm();
    }

    fn finish(&mut self, network: &Network, end: End) {
        if self.end.is_none() && !self.swallows {
            let arrives_at = self.arrival(network, 0);
            self.end = Some((arrives_at, end));
            self.alarm();
        }
    }

    /// When the next thing arrives for the reader.
    fn next_at(&self) -> Option<Instant> {
        let segment = self.segments.front().map(|(arrives_at, _)| *arrives_at);
        segment.or(self.end.map(|(arrives_at, _)| arrives_at))
    }

    /// Sees to it that the reader, if one waits, is woken when the next thing arrives.
    fn alarm(&mut self) {
        if self.held {
            return;
        }
        if let (Some(at), Some(reader)) = (self.next_at(), &self.reader)
            && self.timer.poll(at, reader).is_ready()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    fn hold(&mut self) {
        self.held = true;
    }

    fn heal(&mut self, network: &Network) {
        self.held = false;
        // What was on its way sets out again.
        let arrives_at = time::now().plus(network.latency(self.from, self.to));
        for (at, _) in &mut self.segments {
            *at = arrives_at.max(*at);
        }
        if let Some((at, _)) = &mut self.end {
            *at = arrives_at.max(*at);
        }
        self.last_arrives_at = self.last_arrives_at.max(arrives_at);
        self.alarm();
    }
}

impl Connection {
    pub(super) fn open(network: &Network, client: NodeId, server: NodeId) -> (Stream, Stream) {
        let connection = Arc::new(Mutex::new(Self {
            pipes: [
                Pipe::new(network, client, server),
                Pipe::new(network, server, client),
            ],
            turn: SERVER,
        }));
        network.track(&connection);
        let end = |side| Stream {
            connection: Arc::clone(&connection),
            network: network.clone(),
            side,
        };
        (end(CLIENT), end(SERVER))
    }

    pub(super) fn hold(&mut self, from: NodeId, to: NodeId) {
        let pipes = self.pipes.iter_mut();
        pipes
            .filter(|pipe| (pipe.from, pipe.to) == (from, to))
            .for_each(Pipe::hold);
    }

    pub(super) fn heal(&mut self, network: &Network, from: NodeId, to: NodeId) {
        for side in [CLIENT, SERVER] {
            if (self.pipes[side].from, self.pipes[side].to) == (from, to) {
                self.pipes[side].heal(network);
                // The news that `side` is gone travels this way too.
                let writer = self.pipes[1 - side].writer.take();
                writer.into_iter().for_each(Waker::wake);
            }
        }
    }

    pub(super) fn touches(&self, node: NodeId) -> bool {
        let [pipe, _] = &self.pipes;
        pipe.from == node || pipe.to == node
    }

    pub(super) fn reset(&mut self, network: &Network) {
        for pipe in &mut self.pipes {
            pipe.finish(network, End::Reset);
            // Whoever waits for room learns it at once.
            pipe.writer.take().into_iter().for_each(Waker::wake);
        }
    }

    /// What is on its way goes nowhere, and so does what is written from now on.
    pub(super) fn swallow(&mut self) {
        for pipe in &mut self.pipes {
            pipe.swallows = true;
            pipe.segments.clear();
            pipe.in_flight = 0;
            pipe.end = None;
            pipe.writer.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether `side` knows that the other end reads no more; if not, `waker` is woken when it may.
    fn is_deaf(&mut self, side: usize, waker: &Waker) -> bool {
        let Some(deaf_from) = self.pipes[side].deaf_from else {
            return false;
        };
        // That news comes the way of the other end's bytes, and is held back or lost like them.
        let back = &self.pipes[1 - side];
        if back.held || back.swallows {
            return false;
        }
        self.pipes[side]
            .writer_timer
            .poll(deaf_from, waker)
            .is_ready()
    }
}

/// One end of a connection.
pub struct Stream {
    connection: Arc<Mutex<Connection>>,
    network: Network,
    side: usize,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .expect("no holder of this lock panics")
    }

    /// What the network does to the request or answer that begins now, if one begins.
    fn strike(&self, connection: &mut Connection) -> Strike {
        if connection.turn == self.side {
            return Strike::None;
        }
        connection.turn = self.side;
        if self.side == CLIENT {
            self.network.strike_request()
        } else {
            self.network.strike_answer()
        }
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut connection = self.lock();
        if connection.pipes[self.side].end.is_some()
            || connection.is_deaf(self.side, context.waker())
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let pipe = &mut connection.pipes[self.side];
        if pipe.in_flight >= IN_FLIGHT_BYTES_MAX {
            pipe.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        match self.strike(&mut connection) {
            Strike::None => {}
            Strike::Reset if self.side == CLIENT => {
                // Before a byte of the request was accepted.
                for pipe in &mut connection.pipes {
                    pipe.finish(&self.network, End::Reset);
                }
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Strike::Reset => {
                // The server believes that its answer left; the client reads a reset in its place.
                connection.pipes[SERVER].finish(&self.network, End::Reset);
                connection.pipes[SERVER].swallows = true;
                connection.pipes[CLIENT].finish(&self.network, End::Reset);
                return Poll::Ready(Ok(bytes.len()));
            }
            // From now on nothing of this side arrives, its end included.
            Strike::Swallow => connection.pipes[self.side].swallows = true,
        }
        connection.pipes[self.side].send(&self.network, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().pipes[self.side].finish(&self.network, End::Closed);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut connection = self.lock();
        let pipe = &mut connection.pipes[1 - self.side];
        let arrived = pipe.next_at().is_some_and(|at| at <= pipe.timer.now());
        if pipe.held || !arrived {
            if !pipe
                .reader
                .as_ref()
                .is_some_and(|reader| reader.will_wake(context.waker()))
            {
                pipe.reader = Some(context.waker().clone());
            }
            pipe.alarm();
            return Poll::Pending;
        }
        pipe.reader = None;
        let Some((_, segment)) = pipe.segments.front_mut() else {
            return match pipe.end {
                Some((_, End::Reset)) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Some((_, End::Closed)) | None => Poll::Ready(Ok(())),
            };
        };
        let count = segment.len().min(buffer.remaining());
        buffer.put_slice(&segment[..count]);
        segment.advance(count);
        if segment.is_empty() {
            pipe.segments.pop_front();
        }
        pipe.in_flight -= count;
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut connection = self.lock();
        connection.pipes[self.side].finish(&self.network, End::Closed);
        let network = &self.network;
        let incoming = &mut connection.pipes[1 - self.side];
        let latency = network.latency(incoming.from, incoming.to);
        incoming.deaf_from = Some(time::now().plus(latency));
        if let Some(writer) = incoming.writer.take() {
            writer.wake();
        }
    }
}
