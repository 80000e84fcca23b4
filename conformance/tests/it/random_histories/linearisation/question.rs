//! A small history as the search wants it: messages, claims and walks by number, and which operations
//! have to be placed.

use std::collections::BTreeMap;

use nanshe_conformance::environment::Instant;
use nanshe_conformance::history::{Answer, History, Operation, OrderProfile, Outcome, Record};

use super::zone::UNBOUNDED;

/// Most operations that a history may have.
const OPERATIONS_MAX: usize = 12;

/// A history, and what was prepared of it.
pub(super) struct Question<'h> {
    pub(super) history: &'h History,
    /// By token: its number among the messages of the history.
    pub(super) messages: BTreeMap<&'h str, u8>,
    by_id: BTreeMap<&'h str, &'h str>,
    /// By identifier: the operation that was granted the claim.
    grants: BTreeMap<&'h str, u8>,
    /// Operations that certainly acted, or whose refusal tells something.
    pub(super) required: u32,
    /// Operations that may have acted, the required ones included.
    pub(super) possible: u32,
    /// By operation: the required ones that certainly acted before it.
    pub(super) before: Vec<u32>,
    /// Claims and pops that nothing else was in flight with: what they leave out was not there.
    pub(super) alone: u32,
}

impl<'h> Question<'h> {
    /// `None` if names alone prove that no order of the operations explains the history: a message
    /// that nobody posted, with another body or two identifiers, or one identifier for two.
    pub(super) fn of(history: &'h History) -> Option<Self> {
        assert!(
            history.records.len() <= OPERATIONS_MAX,
            "too long to search"
        );
        assert_eq!(history.header.profile.order, OrderProfile::Strict);
        let mut question = Self {
            history,
            messages: BTreeMap::new(),
            by_id: BTreeMap::new(),
            grants: BTreeMap::new(),
            required: 0,
            possible: 0,
            before: Vec::new(),
            alone: 0,
        };
        question.name()?;
        for (number, record) in history.records.iter().enumerate() {
            let bit = 1 << number;
            question.required |= if is_required(record) { bit } else { 0 };
            let acts = is_required(record) || (record.is_info() && !record.operation.is_read());
            question.possible |= if acts { bit } else { 0 };
            question.alone |= if is_alone(history, number) { bit } else { 0 };
        }
        for (number, record) in history.records.iter().enumerate() {
            let earlier = history.records[..number].iter().enumerate();
            let before = earlier
                .filter(|(_, earlier)| is_required(earlier))
                .filter(|(_, earlier)| earlier.completed_at <= record.invoked_at);
            question
                .before
                .push(before.fold(0, |mask, (earlier, _)| mask | 1 << earlier));
        }
        Some(question)
    }

    fn name(&mut self) -> Option<()> {
        let mut bodies: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for record in &self.history.records {
            if let Operation::Post { messages, .. } = &record.operation {
                for posted in messages {
                    let number = u8::try_from(self.messages.len()).unwrap();
                    self.messages.insert(&posted.token, number);
                    bodies.insert(&posted.token, posted.body.as_deref());
                }
            }
        }
        let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
        for (number, record) in self.history.records.iter().enumerate() {
            let Some(answer) = record.answer() else {
                continue;
            };
            if let (Operation::Post { messages, .. }, Answer::Post { ids: told }) =
                (&record.operation, answer)
            {
                for (posted, id) in messages.iter().zip(told) {
                    self.identify(&mut ids, &posted.token, id)?;
                }
            }
            for seen in answer.seen() {
                let body = bodies.get(seen.token.as_str())?;
                if seen
                    .body
                    .as_deref()
                    .is_some_and(|seen| body.is_some_and(|body| body != seen))
                {
                    return None;
                }
                self.identify(&mut ids, &seen.token, &seen.id)?;
            }
            if let Answer::Claim {
                claim: Some(claim), ..
            } = answer
            {
                self.grants.insert(claim, u8::try_from(number).unwrap());
            }
        }
        Some(())
    }

    fn identify(
        &mut self,
        ids: &mut BTreeMap<&'h str, &'h str>,
        token: &'h str,
        id: &'h str,
    ) -> Option<()> {
        let is_same = *ids.entry(token).or_insert(id) == id;
        let is_its = *self.by_id.entry(id).or_insert(token) == token;
        (is_same && is_its).then_some(())
    }

    pub(super) fn record(&self, number: u8) -> &'h Record {
        &self.history.records[usize::from(number)]
    }

    /// The message of that identifier, if anybody ever saw it.
    pub(super) fn by_id(&self, id: &str) -> Option<u8> {
        self.by_id.get(id).map(|token| self.messages[token])
    }

    /// The operation that was granted the claim.
    pub(super) fn grant(&self, claim: &str) -> Option<u8> {
        self.grants.get(claim).copied()
    }

    pub(super) fn slack(&self) -> i64 {
        i64::try_from(self.history.header.slack_ns).unwrap()
    }

    /// The last instant in which the operation can act.
    pub(super) fn acts_until(&self, number: u8) -> i64 {
        let until = acts_until(self.history, self.record(number));
        if until == Instant::NEVER {
            UNBOUNDED
        } else {
            nanos(until)
        }
    }

    /// The messages that an answer shows, by number.
    pub(super) fn shown(&self, answer: &Answer) -> Vec<u8> {
        answer
            .seen()
            .iter()
            .map(|seen| self.messages[seen.token.as_str()])
            .collect()
    }
}

pub(super) fn nanos(at: Instant) -> i64 {
    i64::try_from(at.as_nanos()).unwrap()
}

fn acts_until(history: &History, record: &Record) -> Instant {
    if record.is_info() {
        history.header.latest_effect(record.invoked_at)
    } else {
        record.completed_at
    }
}

fn is_required(record: &Record) -> bool {
    match (&record.outcome, &record.operation) {
        (Outcome::Ok(_), _) => true,
        // What is refused for such a reason observes that there is one.
        (
            Outcome::Fail {
                status: Some(400 | 403),
            },
            Operation::Delete { .. },
        )
        | (Outcome::Fail { status: Some(404) }, Operation::Renew { .. }) => true,
        (Outcome::Fail { .. } | Outcome::Info, _) => false,
    }
}

/// Whether nothing that may change the queue was in flight together with the operation.
fn is_alone(history: &History, number: usize) -> bool {
    let record = &history.records[number];
    let queue = record.operation.queue();
    let others = history
        .records
        .iter()
        .enumerate()
        .filter(|&(other, record)| {
            other != number && record.operation.queue() == queue && !record.operation.is_read()
        });
    record.is_ok()
        && others.into_iter().all(|(other, earlier_or_later)| {
            if other < number {
                acts_until(history, earlier_or_later) <= record.invoked_at
            } else {
                record.completed_at <= earlier_or_later.invoked_at
            }
        })
}
