//! The sequential specification: what the contract demands of a server that one client at a time asks.
//!
//! Written from the contract alone. It knows what is certain and what is not: a server's clock may be
//! off by a slack, so near the end of a lifetime, a lease or a delay both answers are right. What was
//! undecided is taken over from the answer, so that later demands are certain again. Where the contract
//! allows more than one behaviour, so does the specification.
//!
//! [`Specification::plan`] turns an operation into a request; [`Specification::judge`] says whether the
//! answer is one that a correct server may give, and takes over what it tells.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use self::state::{Claim, Message, Page, Queue};
use super::answer::{Difference, Heard};
use super::certainty::Certainty;
use super::operation::{
    Act, Change, ClaimRef, Draft, Listing, MessageRef, Operation, Place, QUEUES, Scope, Terms,
};
use crate::environment::Instant;
use crate::suite::Sent;

mod claims;
mod messages;
mod metadata;
mod moving;
mod queues;
mod removal;
mod selecting;
mod state;
#[cfg(test)]
mod tests;

/// An id that no server gives out.
pub(super) const INVENTED: &str = "00000000-0000-4000-8000-000000000000";

/// How exactly a server keeps time.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How wrong its clock may be, granularity included.
    pub slack: Duration,
    /// How much later than its ttl says a message may vanish.
    pub expiry_lag: Duration,
}

/// What the specification knows of a server.
pub(super) struct Specification {
    rules: Rules,
    /// What stands before every queue's name.
    prefix: String,
    queues: BTreeMap<Place, Queue>,
    /// Every message that was accepted; one that moved to another queue has an entry for each.
    messages: Vec<Message>,
    claims: Vec<Claim>,
    pages: Vec<Page>,
    /// The rank of the next message.
    rank: u64,
    /// The number of the next body, so that no two messages are alike.
    bodies: u64,
}

/// A request, with variables in place of ids that earlier answers gave.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query; `${M1}` is a message, `${C1}` a claim, `${P1}` a marker.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) project: u8,
    pub(super) client: u8,
    pub(super) meaning: Meaning,
}

/// What a request is about.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    Post {
        poster: Poster,
        messages: Vec<(Draft, Value)>,
    },
    BadPost(Place),
    List(Listed),
    Get {
        place: Place,
        message: Option<usize>,
    },
    GetMany {
        place: Place,
        messages: Vec<usize>,
    },
    Delete {
        place: Place,
        message: Option<usize>,
        claim: NamedClaim,
    },
    DeleteMany {
        place: Place,
        messages: Vec<usize>,
    },
    Pop {
        place: Place,
        count: u64,
    },
    Claim(Asked),
    ReadClaim {
        place: Place,
        claim: Option<usize>,
    },
    Renew {
        place: Place,
        claim: Option<usize>,
        terms: Terms,
    },
    Release {
        place: Place,
        claim: Option<usize>,
    },
    CreateQueue {
        place: Place,
        metadata: Value,
    },
    ReadQueue(Place),
    PatchQueue {
        place: Place,
        changes: Vec<Change>,
    },
    DeleteQueue(Place),
    ListQueues {
        project: u8,
        limit: u64,
        after: Option<u8>,
    },
    Stats(Place),
    Purge {
        place: Place,
        removes_messages: bool,
    },
}

/// The claim that a delete names.
#[derive(Clone, Copy, Debug)]
pub(super) enum NamedClaim {
    Absent,
    Invented,
    Known(usize),
}

/// Who asks, where, and the key of what comes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poster {
    key: u16,
    place: Place,
    client: u8,
}

/// A listing that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    reader: Poster,
    /// The page that it goes on after.
    after: Option<usize>,
    listing: Listing,
}

/// A claim that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    key: u16,
    place: Place,
    terms: Terms,
    limit: u64,
}

impl Poster {
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

impl Listed {
    pub(super) fn place(&self) -> Place {
        self.reader.place
    }
}

impl Asked {
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

impl Specification {
    /// Of a server that holds nothing yet in the sequence's projects.
    pub(super) fn new(rules: Rules, prefix: String) -> Self {
        Self {
            rules,
            prefix,
            queues: BTreeMap::new(),
            messages: Vec::new(),
            claims: Vec::new(),
            pages: Vec::new(),
            rank: 0,
            bodies: 0,
        }
    }

    /// The request that `operation` stands for; `None` if it stands for none: it is to wait, or what
    /// it names is not there.
    pub(super) fn plan(&mut self, operation: &Operation, now: Instant) -> Option<Call> {
        let now = Sent {
            invoked_at: now,
            answered_at: now,
        };
        let Operation { place, client, act } = operation;
        let (method, rest, body, meaning) = self.plan_act((*place, *client), act, now)?;
        let path = if matches!(meaning, Meaning::ListQueues { .. }) {
            format!("/v2/queues{rest}")
        } else {
            format!("/v2/queues/{}{rest}", self.name(place.queue))
        };
        Some(Call {
            method,
            path,
            body,
            project: place.project,
            client: *client,
            meaning,
        })
    }

    fn plan_act(&mut self, (place, client): (Place, u8), act: &Act, now: Sent) -> Planned {
        let who = |key| Poster { key, place, client };
        match act {
            Act::Wait(_) => None,
            Act::Post { key, messages } => self.plan_post(who(*key), messages),
            Act::BadPost(bad) => Self::plan_bad_post(place, *bad),
            Act::List { key, page, listing } => self.plan_list(who(*key), *page, *listing),
            Act::Get(wanted) => self.plan_get(place, *wanted, now),
            Act::GetMany(wanted) => self.plan_get_many(place, wanted, now),
            Act::Delete { message, claim } => self.plan_delete(place, (*message, *claim), now),
            Act::DeleteMany(wanted) => self.plan_delete_many(place, wanted, now),
            Act::Pop(count) => {
                let (rest, count) = (format!("/messages?pop={count}"), *count);
                Some((Method::DELETE, rest, None, Meaning::Pop { place, count }))
            }
            Act::Claim { key, terms, limit } => Self::plan_claim(Asked {
                key: *key,
                place,
                terms: *terms,
                limit: *limit,
            }),
            Act::ReadClaim(wanted) => self.plan_read_claim(place, *wanted, now),
            Act::Renew { claim, terms } => self.plan_renewal(place, (*claim, *terms), now),
            Act::Release(wanted) => self.plan_release(place, *wanted, now),
            Act::CreateQueue(settings) => self.plan_creation(place, settings),
            Act::ReadQueue => Some((Method::GET, String::new(), None, Meaning::ReadQueue(place))),
            Act::PatchQueue(changes) => self.plan_patch(place, changes),
            Act::DeleteQueue => {
                let meaning = Meaning::DeleteQueue(place);
                Some((Method::DELETE, String::new(), None, meaning))
            }
            Act::ListQueues { limit, after } => self.plan_queue_list(place.project, *limit, *after),
            Act::Stats => Some((
                Method::GET,
                "/stats".to_owned(),
                None,
                Meaning::Stats(place),
            )),
            Act::Purge(purged) => Self::plan_purge(place, *purged),
        }
    }

    /// Whether `heard` is an answer that a correct server may give to `meaning`; takes over what it
    /// tells.
    pub(super) fn judge(&mut self, meaning: &Meaning, heard: Heard<'_>) -> Result<(), Difference> {
        match meaning {
            Meaning::Post { poster, messages } => self.judge_post(*poster, messages, heard),
            Meaning::BadPost(place) => self.judge_bad_post(*place, heard),
            Meaning::List(listed) => self.judge_list(*listed, heard),
            Meaning::Get { place, message } => self.judge_get(*place, *message, heard),
            Meaning::GetMany { place, messages } => self.judge_get_many(*place, messages, heard),
            Meaning::Delete {
                place,
                message,
                claim,
            } => self.judge_delete(*place, *message, (*claim, heard)),
            Meaning::DeleteMany { place, messages } => {
                self.judge_delete_many(*place, messages, heard)
            }
            Meaning::Pop { place, count } => self.judge_pop(*place, *count, heard),
            Meaning::Claim(asked) => self.judge_claim(*asked, heard),
            Meaning::ReadClaim { place, claim } => self.judge_read_claim(*place, *claim, heard),
            Meaning::Renew {
                place,
                claim,
                terms,
            } => self.judge_renewal((*place, *claim), *terms, heard),
            Meaning::Release { place, claim } => self.judge_release(*place, *claim, heard),
            Meaning::CreateQueue { place, metadata } => {
                self.judge_creation(*place, metadata, heard)
            }
            Meaning::ReadQueue(place) => self.judge_read_queue(*place, heard),
            Meaning::PatchQueue { place, changes } => self.judge_patch(*place, changes, heard),
            Meaning::DeleteQueue(place) => self.judge_deletion(*place, heard),
            Meaning::ListQueues {
                project,
                limit,
                after,
            } => self.judge_queue_list(*project, (*limit, *after), heard),
            Meaning::Stats(place) => self.judge_stats(*place, heard),
            Meaning::Purge {
                place,
                removes_messages,
            } => self.judge_purge(*place, *removes_messages, heard),
        }
    }

    /// `path` with the ids that its variables stand for.
    pub(super) fn resolve(&self, path: &str) -> String {
        let mut whole = String::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once("${") {
            let (variable, behind) = after.split_once('}').expect("plans close their variables");
            whole.push_str(before);
            whole.push_str(self.value(variable));
            rest = behind;
        }
        whole + rest
    }

    /// The value of a variable without its dollar and braces.
    pub(super) fn value(&self, variable: &str) -> &str {
        let (kind, number) = variable.split_at(1);
        let index: usize = number.parse().expect("plans number their variables");
        match kind {
            "M" => &self.messages[index - 1].id,
            "C" => &self.claims[index - 1].id,
            _ => &self.pages[index - 1].marker,
        }
    }

    /// How many messages, claims and pages have a variable.
    pub(super) fn known(&self) -> (usize, usize, usize) {
        (self.messages.len(), self.claims.len(), self.pages.len())
    }

    fn name(&self, queue: u8) -> String {
        format!("{}{}", self.prefix, QUEUES[usize::from(queue)])
    }

    /// The message that `wanted` means in `place`: `Some(None)` is one that never was, `None` that
    /// there is nothing to name.
    fn find_message(&self, wanted: MessageRef, place: Place, now: Sent) -> Option<Option<usize>> {
        let is_meant = |message: &Message| {
            let (here, gone) = (message.place == place, self.is_gone(message, now));
            match wanted.scope {
                Scope::Here => here && !gone,
                Scope::Gone => here && gone,
                Scope::Elsewhere => !here && !gone,
                Scope::Invented => false,
            }
        };
        if wanted.scope == Scope::Invented {
            return Some(None);
        }
        let keys = self.messages.iter().map(|message| message.key).enumerate();
        let meant = keys.filter(|(index, _)| is_meant(&self.messages[*index]));
        nearest(meant, wanted.key).map(Some)
    }

    /// As [`Self::find_message`], for claims.
    fn find_claim(&self, wanted: ClaimRef, place: Place, now: Sent) -> Option<Option<usize>> {
        if wanted.scope == Scope::Invented {
            return Some(None);
        }
        let is_meant = |index: usize| {
            let here = self.claims[index].place == place;
            let over = self.claim_lives(index, now) == Certainty::No;
            match wanted.scope {
                Scope::Here => here && !over,
                Scope::Gone => here && over,
                Scope::Elsewhere => !here && !over,
                Scope::Invented => false,
            }
        };
        let keys = self.claims.iter().map(|claim| claim.key).enumerate();
        nearest(keys.filter(|(index, _)| is_meant(*index)), wanted.key).map(Some)
    }

    fn message_variable(&self, message: Option<usize>) -> String {
        message.map_or_else(
            || INVENTED.to_owned(),
            |index| format!("${{M{}}}", self.messages[index].first_entry + 1),
        )
    }

    fn message_variables(&self, messages: &[usize]) -> String {
        let variables: Vec<String> = messages
            .iter()
            .map(|&index| self.message_variable(Some(index)))
            .collect();
        variables.join(",")
    }
}

fn claim_variable(claim: Option<usize>) -> String {
    claim.map_or_else(
        || INVENTED.to_owned(),
        |index| format!("${{C{}}}", index + 1),
    )
}

/// What has the key that follows `wanted` most closely, going round.
fn nearest(keyed: impl Iterator<Item = (usize, u16)>, wanted: u16) -> Option<usize> {
    keyed
        .min_by_key(|(_, key)| key.wrapping_sub(wanted))
        .map(|(index, _)| index)
}

/// Method, what follows the queue's path, body, and meaning.
type Planned = Option<(Method, String, Option<Value>, Meaning)>;
