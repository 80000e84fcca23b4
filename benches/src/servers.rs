//! The servers that loads are sent to, each on a free port of loopback for as long as the runtime lives.

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
use tokio::net::TcpListener;

/// Serves the reference.
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

/// Serves a bare hyper service that reads the body of a request and answers with `bytes` bytes.
///
/// # Errors
///
/// If no socket is to be had.
pub async fn serve_hello(bytes: usize) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer = Bytes::from(vec![b'x'; bytes]);
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.set_nodelay(true));
            let answer = answer.clone();
            let hello = service_fn(move |request| hello(request, answer.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), hello);
            drop(tokio::spawn(connection));
        }
    }));
    Ok(address)
}

async fn hello(
    request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off ends the connection; there is nobody to tell.
    drop(request.into_body().collect().await);
    let status = if answer.is_empty() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::OK
    };
    let mut response = Response::new(Full::new(answer));
    *response.status_mut() = status;
    Ok(response)
}
