//! What a target's configuration puts around the cases: a sink, an allowed origin, spare pools.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sink::Sink;

/// What cases about one target share.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Where notifications can be sent to.
    pub sink: Option<Arc<Sink>>,
    /// The origin that its `[cors]` section allows.
    pub cors_origin: Option<String>,
    /// Stores for new pools.
    pub pool_uris: Vec<String>,
    /// How many of them were given out.
    pub(super) pools: AtomicUsize,
}

impl Surroundings {
    /// A store for a new pool: another one each time, as long as there are any.
    pub(super) fn pool_uri(&self) -> Option<String> {
        let number = self.pools.fetch_add(1, Ordering::Relaxed);
        let uris = &self.pool_uris;
        // A template gives as many as are needed.
        match uris.as_slice() {
            [] => None,
            [one] if one.contains("{}") => Some(one.replace("{}", &number.to_string())),
            many => many.get(number % many.len()).cloned(),
        }
    }
}
