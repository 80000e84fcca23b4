//! What goes wrong: when it begins is drawn from the seed, and every fault has its heal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanshe_conformance::environment::{Environment, nanos};
use nanshe_conformance::history::{Recorder, What};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::fleet::Fleet;
use crate::scenario::{Direction, Fault, FaultKind, Loss};
use crate::troupe::Troupe;
use crate::world::{Losses, Network};

/// What strikes the nodes of one run.
pub(crate) struct Nemesis {
    pub(crate) network: Network,
    pub(crate) world: Arc<dyn Environment>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) troupe: Arc<Troupe>,
    pub(crate) fleet: Arc<Fleet>,
    /// Shares in force, by the fault that brought them: losses, and requests that arrive twice.
    shares: Mutex<BTreeMap<usize, (Losses, f64)>>,
}

impl Nemesis {
    pub(crate) fn new(
        (network, world): (Network, Arc<dyn Environment>),
        recorder: Arc<Recorder>,
        (troupe, fleet): (Arc<Troupe>, Arc<Fleet>),
    ) -> Arc<Self> {
        Arc::new(Self {
            network,
            world,
            recorder,
            troupe,
            fleet,
            shares: Mutex::default(),
        })
    }

    /// Lets `faults` strike, each in a task of its own.
    pub(crate) fn unleash(self: &Arc<Self>, faults: &[Fault], random: &mut ChaCha8Rng) {
        for (number, fault) in faults.iter().enumerate() {
            let (from, lasts) = (draw(fault.from, random), draw(fault.lasts, random));
            let jump_ms = fault.kind.jump_ms();
            let drawn_ms = jump_ms.map_or(0, |(least, most)| random.random_range(least..=most));
            let (nemesis, kind) = (Arc::clone(self), fault.kind.clone());
            self.world.spawn(Box::pin(async move {
                nemesis.world.sleep(from).await;
                let told = match drawn_ms {
                    0 => kind.to_string(),
                    millis => format!("{kind} {millis} ms"),
                };
                let fault = told.clone();
                nemesis.note(What::Inject { fault });
                nemesis.inject(number, &kind, drawn_ms);
                nemesis.world.sleep(lasts).await;
                nemesis.heal(number, &kind, drawn_ms);
                nemesis.note(What::Heal { fault: told });
            }));
        }
    }

    fn note(&self, what: What) {
        self.recorder.add(&self.world, what);
    }

    fn inject(&self, number: usize, kind: &FaultKind, drawn_ms: i64) {
        let mut losses = Losses::default();
        match kind {
            FaultKind::LoseRequests { share, how } => {
                match how {
                    Loss::Reset => losses.requests_reset = *share,
                    Loss::Hang => losses.requests_swallowed = *share,
                }
                self.set_share(number, Some((losses, 0.0)));
            }
            FaultKind::LoseAnswers { share, how } => {
                match how {
                    Loss::Reset => losses.answers_reset = *share,
                    Loss::Hang => losses.answers_swallowed = *share,
                }
                self.set_share(number, Some((losses, 0.0)));
            }
            FaultKind::Duplicate { share } => self.set_share(number, Some((losses, *share))),
            FaultKind::Partition { node, direction } => self.network.isolate(node, *direction),
            FaultKind::BlackHole { node } => {
                self.network.swallow(node);
                self.network.isolate(node, Direction::Both);
            }
            FaultKind::Reset { node } => self.network.reset(node),
            FaultKind::SlowLink { node, factor } => self.network.slow_down(node, *factor),
            FaultKind::Kill { node } => {
                self.troupe.kill(node);
                self.fleet.kill(node);
            }
            FaultKind::Crash { node } => {
                // A machine that is off neither accepts nor refuses.
                self.fleet.crash(node);
                self.network.isolate(node, Direction::Both);
            }
            FaultKind::Pause { node } => {
                self.troupe.pause(node);
                self.fleet.pause(node);
            }
            FaultKind::ClockJump { node, .. } => self.fleet.jump(node, drawn_ms),
            FaultKind::DiskFull { node } => self.fleet.disk(node, |disk| disk.fill(true)),
            FaultKind::SlowDisk { node, factor } => {
                self.fleet.disk(node, |disk| disk.slow_down(*factor));
            }
            FaultKind::ReadErrors { node, share } => {
                self.fleet.disk(node, |disk| disk.fail_reads(*share));
            }
            FaultKind::Busy { node, factor } => self.fleet.slow_down(node, *factor),
        }
    }

    fn heal(&self, number: usize, kind: &FaultKind, drawn_ms: i64) {
        match kind {
            FaultKind::LoseRequests { .. }
            | FaultKind::LoseAnswers { .. }
            | FaultKind::Duplicate { .. } => self.set_share(number, None),
            FaultKind::Partition { node, direction } => self.network.rejoin(node, *direction),
            FaultKind::BlackHole { node } => {
                // What was opened and hung meanwhile is half-open too.
                self.network.rejoin(node, Direction::Both);
            }
            FaultKind::Reset { .. } => {}
            FaultKind::SlowLink { node, .. } => self.network.slow_down(node, 1),
            FaultKind::Kill { node } => {
                self.troupe.replace(node);
                self.fleet.start(node);
            }
            FaultKind::Crash { node } => {
                self.network.rejoin(node, Direction::Both);
                self.fleet.start(node);
            }
            FaultKind::Pause { node } => {
                self.troupe.resume(node);
                self.fleet.resume(node);
            }
            FaultKind::ClockJump { node, .. } => self.fleet.jump(node, -drawn_ms),
            FaultKind::DiskFull { node } => self.fleet.disk(node, |disk| disk.fill(false)),
            FaultKind::SlowDisk { node, .. } => self.fleet.disk(node, |disk| disk.slow_down(1)),
            FaultKind::ReadErrors { node, .. } => {
                self.fleet.disk(node, |disk| disk.fail_reads(0.0));
            }
            FaultKind::Busy { node, .. } => self.fleet.slow_down(node, 1),
        }
    }

    /// Sets what fault `number` loses and repeats, and the network to the sum of all.
    fn set_share(&self, number: usize, share: Option<(Losses, f64)>) {
        let mut all = self.shares.lock().expect("no holder of this lock panics");
        match share {
            Some(share) => all.insert(number, share),
            None => all.remove(&number),
        };
        let losses = all.values().map(|(losses, _)| *losses);
        self.network
            .set_losses(losses.fold(Losses::default(), Losses::and));
        let twice: f64 = all.values().map(|(_, twice)| twice).sum();
        self.network.duplicate(twice.min(1.0));
    }
}

fn draw((min, max): (Duration, Duration), random: &mut ChaCha8Rng) -> Duration {
    Duration::from_nanos(random.random_range(nanos(min)..=nanos(max)))
}
