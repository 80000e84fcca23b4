//! What an operator decides about what is sent: whom to trust, the mail relay, and Keystone.

use std::path::PathBuf;

use crate::wire::Secret;
use crate::wire::keystone::Trustee;

/// How and by whom notifications are sent. `Default`: by ourselves, to webhooks without tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// A PEM file of authorities that are trusted beside the well-known ones.
    pub authorities_file: Option<PathBuf>,
    /// The relay that takes mail.
    pub relay: Option<Relay>,
    /// Who gets tokens for trusts.
    pub trustee: Option<Trustee>,
}

/// Somebody who takes mail and passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its name or address. A certificate must be for this.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: RelaySecurity,
    /// The user and the password, if it wants any.
    pub credentials: Option<(String, Secret)>,
}

/// How a mail relay is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelaySecurity {
    /// In the clear: for a relay on this host, or on a network of one's own.
    Plain,
    /// In the clear until `STARTTLS`, which must be there.
    #[default]
    StartTls,
    /// With TLS from the first byte.
    Tls,
}
