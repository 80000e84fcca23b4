//! The WebSocket side of the service: frames in, frames out, and sockets that come and go.
//!
//! A notification for a socket comes out like any other. Whoever has the connections brings it to
//! the right one, and reports.

use std::sync::atomic::Ordering;

use http::HeaderMap;

use super::Service;
use crate::broker::SocketId;
use crate::wire::Failure;
use crate::wire::websocket::{self, Encoding, Frame, Request};

impl Service {
    /// A name for a connection that was opened. It is to be closed when the connection ends.
    #[must_use]
    pub fn open_socket(&self) -> SocketId {
        SocketId(self.shared.sockets.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether whoever sends these headers may open a socket.
    #[must_use]
    pub fn admits_socket(&self, headers: &HeaderMap) -> bool {
        websocket::admits(headers, &self.shared.settings)
    }

    /// Answers a frame. Also says how the socket is to be sent notifications from now on, if the
    /// frame asked for some: from before it is answered, for they may come at once.
    #[must_use]
    pub fn answer_frame(&self, frame: &Frame, socket: SocketId) -> (Frame, Option<Encoding>) {
        let settings = &self.shared.settings;
        let request = Request::read(frame, socket, settings, self.shared.clock.now());
        let notifications = request.notification_encoding();
        let answer = request.answer(settings, |caller, input| {
            let answer = self.with_broker(|broker, now| broker.handle(now, caller, input));
            let answer = answer.ok_or(Failure::Broken)?;
            answer.map_err(Failure::Broker)
        });
        (answer, notifications)
    }

    /// Ends the subscriptions of a socket that closed. Others are served in between, however many
    /// there are.
    pub fn close_socket(&self, socket: SocketId) {
        let close = || self.with_broker(|broker, now| broker.close_socket(now, socket));
        while close() == Some(true) {}
    }
}
