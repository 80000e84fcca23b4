//! Lets the faults of the schedule strike, and heals them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use super::cast::Cast;
use super::fault::{Fault, Scheduled};
use crate::environment::Instant;
use crate::history::What;
use crate::proxy::{Proxy, Strike};
use crate::target::{Control, Controlled, Order, Ordered};

/// What makes things go wrong.
pub(super) struct Nemesis {
    pub(super) cast: Arc<Cast>,
    pub(super) proxy: Option<Proxy>,
    pub(super) control: Control,
    pub(super) ordered: Mutex<Ordered>,
    /// When the work ends: replaced clients work until then.
    pub(super) until: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Faults in force, with how many clients each killed.
    in_force: BTreeMap<usize, (Fault, usize)>,
    injected: u64,
    /// What brings the process back that is being started anew, until it is there.
    owed: Option<Order>,
    /// Commands that did not do what they should.
    failures: Vec<String>,
    is_over: bool,
}

impl Nemesis {
    pub(super) fn new(
        cast: Arc<Cast>,
        proxy: Option<Proxy>,
        (control, ordered): (Control, Ordered),
        until: Instant,
    ) -> Arc<Self> {
        let ordered = Mutex::new(ordered);
        Arc::new(Self {
            cast,
            proxy,
            control,
            ordered,
            until,
            state: Mutex::default(),
        })
    }

    /// Strikes as `schedule` says, from now on.
    pub(super) fn unleash(self: &Arc<Self>, schedule: &[Scheduled]) -> JoinSet<()> {
        let strike = |(number, scheduled): (usize, &Scheduled)| {
            let (nemesis, scheduled) = (Arc::clone(self), scheduled.clone());
            async move {
                nemesis.cast.world.sleep(scheduled.from()).await;
                if nemesis.state().is_over {
                    return;
                }
                nemesis.inject(number, &scheduled).await;
                nemesis.cast.world.sleep(scheduled.lasts()).await;
                nemesis.heal(number).await;
            }
        };
        let mut strikes = JoinSet::new();
        for one in schedule.iter().enumerate().map(strike) {
            strikes.spawn(one);
        }
        strikes
    }

    /// Ends what is in force, and lets nothing begin any more.
    pub(super) async fn end(&self) {
        self.state().is_over = true;
        let in_force: Vec<usize> = self.state().in_force.keys().copied().collect();
        for number in in_force {
            self.heal(number).await;
        }
    }

    /// Faults that were injected.
    pub(super) fn injected(&self) -> u64 {
        self.state().injected
    }

    /// The first command that did not do what it should.
    pub(super) fn failure(&self) -> Option<String> {
        self.state().failures.first().cloned()
    }

    async fn inject(&self, number: usize, scheduled: &Scheduled) {
        let fault = &scheduled.fault;
        {
            let mut state = self.state();
            state.injected += 1;
            state.in_force.insert(number, (fault.clone(), 0));
        }
        self.note(What::Inject {
            fault: fault.to_string(),
        });
        match fault {
            Fault::Network { kind, share } => {
                let (fault, share) = (*kind, *share);
                let proxy = self
                    .proxy
                    .as_ref()
                    .expect("invariant: a menu with network has a proxy");
                proxy.inject(number, Strike { fault, share });
            }
            Fault::KillClients { share } => {
                let mut random = ChaCha8Rng::seed_from_u64(self.cast.plan.seed);
                random.set_stream(u64::MAX - u64::try_from(number).unwrap_or(0));
                let killed = self.cast.kill(*share, &mut random);
                self.state()
                    .in_force
                    .insert(number, (fault.clone(), killed));
            }
            Fault::Kill { process } => {
                let pair = self.of(process).kill_and_start.as_ref();
                self.order(pair.map(|(kill, _)| kill)).await;
            }
            Fault::Stop { process } => {
                let pair = self.of(process).stop_and_continue.as_ref();
                self.order(pair.map(|(stop, _)| stop)).await;
            }
            Fault::Restart { process } => self.bring_back(self.of(process).restart.as_ref()).await,
            Fault::RollingRestart => self.roll(scheduled).await,
            Fault::Custom { name } => self.order(self.pair(name).map(|(inject, _)| inject)).await,
        }
    }

    /// Ends fault `number`, unless somebody did already. It is in force until its command has ended: whoever is
    /// stopped meanwhile leaves that to the next. No two do so at once: whoever ends all has stopped the others before.
    async fn heal(&self, number: usize) {
        let Some((fault, killed)) = self.state().in_force.get(&number).cloned() else {
            return;
        };
        match &fault {
            Fault::Network { .. } => {
                self.proxy.iter().for_each(|proxy| proxy.heal(number));
            }
            Fault::KillClients { .. } => self.cast.replace(killed, self.until),
            Fault::Kill { process } => {
                let pair = self.of(process).kill_and_start.as_ref();
                self.order(pair.map(|(_, start)| start)).await;
            }
            Fault::Stop { process } => {
                let pair = self.of(process).stop_and_continue.as_ref();
                self.order(pair.map(|(_, go_on)| go_on)).await;
            }
            Fault::Restart { .. } | Fault::RollingRestart => {
                let owed = self.state().owed.clone();
                if owed.is_some() {
                    self.bring_back(owed.as_ref()).await;
                }
            }
            Fault::Custom { name } => self.order(self.pair(name).map(|(_, heal)| heal)).await,
        }
        self.state().in_force.remove(&number);
        self.note(What::Heal {
            fault: fault.to_string(),
        });
    }

    /// Starts one process after the other anew, over the time that the fault has.
    async fn roll(&self, scheduled: &Scheduled) {
        let count = u32::try_from(self.control.processes.len())
            .unwrap_or(1)
            .max(1);
        for process in &self.control.processes {
            if let Some(restart) = &process.restart {
                self.bring_back(Some(restart)).await;
            } else if let Some((kill, start)) = &process.kill_and_start {
                self.state().owed = Some(start.clone());
                self.order(Some(kill)).await;
                self.bring_back(Some(start)).await;
            }
            self.cast.world.sleep(scheduled.lasts() / (count * 2)).await;
        }
    }

    /// Gives the order that brings a process back; it is owed until it has been carried out.
    async fn bring_back(&self, order: Option<&Order>) {
        self.state().owed = order.cloned();
        self.order(order).await;
        self.state().owed = None;
    }

    fn of(&self, name: &str) -> &Controlled {
        let mut processes = self.control.processes.iter();
        let process = processes.find(|process| process.name == name);
        process.expect("invariant: the schedule names processes of the target file")
    }

    fn pair(&self, name: &str) -> Option<(&Order, &Order)> {
        let mut pairs = self.control.faults.iter();
        pairs
            .find(|pair| pair.name == name)
            .map(|pair| (&pair.inject, &pair.heal))
    }

    async fn order(&self, order: Option<&Order>) {
        let order = order.expect("invariant: the schedule has what the target file offers");
        let ordered = lock(&self.ordered).clone();
        match order.run(&ordered).await {
            Ok(None) => {}
            Ok(Some(endpoint)) => {
                lock(&self.ordered).endpoint = endpoint.clone();
                match &self.proxy {
                    Some(proxy) => proxy.lead_to(endpoint),
                    None => self.cast.route.lead_to(endpoint.address),
                }
            }
            Err(error) => self.state().failures.push(error.to_string()),
        }
    }

    fn note(&self, what: What) {
        self.cast.recorder.add(&self.cast.world, what);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
