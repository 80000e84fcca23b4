//! The admin listener: what operators and their machines ask about a server.
//!
//! It has an address of its own, so that it answers when the other one is full, and need not be
//! open to clients. Owns paths and their answers; what there is to count is `metrics`' business.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::connection::Shared;

/// Admin connections at one time.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take, and a connection be idle.
const HEADER_READ: Duration = Duration::from_secs(30);
/// The pause after a failed accept.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Answers until it is dropped.
pub(super) async fn serve_all(
    listener: TcpListener,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await;
        let permit = permit.expect("invariant: the semaphore is never closed");
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_RETRY).await;
            continue;
        };
        let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
        tasks.spawn(async move {
            serve(stream, &shared, &stopping).await;
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: &Shared, stopping: &watch::Receiver<bool>) {
    let answer = service_fn(|request: Request<Incoming>| async move {
        let is_stopping = *stopping.borrow();
        let response = answer(request.method(), request.uri().path(), shared, is_stopping);
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ)
        .serve_connection(TokioIo::new(stream), answer);
    // How it ends is the client's business.
    drop(connection.await);
}

fn answer(
    method: &Method,
    path: &str,
    shared: &Shared,
    is_stopping: bool,
) -> Response<Full<Bytes>> {
    if !matches!(path, "/metrics" | "/ready" | "/live") {
        let paths = "there are /metrics, /ready and /live\n";
        return text(StatusCode::NOT_FOUND, paths.to_owned());
    }
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allow);
        return response;
    }
    match path {
        "/metrics" => {
            let service = &shared.service;
            let broker = service.census().zip(service.delivery_counts());
            let mut response = text(StatusCode::OK, shared.metrics.page(broker));
            let format = "text/plain; version=0.0.4; charset=utf-8";
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(format));
            response
        }
        "/ready" if shared.service.is_broken() => unavailable("the broker is broken\n"),
        "/ready" if is_stopping => unavailable("stopping\n"),
        _ => text(StatusCode::OK, "ok\n".to_owned()),
    }
}

fn unavailable(why: &str) -> Response<Full<Bytes>> {
    text(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
