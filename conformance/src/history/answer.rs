//! What a process was told.

use serde::{Deserialize, Serialize};

use super::Operation;

/// A message as a client sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The identifier that the server gave it.
    pub id: String,
    /// The token in its body.
    pub token: String,
    /// A digest of its body, in the form that its producer wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Seen {
    /// A message of whose body nothing is said.
    pub fn new(id: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            token: token.into(),
            body: None,
        }
    }
}

/// What a process was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "f", rename_all = "kebab-case")]
pub enum Answer {
    /// The identifiers of the batch, in its order.
    Post {
        /// One for each message.
        ids: Vec<String>,
    },
    /// What was handed out; empty if nothing was.
    Claim {
        /// The claim's identifier; `None` if nothing was handed out.
        claim: Option<String>,
        /// The messages, in the order of the answer.
        messages: Vec<Seen>,
    },
    /// What the claim holds. An absence is an answer, not a failure.
    ClaimGet {
        /// The messages, in the order of the answer; `None` if there is no such claim.
        messages: Option<Vec<Seen>>,
    },
    /// Renewed.
    Renew,
    /// Released.
    Release,
    /// Gone.
    Delete,
    /// Gone, those that were there.
    BulkDelete,
    /// What was taken.
    Pop {
        /// The messages, in the order of the answer.
        messages: Vec<Seen>,
    },
    /// What is there. An absence is an answer, not a failure.
    Get {
        /// The message, if it is there.
        message: Option<Seen>,
    },
    /// What is there of what was asked for.
    GetMany {
        /// The messages, in the order of the answer.
        messages: Vec<Seen>,
    },
    /// One page.
    List {
        /// The messages, in the order of the answer.
        messages: Vec<Seen>,
        /// The marker of the next page; `None` if the answer names none.
        next: Option<String>,
    },
    /// How many messages there are.
    Stats {
        /// That no claim holds, delayed ones included.
        free: u64,
        /// Held by claims.
        claimed: u64,
        /// In all.
        total: u64,
    },
    /// Empty.
    Purge,
    /// It is there.
    CreateQueue {
        /// Whether it was not there before: what exists keeps the settings that it has.
        created: bool,
    },
    /// Settled.
    SetMetadata,
    /// Gone, with all that it held.
    DeleteQueue,
    /// Pushes are promised.
    Subscribe {
        /// The subscription's identifier.
        subscription: String,
    },
}

impl Answer {
    /// The messages that the answer shows.
    pub fn seen(&self) -> &[Seen] {
        match self {
            Self::Claim { messages, .. }
            | Self::Pop { messages }
            | Self::GetMany { messages }
            | Self::List { messages, .. }
            | Self::ClaimGet {
                messages: Some(messages),
            } => messages,
            Self::Get { message } => message.as_slice(),
            Self::ClaimGet { messages: None }
            | Self::Post { .. }
            | Self::Renew
            | Self::Release
            | Self::Delete
            | Self::BulkDelete
            | Self::Stats { .. }
            | Self::Purge
            | Self::CreateQueue { .. }
            | Self::SetMetadata
            | Self::DeleteQueue
            | Self::Subscribe { .. } => &[],
        }
    }
}

impl Operation {
    /// Whether `answer` answers this question.
    pub(crate) fn answered_by(&self, answer: &Answer) -> Result<(), String> {
        match (self, answer) {
            (Self::Post { messages, .. }, Answer::Post { ids }) => {
                if messages.len() == ids.len() {
                    return Ok(());
                }
                let (posted, came) = (messages.len(), ids.len());
                Err(format!(
                    "{posted} messages were posted, but {came} ids came"
                ))
            }
            (Self::Claim { .. }, Answer::Claim { .. })
            | (Self::ClaimGet { .. }, Answer::ClaimGet { .. })
            | (Self::Renew { .. }, Answer::Renew)
            | (Self::Release { .. }, Answer::Release)
            | (Self::Delete { .. }, Answer::Delete)
            | (Self::BulkDelete { .. }, Answer::BulkDelete)
            | (Self::Pop { .. }, Answer::Pop { .. })
            | (Self::Get { .. }, Answer::Get { .. })
            | (Self::GetMany { .. }, Answer::GetMany { .. })
            | (Self::List { .. }, Answer::List { .. })
            | (Self::Stats { .. }, Answer::Stats { .. })
            | (Self::Purge { .. }, Answer::Purge)
            | (Self::CreateQueue { .. }, Answer::CreateQueue { .. })
            | (Self::SetMetadata { .. }, Answer::SetMetadata)
            | (Self::DeleteQueue { .. }, Answer::DeleteQueue)
            | (Self::Subscribe { .. }, Answer::Subscribe { .. }) => Ok(()),
            _ => Err("the answer is not one to what the process asked".to_owned()),
        }
    }
}
