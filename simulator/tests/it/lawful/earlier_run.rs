//! Pools that a run before this one left behind, with stores that this one would take as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use nanshe_conformance::environment::BoxFuture;
use serde_json::json;

use super::place::Place;
use super::{Around, Reference, Told};

#[derive(Default)]
pub(super) struct EarlierRun {
    is_there: AtomicBool,
}

impl Around for EarlierRun {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            let is_first = Place::of(&request).path().starts_with(&["v2", "pools"])
                && !self.is_there.swap(true, Ordering::Relaxed);
            if is_first {
                for number in 0..30 {
                    let pool = json!({ "uri": format!("memory://pool-{number}"), "weight": 0 });
                    let mut put = Request::new(Bytes::from(pool.to_string()));
                    *put.method_mut() = Method::PUT;
                    *put.uri_mut() = format!("/v2/pools/left-{number:02}").parse().unwrap();
                    put.headers_mut().clone_from(request.headers());
                    put.headers_mut().remove("content-length");
                    put.headers_mut()
                        .insert("x-roles", HeaderValue::from_static("admin"));
                    let told = reference.ask(put).await.status();
                    // Without pools there is no such path.
                    assert!([StatusCode::CREATED, StatusCode::NOT_FOUND].contains(&told));
                }
            }
            reference.ask(request).await
        })
    }
}
