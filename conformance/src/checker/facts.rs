//! A history, grouped: by message, by claim, by queue.

use std::collections::BTreeMap;

use crate::environment::Instant;
use crate::history::{Answer, History, Operation, Outcome, Record};

/// An index into the history's records.
pub(super) type Index = usize;

/// What the history says, grouped.
pub(super) struct Facts<'h> {
    pub(super) history: &'h History,
    /// Messages that somebody tried to post, in the order of the attempts.
    pub(super) messages: Vec<Message<'h>>,
    /// Tokens seen that nobody posted, with the observation.
    pub(super) strangers: Vec<(&'h str, Index)>,
    /// By queue and identifier: nobody promises that identifiers differ between queues.
    claims: BTreeMap<(&'h str, &'h str), Claim>,
    pub(super) queues: BTreeMap<&'h str, Queue>,
}

/// One message.
pub(super) struct Message<'h> {
    pub(super) token: &'h str,
    pub(super) queue: &'h str,
    pub(super) ttl_secs: u64,
    pub(super) post: Index,
    /// Its place in the batch.
    pub(super) place: usize,
    /// Ok observations of it, in the order of their completions.
    pub(super) sightings: Vec<Index>,
    /// Deletes of it, by its identifier, in the order of their invocations.
    pub(super) deletes: Vec<Index>,
    /// Ok reads by its identifier that found it, or did not, in the order of their invocations.
    pub(super) reads: Vec<Index>,
}

impl Message<'_> {
    /// What tells it from all others: its post, and its place in the batch.
    pub(super) fn post_place(&self) -> (Index, usize) {
        (self.post, self.place)
    }
}

/// What was done with one claim.
#[derive(Default)]
pub(super) struct Claim {
    pub(super) renewals: Vec<Index>,
    pub(super) releases: Vec<Index>,
}

/// One queue's operations that concern all of its messages, in the order of their invocations.
#[derive(Default)]
pub(super) struct Queue {
    /// Everything but reads.
    pub(super) operations: Vec<Index>,
    /// Ok claims and pops.
    pub(super) takes: Vec<Index>,
    /// Claims and pops without an answer.
    pub(super) unanswered: Vec<Index>,
    pub(super) messages: Vec<usize>,
}

impl<'h> Facts<'h> {
    pub(super) fn gather(history: &'h History) -> Self {
        let mut facts = Self {
            history,
            messages: Vec::new(),
            strangers: Vec::new(),
            claims: BTreeMap::new(),
            queues: BTreeMap::new(),
        };
        let by_token = facts.gather_messages();
        let mut by_id: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (index, record) in history.records.iter().enumerate() {
            facts.gather_answer(index, record, &by_token, &mut by_id);
        }
        for (index, record) in history.records.iter().enumerate() {
            facts.gather_operation(index, record, &by_id);
        }
        for message in &mut facts.messages {
            message
                .sightings
                .sort_by_key(|&index| (history.records[index].completed_at, index));
        }
        facts
    }

    fn gather_messages(&mut self) -> BTreeMap<&'h str, usize> {
        let mut by_token = BTreeMap::new();
        for (post, record) in self.history.records.iter().enumerate() {
            let Operation::Post { queue, messages } = &record.operation else {
                continue;
            };
            for (place, posted) in messages.iter().enumerate() {
                by_token.insert(posted.token.as_str(), self.messages.len());
                let facts = self.queues.entry(queue.as_str()).or_default();
                facts.messages.push(self.messages.len());
                self.messages.push(Message {
                    token: &posted.token,
                    queue,
                    ttl_secs: posted.ttl_secs,
                    post,
                    place,
                    sightings: Vec::new(),
                    deletes: Vec::new(),
                    reads: Vec::new(),
                });
            }
        }
        by_token
    }

    fn gather_answer(
        &mut self,
        index: Index,
        record: &'h Record,
        by_token: &BTreeMap<&'h str, usize>,
        by_id: &mut BTreeMap<(&'h str, &'h str), usize>,
    ) {
        let Outcome::Ok(answer) = &record.outcome else {
            return;
        };
        let queue = record.operation.queue();
        if let (Operation::Post { messages, .. }, Answer::Post { ids }) =
            (&record.operation, answer)
        {
            for (posted, id) in messages.iter().zip(ids) {
                by_id.insert((queue, id), by_token[posted.token.as_str()]);
            }
        }
        for seen in answer.seen() {
            match by_token.get(seen.token.as_str()) {
                None => self.strangers.push((&seen.token, index)),
                Some(&message) => {
                    by_id.entry((queue, &seen.id)).or_insert(message);
                    self.messages[message].sightings.push(index);
                }
            }
        }
    }

    fn gather_operation(
        &mut self,
        index: Index,
        record: &'h Record,
        by_id: &BTreeMap<(&str, &str), usize>,
    ) {
        let name = record.operation.queue();
        let queue = self.queues.entry(name).or_default();
        if !record.operation.is_read() {
            queue.operations.push(index);
        }
        match &record.operation {
            Operation::Claim { .. } | Operation::Pop { .. } => match record.outcome {
                Outcome::Ok(_) => queue.takes.push(index),
                Outcome::Info => queue.unanswered.push(index),
                Outcome::Fail { .. } => {}
            },
            Operation::Renew { claim, .. } => {
                self.claims
                    .entry((name, claim))
                    .or_default()
                    .renewals
                    .push(index);
            }
            Operation::Release { claim, .. } => {
                self.claims
                    .entry((name, claim))
                    .or_default()
                    .releases
                    .push(index);
            }
            Operation::Delete { message, .. } => {
                if let Some(&message) = by_id.get(&(name, message.as_str())) {
                    self.messages[message].deletes.push(index);
                }
            }
            Operation::Get { message, .. } => {
                if let (Some(&message), true) =
                    (by_id.get(&(name, message.as_str())), record.is_ok())
                {
                    self.messages[message].reads.push(index);
                }
            }
            Operation::Post { .. }
            | Operation::ClaimGet { .. }
            | Operation::BulkDelete { .. }
            | Operation::GetMany { .. }
            | Operation::List { .. }
            | Operation::Stats { .. }
            | Operation::Purge { .. }
            | Operation::CreateQueue { .. }
            | Operation::SetMetadata { .. }
            | Operation::DeleteQueue { .. }
            | Operation::Subscribe { .. } => {}
        }
    }

    pub(super) fn record(&self, index: Index) -> &'h Record {
        &self.history.records[index]
    }

    /// What was done with the claim that `take` was granted.
    pub(super) fn claim_of(&self, take: Index) -> Option<&Claim> {
        match self.record(take).answer() {
            Some(Answer::Claim {
                claim: Some(claim), ..
            }) => self
                .claims
                .get(&(self.record(take).operation.queue(), claim.as_str())),
            _ => None,
        }
    }

    /// Observations of `message` that handed it out: claims and pops.
    pub(super) fn deliveries(&self, message: &Message<'_>) -> impl Iterator<Item = Index> {
        message.sightings.iter().copied().filter(|&index| {
            let operation = &self.record(index).operation;
            matches!(operation, Operation::Claim { .. } | Operation::Pop { .. })
        })
    }

    /// From when on it is certain that the message was stored; `None` if it never is. An answered
    /// post settles it at once, one without an answer when its message was first seen.
    pub(super) fn stored_from(&self, message: &Message<'_>) -> Option<Instant> {
        let post = self.record(message.post);
        let sighted = message
            .sightings
            .first()
            .map(|&index| self.record(index).completed_at);
        match post.outcome {
            Outcome::Ok(_) => {
                Some(sighted.map_or(post.completed_at, |sighted| sighted.min(post.completed_at)))
            }
            Outcome::Info => sighted,
            Outcome::Fail { .. } => None,
        }
    }

    /// Pops that returned the message.
    fn pops(&self, message: &Message<'_>) -> impl Iterator<Item = Index> {
        let is_pop = |&index: &Index| self.record(index).operation.is_pop();
        self.deliveries(message).filter(is_pop)
    }

    /// Possible removals of the message that are known by its identifier: deletes and pops.
    pub(super) fn removals(&self, message: &Message<'_>) -> impl Iterator<Item = Index> {
        let deletes = message.deletes.iter().copied();
        deletes
            .filter(|&index| self.record(index).is_possible())
            .chain(self.pops(message))
    }

    /// The first removal that certainly happened to a message that certainly was there, and from when
    /// on: a delete or a pop, or a read that found nothing any more.
    pub(super) fn certain_removal(&self, message: &Message<'_>) -> Option<(Index, Instant)> {
        let stored_from = self.stored_from(message)?;
        let absences = message.reads.iter().copied().filter(|&read| {
            matches!(
                self.record(read).answer(),
                Some(Answer::Get { message: None })
            )
        });
        let deletes = message.deletes.iter().copied();
        let deletes = deletes.filter(|&delete| self.record(delete).is_ok());
        let after_it_was_there = deletes
            .chain(absences)
            .filter(|&index| stored_from <= self.record(index).invoked_at);
        // A pop that returned the message took it, whatever else is known.
        after_it_was_there
            .chain(self.pops(message))
            .map(|index| (index, self.record(index).completed_at))
            .min_by_key(|&(index, at)| (at, index))
    }
}
