//! Violations, told: who did what when.

use super::Violation;
use super::facts::{Facts, Index};
use crate::environment::Instant;
use crate::history::{Answer, Operation, Outcome, Record};

impl Facts<'_> {
    /// A violation about `token`, proved by the operations at `proof`.
    pub(super) fn violation(
        &self,
        token: &str,
        summary: String,
        proof: impl IntoIterator<Item = Index>,
    ) -> Violation {
        let mut proof: Vec<Index> = proof.into_iter().collect();
        proof.sort_by_key(|&index| (self.record(index).invoked_at, index));
        proof.dedup();
        let story = proof
            .into_iter()
            .map(|index| line(self.record(index), token))
            .collect();
        Violation {
            token: token.to_owned(),
            summary,
            story,
        }
    }
}

/// `2.100s to 2.140s process 3 posted 5 messages: ok`
fn line(record: &Record, token: &str) -> String {
    let until = match record.completed_at {
        Instant::NEVER => "the end".to_owned(),
        at => at.to_string(),
    };
    let outcome = match &record.outcome {
        Outcome::Ok(answer) => told(answer, token),
        Outcome::Fail {
            status: Some(status),
        } => format!("refused with {status}"),
        Outcome::Fail { status: None } => "not sent".to_owned(),
        Outcome::Info => "no answer".to_owned(),
    };
    let Record {
        process,
        invoked_at,
        operation,
        ..
    } = record;
    format!(
        "{invoked_at} to {until} process {process} {}: {outcome}",
        asked(operation, token)
    )
}

fn asked(operation: &Operation, token: &str) -> String {
    match operation {
        Operation::Post { queue, messages } => {
            let ttl = messages.iter().find(|posted| posted.token == token);
            let ttl = ttl.map_or_else(String::new, |posted| format!(" (ttl {}s)", posted.ttl_secs));
            format!(
                "posts {token}{ttl} to {queue}, {} in the batch",
                messages.len()
            )
        }
        Operation::Claim {
            queue,
            limit,
            ttl_secs,
            grace_secs,
        } => {
            format!("claims up to {limit} of {queue} for {ttl_secs}s, grace {grace_secs}s")
        }
        Operation::Renew {
            claim,
            ttl_secs,
            grace_secs,
            ..
        } => {
            format!("renews claim {claim} for {ttl_secs}s, grace {grace_secs}s")
        }
        Operation::Release { claim, .. } => format!("releases claim {claim}"),
        Operation::Delete {
            message,
            claim: Some(claim),
            ..
        } => {
            format!("deletes {message} under claim {claim}")
        }
        Operation::Delete {
            message,
            claim: None,
            ..
        } => format!("deletes {message}"),
        Operation::Pop { queue, limit } => format!("pops up to {limit} of {queue}"),
        Operation::Get { message, .. } => format!("gets {message}"),
    }
}

fn told(answer: &Answer, token: &str) -> String {
    let list = |count: usize| {
        let found = answer.seen().iter().find(|seen| seen.token == token);
        match found {
            Some(seen) => format!("{count} messages, with {token} (id {})", seen.id),
            None => format!("{count} messages, without {token}"),
        }
    };
    match answer {
        Answer::Claim {
            claim: Some(claim),
            messages,
        } => {
            format!("claim {claim}, {}", list(messages.len()))
        }
        Answer::Claim {
            claim: None,
            messages,
        }
        | Answer::Pop { messages } => list(messages.len()),
        Answer::Get { message } => list(usize::from(message.is_some())),
        Answer::Post { .. } => "accepted".to_owned(),
        Answer::Renew | Answer::Release | Answer::Delete => "ok".to_owned(),
    }
}
