//! Contract 5.4: a page may be short. Here each has one message, whatever it is asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use nanshe_conformance::environment::BoxFuture;
use serde_json::{Value, json};

use super::place::Place;
use super::{Around, Reference, Told};

#[derive(Default)]
pub(super) struct ShortPages;

impl Around for ShortPages {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            let place = Place::of(&request);
            let is_listing = request.method() == Method::GET
                && matches!(place.path().as_slice(), ["v2", "queues", _, "messages"])
                && place.value("ids").is_none();
            let (true, Some(limit)) = (is_listing, place.limit()) else {
                return reference.ask(request).await;
            };
            let short = place.with("limit", "1");
            let told = reference.ask(short.redirect(request)).await;
            let Ok(mut page) = serde_json::from_slice::<Value>(told.body()) else {
                return told;
            };
            for link in page["links"].as_array_mut().into_iter().flatten() {
                let next = Place::read(link["href"].as_str().unwrap());
                link["href"] = json!(next.with("limit", &limit.to_string()).write());
            }
            told.map(|_| page.to_string().into())
        })
    }
}
