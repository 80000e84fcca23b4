//! *Continuous*: load that rises and falls without a step must be answered without one.
//!
//! The ramp ends below what the target does at most, and is climbed and descended several times: a jump that belongs to
//! the load is at the same load each time, one that belongs to the machine is not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::fit::{Jump, jump};
use super::judge::{begun, figure, late};
use super::load::{closed, open};
use super::outcome::{Outcome, Step, median};
use super::rig::{Client, Rig};
use super::sample::{Sample, count};
use super::throughput::crew;
use crate::verdict::Verdict;

/// Steps of the ramp: so many that none of them is one.
const BINS: u32 = 24;

/// The share of the capacity at its top.
const TOP: f64 = 0.7;

/// How long a consumer holds what it claimed.
const HELD: Duration = Duration::from_millis(200);

/// Loads at which it has to refuse, one after the other, so that none of them is chance.
const REFUSING_MIN: usize = 3;

/// Operations of a turn.
const OPERATIONS: f64 = 4.0;

/// Most clients under way.
const CLIENTS_MAX: u32 = 512;

const QUEUE: &str = "ramp";

#[derive(Default)]
struct Bin {
    sample: Sample,
    errors: Vec<f64>,
    latencies: Vec<f64>,
}

/// Climbs the ramp.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let span = rig.options.span;
    // What it does at most, if nobody holds anything: two rounds, and the second counts.
    let mut capacity = 0.0;
    let mut clients = crew(rig, QUEUE, rig.options.clients_max);
    for _ in 0..2 {
        let (worked, most) = closed(rig, clients, span, |client, _| {
            async move {
                turn(client, Duration::ZERO).await;
            }
            .boxed()
        })
        .await;
        clients = worked;
        capacity = count(most.sample.operations()) / OPERATIONS / span.as_secs_f64();
    }
    let top = (capacity * TOP).min(rig.options.rate_max);
    let needed = clients_for(top).saturating_sub(rig.options.clients_max);
    clients.extend(crew(rig, QUEUE, needed));
    let mut bins: Vec<Bin> = (0..BINS).map(|_| Bin::default()).collect();
    let mut lag_us = 0.0_f64;
    let up = 0..bins.len();
    let way: Vec<usize> = up.clone().chain(up.rev()).collect();
    for _ in 0..rig.options.rounds.0.div_ceil(2) {
        if rig.is_stopped() {
            break;
        }
        for place in &way {
            let rate = rate(*place, top);
            let (back, loaded) = open(rig, clients, (rate, span / 2), |client| {
                turn(client, HELD).boxed()
            })
            .await;
            clients = back;
            lag_us = lag_us.max(loaded.lag_us);
            if loaded.sample.operations() == 0 {
                continue;
            }
            let bin = &mut bins[*place];
            bin.errors.push(loaded.sample.error_share());
            bin.latencies.push(loaded.sample.latency().p50);
            bin.sample.merge(&loaded.sample);
        }
    }
    for client in clients.iter_mut().take(1) {
        client.remove(QUEUE).await;
    }
    vec![judged(rig, &bins, (top, capacity), lag_us)]
}

/// Clients that are under way at so many turns a second, if each takes twice as long as it holds its message.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and a few hundred"
)]
fn clients_for(rate: f64) -> u32 {
    let needed = (rate * HELD.as_secs_f64() * 2.0).ceil() + 1.0;
    needed.min(f64::from(CLIENTS_MAX)) as u32
}

/// Turns a second at one place of the ramp, which rises slowly at first: what is full is full at little load.
fn rate(place: usize, top: f64) -> f64 {
    let place = u32::try_from(place).unwrap_or(0);
    top * (f64::from(place + 1) / f64::from(BINS)).powi(2)
}

/// Posts a message, claims one, holds it, deletes it and ends the claim.
async fn turn(client: &mut Client, held: Duration) -> bool {
    client.post(QUEUE, None).await & client.consume(QUEUE, 1, held).await
}

/// Where refusals set in: below it hardly anything is refused, from there on more than `most` at every load.
fn onset(errors: &[f64], most: f64) -> Option<usize> {
    let at = errors.iter().rposition(|share| *share <= most)? + 1;
    let clean = errors[..at].iter().all(|share| *share <= most);
    (clean && errors.len() - at >= REFUSING_MIN).then_some(at)
}

fn judged(rig: &Rig, bins: &[Bin], (top, capacity): (f64, f64), lag_us: f64) -> Outcome {
    let steps = bins.iter().enumerate().map(|(place, bin)| {
        let rounds = bin.latencies.clone();
        bin.sample.step(rate(place, top), rounds, rig.options.span)
    });
    let steps: Vec<Step> = steps.collect();
    let typical = |of: fn(&Bin) -> &Vec<f64>| bins.iter().map(|bin| median(of(bin))).collect();
    let errors: Vec<f64> = typical(|bin| &bin.errors);
    let latencies: Vec<f64> = typical(|bin| &bin.latencies);
    let mut random = rig.random(QUEUE);
    let bounds = &rig.judge.bounds;
    let refused = onset(&errors, bounds.errors_jump_max);
    let slowed = jump(&latencies, &mut random).filter(|jump| {
        let (low, high) = (jump.before.min(jump.after), jump.before.max(jump.after));
        high > low * bounds.latency_jump_max
    });
    let at = |jump: &Jump| format!("{:.0} turns/s", rate(jump.at, top));
    let share = |share: f64| format!("{:.0} %", share * 100.0);
    let within = format!(
        "{} of the {capacity:.0} turns/s that it can",
        share(top / capacity)
    );
    let (verdict, why) = if bins.iter().any(|bin| bin.errors.is_empty()) {
        (
            Verdict::Unknown,
            "the ramp was not climbed to its top".to_owned(),
        )
    } else if let Some(why) = late(lag_us) {
        (Verdict::Unknown, why)
    } else if let Some(at) = refused {
        let (load, most) = (rate(at, top), share(errors[errors.len() - 1]));
        let why = format!(
            "refusals set in at {load:.0} turns/s and are {most} in the end; the ramp ends at {within}"
        );
        (Verdict::Violation, why)
    } else if let Some(jump) = &slowed {
        let (from, to) = (figure(jump.before, "µs"), figure(jump.after, "µs"));
        let why = format!(
            "latency jumps from {from} to {to} at {}; the ramp ends at {within}",
            at(jump)
        );
        (Verdict::Violation, why)
    } else if errors.iter().any(|share| *share > bounds.errors_jump_max) {
        (
            Verdict::Unknown,
            "operations were refused at every load, or here and there".to_owned(),
        )
    } else {
        (
            Verdict::Valid,
            format!("no jump up to {top:.0} turns/s, {within}"),
        )
    };
    let verified = (verdict == Verdict::Valid).then(|| format!("no jump to {top:.0} turns/s"));
    Outcome {
        verdict,
        verified,
        why,
        ..begun("scaling/continuous", "offered load, turns/s", "turn", steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_set_in_where_all_that_lies_above_refuses_and_nothing_below_does() {
        let most = 0.05;
        assert_eq!(onset(&[0.0, 0.0, 0.01, 0.2, 0.4, 0.5], most), Some(3));
        // Here and there, everywhere, nowhere, and at the top alone: that belongs to no load, or nobody can tell.
        assert_eq!(onset(&[0.0, 0.3, 0.0, 0.2, 0.4, 0.5], most), None);
        assert_eq!(onset(&[0.5; 6], most), None);
        assert_eq!(onset(&[0.0; 6], most), None);
        assert_eq!(onset(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.5], most), None);
    }

    #[test]
    fn ramp_rises_slowly_at_first_and_ends_at_its_top() {
        let loads: Vec<f64> = (0..24).map(|place| rate(place, 1_000.0)).collect();
        assert!(loads.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            loads[0] < 2.0 && (loads[23] - 1_000.0).abs() < 1e-9,
            "{loads:?}"
        );
        assert_eq!(
            (clients_for(1.0), clients_for(150.0), clients_for(1e6)),
            (2, 61, 512)
        );
    }
}
