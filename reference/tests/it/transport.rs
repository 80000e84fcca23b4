//! Bodies as they come off a wire: in pieces, too long, broken off.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::Full;
use nanshe_reference::{Limits, Service};

use crate::support::{ALICE, BrokenClock, World, finish};

/// A body of pieces, without a length known beforehand.
struct Pieces {
    pieces: VecDeque<Result<Bytes, std::io::Error>>,
    taken: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(self.pieces.pop_front().map(|piece| piece.map(Frame::data)))
    }
}

fn post<B>(body: B) -> Request<B> {
    let request = Request::post("/v2/queues/q/messages");
    request
        .header("client-id", ALICE)
        .header("x-project-id", "p")
        .body(body)
        .unwrap()
}

fn pieces(pieces: impl IntoIterator<Item = Result<Bytes, std::io::Error>>) -> Pieces {
    Pieces {
        pieces: pieces.into_iter().collect(),
        taken: Arc::default(),
    }
}

#[test]
fn a_body_may_come_in_pieces() {
    let world = World::new();
    let body = [r#"{"messages":"#, "[{\"bo", "dy\":7}]}"].map(|piece| Ok(Bytes::from(piece)));
    assert_eq!(world.call(post(pieces(body))).status, 201);
    assert_eq!(world.everything("q"), [serde_json::json!(7)]);
}

#[test]
fn a_body_that_breaks_off_changes_nothing() {
    let world = World::new();
    let whole = Ok(Bytes::from(r#"{"messages":[{"body":7}]}"#));
    let broken = Err(std::io::Error::other("reset"));
    assert_eq!(world.call(post(pieces([whole, broken]))).status, 400);
    assert!(world.everything("q").is_empty());
}

#[test]
fn an_endless_body_is_not_read_to_its_end() {
    let world = World::new();
    let piece = Bytes::from(vec![b' '; 65_536]);
    let body = pieces((0..10_000).map(|_| Ok(piece.clone())));
    let taken = Arc::clone(&body.taken);
    let answer = world.call(post(body));
    assert_eq!(answer.status, 400);
    assert!(
        answer.json()["description"]
            .as_str()
            .unwrap()
            .contains("262144")
    );
    assert!(taken.load(Ordering::Relaxed) < 100);
}

/// A body that announces its length and must not be asked for it.
struct Announced(u64);

impl Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body is read although it is known to be too long")
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0)
    }
}

#[test]
fn a_body_that_is_announced_as_huge_is_not_read_at_all() {
    let world = World::new();
    assert_eq!(world.call(post(Announced(u64::MAX))).status, 400);
}

#[test]
fn a_broken_broker_answers_500_and_never_anything_else() {
    let clock = Arc::new(BrokenClock::default());
    let service = Service::new(Limits::default(), 1, clock.clone());
    let ask = || {
        let request = Request::get("/v2/queues").header("client-id", ALICE);
        let request = request
            .header("x-project-id", "p")
            .body(Full::<Bytes>::default())
            .unwrap();
        finish(tower_service::Service::call(&mut service.clone(), request)).unwrap()
    };
    assert_eq!(ask().status(), 200);
    clock.break_under_the_lock();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).is_err());
    assert!(service.is_broken());
    for _ in 0..3 {
        assert_eq!(ask().status(), 500);
    }
    assert_eq!(
        (service.next_notification(), service.delivery_counts()),
        (None, None)
    );
    finish(service.changed(None));
}
