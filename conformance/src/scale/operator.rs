//! Who changes the pools: contract 12.1, by the role that may.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::scale::rig::{Fell, Rig};
use crate::target::{Client, spare_stores};

/// Requests that a drain takes at most.
const DRAINS_MAX: u32 = 1_000;

/// Pages that a list of pools has at most.
const PAGES_MAX: u32 = 100;

/// An operator of the target.
pub(super) struct Operator {
    client: Client,
    realm: String,
    pool_uris: Vec<String>,
}

/// A pool.
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) weight: u64,
    /// Its store, if that is shown.
    pub(super) uri: Option<String>,
}

impl Operator {
    pub(super) fn new(rig: &Arc<Rig>) -> Self {
        let place = &rig.place;
        let world = Arc::clone(&place.world);
        Self {
            client: Client::new(world, place.endpoint.clone(), place.patience, 1)
                .logged_in(place.session.clone()),
            realm: rig.options.realm.clone(),
            pool_uris: place.pool_uris.clone(),
        }
    }

    /// The name of a new pool: no other run's.
    pub(super) fn name(&self, number: u32) -> String {
        format!("{}-{number}", self.realm.trim_end_matches('-'))
    }

    /// The pools that there are; `None` if they are not shown.
    pub(super) async fn pools(&self) -> Option<Vec<Pool>> {
        let mut path = "/v2/pools?limit=20".to_owned();
        let mut pools = Vec::new();
        for _ in 0..PAGES_MAX {
            let (status, body) = self.ask(Method::GET, &path, None).await.ok()?;
            let shown = (status == StatusCode::OK).then_some(body)?;
            let page: Option<Vec<Pool>> = shown["pools"].as_array()?.iter().map(pool).collect();
            let (page, mut links) = (page?, shown["links"].as_array().into_iter().flatten());
            let next = links.find(|link| link["rel"] == "next");
            let is_last = page.is_empty();
            pools.extend(page);
            match next.and_then(|next| next["href"].as_str()) {
                Some(next) if !is_last => next.clone_into(&mut path),
                _ => break,
            }
        }
        Some(pools)
    }

    /// Stores for new pools, beside those that `pools` have.
    pub(super) fn spare_stores(&self, pools: &[Pool]) -> impl Iterator<Item = String> {
        let taken = pools.iter().filter_map(|pool| pool.uri.clone()).collect();
        spare_stores(&self.pool_uris, taken)
    }

    pub(super) async fn put(&self, name: &str, uri: &str, weight: u64) -> Result<(), Fell> {
        let body = json!({ "uri": uri, "weight": weight });
        self.expect(Method::PUT, &path(name), Some(&body), 201)
            .await
            .map(drop)
    }

    pub(super) async fn weigh(&self, name: &str, weight: u64) -> Result<(), Fell> {
        let body = json!({ "weight": weight });
        self.expect(Method::PATCH, &path(name), Some(&body), 200)
            .await
            .map(drop)
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Fell> {
        self.expect(Method::DELETE, &path(name), None, 204)
            .await
            .map(drop)
    }

    /// Moves everything off a pool: how many queues that were; `None` if the target drains no pools.
    pub(super) async fn drain(&self, name: &str) -> Result<Option<u64>, Fell> {
        let path = format!("{}/drain", path(name));
        let mut moved = 0;
        for _ in 0..DRAINS_MAX {
            let (status, body) = self.ask(Method::POST, &path, None).await?;
            if matches!(status.as_u16(), 404 | 405) {
                return Ok(None);
            }
            let of = |member: &str| {
                let fell = || Fell(format!("POST {path} answered {status}"));
                body[member].as_u64().ok_or_else(fell)
            };
            moved += of("moved")?;
            if of("left")? == 0 {
                return Ok(Some(moved));
            }
        }
        Err(Fell(format!(
            "{name} is not empty after {DRAINS_MAX} drains"
        )))
    }

    async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        expected: u16,
    ) -> Result<Value, Fell> {
        let (status, answer) = self.ask(method.clone(), path, body).await?;
        if status.as_u16() == expected {
            return Ok(answer);
        }
        Err(Fell(format!(
            "{method} {path} answered {}, expected {expected}",
            status.as_u16()
        )))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Fell> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = path
            .parse()
            .map_err(|_| Fell(format!("`{path}` is no path")))?;
        let headers = request.headers_mut();
        for (name, value) in [
            ("client-id", "00000000-0000-4000-8000-000000000000"),
            ("x-project-id", "nanshe"),
            ("x-roles", "admin"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|error| Fell(format!("{method} {path}: {error}")))?;
        let document = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok((answer.status, document))
    }
}

fn pool(shown: &Value) -> Option<Pool> {
    Some(Pool {
        name: shown["name"].as_str()?.to_owned(),
        weight: shown["weight"].as_u64()?,
        uri: shown["uri"].as_str().map(str::to_owned),
    })
}

fn path(name: &str) -> String {
    format!("/v2/pools/{name}")
}
