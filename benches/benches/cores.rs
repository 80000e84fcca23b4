//! What a second core brings: the service, called by one thread and by two.
//!
//! There are no sockets in this, for whoever sends the load would share the cores. What is measured is
//! all that a request takes behind hyper: reading, the one lock and the broker behind it, rendering.
//! That is the part that could keep a second core waiting: connections share nothing else.
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use nanshe_reference::server::SystemClock;
use nanshe_reference::{Limits, Service};

/// Messages that each thread posts, claims and deletes in a round.
const MESSAGES: usize = 20_000;
/// Rounds with one thread, and as many with two.
const ROUNDS: usize = 15;
const MESSAGE: &str =
    r#"{"messages":[{"ttl":3600,"body":{"event":"backup","id":"0123456789abcdef"}}]}"#;
const TERMS: &str = r#"{"ttl":300,"grace":60}"#;

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (messages, rounds) = if is_test {
        (100, 1)
    } else {
        (MESSAGES, ROUNDS)
    };
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        one.push(rate(&service, 1, messages));
        two.push(rate(&service, 2, messages));
    }
    let ratios = one.iter().zip(&two).map(|(one, two)| two / one).collect();
    println!(
        "requests a second: one thread {:.0}, two threads {:.0}, ratio {:.2}",
        median(one),
        median(two),
        median(ratios)
    );
}

/// How many requests are answered in a second.
fn rate(service: &Service, threads: usize, messages: usize) -> f64 {
    let started_at = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || work(service, thread, messages));
        }
    });
    let requests = 3 * threads * messages;
    requests as f64 / started_at.elapsed().as_secs_f64()
}

/// Posts, claims and deletes, in a queue of its own.
fn work(service: &Service, thread: usize, messages: usize) {
    let path = format!("/v2/queues/bench-{thread}");
    for _ in 0..messages {
        call(
            service,
            request("POST", &format!("{path}/messages"), MESSAGE),
        );
        let claimed = request("POST", &format!("{path}/claims?limit=1"), TERMS);
        let claimed = call(service, claimed);
        let text = String::from_utf8_lossy(&claimed);
        let href = text
            .split_once(r#""href":""#)
            .expect("there is a message")
            .1;
        let href = href.split_once('"').expect("a string has an end").0;
        call(service, request("DELETE", href, ""));
    }
}

fn request(method: &str, target: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(target);
    let request = request
        .header("client-id", "3381af92-2b9e-11e3-b191-71861300734c")
        .header("x-project-id", "bench");
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    request.body(body).expect("this is a request")
}

/// The body of the answer, which is a success.
fn call(service: &Service, request: Request<Full<Bytes>>) -> Bytes {
    let response: Response<Full<Bytes>> = finish(service.respond(request));
    assert!(response.status().is_success(), "{response:?}");
    let body = http_body_util::BodyExt::collect(response.into_body());
    finish(body).expect("it is all there").to_bytes()
}

/// Runs a future that has nothing to wait for.
fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something"),
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
