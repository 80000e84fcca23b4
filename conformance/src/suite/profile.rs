//! Profiles: what an implementation promises to offer, before its target file and probing say more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::capability::Capability;
use crate::target::Description;

/// What is expected of an implementation beside the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// What a Zaqar v2 as it is installed offers.
    #[default]
    ZaqarV2,
    /// That, and expiry to the second, and one order across producers.
    Strict,
    /// Queues, messages and claims only: a thin gateway over some other queue.
    Core,
}

/// What probing found about capabilities that are a matter of configuration.
pub type Probed = BTreeMap<Capability, bool>;

/// What a Zaqar v2 as it is installed offers.
const ZAQAR_V2: [Capability; 15] = [
    Capability::Projects,
    Capability::Discovery,
    Capability::Metadata,
    Capability::Patch,
    Capability::QueueLists,
    Capability::Stats,
    Capability::Purge,
    Capability::Bulk,
    Capability::Pop,
    Capability::Delay,
    Capability::DeadLetters,
    Capability::Encryption,
    Capability::UuidClients,
    Capability::BulkDeleteIgnoresClaims,
    Capability::Subscriptions,
];

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ZaqarV2, Self::Strict, Self::Core];

    /// Its word in target files and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ZaqarV2 => "zaqar-v2",
            Self::Strict => "strict",
            Self::Core => "core",
        }
    }

    /// What it promises.
    pub fn promises(self) -> BTreeSet<Capability> {
        match self {
            Self::ZaqarV2 => ZAQAR_V2.into(),
            Self::Strict => ZAQAR_V2
                .into_iter()
                .chain([Capability::ExactExpiry, Capability::TotalOrder])
                .collect(),
            Self::Core => BTreeSet::new(),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the target offers: its profile, then what probing found, then what its file says.
///
/// Probing is believed about configuration only: it never takes away what the profile promises, for a
/// promise that is not kept is what the suite is there to find. Two settings exclude each other, though.
pub fn offered(profile: Profile, probed: &Probed, target: &Description) -> BTreeSet<Capability> {
    let mut offered = profile.promises();
    for (&capability, &there) in probed {
        if there {
            offered.insert(capability);
        } else if is_a_setting(capability) {
            offered.remove(&capability);
        }
    }
    offered.extend(&target.offers);
    if target.signing_key.is_some() {
        offered.insert(Capability::KnownSigningKey);
    }
    if target.mail_address.is_some() {
        offered.insert(Capability::Mail);
    }
    if target.websocket.is_some() {
        offered.insert(Capability::WebSocket);
    }
    offered.retain(|capability| !target.lacks.contains(capability));
    if target.session.is_some() {
        // The token says which project it is, whatever a client writes into the header.
        offered.remove(&Capability::Projects);
    }
    offered
}

/// Whether a correct implementation is free to have it the other way round.
fn is_a_setting(capability: Capability) -> bool {
    matches!(
        capability,
        Capability::UuidClients | Capability::BulkDeleteIgnoresClaims
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Endpoint;

    fn target() -> Description {
        Description::of_endpoint("x".to_owned(), Endpoint::parse("http://h").unwrap())
    }

    #[test]
    fn core_promises_nothing_more_and_strict_more_than_zaqar() {
        assert!(Profile::Core.promises().is_empty());
        let (zaqar, strict) = (Profile::ZaqarV2.promises(), Profile::Strict.promises());
        assert!(zaqar.is_subset(&strict) && zaqar != strict);
    }

    #[test]
    fn probing_adds_and_switches_settings_but_excuses_no_broken_promise() {
        let probed = Probed::from([
            (Capability::PreSigned, true),
            (Capability::UuidClients, false),
            (Capability::FreeFormClients, true),
            (Capability::Stats, false),
        ]);
        let offered = offered(Profile::ZaqarV2, &probed, &target());
        assert!(offered.contains(&Capability::PreSigned));
        assert!(offered.contains(&Capability::FreeFormClients));
        assert!(!offered.contains(&Capability::UuidClients));
        assert!(offered.contains(&Capability::Stats));
    }

    #[test]
    fn signing_key_that_the_target_file_names_is_known() {
        let mut target = target();
        let known = |target: &Description| {
            let offered = offered(Profile::Core, &Probed::new(), target);
            offered.contains(&Capability::KnownSigningKey)
        };
        assert!(!known(&target));
        target.signing_key = Some("nanshe".to_owned());
        assert!(known(&target));
    }

    #[test]
    fn target_file_has_the_last_word() {
        let mut target = target();
        target.offers.insert(Capability::Pop);
        target.lacks.insert(Capability::PreSigned);
        let probed = Probed::from([(Capability::PreSigned, true), (Capability::Pop, false)]);
        let offered = offered(Profile::Core, &probed, &target);
        assert_eq!(offered, BTreeSet::from([Capability::Pop]));
    }
}
