//! Clients that are slow, excessive, or no clients of HTTP at all: on loopback sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nanshe_reference::server::{HEAD_BYTES_MAX, Options, SystemClock};
use nanshe_reference::{Limits, Service};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::socket::{Running, ask, connect, head, response, run, start, with_body};

fn service() -> Service {
    Service::new(Limits::default(), 1, Arc::new(SystemClock::new()))
}

/// Everything that comes until the server closes the connection.
async fn rest(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The status of an answer that has the error document.
fn refusal(answer: &str) -> u16 {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let error: Value = serde_json::from_str(body).expect(answer);
    for member in ["title", "description"] {
        assert!(
            error[member].as_str().is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
    }
    for header in [
        "x-openstack-request-id: req-",
        "content-type: application/json",
        &format!("content-length: {}", body.len()),
        "connection: close",
    ] {
        assert_eq!(head.matches(header).count(), 1, "{header} in {answer}");
    }
    head[9..12].parse().unwrap()
}

/// Sends all of it, and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address).await;
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

async fn end(server: Running) {
    server.stop.send(()).unwrap();
    server.ended.await.unwrap().unwrap();
}

async fn refuses_what_is_no_request() {
    let server = start(service(), Options::default()).await;
    let many: String = (0..200)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let long = format!("x-long: {}\r\n", "y".repeat(HEAD_BYTES_MAX));
    // Far more than is read before it is refused: the answer arrives all the same.
    let huge = format!("x-huge: {}\r\n", "y".repeat(1_000_000));
    for (request, status) in [
        ("GET /v2/ping HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("G@T /v2/ping HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET  HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /\u{1} HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        (head("GET /v2/ping", "no colon\r\n"), 400),
        (head("GET /v2/ping", "a b: c\r\n"), 400),
        (
            head("POST /v2/queues/q/messages", "content-length: x\r\n"),
            400,
        ),
        (
            head(
                "POST /v2/queues/q/messages",
                "content-length: 1\r\ncontent-length: 2\r\n",
            ),
            400,
        ),
        (head("GET /v2/ping", &many), 431),
        (head("GET /v2/ping", &long), 431),
        (head("GET /v2/ping", &huge), 431),
    ] {
        let answer = exchange(server.address, request.as_bytes()).await;
        let start = &request[..request.len().min(120)];
        assert!(!answer.is_empty(), "no answer to {start}");
        assert_eq!(refusal(&answer), status, "{start}");
    }
    end(server).await;
}

#[test]
fn what_is_no_request_is_refused_with_the_error_document() {
    run(refuses_what_is_no_request());
}

async fn refuses_after_an_answer() {
    let server = start(service(), Options::default()).await;
    // Two in one: the second is refused although the first was answered on the same connection.
    let mut stream = connect(server.address).await;
    stream
        .write_all(head("GET /v2/ping", "").as_bytes())
        .await
        .unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 204"));
    stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
    assert_eq!(refusal(&rest(&mut stream).await), 400);
    end(server).await;
}

#[test]
fn what_follows_a_request_is_refused_too() {
    run(refuses_after_an_answer());
}

async fn hangs_up_on_the_slow() {
    let options = Options {
        header_read: Duration::from_millis(50),
        body_read: Duration::from_millis(50),
        ..Options::default()
    };
    let server = start(service(), options).await;
    let unfinished = head("GET /v2/ping", "");
    let bodiless = head("POST /v2/queues/q/messages", "content-length: 9\r\n");
    for start in [unfinished.trim_end(), &bodiless, "G"] {
        let answer = exchange(server.address, start.as_bytes()).await;
        assert_eq!(refusal(&answer), 408, "{start}");
    }
    // Byte by byte is no way to keep a connection.
    let (mut reader, mut writer) = connect(server.address).await.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    assert_eq!(refusal(&String::from_utf8(answer).unwrap()), 408);
    drip.abort();
    // One that never says anything, or has been answered, expects no answer.
    assert_eq!(exchange(server.address, b"").await, "");
    let mut stream = connect(server.address).await;
    stream.write_all(unfinished.as_bytes()).await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 204"));
    assert_eq!(rest(&mut stream).await, "");
    // Others are served meanwhile, and afterwards.
    let pong = ask(server.address, &unfinished).await;
    assert!(pong.starts_with("HTTP/1.1 204"));
    end(server).await;
}

#[test]
fn whoever_sends_too_slowly_is_answered_408_and_hung_up_on() {
    run(hangs_up_on_the_slow());
}

async fn refuses_long_bodies() {
    let server = start(service(), Options::default()).await;
    for bytes in [300_000, 3_000_000, 9_000_000] {
        let body = format!("\"{}\"", "x".repeat(bytes));
        let request = with_body("POST /v2/queues/q/messages", &body);
        let mut stream = connect(server.address).await;
        // The whole of it is sent before anything is read: the answer arrives nevertheless.
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{bytes}: {answer}");
        assert!(
            answer.contains("the body is longer than 262144 bytes"),
            "{answer}"
        );
    }
    end(server).await;
}

#[test]
fn a_body_over_the_limit_is_answered_however_long_it_is() {
    run(refuses_long_bodies());
}

async fn waits_when_full() {
    let options = Options {
        connections_max: 2,
        ..Options::default()
    };
    let server = start(service(), options).await;
    let ping = head("GET /v2/ping", "");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(server.address).await;
        stream.write_all(ping.as_bytes()).await.unwrap();
        assert!(response(&mut stream).await.starts_with("HTTP/1.1 204"));
        held.push(stream);
    }
    let mut third = connect(server.address).await;
    third.write_all(ping.as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(20), third.peek(&mut byte)).await;
    assert!(early.is_err(), "there is no room for it yet");
    held.pop();
    assert!(response(&mut third).await.starts_with("HTTP/1.1 204"));
    end(server).await;
}

#[test]
fn connections_beyond_the_bound_wait_for_their_turn() {
    run(waits_when_full());
}

async fn holds_idle_connections() {
    // Both ends are in this process, and systems that allow few descriptors allow 1024.
    const CONNECTIONS: usize = 400;
    let server = start(service(), Options::default()).await;
    let ping = head("GET /v2/ping", "");
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(connect(server.address).await);
    }
    for stream in &mut idle {
        stream.write_all(ping.as_bytes()).await.unwrap();
        assert!(response(stream).await.starts_with("HTTP/1.1 204"));
    }
    end(server).await;
    for stream in &mut idle {
        assert_eq!(rest(stream).await, "", "the stop closes what is idle");
    }
}

#[test]
fn idle_connections_are_kept_and_closed_by_the_stop() {
    run(holds_idle_connections());
}

/// Pieces of heads and bodies.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "GET ",
        "POST ",
        "PATCH ",
        "/v2/ping",
        "/v2/queues/q/messages",
        " HTTP/1.1\r\n",
        "\r\n",
        " HTTP/1.0\r\n",
        "\r\n\r\n",
        "host: x\r\n",
        "content-length: 3\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "expect: 100-continue\r\n",
        "connection: close\r\n",
        "connection: upgrade\r\n",
        "a: ",
        ":",
        "client-id: 3381af92-2b9e-11e3-b191-71861300734c\r\nx-project-id: p\r\n",
        "abc",
        "*",
        "?",
        "CONNECT a:1",
        "\n",
        "\r",
        "PRI * HTTP/2.0\r\n\r\n",
        "upgrade: h2c\r\n",
        "{}",
        "\0",
        "%",
        "GET /v2/ping HTTP/1.1\r\nhost: x\r\n\r\n",
        "http://a/v2/ping",
    ];
    let piece = prop_oneof![
        9 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let head = prop::collection::vec(piece.clone(), 0..8).prop_map(|pieces| pieces.concat());
    let line = prop_oneof![
        Just(b"".to_vec()),
        Just(b"POST /v2/queues/q/messages HTTP/1.1\r\n".to_vec()),
        Just(b"GET /v2/ping HTTP/1.1\r\n".to_vec()),
    ];
    (line, head).prop_map(|(line, head)| [line, head].concat())
}

/// Whether there is a line of a request, and the end of a head.
fn has_head(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte));
    start.is_some_and(|start| bytes[start..].windows(4).any(|end| end == b"\r\n\r\n"))
}

#[test]
fn whatever_bytes_come_a_whole_head_is_answered_and_never_with_a_5xx() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let server = runtime.block_on(start(service(), Options::default()));
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&bytes(), |bytes| {
        let answer = runtime.block_on(async {
            let mut stream = connect(server.address).await;
            // The server may have hung up by then.
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer).await);
            answer
        });
        let text = String::from_utf8_lossy(&answer);
        prop_assert!(
            !has_head(&bytes) || text.starts_with("HTTP/1."),
            "no answer: {text:?}"
        );
        prop_assert!(
            !text.contains("HTTP/1.1 5") && !text.contains("HTTP/1.0 5"),
            "{text}"
        );
        Ok(())
    });
    checked.unwrap();
    runtime.block_on(async {
        let pong = ask(server.address, &head("GET /v2/ping", "")).await;
        assert!(pong.starts_with("HTTP/1.1 204"));
        end(server).await;
    });
}
