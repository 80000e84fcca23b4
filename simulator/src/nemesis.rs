//! What goes wrong: when it begins is drawn from the seed, and every fault has its heal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanshe_conformance::environment::{Environment, nanos};
use nanshe_conformance::history::{Recorder, What};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::scenario::{Fault, FaultKind, Loss};
use crate::world::{Losses, Network};

/// Whose lives the nemesis can end.
pub(crate) trait Clients: Send + Sync + 'static {
    /// The node of that name dies.
    fn kill(&self, node: &str);

    /// Another takes its place.
    fn replace(&self, node: &str);
}

/// What strikes the nodes of one run.
pub(crate) struct Nemesis {
    pub(crate) network: Network,
    pub(crate) world: Arc<dyn Environment>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) clients: Arc<dyn Clients>,
    /// Losses in force, by the fault that brought them.
    losses: Mutex<BTreeMap<usize, Losses>>,
}

impl Nemesis {
    pub(crate) fn new(
        network: Network,
        world: Arc<dyn Environment>,
        recorder: Arc<Recorder>,
        clients: Arc<dyn Clients>,
    ) -> Arc<Self> {
        Arc::new(Self {
            network,
            world,
            recorder,
            clients,
            losses: Mutex::default(),
        })
    }

    /// Lets `faults` strike, each in a task of its own.
    pub(crate) fn unleash(self: &Arc<Self>, faults: &[Fault], random: &mut ChaCha8Rng) {
        for (number, fault) in faults.iter().enumerate() {
            let (from, lasts) = (draw(fault.from, random), draw(fault.lasts, random));
            let (nemesis, kind) = (Arc::clone(self), fault.kind.clone());
            self.world.spawn(Box::pin(async move {
                nemesis.world.sleep(from).await;
                nemesis.note(What::Inject {
                    fault: describe(&kind),
                });
                nemesis.inject(number, &kind);
                nemesis.world.sleep(lasts).await;
                nemesis.heal(number, &kind);
                nemesis.note(What::Heal {
                    fault: describe(&kind),
                });
            }));
        }
    }

    fn note(&self, what: What) {
        self.recorder.add(&self.world, what);
    }

    fn inject(&self, number: usize, kind: &FaultKind) {
        match kind {
            FaultKind::LoseRequests { share, how } => {
                let mut losses = Losses::default();
                match how {
                    Loss::Reset => losses.requests_reset = *share,
                    Loss::Hang => losses.requests_swallowed = *share,
                }
                self.lose(number, Some(losses));
            }
            FaultKind::LoseAnswers { share, how } => {
                let mut losses = Losses::default();
                match how {
                    Loss::Reset => losses.answers_reset = *share,
                    Loss::Hang => losses.answers_swallowed = *share,
                }
                self.lose(number, Some(losses));
            }
            FaultKind::Partition { node } => self.network.isolate(node),
            FaultKind::Kill { node } => self.clients.kill(node),
        }
    }

    fn heal(&self, number: usize, kind: &FaultKind) {
        match kind {
            FaultKind::LoseRequests { .. } | FaultKind::LoseAnswers { .. } => {
                self.lose(number, None);
            }
            FaultKind::Partition { node } => self.network.rejoin(node),
            FaultKind::Kill { node } => self.clients.replace(node),
        }
    }

    /// Sets what fault `number` loses, and the network to the sum of all.
    fn lose(&self, number: usize, losses: Option<Losses>) {
        let mut all = self.losses.lock().expect("no holder of this lock panics");
        match losses {
            Some(losses) => all.insert(number, losses),
            None => all.remove(&number),
        };
        self.network
            .set_losses(all.values().copied().fold(Losses::default(), Losses::and));
    }
}

fn draw((min, max): (Duration, Duration), random: &mut ChaCha8Rng) -> Duration {
    Duration::from_nanos(random.random_range(nanos(min)..=nanos(max)))
}

fn describe(kind: &FaultKind) -> String {
    let how = |how: &Loss| match how {
        Loss::Reset => "reset",
        Loss::Hang => "hang",
    };
    match kind {
        FaultKind::LoseRequests { share, how: loss } => {
            format!("lose-requests {share} {}", how(loss))
        }
        FaultKind::LoseAnswers { share, how: loss } => {
            format!("lose-answers {share} {}", how(loss))
        }
        FaultKind::Partition { node } => format!("partition {node}"),
        FaultKind::Kill { node } => format!("kill {node}"),
    }
}
