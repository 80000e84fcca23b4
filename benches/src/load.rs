//! A load over real sockets: kept connections, one request under way on each.
//!
//! The generator writes ready-made bytes and looks only for the end of an answer, so that it costs
//! little beside the server under test. It still shares the machine with it, which flatters the slower
//! of two servers; that is part of what a ratio here means.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nanshe_reference::server::{SystemClock, serve};
use nanshe_reference::{Limits, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the load keeps open.
pub const CONNECTIONS: usize = 32;

const BODY: &str =
    r#"{"messages":[{"ttl":300,"body":{"event":"backup","id":"0123456789abcdef"}}]}"#;

/// The bytes of a request that posts one message.
pub fn post() -> Vec<u8> {
    format!(
        "POST /v2/queues/bench/messages HTTP/1.1\r\nhost: localhost\r\n\
         client-id: 3381af92-2b9e-11e3-b191-71861300734c\r\nx-project-id: bench\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes()
}

/// Sends `request` `count` times over [`CONNECTIONS`] connections.
///
/// # Errors
///
/// If a connection breaks, or an answer is not a success.
pub async fn send(address: SocketAddr, request: Arc<[u8]>, count: u64) -> io::Result<()> {
    let connections = u64::try_from(CONNECTIONS).unwrap_or(1);
    let mut tasks: Vec<tokio::task::JoinHandle<io::Result<()>>> = Vec::new();
    for connection in 0..connections {
        let share = count / connections + u64::from(connection < count % connections);
        let request = Arc::clone(&request);
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut buffer = Vec::with_capacity(4096);
            for _ in 0..share {
                stream.write_all(&request).await?;
                answer(&mut stream, &mut buffer).await?;
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

/// Reads one answer, whose length a header gives.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = buffer.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        if !buffer.starts_with(b"HTTP/1.1 20") {
            let text = String::from_utf8_lossy(buffer).into_owned();
            return Err(io::Error::other(text));
        }
        let text = String::from_utf8_lossy(&buffer[..head]);
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length
            .and_then(|length| length.trim().parse().ok())
            .unwrap_or(0);
        if buffer.len() >= head + 4 + length {
            return Ok(());
        }
    }
}

/// Serves the reference on a free port of loopback, for as long as the runtime lives.
///
/// # Errors
///
/// If no socket is to be had.
pub async fn serve_reference() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    drop(tokio::spawn(serve(
        listener,
        service,
        std::future::pending(),
    )));
    Ok(address)
}

/// Serves a bare hyper service that reads the body and answers with as many bytes as a post gets.
///
/// # Errors
///
/// If no socket is to be had.
pub async fn serve_hello() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello));
            drop(tokio::spawn(connection));
        }
    }));
    Ok(address)
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off ends the connection; there is nobody to tell.
    drop(request.into_body().collect().await);
    let body =
        r#"{"resources":["/v2/queues/bench/messages/00000000-0000-4000-8000-000000000000"]}"#;
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
