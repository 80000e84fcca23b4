//! Producers post, consumers claim and delete: the work queue that claims were made for.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::Process;
use crate::environment::Instant;
use crate::history::{Answer, Operation, Posted};

/// Messages that one post or claim may hold: Zaqar's default limit.
const BATCH_MAX: u64 = 20;

/// Most rounds of a drain in which messages still come.
const DRAIN_ROUNDS_MAX: u32 = 10_000;

/// Empty answers in a row that end a drain.
const DRAIN_EMPTY_ANSWERS: u32 = 3;

/// What producers and consumers do, and how often. Shares are between 0 and 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Number of producers.
    pub producers: u32,
    /// Number of consumers.
    pub consumers: u32,
    /// Queues that they share.
    pub queues: u32,
    /// Posts by each producer.
    pub posts: u32,
    /// Most messages in one post, and in one claim, at most 20.
    pub batch_max: u64,
    /// Longest time between two operations of one client.
    pub pause_ms_max: u64,
    /// The lifetime of a message.
    pub message_ttl_secs: u64,
    /// The lease of a claim.
    pub claim_ttl_secs: u64,
    /// The grace of a claim.
    pub claim_grace_secs: u64,
    /// Share of posts that hold one message with a ttl that no server accepts.
    pub invalid_post_share: f64,
    /// Share of claims that are renewed once.
    pub renew_share: f64,
    /// Share of claims that are released with messages left.
    pub release_share: f64,
    /// Share of claims whose holder works longer than its lease, and deletes then.
    pub overrun_share: f64,
}

impl Mix {
    /// What is wrong with it: the key, and what would be right.
    ///
    /// # Errors
    ///
    /// The first key whose value makes no sense.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let shares = [
            ("invalid_post_share", self.invalid_post_share),
            ("renew_share", self.renew_share),
            ("release_share", self.release_share),
            ("overrun_share", self.overrun_share),
        ];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err((key, format!("is {share}, expected 0 to 1")));
            }
        }
        let whole = [
            ("producers", u64::from(self.producers), 1..=1_000),
            ("consumers", u64::from(self.consumers), 1..=1_000),
            ("queues", u64::from(self.queues), 1..=1_000),
            ("posts", u64::from(self.posts), 1..=1_000_000),
            ("batch_max", self.batch_max, 1..=BATCH_MAX),
            ("pause_ms_max", self.pause_ms_max, 0..=3_600_000),
            ("message_ttl_secs", self.message_ttl_secs, 60..=1_209_600),
            ("claim_ttl_secs", self.claim_ttl_secs, 60..=43_200),
            ("claim_grace_secs", self.claim_grace_secs, 60..=43_200),
        ];
        for (key, value, range) in whole {
            if !range.contains(&value) {
                let (from, to) = range.into_inner();
                return Err((key, format!("is {value}, expected {from} to {to}")));
            }
        }
        Ok(())
    }

    fn queue(&self, random: &mut ChaCha8Rng) -> String {
        format!("queue-{}", random.random_range(0..self.queues))
    }

    fn pause(&self, random: &mut ChaCha8Rng) -> Duration {
        Duration::from_micros(random.random_range(0..=self.pause_ms_max * 1_000))
    }
}

/// Posts batches until it has posted enough, or work stops.
pub struct Producer {
    /// Its hands.
    pub process: Process,
    /// What its tokens begin with: unique in the run.
    pub name: String,
    /// What it does.
    pub mix: Mix,
    /// Where its choices come from.
    pub random: ChaCha8Rng,
}

impl Producer {
    /// Works until it has posted enough, or `until`.
    pub async fn work(mut self, until: Instant) {
        let mut serial = 0_u32;
        for _ in 0..self.mix.posts {
            if self.process.world().now() >= until {
                return;
            }
            let count = self.random.random_range(1..=self.mix.batch_max);
            let mut messages: Vec<Posted> = Vec::new();
            for _ in 0..count {
                serial += 1;
                let token = format!("{}-{serial}", self.name);
                messages.push(Posted::new(token, self.mix.message_ttl_secs));
            }
            if self.random.random_bool(self.mix.invalid_post_share)
                && let Some(last) = messages.last_mut()
            {
                last.ttl_secs = 1;
            }
            let queue = self.mix.queue(&mut self.random);
            self.process
                .perform(Operation::Post { queue, messages })
                .await;
            let pause = self.mix.pause(&mut self.random);
            self.process.world().sleep(pause).await;
        }
    }
}

/// Claims, works, deletes; sometimes renews, releases, or takes too long.
pub struct Consumer {
    /// Its hands.
    pub process: Process,
    /// What it does.
    pub mix: Mix,
    /// Where its choices come from.
    pub random: ChaCha8Rng,
}

impl Consumer {
    /// Works until `until`.
    pub async fn work(mut self, until: Instant) {
        while self.process.world().now() < until {
            let queue = self.mix.queue(&mut self.random);
            let limit = self.random.random_range(1..=self.mix.batch_max);
            let claim = Operation::Claim {
                queue: queue.clone(),
                limit,
                ttl_secs: self.mix.claim_ttl_secs,
                grace_secs: self.mix.claim_grace_secs,
            };
            if let Some(Answer::Claim {
                claim: Some(claim),
                messages,
            }) = self.process.perform(claim).await
            {
                let ids = messages.into_iter().map(|seen| seen.id).collect();
                self.serve(&queue, &claim, ids).await;
            }
            self.pause().await;
        }
    }

    async fn pause(&mut self) {
        let pause = self.mix.pause(&mut self.random);
        self.process.world().sleep(pause).await;
    }

    async fn serve(&mut self, queue: &str, claim: &str, ids: Vec<String>) {
        if self.random.random_bool(self.mix.renew_share) {
            self.pause().await;
            let renew = Operation::Renew {
                queue: queue.to_owned(),
                claim: claim.to_owned(),
                ttl_secs: self.mix.claim_ttl_secs,
                grace_secs: self.mix.claim_grace_secs,
            };
            self.process.perform(renew).await;
        }
        if self.random.random_bool(self.mix.overrun_share) {
            let span = Duration::from_secs(self.mix.claim_ttl_secs);
            self.process
                .world()
                .sleep(span.mul_f64(self.random.random_range(0.9..1.3)))
                .await;
        }
        let release = self.random.random_bool(self.mix.release_share);
        let served = if release { ids.len() / 2 } else { ids.len() };
        for id in ids.into_iter().take(served) {
            self.pause().await;
            delete(&self.process, queue, claim, id).await;
        }
        if release {
            let release = Operation::Release {
                queue: queue.to_owned(),
                claim: claim.to_owned(),
            };
            self.process.perform(release).await;
        }
    }
}

async fn delete(process: &Process, queue: &str, claim: &str, message: String) -> Option<Answer> {
    let (queue, claim) = (queue.to_owned(), Some(claim.to_owned()));
    process
        .perform(Operation::Delete {
            queue,
            message,
            claim,
        })
        .await
}

/// Takes everything that is still there, queue by queue, until nothing comes any more. Call it when
/// every lease has ended and nothing else is under way.
pub async fn drain(process: &Process, mix: &Mix) {
    for queue in 0..mix.queues {
        let queue = format!("queue-{queue}");
        let mut empty_answers = 0;
        for _ in 0..DRAIN_ROUNDS_MAX {
            let claim = Operation::Claim {
                queue: queue.clone(),
                limit: BATCH_MAX,
                ttl_secs: mix.claim_ttl_secs,
                grace_secs: mix.claim_grace_secs,
            };
            match process.perform(claim).await {
                Some(Answer::Claim {
                    claim: Some(claim),
                    messages,
                }) => {
                    empty_answers = 0;
                    for seen in messages {
                        delete(process, &queue, &claim, seen.id).await;
                    }
                }
                _ => empty_answers += 1,
            }
            if empty_answers == DRAIN_EMPTY_ANSWERS {
                break;
            }
        }
    }
}
