//! One run from its first request to its last.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::cast::Cast;
use super::nemesis::Nemesis;
use super::route::Route;
use super::{Plan, begin, sink};
use crate::environment::{Instant, World};
use crate::history::{Operation, Phase, Recorder};
use crate::proxy::{IN_FLIGHT_MAX, Proxy, Setting};
use crate::target::{Description, Endpoint, Ordered};
use crate::workload::{Board, Drained, NotDone, Process, drain_place, names_behind_a_login};

/// How often somebody looks how it goes, in real time or whatever the world has for it.
const TICKS_A_SECOND: u32 = 4;

/// Time without any answer after which the target counts as dead, beside what faults and patience
/// account for.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// Where a run takes place.
pub struct Stage {
    /// The world of the run, with the target's time.
    pub world: World,
    /// How many of its seconds pass in each of those who watch.
    pub time_scale: u32,
    /// What is known about the target.
    pub target: Description,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The process that its start command became.
    pub pid: Option<u32>,
    /// How wrong its clock may be.
    pub slack: Duration,
}

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Since the start, in the target's time.
    pub now: Instant,
    /// Operations begun.
    pub asked: u64,
    /// Operations answered.
    pub answered: u64,
    /// Faults injected.
    pub faults: u64,
    /// Requests that a fault of the network struck.
    pub struck: u64,
    /// What is written down so far.
    pub recorder: Arc<Recorder>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As planned.
    Whole,
    /// Before its time, because somebody said so.
    Stopped(String),
    /// The target does not answer any more.
    Dead(String),
    /// A command of the target file did not do what it should.
    Broken(String),
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Played {
    /// The history.
    pub recorder: Arc<Recorder>,
    /// How it ended.
    pub ended: Ended,
    /// At the end.
    pub progress: Progress,
    /// Turns of an open loop that there was no client left for.
    pub turned_away: u64,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// No port for the proxy, or for the subscriber.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[from] std::io::Error),
    /// There is a login, and it is for one project.
    #[error(
        "`{0}` has tenants of several projects, and a login is for one: choose another workload"
    )]
    Tenants(&'static str),
    /// The target refuses what the workload needs.
    #[error("`{workload}` needs {what}, which the target refused with status {status}")]
    Refused {
        /// The workload's name.
        workload: &'static str,
        /// What was asked for.
        what: String,
        /// The answer's.
        status: u16,
    },
    /// The target cannot do what the workload needs, though it does not refuse it.
    #[error("`{workload}` needs {what}, which the target did not do: {why}")]
    SetUp {
        /// The workload's name.
        workload: &'static str,
        /// What was asked for.
        what: String,
        /// What came of it.
        why: String,
    },
}

impl StressError {
    /// Whether somebody asked for what cannot be: otherwise the target, or this machine, failed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Tenants(_) | Self::Refused { .. } => true,
            Self::Listen(_) | Self::SetUp { .. } => false,
        }
    }
}

/// Why the run should end at once.
type Stop<'a> = BoxFuture<'a, String>;

/// Who is told how it goes, and may end it.
type Watch<'a> = &'a mut (dyn FnMut(&Progress) -> Result<(), String> + Send);

/// In a box, so that all of it is compiled here, once, and not with everyone who waits for it.
pub(super) fn played<'a>(
    stage: Stage,
    plan: Arc<Plan>,
    stop: Stop<'a>,
    watch: Watch<'a>,
) -> BoxFuture<'a, Result<Played, StressError>> {
    play(stage, plan, stop, watch).boxed()
}

async fn play(
    stage: Stage,
    plan: Arc<Plan>,
    stop: Stop<'_>,
    watch: Watch<'_>,
) -> Result<Played, StressError> {
    if stage.target.session.is_some() && plan.projects().len() > 1 {
        return Err(StressError::Tenants(plan.workload.kind.name));
    }
    let route = Route::before(Arc::clone(&stage.world), stage.endpoint.address.clone());
    let mut stage = stage;
    stage.world = Arc::<Route>::clone(&route);
    let world = Arc::clone(&stage.world);
    let recorder = Recorder::new(plan.header(&stage.target, stage.slack));
    let board = Arc::<Board>::default();
    let sink = open_sink(&stage, &plan, &recorder).await?;
    let mut plan = Plan::clone(&plan);
    plan.workload.settings.sink = sink.as_ref().map(|(url, _)| url.clone());
    let plan = Arc::new(plan);
    let proxy = open_proxy(&stage, &plan, (&recorder, &board)).await?;
    let front = proxy.as_ref().map(|proxy| proxy.endpoint().clone());
    let front = front.unwrap_or_else(|| stage.endpoint.clone());
    let cast = Cast::new(
        (Arc::clone(&world), route, front),
        (Arc::clone(&plan), stage.target.session.clone()),
        (Arc::clone(&recorder), board),
    );
    if let Err(error) = set_up(&cast, &stage.endpoint).await {
        sink.iter().for_each(|(_, listening)| listening.abort());
        not_begun(&stage, &cast, watch).await;
        return Err(error);
    }
    let until = world.now().plus(plan.work);
    let ordered = Ordered {
        endpoint: stage.endpoint.clone(),
        pid: stage.pid,
    };
    let control = (stage.target.control.clone(), ordered);
    let nemesis = Nemesis::new(Arc::clone(&cast), proxy, control, until);
    let mut run = Run {
        tick: Duration::from_secs(1) * stage.time_scale / TICKS_A_SECOND,
        cast: Arc::clone(&cast),
        nemesis,
        stop,
        watch,
        phase: Phase::Work,
        last: (0, 0, world.now()),
        stage,
    };
    let ended = run.whole(until).await;
    let progress = run.progress();
    if let Some((_, listening)) = sink {
        listening.abort();
    }
    if !matches!(ended, Ended::Dead(_)) {
        clean_up(&run.stage, &cast.plan, &run.endpoint()).await;
    }
    Ok(Played {
        recorder,
        ended,
        progress,
        turned_away: cast.turned_away(),
    })
}

async fn open_proxy(
    stage: &Stage,
    plan: &Plan,
    (recorder, board): (&Arc<Recorder>, &Arc<Board>),
) -> std::io::Result<Option<Proxy>> {
    if !plan.has_proxy {
        return Ok(None);
    }
    let setting = Setting {
        world: Arc::clone(&stage.world),
        recorder: Arc::clone(recorder),
        board: Arc::clone(board),
        seed: plan.seed,
        patience: plan.patience,
        held_at_most: plan.held_at_most(),
        in_flight_max: IN_FLIGHT_MAX,
    };
    let opened = Proxy::open(setting, stage.endpoint.clone()).await;
    opened.map(Some)
}

async fn open_sink(
    stage: &Stage,
    plan: &Plan,
    recorder: &Arc<Recorder>,
) -> std::io::Result<Option<(String, JoinHandle<()>)>> {
    if !plan.workload.needs_sink() {
        return Ok(None);
    }
    let told = stage.target.sink_address.clone();
    let session = stage.target.session.as_ref();
    let names = session.map_or_else(String::new, |_| names_behind_a_login(&plan.realm, ""));
    let pen = (Arc::clone(recorder), names);
    sink::open(&stage.world, told, pen).await.map(Some)
}

/// Does what the workload needs before its clients come.
async fn set_up(cast: &Cast, endpoint: &Endpoint) -> Result<(), StressError> {
    let workload = &cast.plan.workload;
    for (project, operation) in workload.set_up() {
        let what = if matches!(operation, Operation::Subscribe { .. }) {
            format!("a subscription to `{}`", operation.queue())
        } else {
            format!("the queue `{}`", operation.queue())
        };
        let process = cast.process(endpoint.clone(), &project);
        if let Err(why) = process.ask(operation).await {
            let workload = workload.kind.name;
            return Err(match why {
                NotDone::Refused(status) => StressError::Refused {
                    workload,
                    what,
                    status,
                },
                NotDone::Silent(why) | NotDone::Unclear(why) => StressError::SetUp {
                    workload,
                    what,
                    why,
                },
            });
        }
    }
    Ok(())
}

/// Writes down what was asked for in a run that cannot begin, if that can be, and takes it away.
async fn not_begun(stage: &Stage, cast: &Cast, watch: Watch<'_>) {
    cast.recorder.seal();
    let progress = Progress {
        phase: Phase::Work,
        now: stage.world.now(),
        asked: cast.board.asked(),
        answered: cast.board.answered(),
        faults: 0,
        struck: 0,
        recorder: Arc::clone(&cast.recorder),
    };
    // That the run did not begin is told in any case.
    drop(watch(&progress));
    clean_up(stage, &cast.plan, &stage.endpoint).await;
}

struct Run<'a> {
    stage: Stage,
    cast: Arc<Cast>,
    nemesis: Arc<Nemesis>,
    stop: Stop<'a>,
    watch: Watch<'a>,
    tick: Duration,
    phase: Phase,
    /// The last counts of answers and of questions, and when the silence since then began.
    last: (u64, u64, Instant),
}

impl Run<'_> {
    async fn whole(&mut self, until: Instant) -> Ended {
        let faults = self.work(until).await;
        let ended = match faults {
            Ok(()) => self.heal_and_drain().await,
            Err(ended) => Err(ended),
        };
        let ended = match ended {
            Ok(()) => Ended::Whole,
            Err(ended) => {
                // A process that is stopped or dead must not stay so because the run is over.
                self.nemesis.end().await;
                self.cast.dismiss();
                ended
            }
        };
        begin(Phase::End, &self.cast.recorder, &self.stage.world);
        self.cast.recorder.seal();
        self.phase = Phase::End;
        // The last word, so that nothing is left unwritten.
        let progress = self.progress();
        match (self.watch)(&progress) {
            Err(why) if ended == Ended::Whole => Ended::Stopped(why),
            Ok(()) | Err(_) => ended,
        }
    }

    async fn work(&mut self, until: Instant) -> Result<(), Ended> {
        let cast = Arc::clone(&self.cast);
        begin(Phase::Work, &cast.recorder, &cast.world);
        let offering = match cast.plan.rate {
            Some(rate) => Some(tokio::spawn(Arc::clone(&cast).offer(rate, until))),
            None => {
                cast.enter(until);
                None
            }
        };
        let mut strikes = self.nemesis.unleash(&cast.plan.schedule);
        let span = until.since(cast.world.now());
        let world = Arc::clone(&cast.world);
        let ended = self.watching(async { world.sleep(span).await }).await;
        if let Some(offering) = offering {
            offering.abort();
        }
        // Commands take their time: a fault may end a little after the work does.
        let ended = match ended {
            Ok(()) => {
                let all = async { while strikes.join_next().await.is_some() {} };
                self.watching(all).await
            }
            Err(ended) => Err(ended),
        };
        // Nobody strikes, or mends, from here on but who ends it.
        strikes.shutdown().await;
        ended?;
        let nemesis = Arc::clone(&self.nemesis);
        self.watching(async move { nemesis.end().await }).await
    }

    async fn heal_and_drain(&mut self) -> Result<(), Ended> {
        let (cast, world) = (Arc::clone(&self.cast), Arc::clone(&self.stage.world));
        self.phase = Phase::Heal;
        begin(Phase::Heal, &cast.recorder, &world);
        self.watching(cast.curtain(cast.plan.finish())).await?;
        let quiet = cast.plan.quiet(self.stage.slack);
        self.watching(world.sleep(quiet)).await?;
        self.last.2 = world.now();
        self.phase = Phase::Drain;
        begin(Phase::Drain, &cast.recorder, &world);
        let endpoint = self.endpoint();
        let drained = self.watching(drain(&cast, endpoint)).await?;
        if drained == Drained::Dead {
            let why = "the target does not answer the drain, so nobody knows what it still has";
            return Err(Ended::Dead(why.to_owned()));
        }
        Ok(())
    }

    /// Waits for `work`, and meanwhile looks how it goes.
    async fn watching<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = std::pin::pin!(work);
        loop {
            let world = Arc::clone(&self.stage.world);
            tokio::select! {
                biased;
                why = &mut self.stop => return Err(Ended::Stopped(why)),
                done = &mut work => return Ok(done),
                () = world.sleep(self.tick) => self.look()?,
            }
        }
    }

    fn look(&mut self) -> Result<(), Ended> {
        let progress = self.progress();
        (self.watch)(&progress).map_err(Ended::Stopped)?;
        if let Some(failure) = self.nemesis.failure() {
            return Err(Ended::Broken(failure));
        }
        // Clients that rest, as those do that outlive their leases, leave a target nothing to answer.
        let rests = progress.asked == self.last.1 && self.cast.board.is_idle();
        if progress.answered != self.last.0 || rests {
            self.last.2 = progress.now;
        }
        (self.last.0, self.last.1) = (progress.answered, progress.asked);
        let silence = progress.now.since(self.last.2);
        let scale = self.stage.time_scale;
        let plan = &self.cast.plan;
        // What is asked while it heals is the end of what began before.
        if progress.phase != Phase::Heal
            && progress.asked > progress.answered
            && silence > plan.latest_effect() + plan.patience * 2 + DEAD_AFTER * scale
        {
            let secs = silence.as_secs() / u64::from(scale);
            let why = format!("the target has not answered anything for {secs} s");
            return Err(Ended::Dead(why));
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let board = &self.cast.board;
        Progress {
            phase: self.phase,
            now: self.stage.world.now(),
            asked: board.asked(),
            answered: board.answered(),
            faults: self.nemesis.injected(),
            struck: self.nemesis.proxy.as_ref().map_or(0, Proxy::struck),
            recorder: Arc::clone(&self.cast.recorder),
        }
    }

    /// Where the target is now.
    fn endpoint(&self) -> Endpoint {
        let ordered = self.nemesis.ordered.lock();
        let ordered = ordered.expect("no holder of this lock panics");
        ordered.endpoint.clone()
    }
}

/// Deletes the queues of the run; what becomes of that is in no history. A target that does not answer is not asked
/// for the next.
async fn clean_up(stage: &Stage, plan: &Plan, endpoint: &Endpoint) {
    let unheard = Recorder::new(plan.header(&stage.target, stage.slack));
    let mut processes: Vec<(String, Process)> = Vec::new();
    for (project, queue) in plan.workload.places() {
        if processes.last().is_none_or(|(last, _)| *last != project) {
            let world = Arc::clone(&stage.world);
            let pen = (Arc::clone(&unheard), 1);
            let process = Process::new(world, (endpoint.clone(), plan.patience), pen);
            let process = process.logged_in(stage.target.session.clone());
            let process = process.in_realm(&plan.realm).in_project(&project);
            processes.push((project, process));
        }
        if let Some((_, process)) = processes.last() {
            let deleted = process.ask(Operation::DeleteQueue { queue }).await;
            if matches!(deleted, Err(NotDone::Silent(_))) {
                return;
            }
        }
    }
}

async fn drain(cast: &Cast, endpoint: Endpoint) -> Drained {
    let settings = &cast.plan.workload.settings;
    let lease = (settings.claim_ttl_secs, settings.claim_grace_secs);
    let mut drainer: Option<(String, Process)> = None;
    for (project, queue) in cast.plan.workload.places() {
        if drainer.as_ref().is_none_or(|(last, _)| *last != project) {
            let process = cast.process(endpoint.clone(), &project);
            drainer = Some((project, process));
        }
        if let Some((_, process)) = &drainer
            && drain_place(process, &queue, lease).await == Drained::Dead
        {
            return Drained::Dead;
        }
    }
    Drained::Empty
}
