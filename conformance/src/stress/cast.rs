//! The clients of a run: who they are, how they are driven, and how they die.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinHandle;

use super::Plan;
use super::route::Route;
use crate::environment::{Instant, World};
use crate::history::Recorder;
use crate::target::{Endpoint, Session};
use crate::workload::{Actor, Board, Process};

/// Most clients of an open loop: a server that answers nobody must not fill the memory.
const OPEN_LOOP_CLIENTS_MAX: usize = 5_000;

/// Everybody who sends requests.
pub(super) struct Cast {
    pub(super) world: World,
    /// Where the target is, if no proxy knows.
    pub(super) route: Arc<Route>,
    pub(super) plan: Arc<Plan>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) board: Arc<Board>,
    /// Where clients send to: the proxy, if there is one.
    pub(super) endpoint: Endpoint,
    /// By whose tokens they ask, if there is a login.
    session: Option<Arc<Session>>,
    processes: AtomicU64,
    /// Turns of an open loop that nobody was left for.
    turned_away: AtomicU64,
    at_work: Mutex<BTreeMap<u64, JoinHandle<()>>>,
    idle: Mutex<Vec<Actor>>,
}

impl Cast {
    pub(super) fn new(
        (world, route, endpoint): (World, Arc<Route>, Endpoint),
        (plan, session): (Arc<Plan>, Option<Arc<Session>>),
        (recorder, board): (Arc<Recorder>, Arc<Board>),
    ) -> Arc<Self> {
        Arc::new(Self {
            world,
            route,
            plan,
            recorder,
            board,
            endpoint,
            session,
            processes: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            at_work: Mutex::default(),
            idle: Mutex::default(),
        })
    }

    /// A new client of `endpoint`, as a tenant, with a number that no other had.
    pub(super) fn process(&self, endpoint: Endpoint, project: &str) -> Process {
        let number = self.processes.fetch_add(1, Ordering::Relaxed) + 1;
        let recorder = Arc::clone(&self.recorder);
        let world = Arc::clone(&self.world);
        let process = Process::new(world, (endpoint, self.plan.patience), (recorder, number));
        let process = process.on_board(Arc::clone(&self.board));
        let process = process.logged_in(self.session.clone());
        process.in_realm(&self.plan.realm).in_project(project)
    }

    /// A new client of the workload.
    fn actor(&self) -> Actor {
        let projects = self.plan.projects();
        let number = self.processes.load(Ordering::Relaxed);
        let turn = usize::try_from(number).unwrap_or(0) % projects.len();
        let process = self.process(self.endpoint.clone(), &projects[turn]);
        let mut random = ChaCha8Rng::seed_from_u64(self.plan.seed);
        random.set_stream(process.number());
        Actor::new(process, random, &self.plan.workload)
    }

    /// Lets the clients of a closed loop begin; each works until `until`.
    pub(super) fn enter(self: &Arc<Self>, until: Instant) {
        for _ in 0..self.plan.workload.settings.clients {
            self.enter_one(until);
        }
    }

    fn enter_one(&self, until: Instant) {
        let mut actor = self.actor();
        let number = actor.process.number();
        let turns = self.plan.turns;
        let task = tokio::spawn(async move { actor.work(until, turns).await });
        self.at_work().insert(number, task);
    }

    /// Turns begin when the seed says, whatever has become of those before (open loop): a slow server
    /// does not slow the offered load. `rate` is in turns a second.
    pub(super) async fn offer(self: Arc<Self>, rate: f64, until: Instant) {
        let mut random = ChaCha8Rng::seed_from_u64(self.plan.seed);
        random.set_stream(u64::from_be_bytes(*b"arrivals"));
        let mut next = self.world.now();
        loop {
            // Independent arrivals: the time between them is distributed exponentially.
            let share: f64 = random.random_range(f64::EPSILON..1.0);
            next = next.plus(Duration::from_secs_f64(-share.ln() / rate));
            if next >= until {
                return;
            }
            self.world.sleep(next.since(self.world.now())).await;
            self.begin_turn();
        }
    }

    fn begin_turn(self: &Arc<Self>) {
        let idle = lock(&self.idle).pop();
        let mut at_work = self.at_work();
        at_work.retain(|_, task| !task.is_finished());
        if idle.is_none() && at_work.len() >= OPEN_LOOP_CLIENTS_MAX {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut actor = idle.unwrap_or_else(|| self.actor());
        let number = actor.process.number();
        let cast = Arc::clone(self);
        let task = tokio::spawn(async move {
            actor.turn().await;
            lock(&cast.idle).push(actor);
        });
        at_work.insert(number, task);
    }

    /// A share of the clients dies, in the middle of whatever they do.
    pub(super) fn kill(&self, share: f64, random: &mut ChaCha8Rng) -> usize {
        let mut killed = 0;
        self.at_work().retain(|_, task| {
            let dies = random.random_bool(share);
            if dies {
                task.abort();
                killed += 1;
            }
            !dies
        });
        killed
    }

    /// Others take the places of `count` clients; in an open loop they come by themselves.
    pub(super) fn replace(&self, count: usize, until: Instant) {
        if self.plan.rate.is_none() {
            (0..count).for_each(|_| self.enter_one(until));
        }
    }

    /// Waits until everybody has finished, for `span` at most; who has not by then is sent away, and so is everybody
    /// for whom nobody waits any more.
    pub(super) async fn curtain(&self, span: Duration) {
        let deadline = self.world.now().plus(span);
        loop {
            let next = self.at_work().pop_first();
            let Some((_, task)) = next else {
                return;
            };
            let left = deadline.since(self.world.now());
            // A client that was killed, or has panicked, has nothing to say.
            let mut leaving = Leaving(task);
            drop(crate::environment::within(&*self.world, left, &mut leaving.0).await);
        }
    }

    /// Everybody stops where they are.
    pub(super) fn dismiss(&self) {
        let at_work = std::mem::take(&mut *self.at_work());
        at_work.values().for_each(JoinHandle::abort);
    }

    pub(super) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    fn at_work(&self) -> MutexGuard<'_, BTreeMap<u64, JoinHandle<()>>> {
        lock(&self.at_work)
    }
}

/// A client that is waited for. When nobody waits any more, it goes.
struct Leaving(JoinHandle<()>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}
