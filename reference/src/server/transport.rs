//! The bytes of one connection: what hyper reads and writes goes through here.
//!
//! hyper itself answers a head that it cannot read, before there is a request: with a status, and
//! without a body. Here such an answer gets the error document of the API, so that a client meets
//! one form of refusal. Owns nothing else of what is sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::Response;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::pulse::Pulse;
use crate::service::Service;
use crate::wire::Refusal;

/// Longest answer that hyper gives by itself.
const OWN_ANSWER_BYTES_MAX: usize = 512;

/// A stream, watched.
pub(super) struct Transport {
    stream: TokioIo<TcpStream>,
    service: Service,
    pulse: Arc<Pulse>,
    /// What is sent in place of an answer of hyper's.
    substitute: Bytes,
    is_blocked: bool,
}

impl Transport {
    pub(super) fn new(stream: TcpStream, service: Service, pulse: Arc<Pulse>) -> Self {
        Self {
            stream: TokioIo::new(stream),
            service,
            pulse,
            substitute: Bytes::new(),
            is_blocked: false,
        }
    }

    /// Refuses a head where hyper says nothing, unless an answer is stuck before it.
    pub(super) async fn refuse(&mut self, refusal: Refusal) -> io::Result<()> {
        if self.is_blocked {
            return Ok(());
        }
        let response = self.service.refuse(refusal);
        let status = response.status();
        let lines = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
        let answer = with_document(lines.as_bytes(), &response);
        self.pulse.note_leftovers();
        let stream = self.stream.inner_mut();
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }

    /// Reads and forgets at most so many bytes. A connection that is closed while something is
    /// unread is reset, and the answer on its way to the client is lost with it.
    pub(super) async fn discard(&mut self, bytes_max: usize) {
        let (mut buffer, mut bytes) = ([0; 4096], 0_usize);
        while bytes < bytes_max {
            match self.stream.inner_mut().read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes += read,
            }
        }
    }

    fn poll_substitute(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.substitute.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.substitute))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.substitute.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps the substitute for what hyper is about to write, if that is an answer of its own.
    fn substitute(&mut self, bytes: &[u8]) -> bool {
        let Some(refusal) = own_answer(bytes) else {
            return false;
        };
        self.pulse.note_leftovers();
        let lines = &bytes[..bytes.len() - b"\r\n".len()];
        let length = b"content-length: 0\r\n";
        let at = lines
            .windows(length.len())
            .position(|window| window == length);
        let mut kept = lines.to_vec();
        if let Some(at) = at {
            kept.drain(at..at + length.len());
        }
        self.substitute = with_document(&kept, &self.service.refuse(refusal));
        true
    }
}

/// What hyper refuses with these bytes; `None` if the answer is not hyper's.
///
/// Invariant: no answer of the service is taken for one. Its heads carry a request id, and its
/// bodies are JSON, in which no line begins with a status line: a line break cannot be in a string.
fn own_answer(bytes: &[u8]) -> Option<Refusal> {
    if !bytes.starts_with(b"HTTP/1.") || bytes.len() > OWN_ANSWER_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.ends_with("\r\n\r\n") || text.contains("x-openstack-request-id") {
        return None;
    }
    match text.get(9..12)? {
        "400" => Some(Refusal::HeadInvalid),
        "414" => Some(Refusal::UriTooLong),
        "431" => Some(Refusal::HeadTooLarge),
        _ => None,
    }
}

/// Lines of a head, with the headers and the body of a response behind them.
fn with_document(lines: &[u8], response: &Response<Bytes>) -> Bytes {
    let mut bytes = lines.to_vec();
    for (name, value) in response.headers() {
        if !contains_header(lines, name.as_str()) {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    let length = response.body().len();
    bytes.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    bytes.extend_from_slice(response.body());
    bytes.into()
}

fn contains_header(lines: &[u8], name: &str) -> bool {
    let mut lines = lines.split(|byte| *byte == b'\n');
    lines.any(|line| {
        line.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    })
}

impl Read for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.pulse.note_arrival();
        Poll::Ready(read)
    }
}

impl Write for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_substitute(context))?;
        if self.substitute(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.is_blocked = written.is_pending();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_substitute(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_substitute(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_substitute(context))?;
        if let [bytes] = parts
            && self.substitute(bytes)
        {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.is_blocked = written.is_pending();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_answers_by_itself_is_taken_for_it() {
        let head = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
            content-length: 0\r\ndate: Tue, 24 Nov 2026 05:00:00 GMT\r\n\r\n";
        assert_eq!(own_answer(head.as_bytes()), Some(Refusal::HeadTooLarge));
        let ours = head.replace("date:", "x-openstack-request-id: req-1\r\ndate:");
        for other in [
            ours.as_str(),
            &head.replace("431", "201"),
            &head[1..],
            &head[..head.len() - 1],
            "HTTP/1.1 400 ",
            "HTTP/1.1 400 Bad Request\\r\\n\\r\\n",
            "{}",
            "",
        ] {
            assert_eq!(own_answer(other.as_bytes()), None, "{other}");
        }
    }
}
