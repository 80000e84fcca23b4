//! WebSocket: connections on a port of their own, and the notifications that go to them.
//!
//! Owns upgrades, the bounds of a connection and its end; must not know what is in a frame. A
//! connection is one task that reads a frame, answers it, and only then reads on: who does not read
//! its answers is not read from either, and is hung up on after a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::{Options, accept, upgrade};
use crate::broker::{Outcome, SocketId};
use crate::service::Service;
use crate::wire::websocket::{Encoding, Frame, frame_bytes_max};

/// Notifications that wait to be written to one socket. Beyond it whoever sends them waits, each
/// for as long as a webhook may take.
const NOTIFICATIONS_WAITING_MAX: usize = 16;
/// Frames of one socket that are answered when the server stops already.
const ANSWERED_AT_STOP_MAX: usize = 64;
/// How long a socket has to say nothing then, for what was on its way to count as arrived.
const LULL_AT_STOP_MS: u64 = 20;
/// How long a close may take, with what the client sent before it knew.
const CLOSE_SECS_MAX: u64 = 2;
/// What is read and thrown away of a client that breaks the protocol, so that it gets to know why
/// it is hung up on.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What is set aside for every connection to read into.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// The sockets that are open.
#[derive(Clone, Default)]
pub(super) struct Sockets(Arc<Mutex<BTreeMap<SocketId, mpsc::Sender<Parcel>>>>);

/// A notification on its way to a socket.
struct Parcel {
    document: String,
    written: oneshot::Sender<()>,
}

impl Sockets {
    /// Brings a notification to a socket: it counts as delivered once the system has taken it for
    /// the connection.
    pub(super) async fn deliver(&self, socket: SocketId, document: String) -> Outcome {
        let Some(waiting) = self.waiting(socket) else {
            // Its subscriptions are about to end as well.
            return Outcome::Refused;
        };
        let (written, done) = oneshot::channel();
        let parcel = Parcel { document, written };
        if waiting.send(parcel).await.is_err() || done.await.is_err() {
            return Outcome::Failed;
        }
        Outcome::Delivered
    }

    fn waiting(&self, socket: SocketId) -> Option<mpsc::Sender<Parcel>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&socket).cloned()
    }

    fn enter(&self, socket: SocketId) -> mpsc::Receiver<Parcel> {
        let (sender, receiver) = mpsc::channel(NOTIFICATIONS_WAITING_MAX);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(socket, sender);
        receiver
    }

    fn leave(&self, socket: SocketId) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&socket);
    }
}

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) options: Options,
    pub(super) sockets: Sockets,
    /// Turns true when the server stops.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Done when the server stops.
    async fn stopped(&mut self) {
        // If nobody can tell any more, there is no server.
        drop(self.stopping.wait_for(|&stopping| stopping).await);
    }
}

/// Serves sockets until the server stops. Then those that are open are closed in order.
pub(super) async fn serve_all(listener: TcpListener, shared: Shared) {
    let permits = Arc::new(Semaphore::new(shared.options.sockets_max));
    let mut connections = JoinSet::new();
    let mut stopping = shared.clone();
    let mut stopped = Box::pin(stopping.stopped());
    while let Some((stream, permit)) = accept(&listener, &permits, stopped.as_mut()).await {
        let shared = shared.clone();
        connections.spawn(async move {
            serve(stream, shared).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, mut shared: Shared) {
    let patience = shared.options.header_read;
    let service = shared.service.clone();
    let upgraded = tokio::select! {
        biased;
        () = shared.stopped() => return,
        upgraded = timeout(patience, upgrade::upgrade(stream, service)) => upgraded,
    };
    // Whoever did not want a WebSocket was told so.
    if let Ok(Some(upgraded)) = upgraded {
        let config = configuration(frame_bytes_max(shared.service.limits()));
        let stream = upgraded.into_websocket(config).await;
        Connection::new(stream, shared).run().await;
    }
}

fn configuration(frame_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // Every answer is flushed before the next frame is read, so that one is all that waits.
        .write_buffer_size(0)
        .max_frame_size(Some(frame_bytes_max))
        .max_message_size(Some(frame_bytes_max))
}

/// The name of an open socket. Dropped, however the connection ended, it takes the socket's
/// subscriptions with it.
struct Seat {
    id: SocketId,
    sockets: Sockets,
    service: Service,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sockets.leave(self.id);
        self.service.close_socket(self.id);
    }
}

struct Connection {
    stream: WebSocketStream<TcpStream>,
    shared: Shared,
    seat: Seat,
    parcels: mpsc::Receiver<Parcel>,
    /// How notifications are written.
    encoding: Encoding,
    /// When the client is asked whether it is there, or given up because it did not say so.
    quiet_until: Instant,
    asked: bool,
}

/// What happens next to a connection.
enum Event {
    Stop,
    Parcel(Parcel),
    /// `None`: the connection has ended.
    Message(Option<Result<Message, Error>>),
    Quiet,
}

/// How a connection goes on.
enum Next {
    Go,
    /// Close it, and say why.
    Close(CloseCode),
    /// Close it, though the client may be in the middle of something that is not read any more.
    Abort(CloseCode),
    /// It has ended.
    Ended,
}

impl Connection {
    fn new(stream: WebSocketStream<TcpStream>, shared: Shared) -> Self {
        let seat = Seat {
            id: shared.service.open_socket(),
            sockets: shared.sockets.clone(),
            service: shared.service.clone(),
        };
        let parcels = seat.sockets.enter(seat.id);
        let quiet_until = Instant::now() + shared.options.socket_quiet;
        Self {
            stream,
            shared,
            seat,
            parcels,
            encoding: Encoding::Json,
            quiet_until,
            asked: false,
        }
    }

    async fn run(mut self) {
        let end = loop {
            let next = match self.event().await {
                Event::Stop => self.stop().await,
                Event::Parcel(parcel) => self.notify(parcel).await,
                Event::Message(message) => self.receive(message).await,
                Event::Quiet => self.ask().await,
            };
            if !matches!(next, Next::Go) {
                break next;
            }
        };
        self.finish(end).await;
    }

    /// Notifications come before frames: there is one under way for each subscription, so they let
    /// frames pass.
    async fn event(&mut self) -> Event {
        tokio::select! {
            biased;
            () = self.shared.stopped() => Event::Stop,
            Some(parcel) = self.parcels.recv() => Event::Parcel(parcel),
            message = self.stream.next() => Event::Message(message),
            () = sleep_until(self.quiet_until) => Event::Quiet,
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, Error>>) -> Next {
        self.quiet_until = Instant::now() + self.shared.options.socket_quiet;
        self.asked = false;
        let frame = match message {
            None => return Next::Ended,
            Some(Err(error)) => return after(&error),
            Some(Ok(Message::Text(text))) => Frame {
                encoding: Encoding::Json,
                bytes: text.into(),
            },
            Some(Ok(Message::Binary(bytes))) => Frame {
                encoding: Encoding::MessagePack,
                bytes,
            },
            // What they call for waits to be written: no more of it is taken on before.
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
            )) => return self.flush().await,
        };
        let (answer, notifications) = self.shared.service.answer_frame(&frame, self.seat.id);
        if let Some(encoding) = notifications {
            self.encoding = encoding;
        }
        self.write(message_of(answer)).await
    }

    async fn notify(&mut self, parcel: Parcel) -> Next {
        if parcel.written.is_closed() {
            // Whoever sent it waited too long, and will send it again.
            return Next::Go;
        }
        let frame = Frame::new(self.encoding, parcel.document);
        let next = self.write(message_of(frame)).await;
        if matches!(next, Next::Go) {
            // Whether anybody still waits for that does not matter: then it comes twice.
            let _heard = parcel.written.send(());
        }
        next
    }

    async fn ask(&mut self) -> Next {
        if self.asked {
            return Next::Close(CloseCode::Policy);
        }
        self.asked = true;
        self.quiet_until = Instant::now() + self.shared.options.socket_quiet;
        self.write(Message::Ping(Bytes::new())).await
    }

    /// Answers what was under way.
    async fn stop(&mut self) -> Next {
        for _ in 0..ANSWERED_AT_STOP_MAX {
            let lull = Duration::from_millis(LULL_AT_STOP_MS);
            let Ok(message) = timeout(lull, self.stream.next()).await else {
                break;
            };
            let next = self.receive(message).await;
            if !matches!(next, Next::Go) {
                return next;
            }
        }
        Next::Close(CloseCode::Away)
    }

    async fn write(&mut self, message: Message) -> Next {
        let sent = timeout(self.shared.options.socket_write, self.stream.send(message)).await;
        match sent {
            Ok(Ok(())) => Next::Go,
            // Whether it does not read or is gone, there is no way to tell it anything.
            Ok(Err(_)) | Err(_) => Next::Ended,
        }
    }

    async fn flush(&mut self) -> Next {
        let flushed = timeout(self.shared.options.socket_write, self.stream.flush()).await;
        match flushed {
            // After a close the stream says by itself that it has ended.
            Ok(Ok(()) | Err(Error::ConnectionClosed)) => Next::Go,
            Ok(Err(_)) | Err(_) => Next::Ended,
        }
    }

    async fn finish(self, end: Next) {
        let Self {
            mut stream, seat, ..
        } = self;
        // Nothing is sent to it any more, however long the goodbye takes.
        drop(seat);
        let (code, aborts) = match end {
            Next::Close(code) => (code, false),
            Next::Abort(code) => (code, true),
            Next::Go | Next::Ended => return,
        };
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::default(),
        };
        let closed = async {
            if stream.close(Some(frame)).await.is_err() {
                return;
            }
            if aborts {
                discard(stream.get_ref()).await;
            } else {
                // What was on its way is not answered; the client's close comes last.
                while let Some(Ok(_)) = stream.next().await {}
            }
        };
        // A client that takes longer is hung up on all the same.
        drop(timeout(Duration::from_secs(CLOSE_SECS_MAX), closed).await);
    }
}

/// How to go on after an error in reading.
fn after(error: &Error) -> Next {
    match error {
        Error::Capacity(_) => Next::Abort(CloseCode::Size),
        Error::Utf8(_) => Next::Abort(CloseCode::Invalid),
        Error::Protocol(_) => Next::Abort(CloseCode::Protocol),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Next::Ended,
    }
}

fn message_of(frame: Frame) -> Message {
    match frame.encoding {
        Encoding::Json => {
            let text = Utf8Bytes::try_from(frame.bytes);
            Message::Text(text.expect("invariant: JSON is UTF-8"))
        }
        Encoding::MessagePack => Message::Binary(frame.bytes),
    }
}

/// Reads and throws away, until the client hangs up or has sent too much. To close a connection
/// with something unread would take back what was written last.
async fn discard(stream: &TcpStream) {
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut left = DISCARDED_BYTES_MAX;
    while left > 0 && stream.readable().await.is_ok() {
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(bytes) => left = left.saturating_sub(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
