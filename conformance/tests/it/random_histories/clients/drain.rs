//! The closing drain: one client takes what is still there, queue after queue.

use nanshe_conformance::history::{Answer, Operation, Record};

use super::{Clients, DEAD, DRAINER, queue_name};

/// Claims that the drainer makes at most.
const CLAIMS_MAX: usize = 30;

/// The same, of a long history.
const CLAIMS_MAX_LONG: usize = 200;

/// How far the closing drain is.
#[derive(Default)]
pub(super) struct Drain {
    queue: usize,
    claims: usize,
    empty_answers: usize,
    /// What it holds and has to delete.
    held: Vec<Operation>,
    /// The next page of the walk through the queue, which comes before its claims.
    page: Option<Operation>,
    /// Queues that it walked through, or walks through.
    walked: usize,
}

impl Clients {
    /// What the drainer was told.
    pub(super) fn learn_from_drain(&mut self, record: &Record, answer: &Answer) {
        debug_assert_eq!(record.process, DRAINER);
        let queue = record.operation.queue();
        if let Answer::List { messages, next } = answer {
            let mut page = record.operation.clone();
            if let Operation::List { marker, .. } = &mut page {
                marker.clone_from(next);
            }
            self.drain.page = (!messages.is_empty()).then_some(page);
        }
        let Answer::Claim { claim, messages } = answer else {
            return;
        };
        self.drain.empty_answers = match claim {
            None => self.drain.empty_answers + 1,
            Some(_) => 0,
        };
        if self.mode.is_tiny() {
            return;
        }
        let delete = |message: &String| Operation::Delete {
            queue: queue.to_owned(),
            message: message.clone(),
            claim: claim.clone(),
        };
        self.drain.held = messages.iter().map(|seen| delete(&seen.id)).collect();
    }

    /// Claims and deletes until the queue came back empty twice, queue after queue.
    pub(super) fn draw_drain_operation(&mut self) -> Option<Operation> {
        if let Some(delete) = self.drain.held.pop() {
            return Some(delete);
        }
        if let Some(page) = self.drain.page.take() {
            return Some(page);
        }
        // Few operations are left to a tiny history: one look at each queue tells most.
        let is_looked_at = self.mode.is_tiny() && self.drain.claims > self.drain.queue;
        if self.drain.empty_answers >= 2 || is_looked_at {
            self.drain.queue += 1;
            self.drain.empty_answers = 0;
        }
        let is_long = self.mode.is_long();
        let most = if is_long { CLAIMS_MAX_LONG } else { CLAIMS_MAX };
        let last = self.queues + usize::from(self.mode.is_rich());
        if self.drain.queue == last || self.drain.claims > most {
            return None;
        }
        let queue = if self.drain.queue == self.queues {
            DEAD.to_owned()
        } else {
            queue_name(self.drain.queue)
        };
        if is_long && self.drain.walked == self.drain.queue {
            self.drain.walked += 1;
            self.tokens += 1;
            return Some(Operation::List {
                queue,
                chain: self.tokens,
                marker: None,
                limit: 5,
                echo: true,
                include_claimed: true,
                include_delayed: true,
            });
        }
        self.drain.claims += 1;
        Some(Operation::Claim {
            queue,
            limit: 10,
            ttl_secs: 30,
            grace_secs: 10,
        })
    }
}
