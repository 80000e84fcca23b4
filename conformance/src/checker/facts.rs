//! A history, grouped: by message, by claim, by queue.

use std::collections::BTreeMap;

use crate::environment::Instant;
use crate::history::{Answer, History, Operation, Outcome, Posted, Record};

/// An index into the history's records.
pub(super) type Index = usize;

/// A tenant, and the name of one of its queues.
pub(super) type Place<'h> = (&'h str, &'h str);

/// What the history says, grouped.
pub(super) struct Facts<'h> {
    pub(super) history: &'h History,
    /// Messages that somebody tried to post, in the order of the attempts.
    pub(super) messages: Vec<Message<'h>>,
    /// Tokens seen that nobody posted, with the observation.
    pub(super) strangers: Vec<(&'h str, Index)>,
    /// By queue and identifier: nobody promises that identifiers differ between queues.
    pub(super) claims: BTreeMap<(Place<'h>, &'h str), Claim>,
    pub(super) queues: BTreeMap<Place<'h>, Queue<'h>>,
    by_token: BTreeMap<&'h str, usize>,
}

/// One message.
pub(super) struct Message<'h> {
    pub(super) token: &'h str,
    /// Where it was posted.
    pub(super) home: Place<'h>,
    pub(super) posted: &'h Posted,
    pub(super) ttl_secs: u64,
    pub(super) post: Index,
    /// Its place in the batch.
    pub(super) place: usize,
    /// Ok observations of it, in the order of their completions.
    pub(super) sightings: Vec<Index>,
    /// Deletes of it, by its identifier, in the order of their invocations.
    pub(super) deletes: Vec<Index>,
    /// The same, of many messages at once.
    pub(super) bulk_deletes: Vec<Index>,
    /// Ok reads by its identifier, in the order of their invocations.
    pub(super) reads: Vec<Read>,
}

/// A read by identifier, and whether it found the message.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) index: Index,
    pub(super) is_found: bool,
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
    /// The claim that was granted.
    pub(super) grant: Option<Index>,
    pub(super) renewals: Vec<Index>,
    pub(super) releases: Vec<Index>,
    /// Ok looks at the claim.
    pub(super) reads: Vec<Index>,
}

/// One queue's operations that concern all of its messages, in the order of their invocations.
#[derive(Default)]
pub(super) struct Queue<'h> {
    /// Everything but reads.
    pub(super) operations: Vec<Index>,
    /// Ok claims and pops.
    pub(super) takes: Vec<Index>,
    /// Claims and pops without an answer.
    pub(super) unanswered: Vec<Index>,
    pub(super) messages: Vec<usize>,
    /// Purges and deletes of the queue that may have happened.
    pub(super) sweeps: Vec<Index>,
    /// Ok looks at its counts.
    pub(super) stats: Vec<Index>,
    /// Operations that may have changed its settings.
    pub(super) settings: Vec<Index>,
    /// Where its messages may go that were handed out too often.
    pub(super) dead_letters: Vec<DeadLetters<'h>>,
}

/// What may be settled about messages that were handed out too often.
#[derive(Clone, Copy)]
pub(super) struct DeadLetters<'h> {
    pub(super) target: Place<'h>,
    pub(super) max_claim_count: u64,
}

impl<'h> Facts<'h> {
    pub(super) fn gather(history: &'h History) -> Self {
        let mut facts = Self {
            history,
            messages: Vec::new(),
            strangers: Vec::new(),
            claims: BTreeMap::new(),
            queues: BTreeMap::new(),
            by_token: BTreeMap::new(),
        };
        let by_token = facts.gather_messages();
        let mut by_id: BTreeMap<(Place<'_>, &str), usize> = BTreeMap::new();
        for (index, record) in history.records.iter().enumerate() {
            facts.gather_answer(index, record, &by_token, &mut by_id);
        }
        for (index, record) in history.records.iter().enumerate() {
            facts.gather_operation(index, record, &by_id);
        }
        facts.by_token = by_token;
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
            let Operation::Post { messages, .. } = &record.operation else {
                continue;
            };
            let home = place_of(record);
            for (place, posted) in messages.iter().enumerate() {
                by_token.insert(posted.token.as_str(), self.messages.len());
                let facts = self.queues.entry(home).or_default();
                facts.messages.push(self.messages.len());
                self.messages.push(Message {
                    token: &posted.token,
                    home,
                    posted,
                    ttl_secs: posted.ttl_secs,
                    post,
                    place,
                    sightings: Vec::new(),
                    deletes: Vec::new(),
                    bulk_deletes: Vec::new(),
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
        by_id: &mut BTreeMap<(Place<'h>, &'h str), usize>,
    ) {
        let Outcome::Ok(answer) = &record.outcome else {
            return;
        };
        let place = place_of(record);
        if let (Operation::Post { messages, .. }, Answer::Post { ids }) =
            (&record.operation, answer)
        {
            for (posted, id) in messages.iter().zip(ids) {
                by_id.insert((place, id), by_token[posted.token.as_str()]);
            }
        }
        for seen in answer.seen() {
            match by_token.get(seen.token.as_str()) {
                None => self.strangers.push((&seen.token, index)),
                Some(&message) => {
                    by_id.entry((place, &seen.id)).or_insert(message);
                    let sightings = &mut self.messages[message].sightings;
                    // One answer is one observation, however often it repeats itself.
                    if sightings.last() != Some(&index) {
                        sightings.push(index);
                    }
                }
            }
        }
    }

    fn gather_operation(
        &mut self,
        index: Index,
        record: &'h Record,
        by_id: &BTreeMap<(Place<'h>, &'h str), usize>,
    ) {
        let place = place_of(record);
        let queue = self.queues.entry(place).or_default();
        if !record.operation.is_read() {
            queue.operations.push(index);
        }
        match &record.operation {
            Operation::Claim { .. } | Operation::Pop { .. } => self.gather_take(index, record),
            Operation::ClaimGet { claim, .. } if record.is_ok() => {
                self.claim_mut(place, claim).reads.push(index);
            }
            Operation::Renew { claim, .. } => self.claim_mut(place, claim).renewals.push(index),
            Operation::Release { claim, .. } => self.claim_mut(place, claim).releases.push(index),
            Operation::Delete { message, .. } => {
                if let Some(&message) = by_id.get(&(place, message.as_str())) {
                    self.messages[message].deletes.push(index);
                }
            }
            Operation::BulkDelete { ids, .. } => {
                for id in ids {
                    if let Some(&message) = by_id.get(&(place, id.as_str())) {
                        self.messages[message].bulk_deletes.push(index);
                    }
                }
            }
            Operation::Get { message, .. } => {
                self.gather_read(index, std::slice::from_ref(message), by_id);
            }
            Operation::GetMany { ids, .. } => self.gather_read(index, ids, by_id),
            Operation::Stats { .. } => queue.stats.push(index),
            Operation::Purge { .. } | Operation::DeleteQueue { .. } => {
                if record.is_possible() {
                    queue.sweeps.push(index);
                }
            }
            Operation::CreateQueue { .. } | Operation::SetMetadata { .. } => {
                self.gather_settings(index, record);
            }
            Operation::ClaimGet { .. }
            | Operation::Post { .. }
            | Operation::List { .. }
            | Operation::Subscribe { .. } => {}
        }
    }

    fn gather_take(&mut self, index: Index, record: &'h Record) {
        let place = place_of(record);
        let queue = self.queues.entry(place).or_default();
        match &record.outcome {
            Outcome::Ok(_) => queue.takes.push(index),
            Outcome::Info => queue.unanswered.push(index),
            Outcome::Fail { .. } => {}
        }
        if let Some(Answer::Claim {
            claim: Some(claim), ..
        }) = record.answer()
        {
            self.claim_mut(place, claim).grant.get_or_insert(index);
        }
    }

    fn gather_read(
        &mut self,
        index: Index,
        ids: &'h [String],
        by_id: &BTreeMap<(Place<'h>, &'h str), usize>,
    ) {
        let record = self.record(index);
        let Some(answer) = record.answer() else {
            return;
        };
        for id in ids {
            if let Some(&message) = by_id.get(&(place_of(record), id.as_str())) {
                let is_found = answer.seen().iter().any(|seen| seen.id == *id);
                let read = Read { index, is_found };
                self.messages[message].reads.push(read);
            }
        }
    }

    fn gather_settings(&mut self, index: Index, record: &'h Record) {
        let (Operation::CreateQueue { settings, .. } | Operation::SetMetadata { settings, .. }) =
            &record.operation
        else {
            return;
        };
        // What exists keeps the settings that it has.
        let changes_nothing = Some(&Answer::CreateQueue { created: false });
        if !record.is_possible() || record.answer() == changes_nothing {
            return;
        }
        let place = place_of(record);
        let queue = self.queues.entry(place).or_default();
        queue.settings.push(index);
        if let (Some(target), Some(max_claim_count)) =
            (&settings.dead_letter_queue, settings.max_claim_count)
        {
            let target = (place.0, target.as_str());
            queue.dead_letters.push(DeadLetters {
                target,
                max_claim_count,
            });
        }
    }

    fn claim_mut(&mut self, place: Place<'h>, claim: &'h str) -> &mut Claim {
        self.claims.entry((place, claim)).or_default()
    }

    pub(super) fn record(&self, index: Index) -> &'h Record {
        &self.history.records[index]
    }

    /// The message of that token, if somebody tried to post it.
    pub(super) fn message(&self, token: &str) -> Option<&Message<'h>> {
        self.by_token
            .get(token)
            .map(|&number| &self.messages[number])
    }

    /// When the history ends, as far as it tells.
    pub(super) fn ends_at(&self) -> Instant {
        let last = self.history.records.last();
        let last = last.map_or(Instant::START, |record| record.invoked_at);
        let phases = self.history.phases.iter().map(|&(at, _)| at);
        phases.fold(last, Instant::max)
    }

    /// Where `index` acts.
    pub(super) fn place(&self, index: Index) -> Place<'h> {
        place_of(self.record(index))
    }

    /// What was done with the claim that `take` was granted.
    pub(super) fn claim_of(&self, take: Index) -> Option<&Claim> {
        match self.record(take).answer() {
            Some(Answer::Claim {
                claim: Some(claim), ..
            }) => self.claims.get(&(self.place(take), claim.as_str())),
            _ => None,
        }
    }

    /// What was done with the claim of that identifier.
    pub(super) fn claim(&self, place: Place<'h>, claim: &'h str) -> Option<&Claim> {
        self.claims.get(&(place, claim))
    }

    /// Observations of `message` that handed it out: claims and pops.
    pub(super) fn deliveries(&self, message: &Message<'_>) -> impl Iterator<Item = Index> {
        message
            .sightings
            .iter()
            .copied()
            .filter(|&index| self.record(index).operation.is_take())
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
}

fn place_of(record: &Record) -> Place<'_> {
    (&record.project, record.operation.queue())
}
