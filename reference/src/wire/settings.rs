//! What an operator decides about the wire: the limits, and what HTTP alone knows of.

use std::collections::BTreeSet;

use crate::broker::{Limits, PoolingRule};

use super::signing::SigningKey;

/// How a subscriber is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS. Only for those who send notifications themselves: `server` does not do it.
    Https,
}

/// How requests are read and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bounds of the API.
    pub limits: Limits,
    /// What URLs are signed with. Without it nothing can be shared, and no signature is valid.
    pub signing_key: Option<SigningKey>,
    /// The subscribers that can be sent to; others are refused. Mail, and whatever needs Keystone,
    /// is refused in any case.
    pub subscriber_schemes: BTreeSet<Scheme>,
    /// Whether messages show a checksum of their body.
    pub checksums: bool,
    /// The origins whose pages may see responses, as browsers spell them: `https://host:port`.
    pub cors_origins: BTreeSet<String>,
    /// Whether operators can look after the service over the API.
    pub admin_mode: bool,
}

impl Settings {
    /// Whether there are pools, and a way to look after them.
    pub(crate) fn serves_pools(&self) -> bool {
        self.admin_mode && self.limits.pooling_rule == PoolingRule::Pools
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            signing_key: None,
            subscriber_schemes: [Scheme::Http, Scheme::Https].into(),
            checksums: false,
            cors_origins: BTreeSet::new(),
            admin_mode: false,
        }
    }
}

impl From<Limits> for Settings {
    fn from(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}
