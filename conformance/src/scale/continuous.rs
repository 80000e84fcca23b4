//! *Continuous*: load that rises and falls without a step must be answered without one.
//!
//! The ramp ends below what the target does at most, and is climbed and descended several times: a jump that belongs to
//! the load is at the same load each time, one that belongs to the machine is not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::fit::{SIDE_MIN, jump};
use super::judge::{Judge, begun, figure, late};
use super::load::{Loaded, closed, open};
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

/// The ramp, in turns a second.
struct Ramp {
    /// Where it ends.
    top: f64,
    /// What the target can, as many operations as it did of those that a turn is made of.
    capacity: f64,
    /// Whole turns that it did while it was asked for as many as it can: fewer, if it turned operations away.
    shown: f64,
}

/// What was measured at one load.
#[derive(Default)]
struct Bin {
    operations: Sample,
    turns: Sample,
    /// How long it was offered, over all visits.
    offered: Duration,
    /// The share of turns that were not done, and the median of how long turns took, by visit.
    errors: Vec<f64>,
    latencies: Vec<f64>,
}

/// Climbs the ramp.
pub(super) async fn climb(rig: &Arc<Rig>) -> Vec<Outcome> {
    let span = rig.options.span;
    let (mut clients, ramp) = measured(rig).await;
    let top = ramp.top;
    let needed = clients_for(top).saturating_sub(rig.options.clients_max);
    clients.extend(crew(rig, QUEUE, needed));
    let mut bins: Vec<Bin> = (0..BINS).map(|_| Bin::default()).collect();
    let mut lag_us = 0.0_f64;
    let up = 0..bins.len();
    let way: Vec<usize> = up.clone().chain(up.rev()).collect();
    for _ in 0..rig.options.rounds.0.div_ceil(2) {
        if rig.is_stopped() || top <= 0.0 {
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
            if loaded.turns.operations() == 0 {
                continue;
            }
            bins[*place].add(&loaded, span / 2);
        }
    }
    for client in clients.iter_mut().take(1) {
        client.remove(QUEUE).await;
    }
    vec![judged(&rig.judge, &bins, &ramp, lag_us)]
}

/// How high a ramp is fair: what the target does at most, if nobody holds anything. Two rounds, and the second counts.
async fn measured(rig: &Arc<Rig>) -> (Vec<Client>, Ramp) {
    let mut clients = crew(rig, QUEUE, rig.options.clients_max);
    let (mut capacity, mut shown) = (0.0, 0.0);
    for _ in 0..2 {
        let (worked, most) = closed(rig, clients, rig.options.span, |client, _| {
            turn(client, Duration::ZERO).boxed()
        })
        .await;
        clients = worked;
        let secs = most.took.as_secs_f64();
        // What was refused took nothing: who sheds load can do that far more often than what it is for.
        capacity = count(most.operations.done()) / OPERATIONS / secs;
        shown = count(most.turns.done()) / secs;
    }
    let top = (capacity * TOP).min(rig.options.rate_max);
    let ramp = Ramp {
        top,
        capacity,
        shown,
    };
    (clients, ramp)
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

fn judged(judge: &Judge, bins: &[Bin], ramp: &Ramp, lag_us: f64) -> Outcome {
    let steps = bins.iter().enumerate();
    let steps: Vec<Step> = steps
        .map(|(place, bin)| bin.step(rate(place, ramp.top)))
        .collect();
    let (verdict, why) = if let Some(why) = late(lag_us) {
        (Verdict::Unknown, why)
    } else {
        ramp.verdict(judge, bins)
    };
    let verified =
        (verdict == Verdict::Valid).then(|| format!("no jump to {:.0} turns/s", ramp.top));
    Outcome {
        verdict,
        verified,
        why,
        ..begun("scaling/continuous", "offered load, turns/s", "turn", steps)
    }
}

impl Bin {
    /// What one visit saw, for which the load was offered for `span`.
    fn add(&mut self, loaded: &Loaded, span: Duration) {
        self.errors.push(loaded.turns.error_share());
        self.latencies.push(loaded.turns.latency().p50);
        self.operations.merge(&loaded.operations);
        self.turns.merge(&loaded.turns);
        // What the last turns hold is no time of the target's.
        self.offered += span.max(loaded.took.saturating_sub(HELD));
    }

    /// Its operations, and how long its turns took.
    fn step(&self, load: f64) -> Step {
        let operations = &self.operations;
        Step {
            latency: self.turns.latency(),
            ..operations.step(load, self.latencies.clone(), self.offered)
        }
    }
}

impl Ramp {
    fn verdict(&self, judge: &Judge, bins: &[Bin]) -> (Verdict, String) {
        let unknown = |why: &str| (Verdict::Unknown, why.to_owned());
        if self.top <= 0.0 {
            return unknown("nothing was done, so there is no load to begin with");
        }
        if bins.iter().any(|bin| bin.errors.is_empty()) {
            return unknown("the ramp was not climbed to its top");
        }
        let typical = |of: fn(&Bin) -> &Vec<f64>| bins.iter().map(|bin| median(of(bin))).collect();
        let errors: Vec<f64> = typical(|bin| &bin.errors);
        let latencies: Vec<f64> = typical(|bin| &bin.latencies);
        let most = judge.bounds.errors_jump_max;
        if let Some(at) = onset(&errors, most) {
            let (load, most) = (rate(at, self.top), share(errors[errors.len() - 1]));
            let told = format!("refusals set in at {load:.0} turns/s and are {most} in the end");
            return self.blamed(load, &told);
        }
        let times = judge.bounds.latency_jump_max;
        let slowed = jump(&latencies, &mut judge.random(QUEUE))
            .filter(|jump| are_apart(jump.before, jump.after, times));
        if let Some(jump) = slowed {
            let (from, to) = (figure(jump.before, "µs"), figure(jump.after, "µs"));
            let load = rate(jump.at, self.top);
            let told = format!("latency jumps from {from} to {to} at {load:.0} turns/s");
            return self.blamed(load, &told);
        }
        if errors.iter().any(|share| *share > most) {
            return unknown("operations were refused at every load, or here and there");
        }
        if let Some((at, before, after)) = apart_at_an_end(&latencies, times) {
            let (from, to, load) = (
                figure(before, "µs"),
                figure(after, "µs"),
                rate(at, self.top),
            );
            let why = format!(
                "latency goes from {from} to {to} at {load:.0} turns/s, too near to an end of the ramp to tell a jump"
            );
            return (Verdict::Unknown, why);
        }
        let why = format!("no jump up to {:.0} turns/s, {}", self.top, self.within());
        (Verdict::Valid, why)
    }

    /// The verdict on a jump at `load`: what the target was never seen to do, nobody can blame it for.
    fn blamed(&self, load: f64, told: &str) -> (Verdict, String) {
        let within = self.within();
        if load <= self.shown {
            let why = format!("{told}; the ramp ends at {within}");
            return (Verdict::Violation, why);
        }
        let shown = self.shown;
        let why =
            format!("{told}; the ramp ends at {within}, of which it did {shown:.0} as a whole");
        (Verdict::Unknown, why)
    }

    fn within(&self) -> String {
        let (share, capacity) = (share(self.top / self.capacity), self.capacity);
        format!("{share} of the {capacity:.0} turns/s that it can")
    }
}

/// Where latencies before and after are so many `times` apart, and too near to an end of the ramp for `jump` to see:
/// the place, and the level on either side.
fn apart_at_an_end(latencies: &[f64], times: f64) -> Option<(usize, f64, f64)> {
    let size = latencies.len();
    let mut places = (1..SIDE_MIN).chain(size.saturating_sub(SIDE_MIN) + 1..size);
    places.find_map(|at| {
        let before = median(&latencies[at.saturating_sub(SIDE_MIN)..at]);
        let after = median(&latencies[at..size.min(at + SIDE_MIN)]);
        are_apart(before, after, times).then_some((at, before, after))
    })
}

/// Whether one level is more than so many `times` the other.
fn are_apart(one: f64, other: f64, times: f64) -> bool {
    one.max(other) > one.min(other) * times
}

fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::super::bounds::Bounds;
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

    /// A ramp that the target can do, at which turns took so long, in microseconds.
    fn judged_of(latencies: &[f64]) -> Outcome {
        let bin = |latency: &f64| Bin {
            errors: vec![0.0; 4],
            latencies: vec![*latency; 4],
            ..Bin::default()
        };
        let bins: Vec<Bin> = latencies.iter().map(bin).collect();
        let judge = Judge {
            bounds: Bounds::default(),
            seed: 1,
        };
        let ramp = Ramp {
            top: 70.0,
            capacity: 100.0,
            shown: 100.0,
        };
        judged(&judge, &bins, &ramp, 0.0)
    }

    /// As many as the ramp has steps: ten times as much from one place on as before.
    fn cliff_at(place: usize) -> Vec<f64> {
        let level = |at| if at < place { 2_000.0 } else { 20_000.0 };
        (0..24).map(level).collect()
    }

    #[test]
    fn cliff_is_a_violation_or_too_near_to_an_end_and_never_valid() {
        for place in 1..24 {
            let expected = if (5..20).contains(&place) {
                Verdict::Violation
            } else {
                Verdict::Unknown
            };
            let outcome = judged_of(&cliff_at(place));
            assert_eq!(outcome.verdict, expected, "{place}: {}", outcome.why);
            assert_eq!(outcome.verified, None, "{place}");
        }
    }

    #[test]
    fn latency_that_rises_as_queues_do_is_no_jump_at_the_end_either() {
        let queue = |place| 2_000.0 / (1.0 - rate(place, 0.7));
        let queue: Vec<f64> = (0..24).map(queue).collect();
        let outcome = judged_of(&queue);
        assert_eq!(outcome.verdict, Verdict::Valid, "{}", outcome.why);
        assert_eq!(outcome.verified.as_deref(), Some("no jump to 70 turns/s"));
    }

    #[test]
    fn jump_above_what_was_ever_done_is_nobodys_fault() {
        let judge = Judge {
            bounds: Bounds::default(),
            seed: 1,
        };
        let bin = |place| Bin {
            errors: vec![if place < 12 { 0.0 } else { 0.5 }],
            latencies: vec![2_000.0],
            ..Bin::default()
        };
        let bins: Vec<Bin> = (0..24).map(bin).collect();
        // Refusals set in at 20.5 turns a second.
        for (shown, expected) in [(21.0, Verdict::Violation), (20.0, Verdict::Unknown)] {
            let ramp = Ramp {
                top: 70.0,
                capacity: 100.0,
                shown,
            };
            let outcome = judged(&judge, &bins, &ramp, 0.0);
            assert_eq!(outcome.verdict, expected, "{}", outcome.why);
        }
    }

    #[test]
    fn load_is_told_in_operations_over_the_time_of_all_visits() {
        let mut bin = Bin::default();
        // Twenty turns of four operations in half a second, three times; the last ones hold something until later.
        for _ in 0..3 {
            let mut loaded = Loaded {
                took: Duration::from_millis(690),
                ..Loaded::default()
            };
            for operation in 0..80 {
                loaded
                    .operations
                    .add(Duration::from_millis(1), operation > 0);
            }
            for turn in 0..20 {
                loaded.turns.add(Duration::from_millis(4), turn > 0);
            }
            bin.add(&loaded, Duration::from_millis(500));
        }
        let step = bin.step(40.0);
        assert!((step.throughput - 158.0).abs() < 1e-9, "{step:?}");
        assert_eq!((step.operations, step.errors), (240, 3));
        assert!((step.latency.p50 - 4_000.0).abs() < 10.0, "{step:?}");
        assert!((bin.errors[0] - 0.05).abs() < 1e-9);
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
