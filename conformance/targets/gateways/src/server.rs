//! The socket: a listener, hyper's connections, and an end in order. Knows no contract and no broker.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::broker::Broker;
use crate::front::Front;

/// Connections at once; others wait until one is closed.
const CONNECTIONS_MAX: usize = 1_024;

/// What is read of a body: more than any that is accepted, so that what is refused is refused in order.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long requests that are under way may take when the gateway is told to end.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait after a failed accept, for lack of descriptors as a rule.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until SIGTERM, and prints `ready URL` once it does.
///
/// # Errors
///
/// The address cannot be bound.
pub async fn serve<B: Broker>(bind: &str, front: Front<B>) -> io::Result<()> {
    let listener = TcpListener::bind(bind).await?;
    let mut out = io::stdout();
    writeln!(out, "ready http://{}", listener.local_addr()?)?;
    out.flush()?;
    let mut terminate = signal(SignalKind::terminate())?;
    run(listener, Arc::new(front), async move {
        terminate.recv().await;
    })
    .await;
    Ok(())
}

/// Serves until `end`, and answers what has begun.
pub async fn run<B: Broker>(
    listener: TcpListener,
    front: Arc<Front<B>>,
    end: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut end = pin!(end);
    loop {
        let permit = Arc::clone(&connections).acquire_owned();
        let permit = permit.await.expect("invariant: never closed");
        let accepted = tokio::select! {
            biased;
            () = &mut end => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        // Small answers are not kept back; that it may fail changes nothing else.
        drop(stream.set_nodelay(true));
        let front = Arc::clone(&front);
        let service = service_fn(move |request| answer(Arc::clone(&front), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away is nobody's fault here.
            drop(connection.await);
            drop(permit);
        });
    }
    drop(listener);
    drop(tokio::time::timeout(GRACE, graceful.shutdown()).await);
}

/// What has begun is carried out, also when its client goes away: a command to a broker that is
/// abandoned half-way leaves its connection in the middle of an answer.
async fn answer<B: Broker>(
    front: Arc<Front<B>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let answered = tokio::spawn(async move { front.answer(head, body.to_bytes()).await });
    let response = answered.await.unwrap_or_else(|_| {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    });
    Ok(response.map(Full::new))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::beanstalkd::Beanstalkd;

    /// The broker is a port on which nobody listens any more.
    async fn front_without_a_broker() -> Front<Beanstalkd> {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Front::new(Beanstalkd::new(&nobody.local_addr().unwrap().to_string()))
    }

    #[tokio::test]
    async fn request_is_answered_over_a_socket_and_the_end_is_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let front = Arc::new(front_without_a_broker().await);
        let served = tokio::spawn(run(listener, front, async move { drop(stopped.await) }));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "GET /v2/ping HTTP/1.1\r\nhost: h\r\nx-project-id: p\r\n\
                    client-id: 6b2e4f0a27a14a5e8f3c0d9c5c1a7e11\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 503");
        stop.send(()).unwrap();
        served.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
