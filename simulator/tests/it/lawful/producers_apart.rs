//! Contract G4: order is promised to each producer. Here one's messages come before another's in every answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use nanshe_conformance::environment::BoxFuture;
use serde_json::Value;

use super::place::Place;
use super::{Around, Reference, Told};

/// Who posted which message.
#[derive(Default)]
pub(super) struct ProducersApart(Mutex<BTreeMap<String, String>>);

impl Around for ProducersApart {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            let place = Place::of(&request);
            let client = request.headers().get("client-id");
            let client = client
                .and_then(|client| client.to_str().ok())
                .unwrap_or_default();
            let client = client.to_lowercase().replace('-', "");
            let method = request.method().clone();
            let told = reference.ask(request).await;
            let Ok(mut document) = serde_json::from_slice::<Value>(told.body()) else {
                return told;
            };
            // A page in the midst of others cannot be put in order by itself.
            let is_all = place.value("marker").is_none() && place.value("ids").is_none();
            match (method.as_str(), place.path().as_slice()) {
                ("POST", ["v2", "queues", _, "messages"]) => {
                    for path in document["resources"].as_array().into_iter().flatten() {
                        let id = path.as_str().and_then(|path| path.rsplit('/').next());
                        let id = id.unwrap_or_default().to_owned();
                        self.0.lock().unwrap().insert(id, client.clone());
                    }
                }
                ("GET", ["v2", "queues", _, "messages"]) if is_all => {
                    let count = document["messages"].as_array().map_or(0, Vec::len);
                    if place.limit().is_some_and(|limit| count < limit) {
                        self.sort(&mut document);
                    }
                }
                ("POST", ["v2", "queues", _, "claims"])
                | ("DELETE", ["v2", "queues", _, "messages"]) => {
                    self.sort(&mut document);
                }
                _ => return told,
            }
            told.map(|_| document.to_string().into())
        })
    }
}

impl ProducersApart {
    fn sort(&self, document: &mut Value) {
        let producers = self.0.lock().unwrap();
        if let Some(messages) = document["messages"].as_array_mut() {
            let of = |message: &Value| producers.get(message["id"].as_str()?).cloned();
            messages.sort_by_key(|message| std::cmp::Reverse(of(message)));
        }
    }
}
