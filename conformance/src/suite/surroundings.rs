//! What a target's configuration puts around the cases: a sink, an allowed origin, spare pools.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::mail_sink::MailSink;
use super::sink::Sink;
use crate::target::{Endpoint, store};

/// What cases about one target share.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Where notifications can be sent to.
    pub(super) sink: Option<Arc<Sink>>,
    /// The origin that its `[cors]` section allows.
    pub(super) cors_origin: Option<String>,
    /// The key that it signs URLs with.
    pub(super) signing_key: Option<String>,
    /// Where it speaks WebSocket.
    pub(super) websocket: Option<Endpoint>,
    /// Where mail arrives.
    pub(super) mail: Option<Arc<MailSink>>,
    /// Stores for new pools.
    pub(super) pool_uris: Vec<String>,
    /// How many of them were given out.
    pub(super) pools: AtomicUsize,
    /// Those that pools had before any was given out.
    taken: OnceLock<BTreeSet<String>>,
}

impl Surroundings {
    /// What there is. One URI with `{}` in it stands for as many as are needed.
    pub fn new(
        sink: Option<Arc<Sink>>,
        cors_origin: Option<String>,
        pool_uris: Vec<String>,
    ) -> Self {
        Self {
            sink,
            cors_origin,
            signing_key: None,
            websocket: None,
            mail: None,
            pool_uris,
            pools: AtomicUsize::new(0),
            taken: OnceLock::new(),
        }
    }

    /// With the key that the target signs URLs with, if it is known.
    #[must_use]
    pub fn with_signing_key(self, signing_key: Option<String>) -> Self {
        Self {
            signing_key,
            ..self
        }
    }

    /// With the place where the target speaks WebSocket, if it does.
    #[must_use]
    pub fn with_websocket(self, websocket: Option<Endpoint>) -> Self {
        Self { websocket, ..self }
    }

    /// With the relay that the target hands its mail to, if that is the suite's.
    #[must_use]
    pub fn with_mail(self, mail: Option<Arc<MailSink>>) -> Self {
        Self { mail, ..self }
    }

    /// The stores that pools had before the cases made any, once somebody has noted them.
    pub(super) fn taken_pool_uris(&self) -> Option<&BTreeSet<String>> {
        self.taken.get()
    }

    /// Notes them, unless somebody was first.
    pub(super) fn note_taken_pool_uris(&self, uris: BTreeSet<String>) -> &BTreeSet<String> {
        self.taken.get_or_init(|| uris)
    }

    /// A store for a new pool: another one each time, as long as there are any.
    pub(super) fn pool_uri(&self) -> Option<String> {
        let number = self.pools.fetch_add(1, Ordering::Relaxed);
        store(&self.pool_uris, number)
    }
}
