//! *Infinite and continuous* scaling as a verdict: ladders of measurements, what is fitted to them, and three answers.
//!
//! A ladder varies one quantity, and interleaves its steps in time, so that a noisy machine moves all of them alike.
//! Every operation is in a history that the delivery and claims rules judge as well.
//!
//! * `flat`: what an operation costs while the backlog, queues, claims, … grow; `throughput`: what clients get done as
//!   they become more, or pools; `continuous`: a ramp without a step; `isolation`: a cold queue beside a hot one;
//!   `elastic`: pools that come and go; `idle`: queues, messages and claims of another tenant that nobody touches.
//! * [`fit`]: exponents, the Universal Scalability Law, jumps, spreads; `judge`: from those to verdicts;
//!   [`Bounds`]: what they are held to.
//! * `rig`: the target and its clients; `operator`: who changes its pools; `load`: many at once; `sample`: what they
//!   measured.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::checker::judge_on;
use crate::environment::nanos;
use crate::history::{Header, Phase};

pub use self::bounds::Bounds;
pub use self::options::Options;
pub use self::outcome::{Latency, Outcome, Report, Step};
use self::rig::Rig;
pub use self::rig::{Examined, Place};

mod bounds;
mod chart;
mod continuous;
mod elastic;
pub mod fit;
mod flat;
mod html;
mod idle;
mod isolation;
mod judge;
mod load;
mod operator;
mod options;
mod outcome;
mod rig;
mod sample;
mod terminal;
mod throughput;

/// How long what was on its way may take beyond its client's patience.
const LATE: Duration = Duration::from_secs(5);

/// An experiment: one question about growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ladder {
    /// What one operation costs while something else grows.
    FlatCost,
    /// What clients get done as they become more.
    Throughput,
    /// Load that rises and falls without a step.
    Continuous,
    /// A cold queue beside a hot one.
    Isolation,
    /// Pools that come and go under load.
    Elastic,
    /// Queues that nobody uses.
    Idle,
}

impl Ladder {
    /// All of them, in the order in which they are climbed.
    pub const ALL: [Self; 6] = [
        Self::FlatCost,
        Self::Throughput,
        Self::Continuous,
        Self::Isolation,
        Self::Elastic,
        Self::Idle,
    ];

    /// Its name, in kebab case; its rule is `scaling/` and this.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlatCost => "flat-cost",
            Self::Throughput => "throughput",
            Self::Continuous => "continuous",
            Self::Isolation => "isolation",
            Self::Elastic => "elastic",
            Self::Idle => "idle",
        }
    }

    /// What it asks, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::FlatCost => {
                "one operation costs the same, however long the backlog, however many queues, claims or expired \
                 messages, however far the page"
            }
            Self::Throughput => {
                "more clients do not get less done together, nor do they with more pools"
            }
            Self::Continuous => "load that rises without a step is answered without one",
            Self::Isolation => "a hot queue leaves a cold one usable",
            Self::Elastic => {
                "pools come and go under load, and nothing is lost or refused for long"
            }
            Self::Idle => {
                "queues that nobody uses slow nothing down, nor do another tenant's messages and claims"
            }
        }
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no ladder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no ladder `{0}`{near}", near = crate::document::suggestion(.0, Ladder::ALL.iter().map(|it| it.name())))]
pub struct NoLadder(String);

impl FromStr for Ladder {
    type Err = NoLadder;

    fn from_str(text: &str) -> Result<Self, NoLadder> {
        let found = Self::ALL.into_iter().find(|ladder| ladder.name() == text);
        found.ok_or_else(|| NoLadder(text.to_owned()))
    }
}

/// Climbs the ladders one after the other, and judges them and the history of their operations. `watch` is told which
/// one begins.
pub async fn climb(
    place: Place,
    held: (Options, Bounds),
    judging: (&Header, usize),
    mut watch: impl FnMut(&str) + Send,
) -> Report {
    climbed(place, held, judging, &mut watch).await
}

/// In a box, so that all of it is compiled here, once, and not with everyone who waits for it.
fn climbed<'a>(
    place: Place,
    held: (Options, Bounds),
    judging: (&'a Header, usize),
    watch: &'a mut (dyn FnMut(&str) + Send),
) -> BoxFuture<'a, Report> {
    climb_all(place, held, judging, watch).boxed()
}

async fn climb_all(
    place: Place,
    (options, bounds): (Options, Bounds),
    (header, threads): (&Header, usize),
    watch: &mut (dyn FnMut(&str) + Send),
) -> Report {
    let is_virtual = place.is_virtual;
    // A request waits for a connection, then for its answer; what nobody answered may come a little later.
    let latest_effect = place.patience * 2 + LATE;
    let header = &Header {
        latest_effect_ns: Some(nanos(latest_effect)),
        ..header.clone()
    };
    let rig = Rig::new(place, (options.clone(), bounds.clone()), header);
    rig.recorder.phase(&rig.place.world, Phase::Work);
    let mut outcomes = Vec::new();
    for ladder in &options.ladders {
        if rig.is_stopped() {
            break;
        }
        watch(ladder.name());
        outcomes.extend(match ladder {
            Ladder::FlatCost => {
                let mut all = Vec::new();
                for quantity in flat::Quantity::ALL {
                    if rig.is_stopped() {
                        break;
                    }
                    watch(&format!("{ladder}: {}", quantity.name()));
                    all.extend(flat::climb(&rig, quantity).await);
                }
                all
            }
            Ladder::Throughput => throughput::climb(&rig).await,
            Ladder::Continuous => continuous::climb(&rig).await,
            Ladder::Isolation => isolation::climb(&rig).await,
            Ladder::Elastic => elastic::climb(&rig).await,
            Ladder::Idle => idle::climb(&rig).await,
        });
    }
    rig.recorder.phase(&rig.place.world, Phase::End);
    watch("judging the history");
    Report {
        target: header.target.clone(),
        seed: options.seed,
        is_virtual,
        bounds,
        outcomes,
        safety: Some(judge_on(&rig.recorder.take_history(), threads)),
        stopped: rig.is_stopped().then(|| "it was stopped".to_owned()),
        repeat: String::new(),
    }
}
