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
    /// A message that is moved arrives nowhere.
    DeadLetterSwallowed,
    /// A marker counts messages, and deletes shift them.
    PagedByOffset,
    /// A page begins with the last message of the page before.
    PageRepeated,
    /// A page leaves a message out.
    PageSkips,
    /// Counts tell of messages that are not there.
    CountsOff,
    /// A subscriber is not told of a message.
    PushMissed,
    /// A subscriber is told of a message whose post was refused.
    PushedUnstored,
}

/// A flaw, and what becomes of it.
pub(super) struct Planted {
    pub(super) flaw: Flaw,
    /// The rules that catch it: one is enough.
    pub(super) rules: &'static [&'static str],
    /// In how many of a hundred histories in which it struck that rule finds it, at least.
    pub(super) caught_percent_min: usize,
    /// Whether it takes queues with settings to strike.
    pub(super) needs_settings: bool,
}

const fn planted(flaw: Flaw, rules: &'static [&'static str], caught_percent_min: usize) -> Planted {
    Planted {
        flaw,
        rules,
        caught_percent_min,
        needs_settings: false,
    }
}

const fn with_settings(
    flaw: Flaw,
    rules: &'static [&'static str],
    caught_percent_min: usize,
) -> Planted {
    Planted {
        needs_settings: true,
        ..planted(flaw, rules, caught_percent_min)
    }
}

/// Every flaw; after each bound the share that was measured when it was set. What stays uncaught was
/// not seen, or seen by operations that overlap, or excused by one without an answer.
pub(super) const FLAWS: &[Planted] = &[
    planted(Flaw::PostDropped, &["delivery/lost", "delivery/order"], 86), // 90 %
    planted(Flaw::RefusedPostStored, &["delivery/unexpected"], 93),       // 97 %
    planted(Flaw::GrantedTwice, &["claims/overlap"], 95),                 // 99.5 %
    planted(Flaw::LeaseEndedEarly, &["claims/overlap"], 79),              // 83.5 %
    planted(Flaw::RenewalIgnored, &["claims/overlap"], 68), // 73 %: see `OfClaim::is_sure`
    planted(
        Flaw::ReleaseIgnored,
        &["delivery/lost", "claims/stuck", "delivery/order"],
        62,
    ), // 66 %
    planted(
        Flaw::ExpiredClaimKept,
        &["delivery/lost", "claims/stuck", "delivery/order"],
        90,
    ), // 94.5 %
    planted(Flaw::Resurrected, &["delivery/resurrected"], 95), // 99.5 %
    planted(
        Flaw::PoppedTwice,
        &["delivery/popped-twice", "delivery/resurrected"],
        94,
    ), // 98 %
    planted(
        Flaw::NeighbourDeleted,
        &["delivery/lost", "delivery/order"],
        78,
    ), // 82 %
    planted(Flaw::LostInClaim, &["delivery/lost", "delivery/order"], 83), // 87.5 %
    planted(Flaw::ReadMissed, &["delivery/lost"], 90),      // 94 %
    planted(Flaw::LimitExceeded, &["delivery/unexpected"], 93), // 97.5 %
    planted(Flaw::Invented, &["delivery/unexpected"], 95),  // 99 %
    planted(
        Flaw::BatchCut,
        &["delivery/partial-batch", "delivery/lost"],
        84,
    ), // 88 %
    planted(Flaw::StoredTwice, &["delivery/duplicated"], 94), // 98.5 %
    planted(Flaw::OrderSwapped, &["delivery/order"], 91),   // 95 %
    planted(Flaw::BodyChanged, &["delivery/corrupted"], 97), // 100 %
    planted(Flaw::QueuesConfused, &["delivery/isolation"], 94), // 98.5 %
    planted(Flaw::ExpiredReturned, &["delivery/expired"], 91), // 95.5 %
    with_settings(Flaw::DelayIgnored, &["delivery/early"], 92), // 96 %
    planted(
        Flaw::LifeNotExtended,
        &["claims/lifetime", "claims/expired-early"],
        53,
    ), // 57 %
    planted(
        Flaw::GraceForgotten,
        &["claims/lifetime", "claims/expired-early"],
        47,
    ), // 51.5 %
    planted(Flaw::StaleDelete, &["claims/fencing"], 79),    // 83.5 %
    planted(Flaw::UnclaimedDeleted, &["claims/fencing"], 83), // 87.5 %
    planted(Flaw::EndedClaimRenewed, &["claims/fencing"], 84), // 88.5 %
    planted(Flaw::HolderRefused, &["claims/expired-early"], 92), // 96.5 %
    planted(Flaw::ClaimForgotten, &["claims/expired-early"], 75), // 79 %
    with_settings(Flaw::DeadLetterLate, &["claims/dead-letter"], 92), // 96 %
    with_settings(Flaw::DeadLetterEarly, &["claims/dead-letter"], 78), // 82.5 %
    with_settings(Flaw::DeadLetterSwallowed, &["claims/dead-letter"], 37), // 41.5 %
    planted(
        Flaw::PagedByOffset,
        &["delivery/page-gap", "delivery/page-repeat"],
        67,
    ), // 71 %
    planted(Flaw::PageRepeated, &["delivery/page-repeat"], 97), // 100 %
    planted(Flaw::PageSkips, &["delivery/page-gap"], 89),   // 93.5 %
    planted(Flaw::CountsOff, &["delivery/stats"], 94),      // 98.5 %
    planted(Flaw::PushMissed, &["notify/missed"], 88),      // 92.5 %
    planted(Flaw::PushedUnstored, &["notify/phantom"], 95), // 99 %
];

/// How long before its time a flawed lease ends. More than the slack, which excuses less than that.
const EARLY_MS: u64 = 6_000;

impl Flaw {
    /// Whether all it does to a claim or pop is to keep messages back.
    pub(super) fn keeps_back(self) -> bool {
        matches!(
            self,
            Self::ReleaseIgnored
                | Self::ExpiredClaimKept
                | Self::LifeNotExtended
                | Self::GraceForgotten
        )
    }

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
            | Self::DeadLetterSwallowed
            | Self::PagedByOffset
            | Self::PageRepeated
            | Self::PageSkips
            | Self::CountsOff
            | Self::PushMissed
            | Self::PushedUnstored => false,
        }
    }
}
