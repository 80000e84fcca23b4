//! Kinds of operations, and sequences without some of them.
//!
//! A server with a known defect differs in nearly every sequence, and hides what else is wrong. So
//! kinds can be left out: what a kind is about is dropped, or made harmless.

use std::fmt;
use std::str::FromStr;

use super::{Act, Change, DEAD_LETTERS, Member, Operation, Scope};
use crate::document::suggestion;

/// What can be left out of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Posts.
    Post,
    /// Posts that must be refused.
    BadPost,
    /// Claims.
    Claim,
    /// Listings of messages.
    List,
    /// Markers of listings.
    Marker,
    /// Listings that include claimed messages.
    IncludeClaimed,
    /// Listings that hide the client's own messages.
    HideOwn,
    /// Messages by id.
    Get,
    /// Messages by several ids.
    GetMany,
    /// Deletes.
    Delete,
    /// Deletes by several ids.
    DeleteMany,
    /// Pops.
    Pop,
    /// Reads of claims.
    ReadClaim,
    /// Renewals.
    Renew,
    /// Releases.
    Release,
    /// Waiting.
    Wait,
    /// Claims used after they have ended.
    EndedClaim,
    /// Creations of queues.
    CreateQueue,
    /// Reads of metadata.
    ReadQueue,
    /// Patches of metadata.
    PatchQueue,
    /// Deletions of queues.
    DeleteQueue,
    /// Lists of queues.
    ListQueues,
    /// Statistics.
    Stats,
    /// Purges.
    Purge,
    /// Delays, of queues and of messages.
    Delay,
    /// Dead letters.
    DeadLetters,
    /// A second project.
    Projects,
    /// More than one queue in a project.
    Queues,
    /// Ids of other queues and projects.
    Elsewhere,
}

/// Every kind under its name.
const NAMES: [(Kind, &str); 29] = [
    (Kind::Post, "post"),
    (Kind::BadPost, "bad-post"),
    (Kind::Claim, "claim"),
    (Kind::List, "list"),
    (Kind::Marker, "marker"),
    (Kind::IncludeClaimed, "include-claimed"),
    (Kind::HideOwn, "hide-own"),
    (Kind::Get, "get"),
    (Kind::GetMany, "get-many"),
    (Kind::Delete, "delete"),
    (Kind::DeleteMany, "delete-many"),
    (Kind::Pop, "pop"),
    (Kind::ReadClaim, "read-claim"),
    (Kind::Renew, "renew"),
    (Kind::Release, "release"),
    (Kind::Wait, "wait"),
    (Kind::EndedClaim, "ended-claim"),
    (Kind::CreateQueue, "create-queue"),
    (Kind::ReadQueue, "read-queue"),
    (Kind::PatchQueue, "patch-queue"),
    (Kind::DeleteQueue, "delete-queue"),
    (Kind::ListQueues, "list-queues"),
    (Kind::Stats, "stats"),
    (Kind::Purge, "purge"),
    (Kind::Delay, "delay"),
    (Kind::DeadLetters, "dead-letters"),
    (Kind::Projects, "projects"),
    (Kind::Queues, "queues"),
    (Kind::Elsewhere, "elsewhere"),
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(kind, _)| kind == self);
        f.write_str(name.map_or("?", |(_, name)| name))
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let names = NAMES.iter().map(|(_, name)| *name);
            let near = suggestion(text, names.clone());
            let all: Vec<&str> = names.collect();
            format!(
                "there is no kind `{text}`{near}, expected one of {}",
                all.join(", ")
            )
        })
    }
}

/// The kinds that sequences go without.
#[derive(Clone, Debug, Default)]
pub struct Without(pub Vec<Kind>);

impl Without {
    /// Whether `kind` is left out.
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// `operation` without what is left out; `None` if nothing remains.
    pub(in super::super) fn apply(&self, operation: &Operation) -> Option<Operation> {
        if self.has(operation.act.kind()) {
            return None;
        }
        let mut operation = operation.clone();
        if self.has(Kind::Projects) {
            operation.place.project = 0;
        }
        // Dead letters need their queue, whatever else there is.
        if self.has(Kind::Queues) && operation.place.queue != DEAD_LETTERS {
            operation.place.queue = 0;
        }
        if self.has(Kind::DeadLetters) && operation.place.queue == DEAD_LETTERS {
            operation.place.queue = 0;
        }
        let queue = operation.place.queue;
        self.tame(&mut operation.act, queue).then_some(operation)
    }

    /// Makes `act` harmless; false if that cannot be.
    fn tame(&self, act: &mut Act, queue: u8) -> bool {
        let scopes: &[Scope] = match act {
            Act::Get(message) => &[message.scope],
            Act::Delete { message, .. } => &[message.scope],
            Act::ReadClaim(claim) | Act::Release(claim) | Act::Renew { claim, .. } => {
                if self.has(Kind::EndedClaim) && claim.scope == Scope::Gone {
                    return false;
                }
                &[claim.scope]
            }
            Act::GetMany(messages) | Act::DeleteMany(messages) => {
                let elsewhere = self.has(Kind::Elsewhere);
                messages.retain(|message| !elsewhere || message.scope != Scope::Elsewhere);
                return !messages.is_empty();
            }
            Act::Post { messages, .. } => {
                for message in messages {
                    message.delay = message.delay.filter(|_| !self.has(Kind::Delay));
                }
                return true;
            }
            Act::List { page, listing, .. } => {
                *page = page.filter(|_| !self.has(Kind::Marker));
                listing.include_claimed &= !self.has(Kind::IncludeClaimed);
                listing.echo |= self.has(Kind::HideOwn);
                return true;
            }
            Act::CreateQueue(settings) => {
                settings.retain(|(member, _)| self.keeps(*member, queue));
                return true;
            }
            Act::PatchQueue(changes) => {
                changes.retain(|change| match change {
                    Change::Add(member, _)
                    | Change::Replace(member, _)
                    | Change::Remove(member) => self.keeps(*member, queue),
                    Change::OutOfRange | Change::BadPath => true,
                });
                return !changes.is_empty();
            }
            Act::BadPost(_)
            | Act::Claim { .. }
            | Act::Pop(_)
            | Act::Wait(_)
            | Act::ReadQueue
            | Act::DeleteQueue
            | Act::ListQueues { .. }
            | Act::Stats
            | Act::Purge(_) => &[],
        };
        !self.has(Kind::Elsewhere) || !scopes.contains(&Scope::Elsewhere)
    }

    /// Whether `member` may be set in `queue`. Dead letters of dead letters are not supported
    /// (contract 7.2).
    fn keeps(&self, member: Member, queue: u8) -> bool {
        match member {
            Member::Color | Member::Size | Member::DefaultTtl => true,
            Member::DefaultDelay => !self.has(Kind::Delay),
            Member::DeadLetters | Member::DeadLettersTtl => {
                queue != DEAD_LETTERS && !self.has(Kind::DeadLetters)
            }
        }
    }
}

impl Act {
    pub(in super::super) fn kind(&self) -> Kind {
        match self {
            Self::Post { .. } => Kind::Post,
            Self::BadPost(_) => Kind::BadPost,
            Self::Claim { .. } => Kind::Claim,
            Self::List { .. } => Kind::List,
            Self::Get(_) => Kind::Get,
            Self::GetMany(_) => Kind::GetMany,
            Self::Delete { .. } => Kind::Delete,
            Self::DeleteMany(_) => Kind::DeleteMany,
            Self::Pop(_) => Kind::Pop,
            Self::ReadClaim(_) => Kind::ReadClaim,
            Self::Renew { .. } => Kind::Renew,
            Self::Release(_) => Kind::Release,
            Self::Wait(_) => Kind::Wait,
            Self::CreateQueue(_) => Kind::CreateQueue,
            Self::ReadQueue => Kind::ReadQueue,
            Self::PatchQueue(_) => Kind::PatchQueue,
            Self::DeleteQueue => Kind::DeleteQueue,
            Self::ListQueues { .. } => Kind::ListQueues,
            Self::Stats => Kind::Stats,
            Self::Purge(_) => Kind::Purge,
        }
    }
}
