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
    /// Only the first of a batch is stored.
    BatchCut,
    /// A post stores its message twice.
    StoredTwice,
    /// A message takes the place of the one before it.
    OrderSwapped,
    /// A message comes back with another body.
    BodyChanged,
    /// A read finds messages of other queues.
    QueuesConfused,
    /// A message that has expired is still handed out.
    ExpiredReturned,
    /// A delayed message is handed out at once.
    DelayIgnored,
    /// A claim does not extend a life that would end before it.
    LifeNotExtended,
    /// A claim extends a life to its own end alone.
    GraceForgotten,
    /// A delete under a claim that has ended, or that another holds, is accepted.
    StaleDelete,
    /// A delete without a claim takes a claimed message.
    UnclaimedDeleted,
    /// A claim that has ended is renewed.
    EndedClaimRenewed,
    /// A renewal or a delete by the holder is refused.
    HolderRefused,
    /// A claim cannot be looked at, although it holds.
    ClaimForgotten,
    /// A message is handed out once more than it may.
    DeadLetterLate,
    /// A message is moved one delivery too early.
    DeadLetterEarly,
    /// A marker counts messages, and deletes shift them.
    PagedByOffset,
    /// A page begins with the last message of the page before.
    PageRepeated,
    /// A page leaves a message out.
    PageSkips,
    /// Counts tell of messages that are not there.
    CountsOff,
}

/// A flaw, and what becomes of it.
pub(super) struct Planted {
    pub(super) flaw: Flaw,
    /// The rules that catch it: one is enough.
    pub(super) rules: &'static [&'static str],
    /// In how many of a hundred histories in which it struck that rule finds it, at least.
    pub(super) caught_percent_min: usize,
    /// Whether it takes histories with all operations to strike.
    pub(super) is_rich: bool,
}

const fn planted(flaw: Flaw, rules: &'static [&'static str], caught_percent_min: usize) -> Planted {
    Planted {
        flaw,
        rules,
        caught_percent_min,
        is_rich: false,
    }
}

const fn rich(flaw: Flaw, rules: &'static [&'static str], caught_percent_min: usize) -> Planted {
    Planted {
        is_rich: true,
        ..planted(flaw, rules, caught_percent_min)
    }
}

/// Every flaw; after each bound the share that was measured when it was set. What stays uncaught was
/// not seen, or seen by operations that overlap, or excused by one without an answer.
pub(super) const FLAWS: &[Planted] = &[
    planted(Flaw::PostDropped, &["delivery/lost"], 51), // 55 %
    planted(Flaw::RefusedPostStored, &["delivery/unexpected"], 82), // 86 %
    planted(Flaw::GrantedTwice, &["claims/overlap"], 82), // 86 %
    planted(Flaw::LeaseEndedEarly, &["claims/overlap"], 45), // 49 %
    planted(Flaw::RenewalIgnored, &["claims/overlap"], 53), // 57 %
    planted(Flaw::ReleaseIgnored, &["delivery/lost", "claims/stuck"], 12), // 16 %
    planted(
        Flaw::ExpiredClaimKept,
        &["delivery/lost", "claims/stuck"],
        58,
    ), // 62 %
    planted(Flaw::Resurrected, &["delivery/resurrected"], 89), // 93 %
    planted(
        Flaw::PoppedTwice,
        &["delivery/popped-twice", "delivery/resurrected"],
        80,
    ), // 84 %
    planted(Flaw::NeighbourDeleted, &["delivery/lost"], 44), // 48 %
    planted(Flaw::LostInClaim, &["delivery/lost"], 51), // 55 %
    planted(Flaw::ReadMissed, &["delivery/lost"], 79),  // 83 %
    planted(Flaw::LimitExceeded, &["delivery/unexpected"], 89), // 93 %
    planted(Flaw::Invented, &["delivery/unexpected"], 91), // 95 %
    rich(
        Flaw::BatchCut,
        &["delivery/partial-batch", "delivery/lost"],
        45,
    ), // 49 %
    rich(Flaw::StoredTwice, &["delivery/duplicated"], 84), // 88 %
    rich(Flaw::OrderSwapped, &["delivery/order"], 59),  // 63 %
    rich(Flaw::BodyChanged, &["delivery/corrupted"], 92), // 96 %
    rich(Flaw::QueuesConfused, &["delivery/isolation"], 57), // 61 %
    rich(Flaw::ExpiredReturned, &["delivery/expired"], 56), // 60 %
    rich(Flaw::DelayIgnored, &["delivery/early"], 79),  // 83 %
    rich(
        Flaw::LifeNotExtended,
        &["claims/lifetime", "claims/expired-early"],
        15,
    ), // 19 %
    rich(
        Flaw::GraceForgotten,
        &["claims/lifetime", "claims/expired-early"],
        10,
    ), // 14 %
    rich(Flaw::StaleDelete, &["claims/fencing"], 51),   // 55 %
    rich(Flaw::UnclaimedDeleted, &["claims/fencing"], 57), // 61 %
    rich(Flaw::EndedClaimRenewed, &["claims/fencing"], 70), // 74 %
    rich(Flaw::HolderRefused, &["claims/expired-early"], 67), // 71 %
    rich(Flaw::ClaimForgotten, &["claims/expired-early"], 50), // 54 %
    rich(Flaw::DeadLetterLate, &["claims/dead-letter"], 73), // 77 %
    rich(Flaw::DeadLetterEarly, &["claims/dead-letter"], 30), // 34 %
    rich(
        Flaw::PagedByOffset,
        &["delivery/page-gap", "delivery/page-repeat"],
        4,
    ), // 8 %
    rich(Flaw::PageRepeated, &["delivery/page-repeat"], 38), // 42 %
    rich(Flaw::PageSkips, &["delivery/page-gap"], 23),  // 27 %
    rich(Flaw::CountsOff, &["delivery/stats"], 61),     // 65 %    // 0 %
];

/// How long before its time a flawed lease ends. More than the slack, which excuses less than that.
const EARLY_MS: u64 = 6_000;

impl Flaw {
    /// Whether the flaw turns the decision about a message round: hands out what is not to be had, or
    /// keeps back what is.
    pub(super) fn reverses(self, message: &Message, now: u64, random: &mut ChaCha8Rng) -> bool {
        let is_held = message.is_held(now);
        let is_free = message.place == Place::Stored && !is_held && !message.is_delayed(now);
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
            Self::DelayIgnored => {
                let is_stored = message.place == Place::Stored;
                is_stored && !is_held && message.is_delayed(now)
            }
            Self::PoppedTwice => message.place == Place::Popped && random.random_bool(0.5),
            // These strike elsewhere: they change what is stored, or what is answered.
            Self::PostDropped
            | Self::RefusedPostStored
            | Self::NeighbourDeleted
            | Self::LostInClaim
            | Self::ReadMissed
            | Self::LimitExceeded
            | Self::Invented
            | Self::BatchCut
            | Self::StoredTwice
            | Self::OrderSwapped
            | Self::BodyChanged
            | Self::QueuesConfused
            | Self::ExpiredReturned
            | Self::LifeNotExtended
            | Self::GraceForgotten
            | Self::StaleDelete
            | Self::UnclaimedDeleted
            | Self::EndedClaimRenewed
            | Self::HolderRefused
            | Self::ClaimForgotten
            | Self::DeadLetterLate
            | Self::DeadLetterEarly
            | Self::PagedByOffset
            | Self::PageRepeated
            | Self::PageSkips
            | Self::CountsOff => false,
        }
    }
}
