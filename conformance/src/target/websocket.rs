//! One WebSocket of a target, over a stream of the environment.
//!
//! Owns the handshake, frames and the close; what is in a frame is the suite's to know. Nothing is
//! sent again, and nothing is sent by itself but what the protocol demands.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::client::Endpoint;
use super::tls::Connector;
use crate::environment::{Environment, Stream};

/// Largest frame that is read, in bytes.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A message of the protocol that has something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Binary(Bytes),
}

/// What comes out of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// A frame.
    Frame(Frame),
    /// The other side closed it, with this code if it gave one.
    Closed(Option<u16>),
    /// The connection broke, or what came is no WebSocket: why.
    Broken(String),
}

/// An open socket. Dropped, the connection is cut off.
pub struct WebSocket {
    stream: WebSocketStream<TokioIo<Box<dyn Stream>>>,
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

impl WebSocket {
    /// Connects to `endpoint` and shakes hands.
    ///
    /// # Errors
    ///
    /// With the reason, if there is no such socket.
    pub async fn open(world: &dyn Environment, endpoint: &Endpoint) -> Result<Self, String> {
        let Endpoint {
            address,
            prefix,
            tls,
        } = endpoint;
        let stream = world.connect(address).await;
        let mut stream = stream.map_err(|error| format!("{address}: {error}"))?;
        if let Some(authorities) = tls {
            stream = Connector::new(authorities)?
                .secure(&address.host, stream)
                .await?;
        }
        let config = WebSocketConfig::default()
            .max_frame_size(Some(FRAME_BYTES_MAX))
            .max_message_size(Some(FRAME_BYTES_MAX));
        // The stream is secured by now if it is at all, so that the scheme tells nothing.
        let path = if prefix.is_empty() { "/" } else { prefix };
        let url = format!("ws://{address}{path}");
        let shaken = client_async_with_config(url, TokioIo::new(stream), Some(config)).await;
        let (stream, _) = shaken.map_err(|error| error.to_string())?;
        Ok(Self { stream })
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// With the reason, if it cannot be written.
    pub async fn send(&mut self, frame: Frame) -> Result<(), String> {
        let message = match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes),
        };
        let sent = self.stream.send(message).await;
        sent.map_err(|error| error.to_string())
    }

    /// The next thing that comes. Pings are answered on the way. Nothing is lost if this is dropped
    /// before it is done.
    pub async fn next(&mut self) -> Came {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Came::Frame(Frame::Text(Utf8Bytes::as_str(&text).to_owned()));
                }
                Some(Ok(Message::Binary(bytes))) => return Came::Frame(Frame::Binary(bytes)),
                Some(Ok(Message::Close(frame))) => {
                    return Came::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(tungstenite::Error::ConnectionClosed)) | None => {
                    return Came::Closed(None);
                }
                Some(Err(error)) => return Came::Broken(error.to_string()),
            }
        }
    }

    /// Says goodbye, and hangs up when the other side has said so too.
    pub async fn close(mut self) {
        if self.stream.close(None).await.is_ok() {
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }
}
