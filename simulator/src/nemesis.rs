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
    /// What slows nodes down, or spoils their disks, by the fault that does: several may be in force at once.
    weights: Mutex<BTreeMap<usize, FaultKind>>,
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
            weights: Mutex::default(),
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
            FaultKind::SlowLink { node, .. }
            | FaultKind::DiskFull { node }
            | FaultKind::SlowDisk { node, .. }
            | FaultKind::ReadErrors { node, .. }
            | FaultKind::Busy { node, .. } => self.weigh(number, Some(kind), node),
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
            FaultKind::SlowLink { node, .. }
            | FaultKind::DiskFull { node }
            | FaultKind::SlowDisk { node, .. }
            | FaultKind::ReadErrors { node, .. }
            | FaultKind::Busy { node, .. } => self.weigh(number, None, node),
        }
    }

    /// Sets what weighs on `node`: the worst of what is in force, with fault `number` or without it.
    fn weigh(&self, number: usize, kind: Option<&FaultKind>, node: &str) {
        let mut all = self.weights.lock().expect("no holder of this lock panics");
        match kind {
            Some(kind) => all.insert(number, kind.clone()),
            None => all.remove(&number),
        };
        let weight = Weight::on(node, all.values());
        self.network.slow_down(node, weight.link);
        self.fleet.slow_down(node, weight.processor);
        self.fleet.disk(node, |disk| {
            disk.fill(weight.is_full);
            disk.slow_down(weight.disk);
            disk.fail_reads(weight.read_errors);
        });
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

/// What weighs on a node: how many times as long things take, and what its disk refuses.
#[derive(Debug, PartialEq)]
struct Weight {
    link: u32,
    processor: u32,
    disk: u32,
    is_full: bool,
    read_errors: f64,
}

impl Weight {
    /// The worst of `faults` on that node.
    fn on<'a>(name: &str, faults: impl Iterator<Item = &'a FaultKind>) -> Self {
        let mut weight = Self {
            link: 1,
            processor: 1,
            disk: 1,
            is_full: false,
            read_errors: 0.0,
        };
        for kind in faults.filter(|kind| kind.node() == Some(name)) {
            match kind {
                FaultKind::SlowLink { factor, .. } => weight.link = weight.link.max(*factor),
                FaultKind::Busy { factor, .. } => weight.processor = weight.processor.max(*factor),
                FaultKind::SlowDisk { factor, .. } => weight.disk = weight.disk.max(*factor),
                FaultKind::DiskFull { .. } => weight.is_full = true,
                FaultKind::ReadErrors { share, .. } => {
                    weight.read_errors = weight.read_errors.max(*share);
                }
                FaultKind::LoseRequests { .. }
                | FaultKind::LoseAnswers { .. }
                | FaultKind::Duplicate { .. }
                | FaultKind::Partition { .. }
                | FaultKind::BlackHole { .. }
                | FaultKind::Reset { .. }
                | FaultKind::Kill { .. }
                | FaultKind::Crash { .. }
                | FaultKind::Pause { .. }
                | FaultKind::ClockJump { .. } => {}
            }
        }
        weight
    }
}

fn draw((min, max): (Duration, Duration), random: &mut ChaCha8Rng) -> Duration {
    Duration::from_nanos(random.random_range(nanos(min)..=nanos(max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_that_ends_leaves_what_another_does_to_the_same_node() {
        let node = || "server-0".to_owned();
        let slow = |factor| FaultKind::SlowLink {
            node: node(),
            factor,
        };
        let full = || FaultKind::DiskFull { node: node() };
        let all = [slow(1_000), slow(2), full(), full()];
        let of = |left: &[FaultKind]| Weight::on("server-0", left.iter());
        let both = of(&all);
        assert_eq!((both.link, both.is_full), (1_000, true));
        assert_eq!(of(&[all[0].clone(), all[3].clone()]), both);
        assert_eq!((of(&all[1..2]).link, of(&all[1..2]).is_full), (2, false));
        // Another node's is another's.
        assert_eq!(Weight::on("server-1", all.iter()), of(&[]));
    }
}
