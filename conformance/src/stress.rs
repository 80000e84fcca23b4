//! A workload with faults against a real server, in real time, and a history that can be judged.
//!
//! The phases are those of a simulated run: clients *work* while faults strike; everything *heals*, and
//! leases run out; one client *drains* what is still there. It owns the clients, the proxy and the
//! schedule; how the server is started, and where the history is kept, is its caller's concern.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::environment::{Instant, World, nanos};
use crate::history::{FORMAT, Header, OrderProfile, Phase, Profile, Recorder, VERSION};
use crate::suite;
use crate::target::Description;
use crate::workload::Workload;

pub use self::fault::{Fault, FaultError, LASTS_MAX, Menu, Scheduled, fault_words};
pub use self::run::{Ended, Played, Progress, Stage, StressError};
pub use self::timed::{Timed, scheduled};

mod cast;
mod fault;
mod nemesis;
mod route;
mod run;
mod sink;
mod timed;

/// Time in which what is on its way arrives when nobody holds it up any more.
const SETTLE: Duration = Duration::from_secs(5);

/// Everything about a run that is decided before it begins. All times are the target's.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What choices are drawn from.
    pub seed: u64,
    /// What the clients do.
    pub workload: Workload,
    /// How long they do it.
    pub work: Duration,
    /// Turns that each of them takes at most, unless they are begun by `rate`.
    pub turns: Option<u64>,
    /// Turns a second that are begun whatever becomes of them (open loop); `None`: each client begins
    /// its next when one is over.
    pub rate: Option<f64>,
    /// How long a client waits for a connection, and for an answer.
    pub patience: Duration,
    /// What goes wrong when.
    pub schedule: Vec<Scheduled>,
    /// Whether a proxy stands before the target.
    pub has_proxy: bool,
    /// The scenario that all this is of, if it is of one.
    pub scenario: Option<String>,
    /// What the tenants of this run are named after, so that runs do not meet.
    pub realm: String,
}

impl Plan {
    /// How long after its invocation an operation without an answer may still take effect (λ). A client waits its
    /// patience for a connection; the proxy holds a request while a fault does and twice as long as a client waits, and then
    /// waits for connections to the target: twice, as one that was kept may be dead. In the end, the target may stand
    /// still.
    pub fn latest_effect(&self) -> Duration {
        let stands_still = self.longest(Fault::is_ordered);
        self.patience + self.held_at_most() + self.patience * 2 + stands_still + SETTLE
    }

    /// How long the proxy holds a request: as long as a client is cut off, and until whatever else strikes it has no
    /// client any more. What is older is lost on the way.
    fn held_at_most(&self) -> Duration {
        let cut_off = self.longest(|fault| matches!(fault, Fault::Network { .. }));
        cut_off + self.patience * 2
    }

    /// How long the longest of these faults lasts; together they last no longer, if two of them are not at once.
    fn longest(&self, of: impl Fn(&Fault) -> bool) -> Duration {
        let these = self
            .schedule
            .iter()
            .filter(|scheduled| of(&scheduled.fault));
        these.map(Scheduled::lasts).max().unwrap_or_default()
    }

    /// How long nothing happens before the drain: until nothing can take effect any more, and every lease
    /// has ended.
    pub fn quiet(&self, slack: Duration) -> Duration {
        let settings = &self.workload.settings;
        let held = settings.claim_ttl_secs.max(settings.delay_secs_max);
        self.latest_effect() + Duration::from_secs(held) + slack * 2
    }

    /// How long clients may take to finish what they are at when the work is over.
    fn finish(&self) -> Duration {
        let turns = u32::try_from(self.workload.settings.batch_max).unwrap_or(20) + 5;
        let lease = Duration::from_secs(self.workload.settings.claim_ttl_secs);
        lease.mul_f64(1.3) + self.patience * 2 * turns
    }

    /// The lifetime that messages need: one that expires before the drain cannot be told from one lost.
    pub fn message_ttl_secs_min(&self, slack: Duration) -> u64 {
        let whole = self.work + self.finish() + self.quiet(slack);
        // As long again for the drain.
        whole.as_secs() * 2 + 60
    }

    /// The tenants, in order.
    fn projects(&self) -> Vec<String> {
        let places = self.workload.places();
        let projects: BTreeSet<String> = places.into_iter().map(|(project, _)| project).collect();
        projects.into_iter().collect()
    }

    /// The head of the run's history.
    pub fn header(&self, target: &Description, slack: Duration) -> Header {
        let strict = target.profile == suite::Profile::Strict;
        let pushed_within = target.happens_within + self.latest_effect();
        let profile = Profile {
            order: if strict {
                OrderProfile::Strict
            } else {
                OrderProfile::Producer
            },
            strict_stats: strict,
            bulk_delete_needs_claims: target
                .offers
                .contains(&suite::Capability::BulkDeleteNeedsClaims),
            pushed_within_ns: Some(nanos(pushed_within)),
            ..Profile::default()
        };
        Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed: self.seed,
            scenario: match &self.scenario {
                Some(name) => name.clone(),
                None => format!("stress/{}", self.workload.kind.name),
            },
            target: target.name.clone(),
            slack_ns: nanos(slack),
            latest_effect_ns: Some(nanos(self.latest_effect())),
            profile,
        }
    }
}

/// Plays `plan` on `stage`, until it is over or `stop` says why it should end at once. `watch` is told
/// how it goes, a few times a second, and may end it as well.
///
/// # Errors
///
/// If the run cannot begin: the target does not do what the workload needs, or there is no port.
pub async fn play(
    stage: Stage,
    plan: Plan,
    stop: impl Future<Output = String> + Send,
    mut watch: impl FnMut(&Progress) -> Result<(), String> + Send,
) -> Result<Played, StressError> {
    run::played(stage, Arc::new(plan), Box::pin(stop), &mut watch).await
}

/// The phases, for those who watch.
fn begin(phase: Phase, recorder: &Recorder, world: &World) -> Instant {
    recorder.phase(world, phase);
    world.now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::NetworkFault;

    #[test]
    fn effects_may_be_as_late_as_all_that_can_hold_them_up() {
        let scheduled = |fault, secs: u64| Scheduled {
            fault,
            from_ms: 0,
            for_ms: secs * 1_000,
        };
        let cut_off = Fault::Network {
            kind: NetworkFault::CutOff,
            share: 0.3,
        };
        let stop = Fault::Stop {
            process: "p".to_owned(),
        };
        let killed = Fault::KillClients { share: 0.3 };
        let mut plan = Plan {
            seed: 1,
            workload: Workload::named("pop-storm").expect("there is one"),
            work: Duration::from_secs(600),
            turns: None,
            rate: None,
            patience: Duration::from_secs(5),
            schedule: Vec::new(),
            has_proxy: true,
            scenario: None,
            realm: String::new(),
        };
        let base = plan.latest_effect();
        assert_eq!(base, Duration::from_secs(30));
        plan.schedule = vec![
            scheduled(cut_off.clone(), 20),
            scheduled(killed, 40),
            scheduled(stop, 30),
            scheduled(cut_off, 30),
        ];
        assert_eq!(plan.latest_effect(), base + Duration::from_secs(60));
    }
}
