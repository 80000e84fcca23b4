//! Answers as the proxy gives them: whole, in trickles, or broken off in the middle.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{HeaderName, Response, header};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::Reset;
use crate::environment::World;
use crate::target::Answer;

/// Pieces that a trickling answer comes in.
const PIECES: usize = 8;

/// What concerns one connection only, or says how the body was sent.
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
];

/// The body of an answer.
pub(super) type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Reset>>>;

/// `answer`, at once.
pub(super) fn whole(answer: Answer) -> Response<Body> {
    let pieces = (!answer.body.is_empty()).then(|| Ok(Frame::data(answer.body.clone())));
    with(answer, stream::iter(pieces).boxed())
}

/// `answer`, piece by piece, which takes `span`.
pub(super) fn trickling(answer: Answer, world: World, span: Duration) -> Response<Body> {
    let body = answer.body.clone();
    let piece = body.len().div_ceil(PIECES).max(1);
    let count = u32::try_from(PIECES).unwrap_or(1);
    let pieces = stream::unfold(body, move |mut rest| {
        let pause = world.sleep(span / count);
        async move {
            if rest.is_empty() {
                return None;
            }
            pause.await;
            let next = rest.split_to(piece.min(rest.len()));
            Some((Ok(Frame::data(next)), rest))
        }
    });
    with(answer, pieces.boxed())
}

/// The first half of `answer`; then the connection breaks. An answer without a body has no half.
pub(super) fn half(answer: Answer, world: World, pause: Duration) -> Result<Response<Body>, Reset> {
    if answer.body.len() < 2 {
        return Err(Reset);
    }
    let first = answer.body.slice(..answer.body.len() / 2);
    // A pause, so that the first half leaves before the end of it all does.
    let broken = stream::once(async move {
        world.sleep(pause).await;
        Err(Reset)
    });
    let pieces = stream::iter([Ok(Frame::data(first))]).chain(broken);
    Ok(with(answer, pieces.boxed()))
}

fn with(answer: Answer, body: BoxStream<'static, Result<Frame<Bytes>, Reset>>) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    for name in HOP_BY_HOP {
        response.headers_mut().remove(name);
    }
    if !answer.body.is_empty() {
        // It says so also of a body that breaks off: that is how a client notices.
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, answer.body.len().into());
    }
    response
}
