//! What a planted flaw is, when it strikes, and which rule has to catch it.
//!
//! A flaw whose history looks like a correct one cannot be caught: what nobody saw, or only operations
//! that overlap, is no evidence. So a flaw is caught in a stated share of the histories in
//! which it struck, and that share was measured.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::model::{Message, Place};

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A post is answered, and its message is not stored.
    PostDropped,
    /// A post is refused, and its messages are stored.
    RefusedPostStored,
    /// A claim takes a message that another still holds.
    GrantedTwice,
    /// A lease ends some seconds before its time.
    LeaseEndedEarly,
    /// A renewal is answered, and the lease ends when it would have ended without.
    RenewalIgnored,
    /// A release is answered, and the message stays held until its lease would have ended.
    ReleaseIgnored,
    /// What an expired claim held is never handed out again.
    ExpiredClaimKept,
    /// A deleted message comes back after a while.
    Resurrected,
    /// A popped message is handed out again.
    PoppedTwice,
    /// A delete takes another message with it.
    NeighbourDeleted,
    /// A claim removes a message instead of handing it out.
    LostInClaim,
    /// A read finds nothing, although the message is there.
    ReadMissed,
    /// An answer holds one message more than it may.
    LimitExceeded,
    /// An answer holds a message that nobody posted.
    Invented,
}

/// A flaw, and what becomes of it.
pub(super) struct Planted {
    pub(super) flaw: Flaw,
    /// The rule that catches it.
    pub(super) rule: &'static str,
    /// In how many of a hundred histories in which it struck that rule finds it, at least.
    pub(super) caught_percent_min: usize,
}

const fn planted(flaw: Flaw, rule: &'static str, caught_percent_min: usize) -> Planted {
    Planted {
        flaw,
        rule,
        caught_percent_min,
    }
}

/// Every flaw; after each bound the share that was measured when it was set. What stays uncaught was
/// not seen, or seen by operations that overlap, or excused by one without an answer.
pub(super) const FLAWS: &[Planted] = &[
    planted(Flaw::PostDropped, "delivery/lost", 51), // 55 %
    planted(Flaw::RefusedPostStored, "delivery/unexpected", 82), // 86 %
    planted(Flaw::GrantedTwice, "claims/overlap", 82), // 86 %
    planted(Flaw::LeaseEndedEarly, "claims/overlap", 45), // 49 %
    planted(Flaw::RenewalIgnored, "claims/overlap", 53), // 57 %
    planted(Flaw::ReleaseIgnored, "delivery/lost", 12), // 16 %
    planted(Flaw::ExpiredClaimKept, "delivery/lost", 58), // 62 %
    planted(Flaw::Resurrected, "delivery/resurrected", 89), // 93 %
    planted(Flaw::PoppedTwice, "delivery/resurrected", 80), // 84 %
    planted(Flaw::NeighbourDeleted, "delivery/lost", 44), // 48 %
    planted(Flaw::LostInClaim, "delivery/lost", 51), // 55 %
    planted(Flaw::ReadMissed, "delivery/lost", 79),  // 83 %
    planted(Flaw::LimitExceeded, "delivery/unexpected", 89), // 93 %
    planted(Flaw::Invented, "delivery/unexpected", 91), // 95 %
];

/// How long before its time a flawed lease ends. More than the slack, which excuses less than that.
const EARLY_MS: u64 = 6_000;

impl Flaw {
    /// Whether the flaw turns the decision about a message round: hands out what is not to be had, or
    /// keeps back what is.
    pub(super) fn reverses(self, message: &Message, now: u64, random: &mut ChaCha8Rng) -> bool {
        let is_held = message.is_held(now);
        let is_free = message.place == Place::Stored && !is_held;
        match self {
            Self::GrantedTwice => is_held && random.random_bool(0.3),
            Self::LeaseEndedEarly => is_held && now + EARLY_MS >= message.lease_until,
            Self::RenewalIgnored => {
                let unrenewed = message.unrenewed_lease_until;
                is_held && unrenewed.is_some_and(|until| until <= now)
            }
            Self::ReleaseIgnored => is_free && now < message.released_lease_until,
            Self::ExpiredClaimKept => is_free && message.holder.is_some(),
            Self::Resurrected => message.returns_at.is_some_and(|at| at <= now),
            Self::PoppedTwice => message.place == Place::Popped && random.random_bool(0.5),
            // These strike elsewhere: they change what is stored, or what is answered.
            Self::PostDropped
            | Self::RefusedPostStored
            | Self::NeighbourDeleted
            | Self::LostInClaim
            | Self::ReadMissed
            | Self::LimitExceeded
            | Self::Invented => false,
        }
    }
}
