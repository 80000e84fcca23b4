//! *Idle*: what another tenant has and leaves alone must not slow down the rest: queues, messages, claims.
//!
//! What is used is measured before it is there and while it is, in pairs of rounds, so that a machine that grows slower
//! is not taken for queues that do. The ladders of `flat` cannot see this: all their steps are there at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::neighbour::Neighbour;
use super::judge::{self, Rise};
use super::outcome::{Outcome, Step};
use super::rig::{Client, Fell, Rig};
use super::sample::{Sample, count};

mod neighbour;

/// The tenant that is measured.
const PROJECT: &str = "used";

/// The queue that is measured.
const QUEUE: &str = "used";

/// Climbs the ladders, each of two steps: nothing, and much.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for neighbour in Neighbour::ALL {
        if !rig.is_stopped() {
            outcomes.extend(beside(rig, neighbour).await);
        }
    }
    outcomes
}

async fn beside(rig: &Arc<Rig>, neighbour: Neighbour) -> Vec<Outcome> {
    let idle = neighbour.most(rig.options.longest);
    let mut client = rig.client(PROJECT);
    let mut steps = [Measured::default(), Measured::default()];
    let rounds = rig.options.rounds.0;
    let mut fell = None;
    // Without, with; with, without; each pair next to each other.
    for _ in 0..rounds.div_ceil(2).max(2) {
        if rig.is_stopped() {
            break;
        }
        steps[0].visit(rig, &mut client).await;
        if let Err(why) = neighbour.move_in(rig, idle).await {
            fell = Some(why);
            break;
        }
        steps[1].visit(rig, &mut client).await;
        steps[1].visit(rig, &mut client).await;
        neighbour.move_out(rig, idle).await;
        steps[0].visit(rig, &mut client).await;
    }
    if fell.is_some() {
        neighbour.move_out(rig, idle).await;
    }
    client.remove(QUEUE).await;
    let mut outcomes = judged(rig, (neighbour, idle), &steps);
    for outcome in &mut outcomes {
        if let Some(Fell(why)) = &fell {
            judge::ended_at(outcome, idle, why);
        }
    }
    outcomes
}

/// A verdict on each operation.
fn judged(
    rig: &Rig,
    (neighbour, idle): (Neighbour, u64),
    [without, with]: &[Measured; 2],
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (figure, of) in &without.operations {
        let Some(loaded) = with.operations.get(figure) else {
            continue;
        };
        let (from, to) = (of.step(0.0), loaded.step(count(idle)));
        let rise = Rise {
            rule: "scaling/idle",
            quantity: neighbour.quantity(),
            figure,
            verified: format!(
                "no slower beside {} {}",
                judge::power(count(idle)),
                neighbour.quantity()
            ),
            most: rig.judge.bounds.idle_max,
        };
        outcomes.push(judge::rise(&rise, vec![from, to], 0.0, &rig.judge));
    }
    if outcomes.is_empty() {
        let quantity = neighbour.quantity();
        outcomes.push(Outcome {
            why: "nothing was measured".to_owned(),
            ..judge::begun("scaling/idle", quantity, "every operation", Vec::new())
        });
    }
    outcomes
}

/// What was measured at one step, by operation.
#[derive(Default)]
struct Measured {
    operations: BTreeMap<&'static str, Rounds>,
}

#[derive(Default)]
struct Rounds {
    sample: Sample,
    rounds: Vec<f64>,
}

impl Measured {
    async fn visit(&mut self, rig: &Rig, client: &mut Client) {
        for turn in 0..rig.options.warm_up + rig.options.turns {
            if turn == rig.options.warm_up {
                client.take_time();
            }
            client.post(QUEUE, None).await;
            client.consume(QUEUE, 1, Duration::ZERO).await;
        }
        let timed = client.timed();
        for name in ["post", "claim", "delete", "release"] {
            let sample = timed.sample(Some(name));
            if sample.operations() > 0 {
                let of = self.operations.entry(name).or_default();
                of.rounds.push(sample.latency().p50);
                of.sample.merge(&sample);
            }
        }
    }
}

impl Rounds {
    fn step(&self, n: f64) -> Step {
        self.sample.step(n, self.rounds.clone(), Duration::ZERO)
    }
}
