//! The one test with a socket: a loopback one, at a port the system chooses.

use std::net::SocketAddr;
use std::sync::Arc;

use nanshe_reference::server::{SystemClock, serve};
use nanshe_reference::{Clock, Limits, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::ALICE;

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

fn head(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nclient-id: {ALICE}\r\nx-project-id: p\r\n{more}\r\n")
}

/// Reads until the response is complete: a head, and a body of the length announced.
async fn response(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        assert!(
            stream.read_buf(&mut bytes).await.unwrap() > 0,
            "the server hung up: {text}"
        );
    }
}

async fn serves_and_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        let _ended = stopped.await;
    };
    let server = tokio::spawn(serve(listener, service, stopping));

    let mut idle = connect(address).await;
    idle.write_all(head("GET /v2/ping", "").as_bytes())
        .await
        .unwrap();
    assert!(response(&mut idle).await.starts_with("HTTP/1.1 204"));

    // A chunked body, on the connection that was used before.
    let post = head(
        "POST /v2/queues/q/messages",
        "transfer-encoding: chunked\r\n",
    );
    let chunks = "d\r\n{\"messages\":[\r\nc\r\n{\"body\":1}]}\r\n0\r\n\r\n";
    idle.write_all(format!("{post}{chunks}").as_bytes())
        .await
        .unwrap();
    assert!(response(&mut idle).await.starts_with("HTTP/1.1 201"));

    // A client that breaks off mid-body stores nothing.
    let mut broken = connect(address).await;
    let post = head("POST /v2/queues/r/messages", "content-length: 90\r\n");
    broken
        .write_all(format!("{post}{{\"messages\":").as_bytes())
        .await
        .unwrap();
    drop(broken);

    // A request whose body is still on its way when the server stops. That it has arrived is known
    // from the interim response.
    let mut late = connect(address).await;
    let body = r#"{"messages":[{"body":2}]}"#;
    let more = format!("content-length: {}\r\nexpect: 100-continue\r\n", body.len());
    late.write_all(head("POST /v2/queues/q/messages", &more).as_bytes())
        .await
        .unwrap();
    let mut interim = [0; 25];
    late.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stop.send(()).unwrap();

    // The idle connection is closed; the late request is answered nevertheless.
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).await.unwrap(), 0);
    late.write_all(body.as_bytes()).await.unwrap();
    assert!(response(&mut late).await.starts_with("HTTP/1.1 201"));
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn the_server_answers_and_stops_in_order() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(serves_and_stops());
}

#[test]
fn the_system_clock_does_not_go_backwards() {
    let clock = SystemClock::new();
    let first = clock.now();
    assert!(first.as_secs() > 1_700_000_000 && clock.now() >= first);
}
