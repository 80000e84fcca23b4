//! The whole state of a broker as bytes, and back. What is restored goes on exactly as the saved one
//! would have: the same answers, the same ids, the same deliveries.
//!
//! A line that says what follows, then the state as JSON. The form of the state is that of this
//! version; it is for tests, for moving a broker to another process, and for whoever keeps one on a
//! disk of their own. Damage is found by the checksum, so nothing half-read is ever served.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Broker;

const FORMAT: &str = "nanshe-broker";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    sha256: String,
}

/// Why nothing could be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Not the state of a broker at all.
    #[error("this is not the saved state of a broker")]
    Foreign,
    /// Saved by another version.
    #[error("the state was saved as version {found}, this is version {VERSION}")]
    Version {
        /// The version that saved it.
        found: u32,
    },
    /// Not what was saved.
    #[error("the state is damaged: its checksum differs")]
    Damaged,
    /// It has the right checksum, and cannot be read all the same.
    #[error("the state cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Broker {
    /// The whole state. What is under way to subscribers is part of it, as under way.
    ///
    /// # Panics
    /// Never: everything in a broker can be written.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let state = serde_json::to_vec(self).expect("invariant: the state can be written");
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            sha256: checksum(&state),
        };
        let mut saved = serde_json::to_vec(&header).expect("invariant: a header can be written");
        saved.push(b'\n');
        saved.extend(state);
        saved
    }

    /// The broker that was saved. Time goes on from where it was.
    ///
    /// # Errors
    /// If these are not the bytes that [`Broker::save`] of this version returned.
    pub fn restore(saved: &[u8]) -> Result<Self, RestoreError> {
        let end = saved.iter().position(|&byte| byte == b'\n');
        let (header, state) = saved.split_at(end.ok_or(RestoreError::Foreign)?);
        let header: Header = serde_json::from_slice(header).map_err(|_| RestoreError::Foreign)?;
        let state = &state[1..];
        if header.format != FORMAT {
            return Err(RestoreError::Foreign);
        }
        if header.version != VERSION {
            let found = header.version;
            return Err(RestoreError::Version { found });
        }
        if header.sha256 != checksum(state) {
            return Err(RestoreError::Damaged);
        }
        Ok(serde_json::from_slice(state)?)
    }
}

fn checksum(state: &[u8]) -> String {
    let digest = Sha256::digest(state);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Maps whose keys are no text, as lists of pairs: `#[serde(with = "pairs")]`.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Limits;

    #[test]
    fn only_what_was_saved_is_restored() {
        let saved = Broker::new(Limits::default(), 1).save();
        assert_eq!(Broker::restore(&saved).unwrap().save(), saved);
        let error = |bytes: &[u8]| Broker::restore(bytes).err().unwrap().to_string();
        for foreign in [&b""[..], b"\n", b"{}\n{}", b"{\"a\":1}\n", &saved[1..]] {
            assert_eq!(error(foreign), "this is not the saved state of a broker");
        }
        let text = String::from_utf8(saved).unwrap();
        let older = text.replace("\"version\":1", "\"version\":0");
        assert_eq!(
            error(older.as_bytes()),
            "the state was saved as version 0, this is version 1"
        );
        for damaged in [
            &text[..text.len() - 1],
            &text.replace("\"now\":0", "\"now\":9"),
        ] {
            assert_eq!(
                error(damaged.as_bytes()),
                "the state is damaged: its checksum differs"
            );
        }
    }
}
