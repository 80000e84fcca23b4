//! The broker as one would write it without a thought for speed: everything is a list, and every
//! question a scan. What the indexes of the real one are compared with.

use std::collections::BTreeMap;

use nanshe_reference::broker::MessageId;

#[derive(Clone, Debug)]
pub(crate) struct ModelMessage {
    pub(crate) id: MessageId,
    pub(crate) client: usize,
    pub(crate) active_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) claim: Option<usize>,
    pub(crate) claim_count: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelClaim {
    pub(crate) queue: usize,
    pub(crate) ends_at: u64,
    /// Ended by release, or with its queue.
    pub(crate) ended: bool,
}

/// Messages by queue in order of rank, and every claim there ever was.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) queues: BTreeMap<usize, Vec<ModelMessage>>,
    pub(crate) claims: Vec<ModelClaim>,
}

/// What a listing shows beside active messages of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelView {
    pub(crate) client: usize,
    pub(crate) echo: bool,
    pub(crate) claimed: bool,
    pub(crate) delayed: bool,
}

impl Model {
    pub(crate) fn advance(&mut self, now: u64) {
        self.now = now;
        for messages in self.queues.values_mut() {
            messages.retain(|message| message.expires_at > now);
            for message in messages {
                let ended = message
                    .claim
                    .is_some_and(|claim| !alive(&self.claims[claim], now));
                if ended {
                    message.claim = None;
                }
            }
        }
    }

    pub(crate) fn messages(&self, queue: usize) -> &[ModelMessage] {
        self.queues.get(&queue).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn page(&self, queue: usize, view: ModelView) -> Vec<MessageId> {
        let shown = |message: &&ModelMessage| {
            (view.echo || message.client != view.client)
                && (view.claimed || message.claim.is_none())
                && (view.delayed || message.active_at <= self.now)
        };
        self.messages(queue)
            .iter()
            .filter(shown)
            .map(|message| message.id)
            .collect()
    }

    pub(crate) fn first_active(&self, queue: usize, limit: usize) -> Vec<MessageId> {
        let view = ModelView {
            client: 0,
            echo: true,
            claimed: false,
            delayed: false,
        };
        self.page(queue, view).into_iter().take(limit).collect()
    }

    pub(crate) fn claim_lives(&self, claim: usize) -> bool {
        alive(&self.claims[claim], self.now)
    }

    pub(crate) fn held(&self, claim: usize) -> Vec<MessageId> {
        let messages = self.messages(self.claims[claim].queue).iter();
        messages
            .filter(|message| message.claim == Some(claim))
            .map(|message| message.id)
            .collect()
    }

    pub(crate) fn extend(&mut self, claim: usize, terms: (u64, u64)) {
        let ends_at = self.now + terms.0;
        self.claims[claim].ends_at = ends_at;
        let messages = self.queues.entry(self.claims[claim].queue).or_default();
        for message in messages
            .iter_mut()
            .filter(|message| message.claim == Some(claim))
        {
            if message.expires_at < ends_at {
                message.expires_at = ends_at + terms.1;
            }
        }
    }

    pub(crate) fn release(&mut self, claim: usize) {
        self.claims[claim].ended = true;
        self.advance(self.now);
    }

    pub(crate) fn remove(&mut self, queue: usize, id: MessageId) -> Option<ModelMessage> {
        let messages = self.queues.get_mut(&queue)?;
        let at = messages.iter().position(|message| message.id == id)?;
        Some(messages.remove(at))
    }

    pub(crate) fn find(&mut self, queue: usize, id: MessageId) -> Option<&mut ModelMessage> {
        self.queues
            .get_mut(&queue)?
            .iter_mut()
            .find(|message| message.id == id)
    }
}

fn alive(claim: &ModelClaim, now: u64) -> bool {
    !claim.ended && claim.ends_at > now
}
