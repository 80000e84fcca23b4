//! *Isolation*: what a cold queue feels of a hot one.
//!
//! One tenant's queue gets batches; another's gets a small operation now and then. The hot load is offered in an open
//! loop, at shares of what the target does of it at most, so that a slow target is not asked for more than it can.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::seq::SliceRandom;

use super::judge::{self, Rise};
use super::load::{Loaded, closed, open};
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

/// The share of its turns that must have been done in time before there was a hot load.
const KEPT_MIN: f64 = 0.8;

const HOT: &str = "hot";
const COLD: &str = "cold";

/// What was measured beside one hot load.
#[derive(Default)]
struct Measured {
    /// Turns of the cold queue, and their mean by round.
    cold: Sample,
    rounds: Vec<f64>,
    /// Operations of the hot queue, its turns, and how many of these were done in time.
    hot: Sample,
    turns: u64,
    kept: u64,
}

/// Climbs the ladder.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let (mut hot, capacity) = capacity(rig).await;
    let mut cold = crew(rig, COLD, 4);
    let rates = SHARES.map(|share| (capacity * share).min(rig.options.rate_max));
    let mut measured = SHARES.map(|_| Measured::default());
    let mut random = rig.random(HOT);
    let mut lag_us = 0.0_f64;
    for round in 0..=rig.options.rounds.0 {
        if rig.is_stopped() {
            break;
        }
        let mut order: Vec<usize> = (0..SHARES.len()).collect();
        order.shuffle(&mut random);
        for place in order {
            let (back, [heat, seen]) = visit(rig, (hot, cold), rates[place]).await;
            (hot, cold) = back;
            if round > 0 {
                measured[place].add(&heat, &seen);
                lag_us = lag_us.max(heat.lag_us).max(seen.lag_us);
            }
        }
    }
    for client in hot.iter_mut().take(1) {
        client.remove(HOT).await;
    }
    for client in cold.iter_mut().take(1) {
        client.remove(COLD).await;
    }
    vec![judged(rig, (capacity, rates), &measured, lag_us)]
}

/// Clients that make the hot load, and how many turns of it a second the target does at most: twice, and the second
/// counts.
async fn capacity(rig: &Arc<Rig>) -> (Vec<Client>, f64) {
    let mut hot = crew(rig, HOT, HOT_CLIENTS);
    let mut capacity = 0.0;
    for _ in 0..2 {
        let (worked, loaded) = closed(rig, hot, rig.options.span, |client, _| {
            hot_turn(client).boxed()
        })
        .await;
        hot = worked;
        capacity = count(loaded.turns.done()) / loaded.took.as_secs_f64();
    }
    (hot, capacity)
}

impl Measured {
    fn add(&mut self, heat: &Loaded, seen: &Loaded) {
        self.rounds.push(seen.turns.mean_us());
        self.cold.merge(&seen.turns);
        self.hot.merge(&heat.operations);
        self.turns += heat.turns.operations();
        self.kept += heat.kept;
    }

    /// Why this was not measured beside a load of so many `per_cent`, if it was not.
    fn doubt(&self, per_cent: f64) -> Option<String> {
        let (kept, turns) = (self.kept, self.turns);
        if count(kept) < count(turns) * KEPT_MIN {
            let load = format!("turns of the hot load at {per_cent:.0} %");
            return Some(format!("only {kept} of {turns} {load} were done in time"));
        }
        let refused = self.hot.error_share();
        let why = || {
            let refused = refused * 100.0;
            format!("{refused:.0} % of the hot load at {per_cent:.0} % was refused")
        };
        (refused > judge::ERRORS_MAX).then(why)
    }
}

fn judged(
    rig: &Rig,
    (capacity, rates): (f64, [f64; SHARES.len()]),
    measured: &[Measured],
    lag_us: f64,
) -> Outcome {
    let is_known = capacity > 0.0;
    // Of what the target can, which may be far more than the rates that it was offered.
    let per_cent = |rate: f64| {
        if is_known {
            rate / capacity * 100.0
        } else {
            0.0
        }
    };
    let mut all = rates.map(per_cent).into_iter().zip(measured);
    let steps = all.clone().map(|(per_cent, of)| {
        let rounds = of.rounds.clone();
        of.cold.step(per_cent, rounds, Duration::ZERO)
    });
    let top = rates.last().copied().map_or(0.0, per_cent);
    let rise = Rise {
        rule: "scaling/isolation",
        quantity: "hot load, per cent",
        figure: "turn of the cold queue",
        verified: format!("a cold queue is usable beside one at {top:.0} % of what it can"),
        most: rig.judge.bounds.isolation_max,
    };
    let mut judged = judge::rise(&rise, steps.collect(), lag_us, &rig.judge);
    let doubt = if is_known {
        all.find_map(|(per_cent, of)| of.doubt(per_cent))
    } else {
        Some("no turn of the hot load was done".to_owned())
    };
    if let Some(why) = doubt {
        judge::not_shown(&mut judged, &why);
    }
    judged
}

type Crews = (Vec<Client>, Vec<Client>);

/// Uses the cold queue for a while, beside the hot one at `rate` turns a second: what the hot and the cold one saw.
async fn visit(rig: &Arc<Rig>, (hot, cold): Crews, rate: f64) -> (Crews, [Loaded; 2]) {
    let span = rig.options.span;
    let heating = async {
        if rate <= 0.0 {
            return (hot, Loaded::default());
        }
        open(rig, hot, (rate, span), |client| hot_turn(client).boxed()).await
    };
    let using = open(rig, cold, (COLD_RATE, span), |client| {
        async move { client.post(COLD, None).await & client.consume(COLD, 1, Duration::ZERO).await }
            .boxed()
    });
    let ((hot, heat), (cold, seen)) = futures_util::future::join(heating, using).await;
    ((hot, cold), [heat, seen])
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
