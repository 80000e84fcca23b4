//! One request and its answer, on a connection of its own.
//!
//! Redirects are not followed, for a redirect counts as delivered (Zaqar v2, retry policy).

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::wire::AddressRule;

/// Most bytes of the head of an answer.
const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why there is no answer. All that may go well another time.
pub(super) type Fault = Box<dyn Error + Send + Sync>;

/// What came of a request.
pub(super) enum Sent {
    /// It was answered.
    Answered(Response<Bytes>),
    /// It was not sent, for the host has no address that may be sent to.
    AddressDenied,
}

/// How much of an answer is read.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// The head alone. The rest is not read, however long it is.
    Head,
    /// All of it, if its body has at most so many bytes; otherwise there is no answer.
    BodyOf(usize),
}

/// Makes connections.
pub(super) struct Exchange {
    tls: TlsConnector,
}

impl Exchange {
    pub(super) const fn new(tls: TlsConnector) -> Self {
        Self { tls }
    }

    /// Sends a request to where its URI says, if that has an address which the rule admits.
    pub(super) async fn send(
        &self,
        mut request: Request<Bytes>,
        rule: &AddressRule,
        wanted: Wanted,
    ) -> Result<Sent, Fault> {
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().ok_or("no authority")?;
        let secure = uri.scheme_str() == Some("https");
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let default_port = if secure { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let Some(stream) = connect((host, port), rule).await? else {
            return Ok(Sent::AddressDenied);
        };
        let answer = if secure {
            let name = ServerName::try_from(host.to_owned())?;
            let stream = self.tls.connect(name, stream).await?;
            converse(stream, request, wanted).await?
        } else {
            converse(stream, request, wanted).await?
        };
        Ok(Sent::Answered(answer))
    }
}

/// Connects to an address of the host that the rule admits, if it has one. The rule is held against the very
/// addresses that are connected to: what a name stands for may change from one look to the next.
async fn connect(host: (&str, u16), rule: &AddressRule) -> io::Result<Option<TcpStream>> {
    let found: Vec<SocketAddr> = lookup_host(host).await?.collect();
    let admitted: Vec<SocketAddr> = found
        .iter()
        .filter(|address| rule.admits(address.ip()))
        .copied()
        .collect();
    if admitted.is_empty() && !found.is_empty() {
        return Ok(None);
    }
    TcpStream::connect(&admitted[..]).await.map(Some)
}

async fn converse<S>(
    stream: S,
    request: Request<Bytes>,
    wanted: Wanted,
) -> Result<Response<Bytes>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut client, connection) = http1::Builder::new()
        .max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async move {
        let answer = client.send_request(request.map(Full::new)).await?;
        let (head, body) = answer.into_parts();
        let body = match wanted {
            Wanted::Head => Bytes::new(),
            Wanted::BodyOf(bytes_max) => Limited::new(body, bytes_max).collect().await?.to_bytes(),
        };
        Ok(Response::from_parts(head, body))
    });
    let mut open = true;
    let answer = poll_fn(|context| {
        if open && connection.as_mut().poll(context).is_ready() {
            // The end of a connection is no answer; but if there was one, it has arrived by now.
            open = false;
        }
        let polled = answer.as_mut().poll(context).map(Some);
        if polled.is_pending() && !open {
            return Poll::Ready(None);
        }
        polled
    });
    let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
    answer.await.unwrap_or_else(|| Err(closed().into()))
}
