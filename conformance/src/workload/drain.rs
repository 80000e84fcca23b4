//! Takes everything that is still there, when every lease has ended and nothing else is under way.

use super::{NotDone, Process};
use crate::history::{Answer, Operation};

/// Messages that a claim of the drain asks for, if the target allows as many: Zaqar's default limit.
const LIMIT: u64 = 20;

/// Most rounds of a drain in which messages still come.
const ROUNDS_MAX: u32 = 100_000;

/// Empty answers in a row that end a drain.
const EMPTY_ANSWERS: u32 = 3;

/// Claims in a row that do not happen for certain, after which the target counts as dead.
const UNANSWERED_MAX: u32 = 5;

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing comes any more.
    Empty,
    /// Nobody answers any more, or whoever does refuses everything.
    Dead,
}

/// Claims and deletes what is in `queue` until nothing comes any more, or nobody answers.
pub async fn drain_place(
    process: &Process,
    queue: &str,
    (ttl_secs, grace_secs): (u64, u64),
) -> Drained {
    let (mut empty, mut unanswered, mut limit) = (0, 0, LIMIT);
    for _ in 0..ROUNDS_MAX {
        let claim = Operation::Claim {
            queue: queue.to_owned(),
            limit,
            ttl_secs,
            grace_secs,
        };
        match process.ask(claim).await {
            Ok(Answer::Claim {
                claim: Some(claim),
                messages,
            }) => {
                (empty, unanswered) = (0, 0);
                for seen in messages {
                    let delete = Operation::Delete {
                        queue: queue.to_owned(),
                        message: seen.id,
                        claim: Some(claim.clone()),
                    };
                    process.perform(delete).await;
                }
            }
            Ok(_) => (empty, unanswered) = (empty + 1, 0),
            // A target may allow fewer messages a claim.
            Err(NotDone::Refused(400)) if limit > 1 => limit /= 2,
            Err(_) => unanswered += 1,
        }
        if empty == EMPTY_ANSWERS {
            return Drained::Empty;
        }
        if unanswered == UNANSWERED_MAX {
            return Drained::Dead;
        }
    }
    Drained::Empty
}
