//! *Idle*: queues that were created and left alone must not slow down the rest.
//!
//! What is used is measured before they are there and while they are, in pairs of rounds, so that a machine that grows
//! slower is not taken for queues that do.

use std::sync::Arc;
use std::time::Duration;

use super::judge::{self, Rise};
use super::outcome::{Outcome, Step};
use super::rig::{Client, Fell, Rig};
use super::sample::{Sample, count};
use crate::history::{Operation, QueueSettings};

/// The tenant that is measured.
const PROJECT: &str = "used";

/// The queue that is measured.
const QUEUE: &str = "used";

/// Clients that create and remove beside each other.
const CREATORS: u64 = 4;

/// Climbs the ladder, which has two steps: none, and many.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let idle = rig.options.longest / 10;
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
        if let Err(why) = create(rig, idle).await {
            fell = Some(why);
            break;
        }
        steps[1].visit(rig, &mut client).await;
        steps[1].visit(rig, &mut client).await;
        remove(rig, idle).await;
        steps[0].visit(rig, &mut client).await;
    }
    if fell.is_some() {
        remove(rig, idle).await;
    }
    client.remove(QUEUE).await;
    let [without, with] = steps;
    let steps = vec![without.step(1.0), with.step(count(idle) + 1.0)];
    let rise = Rise {
        rule: "scaling/idle",
        quantity: "idle queues",
        figure: "turn",
        verified: format!("no slower beside {} idle queues", judge::power(count(idle))),
        most: rig.judge.bounds.idle_max,
    };
    let mut judged = judge::rise(&rise, steps, 0.0, &rig.judge);
    if let Some(Fell(why)) = fell {
        judge::ended_at(&mut judged, idle, &why);
    }
    vec![judged]
}

#[derive(Default)]
struct Measured {
    sample: Sample,
    rounds: Vec<f64>,
}

impl Measured {
    async fn visit(&mut self, rig: &Rig, client: &mut Client) {
        let mut sample = Sample::default();
        for turn in 0..rig.options.warm_up + rig.options.turns {
            let begun = rig.now();
            let posted = client.post(QUEUE, None).await;
            let consumed = client.consume(QUEUE, 1, Duration::ZERO).await;
            if turn >= rig.options.warm_up {
                sample.add(rig.now().since(begun), posted && consumed);
            }
        }
        self.rounds.push(sample.latency().p50);
        self.sample.merge(&sample);
    }

    fn step(self, n: f64) -> Step {
        self.sample.step(n, self.rounds, Duration::ZERO)
    }
}

async fn create(rig: &Arc<Rig>, idle: u64) -> Result<(), Fell> {
    let creators = (0..CREATORS).map(|creator| {
        let mut client = rig.client("idle");
        async move {
            for number in of(creator, idle) {
                let (queue, settings) = (name(number), QueueSettings::default());
                client
                    .insist(Operation::CreateQueue { queue, settings })
                    .await?;
            }
            Ok(())
        }
    });
    rig.all(creators).await.into_iter().collect()
}

async fn remove(rig: &Arc<Rig>, idle: u64) {
    let removers = (0..CREATORS).map(|remover| {
        let mut client = rig.client("idle");
        async move {
            for number in of(remover, idle) {
                client.remove(&name(number)).await;
            }
        }
    });
    rig.all(removers).await;
}

/// The numbers that fall to one of the creators.
fn of(creator: u64, idle: u64) -> impl Iterator<Item = u64> {
    (creator..idle).step_by(usize::try_from(CREATORS).unwrap_or(1))
}

fn name(number: u64) -> String {
    format!("idle-{number}")
}
