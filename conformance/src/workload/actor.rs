//! A client with something to do: its process, its choices, and the turns that workloads share.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Act, Process, Settings, Workload, body};
use crate::environment::Instant;
use crate::history::{Answer, Operation, Posted};

/// Pages that one walk has at most: nobody may walk for ever while others post.
const PAGES_MAX: u64 = 200;

/// A client of a workload.
pub struct Actor {
    /// Its hands.
    pub process: Process,
    /// Where its choices come from.
    pub random: ChaCha8Rng,
    /// What its tokens begin with: unique in the run.
    pub name: String,
    /// What it was told.
    pub settings: Arc<Settings>,
    acts: Arc<Vec<(u32, Act)>>,
    serial: u64,
}

impl Actor {
    /// A client that does `workload` by `process`.
    pub fn new(process: Process, random: ChaCha8Rng, workload: &Workload) -> Self {
        let acts = workload.actions();
        let acts = acts.iter().map(|(weight, action)| (*weight, action.act));
        Self {
            name: format!("m{}", process.number()),
            process,
            random,
            settings: Arc::new(workload.settings.clone()),
            acts: Arc::new(acts.collect()),
            serial: 0,
        }
    }

    /// Takes turns until `until`, and `turns_max` at most: the next when one is over, and a pause between
    /// (closed loop).
    pub async fn work(&mut self, until: Instant, turns_max: Option<u64>) {
        let mut left = turns_max.unwrap_or(u64::MAX);
        while left > 0 && self.process.world().now() < until {
            left -= 1;
            self.turn().await;
            self.pause().await;
        }
    }

    /// Does what is drawn, once.
    pub async fn turn(&mut self) {
        let total: u32 = self.acts.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.random.random_range(0..total);
        for (weight, act) in Arc::clone(&self.acts).iter() {
            if drawn < *weight {
                return act(self).await;
            }
            drawn -= weight;
        }
    }

    /// Waits a moment.
    pub(super) async fn pause(&mut self) {
        let micros = self.settings.pause_ms_max * 1_000;
        let pause = Duration::from_micros(self.random.random_range(0..=micros));
        self.process.world().sleep(pause).await;
    }

    /// One of the queues.
    pub(super) fn queue(&mut self) -> String {
        format!(
            "queue-{}",
            self.random.random_range(0..self.settings.queues)
        )
    }

    /// A number of messages.
    pub(super) fn some(&mut self) -> u64 {
        self.random.random_range(1..=self.settings.batch_max)
    }

    /// Whether something happens that happens so often.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    /// New messages.
    pub(super) fn batch(&mut self, count: u64) -> Vec<Posted> {
        let mut message = || {
            self.serial += 1;
            let (token, body) = body::make(&self.name, self.serial);
            Posted {
                body,
                ..Posted::new(token, self.settings.message_ttl_secs)
            }
        };
        (0..count).map(|_| message()).collect()
    }

    /// Posts a few messages.
    pub(super) async fn post(&mut self, queue: &str) -> Vec<String> {
        let count = self.some();
        let messages = self.batch(count);
        self.post_these(queue, messages).await
    }

    /// Posts `messages`; their identifiers, if they are there for certain.
    pub(super) async fn post_these(&mut self, queue: &str, messages: Vec<Posted>) -> Vec<String> {
        let queue = queue.to_owned();
        let post = Operation::Post { queue, messages };
        match self.process.perform(post).await {
            Some(Answer::Post { ids }) => ids,
            Some(_) | None => Vec::new(),
        }
    }

    /// Claims a few messages: the claim, and what it holds.
    pub(super) async fn claim(&mut self, queue: &str) -> Option<(String, Vec<String>)> {
        let (ttl_secs, limit) = (self.settings.claim_ttl_secs, self.some());
        self.claim_for(queue, ttl_secs, limit).await
    }

    /// As [`Self::claim`], for so long and of so many.
    pub(super) async fn claim_for(
        &mut self,
        queue: &str,
        ttl_secs: u64,
        limit: u64,
    ) -> Option<(String, Vec<String>)> {
        let claim = Operation::Claim {
            queue: queue.to_owned(),
            limit,
            ttl_secs,
            grace_secs: self.settings.claim_grace_secs,
        };
        let answer = self.process.perform(claim).await?;
        let ids = answer.seen().iter().map(|seen| seen.id.clone()).collect();
        let Answer::Claim {
            claim: Some(claim), ..
        } = answer
        else {
            return None;
        };
        Some((claim, ids))
    }

    /// Deletes a message under its claim.
    pub(super) async fn delete(&mut self, queue: &str, claim: &str, message: String) {
        let (queue, claim) = (queue.to_owned(), Some(claim.to_owned()));
        let delete = Operation::Delete {
            queue,
            message,
            claim,
        };
        self.process.perform(delete).await;
    }

    /// Claims a few messages and deletes them, as a consumer does that nothing happens to.
    pub(super) async fn consume(&mut self, queue: &str) {
        if let Some((claim, ids)) = self.claim(queue).await {
            for id in ids {
                self.delete(queue, &claim, id).await;
            }
        }
    }

    /// Gives a claim back.
    pub(super) async fn release(&mut self, queue: &str, claim: &str) {
        let (queue, claim) = (queue.to_owned(), claim.to_owned());
        let release = Operation::Release { queue, claim };
        self.process.perform(release).await;
    }

    /// Holds a claim for longer.
    pub(super) async fn renew(&mut self, queue: &str, claim: &str, ttl_secs: u64) {
        let renew = Operation::Renew {
            queue: queue.to_owned(),
            claim: claim.to_owned(),
            ttl_secs,
            grace_secs: self.settings.claim_grace_secs,
        };
        self.process.perform(renew).await;
    }

    /// Takes a few messages for good.
    pub(super) async fn pop(&mut self, queue: &str) {
        let limit = self.some();
        let queue = queue.to_owned();
        self.process.perform(Operation::Pop { queue, limit }).await;
    }

    /// Walks through a queue, page by page, as long as there is a next one.
    pub(super) async fn walk(&mut self, queue: &str, include_claimed: bool) {
        self.serial += 1;
        let chain = (self.process.number() << 32) | self.serial;
        let (mut marker, limit) = (None, self.some());
        for _ in 0..PAGES_MAX {
            let page = Operation::List {
                queue: queue.to_owned(),
                chain,
                marker,
                limit,
                echo: true,
                include_claimed,
                include_delayed: include_claimed,
            };
            let Some(Answer::List {
                messages,
                next: Some(next),
            }) = self.process.perform(page).await
            else {
                return;
            };
            if messages.is_empty() {
                return;
            }
            marker = Some(next);
            self.pause().await;
        }
    }
}
