//! Another tenant, which has much and does nothing with it.

use std::sync::Arc;

use super::super::rig::{Client, Fell, Rig};

/// The tenant.
const PROJECT: &str = "idle";

/// Where its messages are.
const QUEUE: &str = "idle";

/// Messages that it has at most: they are posted anew for every pair of rounds.
const MESSAGES_MAX: u64 = 100_000;

/// What it has much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Neighbour {
    /// Queues without messages.
    Queues,
    /// Messages that nobody takes.
    Messages,
    /// Claims that nobody ends, of a message each.
    Claims,
}

impl Neighbour {
    pub(super) const ALL: [Self; 3] = [Self::Queues, Self::Messages, Self::Claims];

    pub(super) fn quantity(self) -> &'static str {
        match self {
            Self::Queues => "idle queues",
            Self::Messages => "idle messages",
            Self::Claims => "idle claims",
        }
    }

    /// How much it has where the ladders of messages end at `longest`.
    pub(super) fn most(self, longest: u64) -> u64 {
        match self {
            Self::Queues => longest / 10,
            Self::Messages => longest.min(MESSAGES_MAX),
            Self::Claims => longest.min(MESSAGES_MAX) / 10,
        }
    }

    /// Creates all of it.
    pub(super) async fn move_in(self, rig: &Arc<Rig>, count: u64) -> Result<(), Fell> {
        if self == Self::Queues {
            let create = |mut client: Client, number| async move {
                client.create(queue(number)).await?;
                Ok(client)
            };
            return rig.side_by_side(PROJECT, count, create).await;
        }
        let lifetime = rig.options.message_ttl_secs;
        rig.client(PROJECT).fill(QUEUE, count, lifetime).await?;
        if self == Self::Claims {
            rig.hold(PROJECT, QUEUE, count).await?;
        }
        Ok(())
    }

    /// Removes all of it, as far as it is there.
    pub(super) async fn move_out(self, rig: &Arc<Rig>, count: u64) {
        if self != Self::Queues {
            rig.client(PROJECT).remove(QUEUE).await;
            return;
        }
        let remove = |mut client: Client, number| async move {
            client.remove(&queue(number)).await;
            Ok(client)
        };
        // What cannot be removed is left: nothing follows from it.
        drop(rig.side_by_side(PROJECT, count, remove).await);
    }
}

fn queue(number: u64) -> String {
    format!("idle-{number}")
}
