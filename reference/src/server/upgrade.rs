//! Upgrades: from a connection to a WebSocket, by one request of HTTP/1.1.
//!
//! Owns the answers to whoever did not want a WebSocket, or wanted it in another way. Any path will
//! do, as in Zaqar.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::service::Service;

/// Most bytes of the head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection on which both sides speak WebSocket from now on.
pub(super) struct Upgraded {
    stream: TcpStream,
    /// What the client said already.
    read: Bytes,
}

impl Upgraded {
    pub(super) async fn into_websocket(
        self,
        config: WebSocketConfig,
    ) -> WebSocketStream<TcpStream> {
        let read = self.read.to_vec();
        WebSocketStream::from_partially_read(self.stream, read, Role::Server, Some(config)).await
    }
}

/// Answers one request. `None` if it was refused, or none came.
pub(super) async fn upgrade(stream: TcpStream, service: Service) -> Option<Upgraded> {
    // Without it small answers wait for acknowledgements; if it fails, they are merely slow.
    drop(stream.set_nodelay(true));
    let pending: Arc<Mutex<Option<OnUpgrade>>> = Arc::default();
    let answer = service_fn(|mut request: Request<Incoming>| {
        let response = answer(&request, &service);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            *pending = Some(hyper::upgrade::on(&mut request));
        }
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    connection.await.ok()?;
    let upgraded = pending
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let parts = upgraded?.await.ok()?.downcast::<TokioIo<TcpStream>>();
    let parts = parts.expect("invariant: this is what was served");
    Some(Upgraded {
        stream: parts.io.into_inner(),
        read: parts.read_buf,
    })
}

fn answer(request: &Request<Incoming>, service: &Service) -> Response<Full<Bytes>> {
    if !service.admits_socket(request.headers()) {
        return refusal(
            StatusCode::FORBIDDEN,
            "pages of this origin are not allowed",
        );
    }
    create_response_with_body(request, Full::default).unwrap_or_else(|error| {
        let versions = request.headers().get(SEC_WEBSOCKET_VERSION);
        let wants_other = versions.is_none_or(|version| version != "13");
        let status = if wants_other {
            StatusCode::UPGRADE_REQUIRED
        } else {
            StatusCode::BAD_REQUEST
        };
        refusal(status, &format!("this port speaks WebSocket: {error}"))
    })
}

fn refusal(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    // One try on a connection: a switch of protocols would have to say that it is kept.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
