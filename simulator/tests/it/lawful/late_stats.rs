//! Contract G19: counts are not exact. Here they are those of a moment ago.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use nanshe_conformance::environment::{BoxFuture, Instant};

use super::place::Place;
use super::{Around, Reference, Told};

/// How far they lag behind what is done in a queue.
const LAG: Duration = Duration::from_millis(700);

const NOTHING: &[u8] = br#"{"messages":{"claimed":0,"free":0,"total":0}}"#;

/// What the statistics of a queue in a project were, and since when.
type History = Vec<(Instant, Bytes)>;

#[derive(Default)]
pub(super) struct LateStats(Mutex<BTreeMap<(Vec<u8>, String), History>>);

impl Around for LateStats {
    fn answer(self: Arc<Self>, reference: Reference, request: Request<Bytes>) -> BoxFuture<Told> {
        Box::pin(async move {
            let place = Place::of(&request);
            let (project, path) = (request.headers().get("x-project-id"), place.path());
            let (Some(project), ["v2", "queues", queue, rest @ ..]) = (project, path.as_slice())
            else {
                return reference.ask(request).await;
            };
            let key = (project.as_bytes().to_vec(), (*queue).to_owned());
            let is_read = request.method() == Method::GET;
            let asks_stats = is_read && rest == ["stats"];
            let stats = format!("/v2/queues/{queue}/stats");
            let like = request.clone();
            let told = reference.ask(request).await;
            if is_read && !asks_stats || told.status().as_u16() >= 400 {
                return told;
            }
            let now = reference.world.now();
            if asks_stats {
                return self
                    .late(&key, now)
                    .map_or(told.clone(), |late| told.map(|_| late));
            }
            let after = reference.ask_like(&like, (Method::GET, &stats, "")).await;
            if after.status() == StatusCode::OK {
                let mut histories = self.0.lock().unwrap();
                let history = histories.entry(key).or_default();
                history.push((now, after.into_body()));
            }
            told
        })
    }
}

impl LateStats {
    /// What is told in place of what is so now; nothing if all was quiet for a while.
    fn late(&self, key: &(Vec<u8>, String), now: Instant) -> Option<Bytes> {
        let histories = self.0.lock().unwrap();
        let history = histories.get(key)?;
        let is_old = |since: Instant| since.plus(LAG) <= now;
        if is_old(history.last()?.0) {
            return None;
        }
        let before = history.iter().rev().find(|(since, _)| is_old(*since));
        Some(before.map_or(Bytes::from_static(NOTHING), |(_, body)| body.clone()))
    }
}
