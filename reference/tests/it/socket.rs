//! The tests with sockets: loopback ones, at ports the system chooses.

use std::net::SocketAddr;
use std::sync::Arc;

use nanshe_reference::server::{Options, SystemClock, serve, serve_with};
use nanshe_reference::{Clock, Limits, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::{ALICE, BrokenClock};

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

pub(crate) fn head(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nclient-id: {ALICE}\r\nx-project-id: p\r\n{more}\r\n")
}

/// Reads until the response is complete: a head, and a body of the length announced.
pub(crate) async fn response(stream: &mut TcpStream) -> String {
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

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(test);
}

#[test]
fn the_server_answers_and_stops_in_order() {
    run(serves_and_stops());
}

/// A server of a service, and how to stop it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: tokio::task::JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn start(service: Service, options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        let _ended = stopped.await;
    };
    let ended = tokio::spawn(serve_with(listener, service, options, stopping));
    Running {
        address,
        stop,
        ended,
    }
}

pub(crate) fn with_body(line: &str, body: &str) -> String {
    head(line, &format!("content-length: {}\r\n", body.len())) + body
}

/// One request on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    response(&mut stream).await
}

/// A subscriber that gives these answers, one by one; the requests that it got.
async fn subscriber(listener: TcpListener, statuses: &[&str]) -> Vec<String> {
    let mut requests = Vec::new();
    for status in statuses {
        let (mut stream, _) = listener.accept().await.unwrap();
        requests.push(response(&mut stream).await);
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    requests
}

async fn sends_webhooks() {
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    let server = start(service.clone(), Options::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
    let got = tokio::spawn(async {
        // A connection that is closed without an answer is tried again, and so is a 5xx.
        drop(listener.accept().await.unwrap());
        subscriber(listener, &["500", "204", "404", "200"]).await
    });
    let body = format!("{{\"subscriber\":\"{uri}\"}}");
    let made = ask(
        server.address,
        &with_body("POST /v2/queues/q/subscriptions", &body),
    )
    .await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let body = r#"{"messages":[{"body":"one"},{"body":"two"},{"body":"three"}]}"#;
    let posted = ask(
        server.address,
        &with_body("POST /v2/queues/q/messages", body),
    )
    .await;
    assert!(posted.starts_with("HTTP/1.1 201"), "{posted}");

    let got = got.await.unwrap();
    let bodies: Vec<_> = ["one", "one", "two", "three"]
        .map(|word| format!("\"body\":\"{word}\""))
        .into();
    assert_eq!(got.len(), bodies.len());
    for (request, body) in got.iter().zip(bodies) {
        assert!(
            request.starts_with("POST /hook?a=b HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("content-type: application/json\r\n"),
            "{request}"
        );
        assert!(request.contains(&body), "{request}");
    }
    // That the last answer was heard shows in the counts, some time.
    let counts = loop {
        let counts = service.delivery_counts().unwrap();
        if counts.pending() == 0 {
            break counts;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (counts.delivered, counts.given_up, counts.retried),
        (2, 1, 2)
    );
    server.stop.send(()).unwrap();
    server.ended.await.unwrap().unwrap();
}

#[test]
fn webhooks_arrive_and_only_failures_are_tried_again() {
    run(sends_webhooks());
}

async fn ends_when_the_broker_is_broken() {
    let clock = Arc::new(BrokenClock::default());
    let service = Service::new(Limits::default(), 1, clock.clone());
    let server = start(service.clone(), Options::default()).await;
    // By the time of an answer the sender has looked at the clock, and sleeps.
    let pong = ask(server.address, &head("GET /v2/ping", "")).await;
    assert!(pong.starts_with("HTTP/1.1 204"));
    clock.break_under_the_lock();
    let mut stream = connect(server.address).await;
    stream
        .write_all(head("GET /v2/queues", "").as_bytes())
        .await
        .unwrap();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest).await);
    assert!(rest.is_empty(), "there is no answer to what broke it");
    let error = server.ended.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the broker has panicked");
}

#[test]
fn the_server_ends_when_the_broker_is_broken() {
    run(ends_when_the_broker_is_broken());
}

#[test]
fn the_system_clock_does_not_go_backwards() {
    let clock = SystemClock::new();
    let first = clock.now();
    assert!(first.as_secs() > 1_700_000_000 && clock.now() >= first);
}

#[test]
fn a_scaled_clock_goes_faster() {
    let scaled = SystemClock::scaled(1_000.try_into().unwrap());
    let plain = SystemClock::new();
    let (scaled_start, plain_start) = (scaled.now(), plain.now());
    while plain.now() < plain_start.plus_nanos(1_000_000) {}
    assert!(scaled.now() >= scaled_start.plus_secs(1));
}
