//! The admin listener: metrics that add up, and readiness.

use std::net::SocketAddr;
use std::sync::Arc;

use nanshe_reference::server::{Listeners, Options, SystemClock, serve_with};
use nanshe_reference::{Limits, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::socket::{ask, connect, head, response, run, with_body};
use crate::support::BrokenClock;

fn get(path: &str) -> String {
    head(&format!("GET {path}"), "")
}

async fn page(admin: SocketAddr) -> String {
    let page = ask(admin, &get("/metrics")).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("content-type: text/plain; version=0.0.4"),
        "{page}"
    );
    page
}

/// The value of a series.
fn value(page: &str, series: &str) -> Option<String> {
    let mut lines = page.lines();
    lines.find_map(|line| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned()))
}

async fn both() -> (Listeners, SocketAddr, SocketAddr) {
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [&http, &admin].map(|listener| listener.local_addr().unwrap());
    let admin = Some(admin);
    let listeners = Listeners {
        http,
        websocket: None,
        admin,
    };
    (listeners, addresses[0], addresses[1])
}

/// What the requests below come to.
const COUNTED: [(&str, &str); 13] = [
    ("nanshe_queues", "2"),
    ("nanshe_messages{state=\"active\"}", "1"),
    ("nanshe_messages{state=\"delayed\"}", "3"),
    ("nanshe_messages{state=\"claimed\"}", "2"),
    ("nanshe_claims", "1"),
    ("nanshe_subscriptions", "0"),
    ("nanshe_notifications_total{outcome=\"delivered\"}", "0"),
    ("nanshe_connections_total", "7"),
    (
        "nanshe_http_requests_total{method=\"POST\",resource=\"messages\",status=\"2xx\"}",
        "2",
    ),
    (
        "nanshe_http_requests_total{method=\"GET\",resource=\"message\",status=\"4xx\"}",
        "1",
    ),
    (
        "nanshe_http_requests_total{method=\"GET\",resource=\"unknown\",status=\"4xx\"}",
        "1",
    ),
    (
        "nanshe_http_request_duration_seconds_count{resource=\"messages\"}",
        "2",
    ),
    (
        "nanshe_http_request_duration_seconds_bucket{resource=\"messages\",le=\"+Inf\"}",
        "2",
    ),
];

async fn counts() {
    let (listeners, address, admin) = both().await;
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        let _ended = stopped.await;
    };
    let server = tokio::spawn(serve_with(listeners, service, Options::default(), stopping));

    let queue = with_body("PUT /v2/queues/slow", r#"{"_default_message_delay":600}"#);
    let three = r#"{"messages":[{"body":1},{"body":2},{"body":3}]}"#;
    for request in [
        queue,
        with_body("POST /v2/queues/slow/messages", three),
        with_body("POST /v2/queues/q/messages", three),
        with_body("POST /v2/queues/q/claims?limit=2", "{}"),
        get("/v2/queues/q/messages/none"),
        get("/v3"),
    ] {
        ask(address, &request).await;
    }
    let mut open = connect(address).await;
    open.write_all(get("/v2/ping").as_bytes()).await.unwrap();
    response(&mut open).await;

    let page = page(admin).await;
    for (series, expected) in COUNTED {
        assert_eq!(
            value(&page, series).as_deref(),
            Some(expected),
            "{series} in {page}"
        );
    }
    for line in page.split_once("\r\n\r\n").unwrap().1.lines() {
        let value = line.rsplit_once(' ').unwrap().1;
        assert!(
            line.starts_with("# ") || value.parse::<f64>().is_ok(),
            "{line}"
        );
    }

    answers_nothing_else(address, admin).await;
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

async fn answers_nothing_else(address: SocketAddr, admin: SocketAddr) {
    assert!(ask(admin, &get("/ready")).await.starts_with("HTTP/1.1 200"));
    assert!(ask(admin, &get("/live")).await.starts_with("HTTP/1.1 200"));
    assert!(ask(admin, &get("/")).await.starts_with("HTTP/1.1 404"));
    let posted = ask(admin, &with_body("POST /ready", "")).await;
    assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
    // What clients may ask is not asked here, nor the other way round.
    assert!(
        ask(admin, &get("/v2/queues"))
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        ask(address, &get("/metrics"))
            .await
            .starts_with("HTTP/1.1 404")
    );
}

#[test]
fn the_metrics_count_what_there_is_and_what_was_asked() {
    run(counts());
}

async fn is_not_ready_while_it_stops() {
    let (listeners, address, admin) = both().await;
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        let _ended = stopped.await;
    };
    let server = tokio::spawn(serve_with(listeners, service, Options::default(), stopping));
    let mut late = connect(address).await;
    let more = "content-length: 25\r\nexpect: 100-continue\r\n";
    late.write_all(head("POST /v2/queues/q/messages", more).as_bytes())
        .await
        .unwrap();
    let mut interim = [0; 25];
    late.read_exact(&mut interim).await.unwrap();
    stop.send(()).unwrap();
    // The stop is noticed some time; until the late request is answered it stays like that.
    while ask(admin, &get("/ready")).await.starts_with("HTTP/1.1 200") {}
    let ready = ask(admin, &get("/ready")).await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.ends_with("stopping\n"),
        "{ready}"
    );
    assert!(ask(admin, &get("/live")).await.starts_with("HTTP/1.1 200"));
    late.write_all(br#"{"messages":[{"body":2}]}"#)
        .await
        .unwrap();
    assert!(response(&mut late).await.starts_with("HTTP/1.1 201"));
    server.await.unwrap().unwrap();
}

#[test]
fn a_server_that_stops_is_alive_and_not_ready() {
    run(is_not_ready_while_it_stops());
}

#[test]
fn a_broken_broker_has_no_census() {
    let clock = Arc::new(BrokenClock::default());
    let service = Service::new(Limits::default(), 1, clock.clone());
    assert!(service.census().is_some());
    clock.break_under_the_lock();
    let _once = service.now();
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.census()));
    assert!(broken.is_err() && service.census().is_none());
}
