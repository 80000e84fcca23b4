//! WebSockets of the reference, over the simulated network, as its server has them over sockets.
//!
//! The reference answers frames and has no connections; whoever has them brings it the frames, and
//! brings notifications to where they belong. Here they arrive at the port that HTTP is served on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use nanshe_conformance::environment::Environment;
use nanshe_reference::broker::{Outcome, SocketId};
use nanshe_reference::service::Service;
use nanshe_reference::wire::websocket::{Encoding, Frame, frame_bytes_max};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::implementation::{Inbound, empty};

/// The sockets that are open, and what waits to be written to each.
#[derive(Clone, Default)]
pub(crate) struct Sockets(Arc<Mutex<BTreeMap<SocketId, mpsc::UnboundedSender<String>>>>);

impl Sockets {
    /// Brings a notification to a socket. What is written to one that closes in this moment is lost,
    /// and its subscription with it.
    pub(crate) fn deliver(&self, socket: SocketId, document: String) -> Outcome {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&socket).map(|waiting| waiting.send(document)) {
            Some(Ok(())) => Outcome::Delivered,
            Some(Err(_)) | None => Outcome::Refused,
        }
    }

    /// Answers a request for a WebSocket, and serves it beside; `None` if it is none.
    pub(crate) fn upgrade(
        &self,
        request: &mut Request<Inbound>,
        (service, environment): (&Service, &Arc<dyn Environment>),
    ) -> Option<Response<Full<Bytes>>> {
        if !request.headers().contains_key(header::UPGRADE) {
            return None;
        }
        if !service.admits_socket(request.headers()) {
            return Some(empty(StatusCode::FORBIDDEN));
        }
        let Ok(response) = create_response_with_body(request, Full::default) else {
            return Some(empty(StatusCode::BAD_REQUEST));
        };
        let upgrade = hyper::upgrade::on(request);
        let (sockets, service) = (self.clone(), service.clone());
        environment.spawn(Box::pin(serve(upgrade, sockets, service)));
        Some(response)
    }

    fn enter(&self, socket: SocketId) -> mpsc::UnboundedReceiver<String> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(socket, sender);
        receiver
    }

    fn leave(&self, socket: SocketId) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&socket);
    }
}

/// Serves one socket until it closes.
async fn serve(upgrade: OnUpgrade, sockets: Sockets, service: Service) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let bytes_max = frame_bytes_max(service.limits());
    let config = WebSocketConfig::default()
        .max_frame_size(Some(bytes_max))
        .max_message_size(Some(bytes_max));
    let upgraded = TokioIo::new(upgraded);
    let stream = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    let socket = service.open_socket();
    let waiting = sockets.enter(socket);
    converse(stream, waiting, (&service, socket)).await;
    sockets.leave(socket);
    service.close_socket(socket);
}

/// Answers frames one by one, and writes notifications between them.
async fn converse(
    mut stream: WebSocketStream<TokioIo<Upgraded>>,
    mut waiting: mpsc::UnboundedReceiver<String>,
    (service, socket): (&Service, SocketId),
) {
    let mut encoding = Encoding::Json;
    loop {
        let notification = std::pin::pin!(waiting.recv());
        let came = match select(notification, stream.next()).await {
            Either::Left((Some(document), _)) => {
                let frame = Frame::new(encoding, document);
                if stream.send(message_of(frame)).await.is_err() {
                    return;
                }
                continue;
            }
            Either::Left((None, _)) => return,
            Either::Right((came, _)) => came,
        };
        let frame = match came {
            Some(Ok(Message::Text(text))) => Frame {
                encoding: Encoding::Json,
                bytes: text.into(),
            },
            Some(Ok(Message::Binary(bytes))) => Frame {
                encoding: Encoding::MessagePack,
                bytes,
            },
            // The stream answers them by itself.
            Some(Ok(
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
            )) => continue,
            Some(Err(_)) | None => return,
        };
        let (answer, notifications) = service.answer_frame(&frame, socket);
        encoding = notifications.unwrap_or(encoding);
        if stream.send(message_of(answer)).await.is_err() {
            return;
        }
    }
}

fn message_of(frame: Frame) -> Message {
    match frame.encoding {
        Encoding::Json => {
            let text = String::from_utf8(frame.bytes.into());
            Message::text(text.expect("invariant: JSON is UTF-8"))
        }
        Encoding::MessagePack => Message::Binary(frame.bytes),
    }
}
