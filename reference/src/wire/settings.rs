//! What an operator decides about the wire: the limits, and what HTTP alone knows of.

use crate::broker::Limits;

use super::signing::SigningKey;

/// How requests are read and answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The bounds of the API.
    pub limits: Limits,
    /// What URLs are signed with. Without it nothing can be shared, and no signature is valid.
    pub signing_key: Option<SigningKey>,
}

impl From<Limits> for Settings {
    fn from(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}
