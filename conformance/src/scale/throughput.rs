//! *Throughput*: what clients get done together, each on a queue of its own, as they become more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::seq::SliceRandom;

use super::judge;
use super::load::{Loaded, closed};
use super::outcome::Outcome;
use super::rig::{Client, Rig};
use super::sample::Sample;

/// Which part of a visit's time goes before it, unmeasured.
const SETTLING: u32 = 3;

/// What was measured at one number of clients.
#[derive(Default)]
struct Measured {
    sample: Sample,
    rounds: Vec<f64>,
    span: Duration,
}

/// Climbs the ladder.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let steps = steps(rig.options.clients_max);
    let mut measured: BTreeMap<usize, Measured> = BTreeMap::new();
    let mut crew = crew(rig, "throughput", rig.options.clients_max);
    let mut random = rig.random("throughput");
    let mut lag_us = 0.0_f64;
    // Visits are long: fewer of them tell as much.
    let rounds = rig.options.rounds.0;
    for round in 0..=rounds {
        if rig.is_stopped() {
            break;
        }
        let mut order = steps.clone();
        order.shuffle(&mut random);
        for clients in order {
            let rest = crew.split_off(clients.min(crew.len()));
            // What the visit before left behind has a moment to settle.
            let (worked, _) = work(rig, crew, rig.options.span / SETTLING).await;
            let (worked, loaded) = work(rig, worked, rig.options.span).await;
            crew = worked;
            crew.extend(rest);
            // The first round warms up.
            if round == 0 {
                continue;
            }
            let of = measured.entry(clients).or_default();
            let done = loaded.sample.step(0.0, Vec::new(), rig.options.span);
            of.rounds.push(done.throughput);
            of.sample.merge(&loaded.sample);
            of.span += rig.options.span;
            lag_us = lag_us.max(loaded.lag_us);
        }
    }
    for (number, client) in crew.iter_mut().enumerate() {
        client.remove(&queue(number)).await;
    }
    let steps = measured.into_iter().map(|(clients, of)| {
        let n = u32::try_from(clients).unwrap_or(u32::MAX);
        of.sample.step(f64::from(n), of.rounds, of.span)
    });
    vec![judge::throughput(steps.collect(), lag_us, &rig.judge)]
}

/// All of these clients work for a while, each on its own queue.
async fn work(rig: &Arc<Rig>, crew: Vec<Client>, span: Duration) -> (Vec<Client>, Loaded) {
    closed(rig, crew, span, |client, number| {
        async move { turn(client, number).await }.boxed()
    })
    .await
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

fn queue(number: usize) -> String {
    format!("throughput-{number}")
}

/// Posts a message, claims it, deletes it and ends the claim.
async fn turn(client: &mut Client, number: usize) {
    let queue = queue(number);
    client.post(&queue, None).await;
    client.consume(&queue, 10, Duration::ZERO).await;
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
