//! *Flat cost*: what one operation costs while something else grows.
//!
//! All steps are there at once, each as a tenant of its own, and every round visits them in another order: what
//! shakes the machine shakes them alike.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;

use self::ground::{Ground, prepare};
use super::judge::{self, Series};
use super::outcome::Outcome;
use super::rig::{Fell, Rig};
use super::sample::{Sample, count};

mod ground;

/// What is grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Free messages of the queue.
    Backlog,
    /// Queues of the tenant.
    Queues,
    /// Live claims of the queue, of a message each.
    Claims,
    /// Messages of the queue whose time is over, none of which has been asked about since.
    Expired,
    /// Messages before the page that is read.
    Page,
    /// Bytes of a message.
    Size,
}

impl Quantity {
    pub(super) const ALL: [Self; 6] = [
        Self::Backlog,
        Self::Queues,
        Self::Claims,
        Self::Expired,
        Self::Page,
        Self::Size,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Queues => "queues",
            Self::Claims => "claims",
            Self::Expired => "expired",
            Self::Page => "page",
            Self::Size => "size",
        }
    }

    /// What its name counts.
    fn unit(self) -> &'static str {
        match self {
            Self::Backlog | Self::Expired | Self::Page => "messages",
            Self::Queues => "queues",
            Self::Claims => "claims",
            Self::Size => "bytes",
        }
    }

    /// The exponent that is its due: who sends ten times as much may wait ten times as long.
    fn due(self) -> f64 {
        match self {
            Self::Size => 1.0,
            Self::Backlog | Self::Queues | Self::Claims | Self::Expired | Self::Page => 0.0,
        }
    }

    /// The ladder: two steps to a power of ten, from 100 on, and its top.
    fn steps(self, longest: u64) -> Vec<u64> {
        let top = match self {
            // One request each, or one for twenty.
            Self::Queues | Self::Claims | Self::Page => longest / 10,
            Self::Backlog | Self::Expired => longest,
            // The largest message that every server takes is 256 KiB.
            Self::Size => 100_000,
        };
        let mut steps = Vec::new();
        let mut decade = 100;
        while decade <= top {
            steps.push(decade);
            if decade * 3 <= top {
                steps.push(decade * 3);
            }
            decade *= 10;
        }
        if steps.last().is_some_and(|last| *last < top) {
            steps.push(top);
        }
        steps
    }
}

/// What stands for no entry at all.
const NOTHING: f64 = 1.0;

/// What was measured at one step: a sample an operation, and its figures by round.
#[derive(Default)]
struct Measured {
    samples: BTreeMap<&'static str, Sample>,
    costs: BTreeMap<&'static str, Vec<f64>>,
    examined: BTreeMap<&'static str, Vec<f64>>,
}

/// Climbs the ladder of `quantity`.
pub(super) async fn climb(rig: &Arc<Rig>, quantity: Quantity) -> Vec<Outcome> {
    let steps = quantity.steps(rig.options.longest);
    let (mut grounds, mut fell) = prepare(rig, quantity, &steps).await;
    // Steps that share a queue go on without these.
    let mut fallen = Vec::new();
    let mut measured: Vec<Measured> = grounds.iter().map(|_| Measured::default()).collect();
    let mut random = rig.random(quantity.name());
    for round in 0..rig.options.rounds.1 {
        if rig.is_stopped() {
            break;
        }
        let mut order: Vec<usize> = (0..grounds.len()).collect();
        order.shuffle(&mut random);
        for place in order {
            // A step above one that fell in this round.
            if place >= grounds.len() {
                continue;
            }
            if let Err(why) = visit(rig, &mut grounds[place], &mut measured[place]).await {
                fell = Some((steps[place], why));
                fallen.extend(grounds.drain(place..));
                measured.truncate(place);
            }
        }
        let enough = round + 1 >= rig.options.rounds.0;
        if enough
            && all_series(quantity, &steps, &measured)
                .iter()
                .all(|it| it.is_decided(&rig.judge))
        {
            break;
        }
    }
    for ground in grounds.iter_mut().chain(&mut fallen) {
        ground.remove().await;
    }
    let mut outcomes: Vec<Outcome> = all_series(quantity, &steps, &measured)
        .iter()
        .map(|series| series.judged(&rig.judge))
        .collect();
    if outcomes.is_empty() {
        outcomes.push(judge::unmeasured(quantity.name()));
    }
    for outcome in &mut outcomes {
        if let Some((step, Fell(why))) = &fell {
            judge::ended_at(outcome, *step, why);
        }
    }
    outcomes
}

/// Measures one step once.
async fn visit(rig: &Rig, ground: &mut Ground, measured: &mut Measured) -> Result<(), Fell> {
    for _ in 0..rig.options.warm_up {
        ground.turn().await;
    }
    ground.client().take_time();
    for _ in 0..rig.options.turns {
        ground.turn().await;
    }
    let timed = ground.client().timed();
    if !timed.all.iter().any(|took| took.done) {
        return Err(Fell("nothing was done any more".to_owned()));
    }
    let mut seen: BTreeMap<&'static str, (Vec<Duration>, Vec<u64>)> = BTreeMap::new();
    for took in &timed.all {
        if ground.measures(took.name) {
            let sample = measured.samples.entry(took.name).or_default();
            sample.add(took.latency, took.done);
            let (latencies, looked_at) = seen.entry(took.name).or_default();
            latencies.push(took.latency);
            looked_at.push(took.examined);
        }
    }
    for (name, (latencies, looked_at)) in seen {
        let micros: Vec<f64> = latencies.iter().map(|it| it.as_secs_f64() * 1e6).collect();
        measured
            .costs
            .entry(name)
            .or_default()
            .push(super::outcome::median(&micros));
        if rig.place.examined.is_some() {
            // One more, so that an operation that examines nothing now and then has a logarithm.
            let looked_at: u64 = looked_at.iter().sum::<u64>();
            let turns = rig.options.turns.max(1);
            let each = count(looked_at) / f64::from(turns) + NOTHING;
            measured.examined.entry(name).or_default().push(each);
        }
    }
    Ok(())
}

/// What was measured, an operation and a figure each.
fn all_series(quantity: Quantity, steps: &[u64], measured: &[Measured]) -> Vec<Series> {
    let names: Vec<&'static str> = measured
        .first()
        .map(|it| it.samples.keys().copied().collect())
        .unwrap_or_default();
    let mut all = Vec::new();
    for name in names {
        for (figure, unit) in [("", "µs"), (", entries examined", "entries")] {
            let of = |it: &Measured| match unit {
                "µs" => it.costs.get(name).cloned(),
                _ => it.examined.get(name).cloned(),
            };
            let steps = steps.iter().zip(measured).filter_map(|(n, it)| {
                let sample = it.samples.get(name)?;
                Some(sample.step(count(*n), of(it)?, Duration::ZERO))
            });
            let series = Series {
                quantity: quantity.name(),
                counts: quantity.unit(),
                due: quantity.due(),
                figure: format!("{name}{figure}"),
                unit,
                steps: steps.collect(),
            };
            // Where nothing is ever examined, or nothing said of it, nothing was measured.
            let says_something =
                unit == "µs" || series.steps.iter().any(|step| step.value() > NOTHING);
            if !series.steps.is_empty() && says_something {
                all.push(series);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladders_have_two_steps_to_a_power_of_ten_and_end_at_their_top() {
        assert_eq!(
            Quantity::Backlog.steps(10_000),
            [100, 300, 1_000, 3_000, 10_000]
        );
        assert_eq!(Quantity::Queues.steps(10_000), [100, 300, 1_000]);
        let top = |longest| Quantity::Backlog.steps(longest).split_off(4);
        assert_eq!(top(5_000), [5_000]);
        assert_eq!(top(30_000), [10_000, 30_000]);
        assert_eq!(top(300_000), [10_000, 30_000, 100_000, 300_000]);
        assert_eq!(Quantity::Page.steps(300_000).last(), Some(&30_000));
        assert_eq!(Quantity::Claims.steps(1_000), [100]);
        assert_eq!(Quantity::Size.steps(1_000).last(), Some(&100_000));
    }
}
