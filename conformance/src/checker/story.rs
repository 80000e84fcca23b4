//! Violations, told: who did what when.

use std::collections::BTreeMap;

use super::Violation;
use super::findings::Finding;
use super::log::{Index, Log};
use crate::environment::Instant;
use crate::history::{Answer, Operation, Outcome, QueueSettings, Record};

/// The operations that stories are made of.
#[derive(Debug)]
pub(super) enum Records<'h> {
    /// All of them.
    All(&'h [Record]),
    /// Those that findings name.
    Some(BTreeMap<Index, Record>),
}

impl Records<'_> {
    fn get(&self, index: Index) -> Option<&Record> {
        match self {
            Self::All(records) => records.get(index as usize),
            Self::Some(records) => records.get(&index),
        }
    }
}

/// What was found, as a story: who did what when.
pub(super) fn tell(log: &Log, records: &Records<'_>, finding: &Finding) -> Violation {
    let Finding {
        token,
        summary,
        proof,
    } = finding;
    let token = log.tokens.name(*token);
    let story = proof.iter().filter_map(|&index| records.get(index));
    Violation {
        token: token.to_owned(),
        summary: summary.clone(),
        story: story.map(|record| line(record, token)).collect(),
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
            // Not every post of a proof is of the message that it is about.
            let about = messages.iter().find(|posted| posted.token == token);
            let (token, ttl) = match about.or(messages.first()) {
                None => ("nothing", String::new()),
                Some(posted) => (
                    posted.token.as_str(),
                    format!(" (ttl {}s)", posted.ttl_secs),
                ),
            };
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
        Operation::ClaimGet { .. }
        | Operation::BulkDelete { .. }
        | Operation::GetMany { .. }
        | Operation::List { .. }
        | Operation::Stats { .. }
        | Operation::Purge { .. }
        | Operation::CreateQueue { .. }
        | Operation::SetMetadata { .. }
        | Operation::DeleteQueue { .. }
        | Operation::Subscribe { .. } => asked_more(operation),
    }
}

/// What is asked of a queue or of many messages.
fn asked_more(operation: &Operation) -> String {
    match operation {
        Operation::ClaimGet { claim, .. } => format!("gets claim {claim}"),
        Operation::BulkDelete { queue, ids } => {
            format!(
                "deletes {} messages of {queue}: {}",
                ids.len(),
                ids.join(", ")
            )
        }
        Operation::GetMany { ids, .. } => format!("gets {}", ids.join(", ")),
        Operation::List {
            queue,
            chain,
            marker,
            limit,
            ..
        } => {
            let from = match marker {
                None => "its head".to_owned(),
                Some(marker) => format!("marker {marker}"),
            };
            let flags = flags(operation).join(", ");
            format!("lists up to {limit} of {queue} from {from} (walk {chain}, {flags})")
        }
        Operation::Stats { queue } => format!("asks for the stats of {queue}"),
        Operation::Purge { queue } => format!("purges {queue}"),
        Operation::CreateQueue { queue, settings } => {
            format!("creates {queue}{}", told_settings(settings))
        }
        Operation::SetMetadata { queue, settings } => {
            format!("settles {queue}{}", told_settings(settings))
        }
        Operation::DeleteQueue { queue } => format!("deletes queue {queue}"),
        Operation::Subscribe {
            queue,
            subscriber,
            ttl_secs,
        } => format!("subscribes {subscriber} to {queue} for {ttl_secs}s"),
        Operation::Post { .. }
        | Operation::Claim { .. }
        | Operation::Renew { .. }
        | Operation::Release { .. }
        | Operation::Delete { .. }
        | Operation::Pop { .. }
        | Operation::Get { .. } => unreachable!("`asked` tells these"),
    }
}

/// What a listing shows besides what could be claimed.
fn flags(operation: &Operation) -> Vec<&'static str> {
    let Operation::List {
        echo,
        include_claimed,
        include_delayed,
        ..
    } = operation
    else {
        return Vec::new();
    };
    let flags = [
        (*echo, "own", "not own"),
        (*include_claimed, "claimed", "not claimed"),
        (*include_delayed, "delayed", "not delayed"),
    ];
    let word = |(is_set, yes, no)| if is_set { yes } else { no };
    flags.map(word).to_vec()
}

fn told_settings(settings: &QueueSettings) -> String {
    let mut told = String::new();
    if let Some(delay) = settings.default_delay_secs {
        told += &format!(", delay {delay}s");
    }
    if let (Some(queue), Some(count)) = (&settings.dead_letter_queue, settings.max_claim_count) {
        told += &format!(", to {queue} after {count} deliveries");
    }
    if let Some(ttl) = settings.dead_letter_ttl_secs {
        told += &format!(" for {ttl}s");
    }
    told
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
        Answer::GetMany { messages }
        | Answer::List { messages, .. }
        | Answer::ClaimGet {
            messages: Some(messages),
        } => list(messages.len()),
        Answer::ClaimGet { messages: None } => "no such claim".to_owned(),
        Answer::Stats {
            free,
            claimed,
            total,
        } => format!("{free} free, {claimed} claimed, {total} in all"),
        Answer::Post { .. } => "accepted".to_owned(),
        Answer::Renew
        | Answer::Release
        | Answer::Delete
        | Answer::BulkDelete
        | Answer::Purge
        | Answer::CreateQueue { .. }
        | Answer::SetMetadata
        | Answer::DeleteQueue
        | Answer::Subscribe { .. } => "ok".to_owned(),
    }
}
