//! *Isolation*: what a cold queue feels of a hot one.
//!
//! One tenant's queue gets batches; another's gets a small operation now and then. The hot load is offered in an open
//! loop, at shares of what the target does of it at most, so that a slow target is not asked for more than it can.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::seq::SliceRandom;

use super::judge::{self, Rise};
use super::load::{closed, open};
use super::outcome::Outcome;
use super::rig::{Client, Rig};
use super::sample::{Sample, count};
use super::throughput::crew;
use crate::history::Operation;

/// Shares of the capacity that the hot load is.
const SHARES: [f64; 3] = [0.0, 0.3, 0.6];

/// Clients that make it.
const HOT_CLIENTS: u32 = 8;

/// Messages in one of its batches.
const HOT_BATCH: u64 = 100;

/// Messages that one of its claims takes: as many as every server grants.
const HOT_CLAIM: u64 = 20;

/// How often the cold queue is used in a second.
const COLD_RATE: f64 = 25.0;

const HOT: &str = "hot";
const COLD: &str = "cold";

/// Climbs the ladder.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let mut hot = crew(rig, HOT, HOT_CLIENTS);
    let mut cold = crew(rig, COLD, 4);
    // What the target does of the hot load at most: twice, and the second counts.
    let mut capacity = 0.0;
    for _ in 0..2 {
        let begun = rig.now();
        let (worked, loaded) = closed(rig, hot, rig.options.span, |client, _| {
            hot_turn(client).boxed()
        })
        .await;
        hot = worked;
        // A post, and of every claim the claim itself, its deletions and its end.
        let each = 1.0 + count(HOT_BATCH) + 2.0 * count(HOT_BATCH / HOT_CLAIM);
        let span = rig.now().since(begun).as_secs_f64();
        capacity = count(loaded.operations.operations()) / each / span;
    }
    let mut measured: Vec<(Sample, Vec<f64>)> = SHARES
        .iter()
        .map(|_| (Sample::default(), Vec::new()))
        .collect();
    let mut random = rig.random(HOT);
    let mut lag_us = 0.0_f64;
    for round in 0..=rig.options.rounds.0 {
        if rig.is_stopped() {
            break;
        }
        let mut order: Vec<usize> = (0..SHARES.len()).collect();
        order.shuffle(&mut random);
        for place in order {
            let rate = (capacity * SHARES[place]).min(rig.options.rate_max);
            let (back, seen, late) = visit(rig, (hot, cold), rate).await;
            (hot, cold) = back;
            if round > 0 {
                measured[place].1.push(seen.mean_us());
                measured[place].0.merge(&seen);
                lag_us = lag_us.max(late);
            }
        }
    }
    for client in hot.iter_mut().take(1) {
        client.remove(HOT).await;
    }
    for client in cold.iter_mut().take(1) {
        client.remove(COLD).await;
    }
    let steps = SHARES
        .iter()
        .zip(measured)
        .map(|(share, (sample, rounds))| sample.step(1.0 + share * 100.0, rounds, Duration::ZERO));
    let top = SHARES.last().copied().unwrap_or(0.0) * 100.0;
    let rise = Rise {
        rule: "scaling/isolation",
        quantity: "hot load, per cent",
        figure: "turn of the cold queue",
        verified: format!("a cold queue is usable beside one at {top:.0} % of what it can"),
        most: rig.judge.bounds.isolation_max,
    };
    vec![judge::rise(&rise, steps.collect(), lag_us, &rig.judge)]
}

type Crews = (Vec<Client>, Vec<Client>);

/// Uses the cold queue for a while, beside the hot one at `rate` turns a second.
async fn visit(rig: &Arc<Rig>, (hot, cold): Crews, rate: f64) -> (Crews, Sample, f64) {
    let span = rig.options.span;
    let heating = async {
        if rate <= 0.0 {
            return (hot, 0.0);
        }
        let (hot, loaded) = open(rig, hot, (rate, span), |client| hot_turn(client).boxed()).await;
        (hot, loaded.lag_us)
    };
    let using = open(rig, cold, (COLD_RATE, span), |client| {
        async move { client.post(COLD, None).await & client.consume(COLD, 1, Duration::ZERO).await }
            .boxed()
    });
    let ((hot, late), (cold, loaded)) = futures_util::future::join(heating, using).await;
    ((hot, cold), loaded.turns, late.max(loaded.lag_us))
}

/// Posts a batch, claims as many, deletes them one by one and ends the claims.
async fn hot_turn(client: &mut Client) -> bool {
    let ttl_secs = client.rig.options.message_ttl_secs;
    let messages = client.messages(HOT_BATCH, ttl_secs);
    let queue = HOT.to_owned();
    let posted = client
        .ask("post", Operation::Post { queue, messages })
        .await
        .is_some();
    let mut done = posted;
    for _ in 0..HOT_BATCH / HOT_CLAIM {
        done &= client.consume(HOT, HOT_CLAIM, Duration::ZERO).await;
    }
    done
}
