//! *Throughput*: what clients get done together, each on a queue of its own, as they become more, and as pools do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::seq::SliceRandom;

use super::judge;
use super::load::{Loaded, closed};
use super::outcome::{Outcome, Step};
use super::rig::{Client, Rig};
use super::sample::Sample;

mod pools;

/// Which part of a visit's time goes before it, unmeasured.
const SETTLING: u32 = 3;

/// Which part of a visit a turn takes at most. All clients begin a visit with a post: if it is over before they are
/// through, their posts are what was measured.
const TURN: u32 = 5;

const PROJECT: &str = "throughput";

/// One step of an axis: so many clients, each on its own queue of those called like that.
struct Visit {
    /// What the axis counts.
    n: usize,
    clients: usize,
    queues: String,
}

/// What was measured at one step.
#[derive(Default)]
struct Measured {
    operations: Sample,
    in_time: Sample,
    turns: Sample,
    rounds: Vec<f64>,
    span: Duration,
}

/// What was measured of a ladder.
struct Climbed {
    steps: Vec<Step>,
    /// Why nothing follows from it, if nothing does.
    doubt: Option<String>,
}

/// Climbs the ladder: by clients, then by pools where there are any.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let visits: Vec<Visit> = steps(rig.options.clients_max)
        .into_iter()
        .map(|clients| Visit {
            n: clients,
            clients,
            queues: "throughput".to_owned(),
        })
        .collect();
    let Climbed { steps, doubt } = climbed(rig, &visits).await;
    remove(rig, &visits).await;
    let mut outcomes = vec![judge::throughput("clients", (steps, doubt), &rig.judge)];
    outcomes.extend(pools::climb(rig).await);
    outcomes
}

/// Visits the steps in rounds, each in another order.
async fn climbed(rig: &Arc<Rig>, visits: &[Visit]) -> Climbed {
    let mut measured: BTreeMap<usize, Measured> = BTreeMap::new();
    let most = visits.iter().map(|visit| visit.clients).max().unwrap_or(0);
    let mut crew = crew(rig, PROJECT, u32::try_from(most).unwrap_or(u32::MAX));
    let mut random = rig.random(PROJECT);
    let mut lag_us = 0.0_f64;
    // Visits are long: fewer of them tell as much.
    let rounds = rig.options.rounds.0;
    for round in 0..=rounds {
        if rig.is_stopped() {
            break;
        }
        let mut order: Vec<&Visit> = visits.iter().collect();
        order.shuffle(&mut random);
        for visit in order {
            let rest = crew.split_off(visit.clients.min(crew.len()));
            // What the visit before left behind has a moment to settle.
            let settling = rig.options.span / SETTLING;
            let (worked, _) = work(rig, crew, (&visit.queues, settling)).await;
            let (worked, loaded) = work(rig, worked, (&visit.queues, rig.options.span)).await;
            crew = worked;
            crew.extend(rest);
            // The first round warms up.
            if round == 0 {
                continue;
            }
            let of = measured.entry(visit.n).or_default();
            // Each client ends its last turn after the visit: the more clients, the more would be counted besides.
            of.rounds.push(loaded.in_time.throughput(rig.options.span));
            of.operations.merge(&loaded.operations);
            of.in_time.merge(&loaded.in_time);
            of.turns.merge(&loaded.turns);
            of.span += rig.options.span;
            lag_us = lag_us.max(loaded.lag_us);
        }
    }
    let too_short = || {
        let mut all = measured.iter();
        all.find_map(|(n, of)| too_short(rig.options.span, *n, &of.turns))
    };
    Climbed {
        doubt: judge::late(lag_us).or_else(too_short),
        steps: measured.iter().map(|(n, of)| of.step(*n)).collect(),
    }
}

/// Why visits of `span` tell nothing at the step of `n`, if they do not.
fn too_short(span: Duration, n: usize, turns: &Sample) -> Option<String> {
    let (most, typical) = ((span / TURN).as_secs_f64() * 1e3, turns.latency().p50 / 1e3);
    let why = || {
        format!("a turn took {typical:.0} ms at {n}, more than {most:.0} ms: --span is too short")
    };
    (typical > most).then(why)
}

impl Measured {
    fn step(&self, n: usize) -> Step {
        let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        Step {
            throughput: self.in_time.throughput(self.span),
            ..self.operations.step(n, self.rounds.clone(), self.span)
        }
    }
}

/// All of these clients work for a while.
async fn work(
    rig: &Arc<Rig>,
    crew: Vec<Client>,
    (queues, span): (&str, Duration),
) -> (Vec<Client>, Loaded) {
    let queues: Arc<str> = queues.into();
    closed(rig, crew, span, move |client, number| {
        let queue = queue(&queues, number);
        async move { turn(client, &queue).await }.boxed()
    })
    .await
}

/// Removes the queues of these steps.
async fn remove(rig: &Arc<Rig>, visits: &[Visit]) {
    let mut client = rig.client(PROJECT);
    let mut queues: Vec<String> = visits
        .iter()
        .flat_map(|visit| (0..visit.clients).map(|number| queue(&visit.queues, number)))
        .collect();
    queues.sort_unstable();
    queues.dedup();
    for queue in queues {
        client.remove(&queue).await;
    }
}

/// 1, 2, 4, … and the most.
fn steps(most: u32) -> Vec<usize> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut steps: Vec<usize> = std::iter::successors(Some(1_usize), |n| n.checked_mul(2))
        .take_while(|n| *n < most)
        .collect();
    steps.push(most);
    steps
}

/// Clients of one tenant.
pub(super) fn crew(rig: &Arc<Rig>, project: &str, count: u32) -> Vec<Client> {
    (0..count).map(|_| rig.client(project)).collect()
}

fn queue(queues: &str, number: usize) -> String {
    format!("{queues}-{number}")
}

/// Posts a message, claims it, deletes it and ends the claim.
async fn turn(client: &mut Client, queue: &str) -> bool {
    client.post(queue, None).await & client.consume(queue, 10, Duration::ZERO).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_double_up_to_the_most() {
        assert_eq!(steps(16), [1, 2, 4, 8, 16]);
        assert_eq!(steps(12), [1, 2, 4, 8, 12]);
        assert_eq!(steps(1), [1]);
    }
}
