//! What a sequence is made of, and how it is drawn.
//!
//! Operations name earlier results by keys, not by position: a key means the result whose own key
//! follows it most closely, going round. So whatever else is taken out of a sequence, the rest goes on
//! meaning what it meant, and shrinking keeps sequences sensible.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

pub use self::kind::{Kind, Without};

mod kind;

/// Projects of a sequence. The second is named so that projects joined to queues by a dot collide.
pub(super) const PROJECTS: u8 = 2;

/// Queues of a project, by name, with the one that takes dead letters last.
pub(super) const QUEUES: [&str; 3] = ["b", "a.b", "dead"];

/// The place of the dead letter queue in [`QUEUES`].
pub(super) const DEAD_LETTERS: u8 = 2;

/// A queue of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) project: u8,
    pub(super) queue: u8,
}

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) place: Place,
    /// Which of two clients.
    pub(super) client: u8,
    pub(super) act: Act,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Post {
        key: u16,
        messages: Vec<Draft>,
    },
    BadPost(BadPost),
    Claim {
        key: u16,
        terms: Terms,
        limit: u64,
    },
    List {
        key: u16,
        /// The page to go on after.
        page: Option<u16>,
        listing: Listing,
    },
    Get(MessageRef),
    GetMany(Vec<MessageRef>),
    Delete {
        message: MessageRef,
        claim: ClaimArgument,
    },
    DeleteMany(Vec<MessageRef>),
    Pop(u64),
    ReadClaim(ClaimRef),
    Renew {
        claim: ClaimRef,
        terms: Terms,
    },
    Release(ClaimRef),
    Wait(Wait),
    CreateQueue(Vec<(Member, u64)>),
    ReadQueue,
    PatchQueue(Vec<Change>),
    DeleteQueue,
    ListQueues {
        limit: u64,
        after: Option<u8>,
    },
    Stats,
    Purge(Purged),
}

/// A message to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) ttl: Option<u64>,
    pub(super) delay: Option<u64>,
}

/// A post that must be refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPost {
    /// A good message, and one with a ttl of 59 seconds.
    ShortTtl,
    /// A good message, and one without a body.
    NoBody,
    /// No message at all.
    Empty,
}

/// What a listing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) echo: bool,
    pub(super) include_claimed: bool,
    pub(super) include_delayed: bool,
    pub(super) limit: u64,
}

/// Which messages or claims a key is looked up among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// What may be alive in the queue.
    Here,
    /// What is gone from the queue.
    Gone,
    /// What belongs to other queues.
    Elsewhere,
    /// None that ever was.
    Invented,
}

/// An earlier message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageRef {
    pub(super) scope: Scope,
    pub(super) key: u16,
}

/// An earlier claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClaimRef {
    pub(super) scope: Scope,
    pub(super) key: u16,
}

/// What a claim asks for, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) ttl: u64,
    pub(super) grace: u64,
}

/// The claim that a delete names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimArgument {
    /// None.
    Absent,
    /// The one that took the message last.
    LastHolder,
    /// Some other.
    Of(ClaimRef),
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Seconds.
    Secs(u64),
    /// Until just before the n-th of the next ends of a lifetime, a lease or a delay.
    Before(usize),
    /// Until just after it.
    After(usize),
}

/// A member of a queue's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Color,
    Size,
    DefaultTtl,
    DefaultDelay,
    /// Both attributes that dead letters need; the value is the count.
    DeadLetters,
    DeadLettersTtl,
}

/// One operation of a JSON patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add(Member, u64),
    Replace(Member, u64),
    Remove(Member),
    /// Adds `_default_message_ttl` below its range.
    OutOfRange,
    /// A path that does not lead into the metadata.
    BadPath,
}

/// What a purge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purged {
    Messages,
    Everything,
    Subscriptions,
}

/// Sequences of at most `length` operations. They are drawn in groups, so that shrinking takes away
/// whole groups first. Most begin with a queue that has a theme, for what needs attributes would be
/// rare otherwise.
///
/// Trees are [`Send`], for a run may be moved between threads while it waits.
pub(super) fn sequences(length: usize) -> impl Strategy<Value = Vec<Operation>, Tree: Send> {
    let groups = length.div_ceil(4).max(1);
    let rest = vec(vec(operation(), 1..=8), 1..=groups);
    (vec(theme(), 0..=1), rest).prop_map(move |(theme, groups)| {
        let rest = groups.into_iter().flatten();
        let mut operations: Vec<Operation> = theme.into_iter().chain(rest).collect();
        operations.truncate(length);
        operations
    })
}

fn theme() -> impl Strategy<Value = Operation, Tree: Send> {
    let dead_letters = (
        select(vec![1_u64, 2, 0]),
        select(vec![None, Some(200), Some(60)]),
    )
        .prop_map(|(count, ttl)| {
            let ttl = ttl.map(|ttl| (Member::DeadLettersTtl, ttl));
            let settings = [(Member::DeadLetters, count)].into_iter();
            settings.chain(ttl).collect::<Vec<_>>()
        });
    let delays = select(vec![40_u64, 3]).prop_map(|delay| vec![(Member::DefaultDelay, delay)]);
    let settings = prop_oneof![1 => Just(Vec::new()), 2 => dead_letters, 1 => delays];
    settings.prop_map(|settings| Operation {
        place: Place {
            project: 0,
            queue: 0,
        },
        client: 0,
        act: Act::CreateQueue(settings),
    })
}

fn operation() -> impl Strategy<Value = Operation, Tree: Send> {
    // Most happens in one queue: what never meets cannot conflict.
    let project = prop_oneof![8 => Just(0), 1 => Just(1)];
    let queue = prop_oneof![10 => Just(0), 2 => Just(1), 2 => Just(DEAD_LETTERS)];
    let client = prop_oneof![3 => Just(0), 1 => Just(1)];
    (project, queue, client, act()).prop_map(|(project, queue, client, act)| Operation {
        place: Place { project, queue },
        client,
        act,
    })
}

fn act() -> impl Strategy<Value = Act, Tree: Send> {
    prop_oneof![
        20 => (key(), vec(draft(), 1..4)).prop_map(|(key, messages)| Act::Post { key, messages }),
        18 => claim(),
        14 => messages_act(),
        12 => removal(),
        12 => claims_act(),
        12 => wait().prop_map(Act::Wait),
        15 => queues_act(),
        1 => select(vec![BadPost::Empty, BadPost::NoBody, BadPost::ShortTtl])
            .prop_map(Act::BadPost),
    ]
}

fn key() -> impl Strategy<Value = u16, Tree: Send> {
    any::<u16>().no_shrink()
}

fn draft() -> impl Strategy<Value = Draft, Tree: Send> {
    let ttl = select(vec![
        Some(300),
        None,
        Some(60),
        Some(75),
        Some(90),
        Some(130),
    ]);
    let delay =
        prop_oneof![5 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(3)), 1 => Just(Some(40))];
    (ttl, delay).prop_map(|(ttl, delay)| Draft { ttl, delay })
}

fn terms() -> impl Strategy<Value = Terms, Tree: Send> {
    let (ttl, grace) = (select(vec![300, 60, 65, 90, 120]), select(vec![60, 61, 90]));
    (ttl, grace).prop_map(|(ttl, grace)| Terms { ttl, grace })
}

fn limit() -> impl Strategy<Value = u64, Tree: Send> {
    select(vec![20_u64, 1, 2, 3, 5])
}

fn claim() -> impl Strategy<Value = Act, Tree: Send> {
    (key(), terms(), limit()).prop_map(|(key, terms, limit)| Act::Claim { key, terms, limit })
}

fn messages_act() -> impl Strategy<Value = Act, Tree: Send> {
    let listing = (any::<bool>(), any::<bool>(), any::<bool>(), limit());
    let listing = listing.prop_map(|(own, claimed, delayed, limit)| Listing {
        // Most listings see own messages, or half of them would see nothing.
        echo: !own || limit == 20,
        include_claimed: claimed,
        include_delayed: delayed,
        limit,
    });
    let page = prop_oneof![1 => Just(None), 1 => key().prop_map(Some)];
    let list =
        (key(), page, listing).prop_map(|(key, page, listing)| Act::List { key, page, listing });
    prop_oneof![
        6 => list,
        3 => message().prop_map(Act::Get),
        2 => vec(message(), 1..4).prop_map(Act::GetMany),
    ]
}

fn scope() -> impl Strategy<Value = Scope, Tree: Send> {
    prop_oneof![
        9 => Just(Scope::Here),
        2 => Just(Scope::Gone),
        1 => Just(Scope::Elsewhere),
        1 => Just(Scope::Invented),
    ]
}

fn message() -> impl Strategy<Value = MessageRef, Tree: Send> {
    (scope(), key()).prop_map(|(scope, key)| MessageRef { scope, key })
}

fn claim_ref() -> impl Strategy<Value = ClaimRef, Tree: Send> {
    (scope(), key()).prop_map(|(scope, key)| ClaimRef { scope, key })
}

fn removal() -> impl Strategy<Value = Act, Tree: Send> {
    let claim = prop_oneof![
        2 => Just(ClaimArgument::Absent),
        4 => Just(ClaimArgument::LastHolder),
        2 => claim_ref().prop_map(ClaimArgument::Of),
    ];
    prop_oneof![
        6 => (message(), claim).prop_map(|(message, claim)| Act::Delete { message, claim }),
        2 => limit().prop_map(Act::Pop),
        1 => vec(message(), 1..4).prop_map(Act::DeleteMany),
    ]
}

fn claims_act() -> impl Strategy<Value = Act, Tree: Send> {
    let renew = (claim_ref(), terms()).prop_map(|(claim, terms)| Act::Renew { claim, terms });
    prop_oneof![
        2 => claim_ref().prop_map(Act::ReadClaim),
        2 => claim_ref().prop_map(Act::Release),
        2 => renew,
    ]
}

fn wait() -> impl Strategy<Value = Wait, Tree: Send> {
    prop_oneof![
        2 => select(vec![1_u64, 3, 30]).prop_map(Wait::Secs),
        2 => (0..4_usize).prop_map(Wait::Before),
        3 => (0..4_usize).prop_map(Wait::After),
    ]
}

fn setting() -> impl Strategy<Value = (Member, u64), Tree: Send> {
    prop_oneof![
        (Just(Member::Color), 0..3_u64),
        (Just(Member::Size), 0..3_u64),
        (Just(Member::DefaultTtl), select(vec![60_u64, 80, 300])),
        (Just(Member::DefaultDelay), select(vec![40_u64, 3, 0])),
        (Just(Member::DeadLetters), select(vec![1_u64, 2, 0])),
        (Just(Member::DeadLettersTtl), select(vec![60_u64, 200])),
    ]
}

fn change() -> impl Strategy<Value = Change, Tree: Send> {
    prop_oneof![
        5 => setting().prop_map(|(member, value)| Change::Add(member, value)),
        3 => setting().prop_map(|(member, value)| Change::Replace(member, value)),
        3 => setting().prop_map(|(member, _)| Change::Remove(member)),
        1 => Just(Change::OutOfRange),
        1 => Just(Change::BadPath),
    ]
}

fn queues_act() -> impl Strategy<Value = Act, Tree: Send> {
    let after = prop_oneof![2 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    prop_oneof![
        4 => vec(setting(), 0..4).prop_map(Act::CreateQueue),
        4 => vec(change(), 1..4).prop_map(Act::PatchQueue),
        3 => Just(Act::ReadQueue),
        3 => Just(Act::Stats),
        1 => (select(vec![20_u64, 1, 2]), after).prop_map(|(limit, after)| Act::ListQueues {
            limit,
            after
        }),
        2 => Just(Act::DeleteQueue),
        1 => select(vec![Purged::Messages, Purged::Everything, Purged::Subscriptions])
            .prop_map(Act::Purge),
    ]
}
