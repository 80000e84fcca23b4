//! *Elastic*: pools are added, weighed anew, drained and removed while clients work, and nobody notices.
//!
//! What clients saw is a history of its own, with a drain at its end, so that a message that a move lost is one that
//! `delivery/lost` misses. Where a queue was put is not to be seen from outside; how many were on a pool is, if it can be
//! drained (the reference's `POST /v2/pools/{pool}/drain`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fit::proportional;
use super::judge::{begun, power};
use super::operator::{Operator, Pool};
use super::outcome::Outcome;
use super::rig::{Client, Fell, Rig};
use super::sample::{Sample, count};
use crate::checker::judge_on;
use crate::history::{Phase, Recorder};
use crate::verdict::Verdict;
use crate::workload::{Drained, drain_place};

/// Clients that work all the while.
const WORKERS: u32 = 8;

/// Queues that they share: on each, two clients compete.
const WORKER_QUEUES: u32 = WORKERS / 2;

/// Queues that are created under each set of weights.
const QUEUES: u64 = 100;

const PROJECT: &str = "elastic";

/// Weights of the two new pools: at first, and the second's later.
const WEIGHT: u64 = 100;
const WEIGHT_LATER: u64 = 300;

/// Messages that a client claims at once.
const LIMIT: u64 = 10;

/// What has to be shown: the rest may not have come about.
const ESSENTIAL: [&str; 1] = ["delivery/lost"];

/// What was done to the pools, and seen of it.
#[derive(Default)]
struct Seen {
    /// Queues that the first new pool should have got, by the weights at their time.
    due: f64,
    /// Queues that were created since it was there.
    created: u64,
    /// How many were on it, as its drain told.
    drained: Option<u64>,
    /// What was refused to the operator.
    refused: Option<String>,
}

/// Changes the pools while clients work, and judges what they saw.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let operator = Operator::new(rig);
    let Some(pools) = operator.pools().await else {
        let why = "the target shows no pools: GET /v2/pools was refused";
        return vec![outcome("safety", Verdict::Unknown, why.to_owned())];
    };
    let spare: Vec<String> = operator.spare_stores(&pools).take(2).collect();
    let Ok(stores) = <[String; 2]>::try_from(spare) else {
        let why = "the target names no two spare stores for new pools: see `pool_uris` in its file";
        return vec![outcome("safety", Verdict::Unknown, why.to_owned())];
    };
    let recorder = Recorder::new(rig.header.clone());
    let world = &rig.place.world;
    recorder.phase(world, Phase::Work);
    let done = Arc::new(AtomicBool::new(false));
    let workers = (0..WORKERS).map(|number| {
        let client = rig.client_into(PROJECT, &recorder);
        work(client, number, Arc::clone(&done))
    });
    let changing = async {
        let seen = change(rig, (&operator, pools), (&recorder, stores)).await;
        done.store(true, Ordering::Relaxed);
        seen
    };
    let (worked, seen) = futures_util::future::join(rig.all(workers), changing).await;
    recorder.phase(world, Phase::Heal);
    recorder.phase(world, Phase::Drain);
    let drained = drain(rig, &recorder).await;
    recorder.phase(world, Phase::End);
    clean_up(rig, &operator).await;
    let mut sample = Sample::default();
    let mut longest = Duration::ZERO;
    for (of, gap) in worked {
        sample.merge(&of);
        longest = longest.max(gap);
    }
    vec![
        safety(&recorder, (drained, &seen), &sample),
        refused(rig, longest, &seen),
        spread(rig, &seen),
    ]
}

/// Posts and consumes until `done`. What was measured, and the longest time without anything done.
async fn work(mut client: Client, number: u32, done: Arc<AtomicBool>) -> (Sample, Duration) {
    let queue = worker_queue(number % WORKER_QUEUES);
    client.take_time();
    let (mut last, mut longest) = (client.rig.now(), Duration::ZERO);
    while !done.load(Ordering::Relaxed) {
        let well = client.post(&queue, None).await;
        let well = well & client.consume(&queue, LIMIT, Duration::ZERO).await;
        let now = client.rig.now();
        longest = longest.max(now.since(last));
        if well {
            last = now;
        }
        // A target that is changed is not overrun besides.
        client.rig.sleep(Duration::from_millis(5)).await;
    }
    (client.timed().sample(None), longest)
}

fn worker_queue(number: u32) -> String {
    format!("elastic-{number}")
}

fn new_queue(number: u64) -> String {
    format!("elastic-new-{number}")
}

/// Adds two pools, weighs one anew, drains the other and removes it; new queues come all the while.
async fn change(
    rig: &Arc<Rig>,
    (operator, mut pools): (&Operator, Vec<Pool>),
    (recorder, uris): (&Arc<Recorder>, [String; 2]),
) -> Seen {
    let mut seen = Seen::default();
    let [one, two] = [operator.name(0), operator.name(1)];
    for (name, uri) in [&one, &two].into_iter().zip(&uris) {
        if let Err(Fell(why)) = operator.put(name, uri, WEIGHT).await {
            seen.refused = Some(why);
            return seen;
        }
        pools.push(Pool {
            name: name.clone(),
            weight: WEIGHT,
            uri: Some(uri.clone()),
        });
    }
    let mut creator = rig.client_into(PROJECT, recorder);
    for (changed, weight) in [(&two, WEIGHT), (&two, WEIGHT_LATER), (&one, 0)] {
        if let Err(Fell(why)) = operator.weigh(changed, weight).await {
            seen.refused = Some(why);
            return seen;
        }
        for pool in &mut pools {
            if pool.name == *changed {
                pool.weight = weight;
            }
        }
        let all: u64 = pools.iter().map(|pool| pool.weight).sum();
        let share = pools
            .iter()
            .find(|pool| pool.name == one)
            .map_or(0, |pool| pool.weight);
        for _ in 0..QUEUES {
            let queue = new_queue(seen.created);
            if creator.post(&queue, None).await {
                seen.due += count(share) / count(all.max(1));
            }
            seen.created += 1;
        }
        rig.sleep(rig.options.span).await;
    }
    match operator.drain(&one).await {
        Ok(moved) => {
            seen.drained = moved;
            // Where nothing can be drained, queues still live there.
            if moved.is_some()
                && let Err(Fell(why)) = operator.remove(&one).await
            {
                seen.refused = Some(why);
            }
        }
        Err(Fell(why)) => seen.refused = Some(why),
    }
    rig.sleep(rig.options.span).await;
    seen
}

/// Takes what is left in every queue.
async fn drain(rig: &Arc<Rig>, recorder: &Arc<Recorder>) -> Drained {
    let client = rig.client_into(PROJECT, recorder);
    let lease = (rig.options.claim_ttl_secs, rig.options.claim_ttl_secs);
    for queue in all_queues() {
        if drain_place(client.process(), &queue, lease).await == Drained::Dead {
            return Drained::Dead;
        }
    }
    Drained::Empty
}

fn all_queues() -> impl Iterator<Item = String> {
    (0..WORKER_QUEUES)
        .map(worker_queue)
        .chain((0..3 * QUEUES).map(new_queue))
}

/// Removes the queues, then the pools.
async fn clean_up(rig: &Arc<Rig>, operator: &Operator) {
    let mut client = rig.unheard_client(PROJECT);
    for queue in all_queues() {
        client.remove(&queue).await;
    }
    for number in 0..2 {
        let name = operator.name(number);
        // What is refused here was refused before, and told.
        drop(operator.weigh(&name, 0).await);
        drop(operator.remove(&name).await);
    }
}

/// Whether the delivery and claims rules held all the while.
fn safety(recorder: &Recorder, (drained, seen): (Drained, &Seen), sample: &Sample) -> Outcome {
    let verdicts = judge_on(&recorder.take_history(), 1);
    let named = |wanted: Verdict| {
        let rules = verdicts
            .rules
            .iter()
            .filter(move |rule| rule.verdict == wanted);
        rules.map(|rule| rule.rule).collect::<Vec<_>>()
    };
    let (broken, valid) = (named(Verdict::Violation), named(Verdict::Valid));
    let (verdict, why) = if !broken.is_empty() {
        let why = format!("violation of {} while pools changed", broken.join(", "));
        (Verdict::Violation, why)
    } else if drained == Drained::Dead {
        (
            Verdict::Unknown,
            "the target does not answer the drain".to_owned(),
        )
    } else if let Some(refused) = &seen.refused {
        (
            Verdict::Unknown,
            format!("pools could not be changed: {refused}"),
        )
    } else if let Some(rule) = ESSENTIAL.iter().find(|rule| !valid.contains(rule)) {
        let of = verdicts.rule(rule);
        let why = of.map_or_else(String::new, |of| of.why.clone());
        (Verdict::Unknown, format!("{rule} is not known: {why}"))
    } else {
        let (rules, operations) = (valid.len(), sample.operations());
        let why = format!("{rules} rules valid over {operations} operations of the workers");
        (Verdict::Valid, why)
    };
    let mut judged = outcome("safety", verdict, why);
    judged.steps = vec![sample.step(f64::from(WORKERS), Vec::new(), Duration::ZERO)];
    judged
}

/// Whether clients were ever refused for long.
fn refused(rig: &Rig, longest: Duration, seen: &Seen) -> Outcome {
    let (secs, most) = (longest.as_secs_f64(), rig.judge.bounds.refused_secs_max);
    let why = format!("a client waited {secs:.2} s for a turn at most; the bound is {most} s");
    let verdict = match (secs > most, &seen.refused) {
        (true, _) => Verdict::Violation,
        (false, Some(_)) => Verdict::Unknown,
        (false, None) => Verdict::Valid,
    };
    outcome("longest refusal", verdict, why)
}

/// Whether new queues were spread by the weights, as far as that can be seen.
fn spread(rig: &Rig, seen: &Seen) -> Outcome {
    let Some(drained) = seen.drained else {
        let why = "where queues are put cannot be seen: the target drains no pools";
        return outcome("spread", Verdict::Unknown, why.to_owned());
    };
    // Parts of a queue, so that whole numbers are fine enough.
    let total = count(seen.created);
    let weights = [parts(seen.due), parts(total - seen.due)];
    let counts = [drained, seen.created.saturating_sub(drained)];
    let told = format!(
        "{drained} of {} new queues were on a pool whose weights made {:.1} its due",
        power(total),
        seen.due
    );
    let (verdict, why) = match proportional(&counts, &weights) {
        None => (Verdict::Unknown, format!("{told}: too few to judge")),
        Some(p) if p < rig.judge.bounds.spread_p_min => {
            (Verdict::Violation, format!("{told} (p = {p:.1e})"))
        }
        Some(p) => (Verdict::Valid, format!("{told} (p = {p:.2})")),
    };
    outcome("spread", verdict, why)
}

/// A figure in thousandths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred queues, never fewer than none"
)]
fn parts(value: f64) -> u64 {
    (value.max(0.0) * 1_000.0).round() as u64
}

fn outcome(figure: &str, verdict: Verdict, why: String) -> Outcome {
    Outcome {
        unit: String::new(),
        verdict,
        why,
        ..begun("scaling/elastic", "pools", figure, Vec::new())
    }
}
