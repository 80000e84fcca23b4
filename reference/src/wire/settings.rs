//! What an operator decides about the wire: the limits, and what HTTP alone knows of.

use std::collections::BTreeSet;

use crate::broker::{Limits, PoolingRule};

use super::mail::MailSettings;
use super::network::AddressRule;
use super::signing::SigningKey;

/// How a subscriber is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
    /// By mail.
    Mailto,
    /// In the clear, with a token that a trust gives.
    TrustHttp,
    /// Over TLS, with a token that a trust gives.
    TrustHttps,
}

impl Scheme {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Http,
        Self::Https,
        Self::Mailto,
        Self::TrustHttp,
        Self::TrustHttps,
    ];

    /// As it stands before the colon of a URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Mailto => "mailto",
            Self::TrustHttp => "trust+http",
            Self::TrustHttps => "trust+https",
        }
    }
}

/// Whether whoever sends can get tokens from Keystone for trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustRule {
    /// It cannot, so who needs one cannot subscribe.
    #[default]
    Refused,
    /// It can.
    Accepted,
}

/// How requests are read and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bounds of the API.
    pub limits: Limits,
    /// What URLs are signed with. Without it nothing can be shared, and no signature is valid.
    pub signing_key: Option<SigningKey>,
    /// The subscribers that can be sent to; others are refused. Mail needs [`Self::mail`] too, and
    /// trusts need [`Self::trust_rule`].
    pub subscriber_schemes: BTreeSet<Scheme>,
    /// The addresses that can be sent to; others are refused if they stand in a URI, and otherwise
    /// when they are known.
    pub address_rule: AddressRule,
    /// What mail is made of. Without it nobody can be sent mail.
    pub mail: Option<MailSettings>,
    /// Whether there are tokens for trusts.
    pub trust_rule: TrustRule,
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
            subscriber_schemes: Scheme::ALL.into(),
            address_rule: AddressRule::default(),
            mail: None,
            trust_rule: TrustRule::Refused,
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
