//! What can be wrong with the server.

/// A flaw that is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// A claim takes the newest messages.
    NewestFirst,
    /// A renewal is answered, and changes nothing.
    RenewalIgnored,
    /// A renewal leaves lifetimes alone.
    RenewalWithoutExtension,
    /// A release forgets how often messages were handed out.
    ReleaseLosesCount,
    /// A message is handed out once too often before it moves.
    DeadLetterLate,
    /// A moved message stays held by the claim that moved it.
    DeadLetterHeld,
    /// A moved message keeps its old ttl.
    DeadLetterTtlIgnored,
    /// A claim leaves lifetimes alone.
    NoExtension,
    /// Lifetimes are extended to the end of the claim, without the grace.
    NoGrace,
    /// A page begins one message too far behind its marker.
    MarkerSkips,
    /// Listings show expired messages.
    ExpiredListed,
    /// Pops take claimed messages.
    PopTakesClaimed,
    /// Pops take delayed messages.
    PopTakesDelayed,
    /// Claims take claimed messages behind a free one.
    ClaimTakesHeld,
    /// A message can be deleted with the claim that held it last, long after that ended.
    ExpiredClaimDeletes,
    /// A claimed message can be deleted without the claim.
    DeleteNeedsNoClaim,
    /// A patch that is refused half-way leaves its first half.
    PatchNotAtomic,
    /// Metadata of a queue that is there is replaced by a second creation.
    CreationOverwrites,
    /// Queue `a.b` of project `p` is queue `b` of project `p.a`.
    JoinedKeys,
    /// A message can be read by its id in any project.
    ReadAnywhere,
    /// A released message goes to the end of the queue.
    ReleasedToTail,
    /// A refused batch leaves its good messages.
    BatchHalfStored,
    /// Claims outlive their queue.
    ClaimsOutliveQueue,
    /// Own messages are listed without `echo`.
    OwnShown,
    /// Statistics count expired messages.
    StatsCountExpired,
    /// A queue's default ttl is ignored.
    DefaultTtlIgnored,
    /// The lease of a claim ends five seconds early.
    LeaseEndsEarly,
    /// A purge leaves delayed messages.
    PurgeLeavesDelayed,
}

pub(crate) const FLAWS: [Flaw; 28] = [
    Flaw::NewestFirst,
    Flaw::RenewalIgnored,
    Flaw::RenewalWithoutExtension,
    Flaw::ReleaseLosesCount,
    Flaw::DeadLetterLate,
    Flaw::DeadLetterHeld,
    Flaw::DeadLetterTtlIgnored,
    Flaw::NoExtension,
    Flaw::NoGrace,
    Flaw::MarkerSkips,
    Flaw::ExpiredListed,
    Flaw::PopTakesClaimed,
    Flaw::PopTakesDelayed,
    Flaw::ClaimTakesHeld,
    Flaw::ExpiredClaimDeletes,
    Flaw::DeleteNeedsNoClaim,
    Flaw::PatchNotAtomic,
    Flaw::CreationOverwrites,
    Flaw::JoinedKeys,
    Flaw::ReadAnywhere,
    Flaw::ReleasedToTail,
    Flaw::BatchHalfStored,
    Flaw::ClaimsOutliveQueue,
    Flaw::OwnShown,
    Flaw::StatsCountExpired,
    Flaw::DefaultTtlIgnored,
    Flaw::LeaseEndsEarly,
    Flaw::PurgeLeavesDelayed,
];
