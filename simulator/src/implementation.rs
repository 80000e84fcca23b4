//! What can be run as the server.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use nanshe_conformance::environment::{BoxFuture, Environment};
use nanshe_reference::broker::Limits;
use nanshe_reference::service::Service;

use crate::durable;
use crate::notifier::send_all;
use crate::scenario::{Fault, Scenario, Word};
use crate::sockets::Sockets;
use crate::specimens;
use crate::variant::{self, Variant};
use crate::world::{ClockSettings, Disk, DiskSettings, Node, NodeClock, Processor, serve};

/// The body of a request as it arrives.
pub type Inbound = UnsyncBoxBody<Bytes, hyper::Error>;

/// What a request is answered with.
pub type Answer = Response<Full<Bytes>>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// A service on a node: a request in, an answer out.
pub type Answering = Arc<dyn Fn(Request<Inbound>) -> BoxFuture<Answer> + Send + Sync>;

/// What a node gives to the implementation that runs on it. Time, tasks, sockets, files and randomness
/// come from here, never from the operating system.
#[derive(Clone)]
pub struct NodeContext {
    /// Its name on the network.
    pub name: String,
    /// The names of all servers of the run, its own included, in order. They listen on
    /// [`PORT`](crate::world::PORT).
    pub servers: Vec<String>,
    /// What the node believes the time to be.
    pub clock: NodeClock,
    /// True time, sleeping, spawning, connecting, listening.
    pub environment: Arc<dyn Environment>,
    /// Its disk: what was synced is there again after a crash.
    pub disk: Disk,
    /// Its processor: every request costs something there already, and what an implementation does beside may.
    pub processor: Processor,
    /// What all servers of the run share, and what none of them takes along when it dies.
    pub beside: Beside,
    /// Where all its choices come from: another one each time it starts.
    pub seed: u64,
}

/// What lives beside the servers of a run, like a database that is not under test. One value of each type.
#[derive(Clone, Default)]
pub struct Beside(Arc<Mutex<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>>);

impl Beside {
    /// The run's only `T`; whoever asks first makes it.
    ///
    /// # Panics
    ///
    /// Never: under a type's id there is a value of that type.
    pub fn the<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.0.lock().expect("no holder of this lock panics");
        let value = all
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(make()));
        let value = Arc::clone(value).downcast::<T>();
        value.unwrap_or_else(|_| unreachable!("invariant: a type's id names a value of that type"))
    }
}

/// Something that can be run as the server.
#[derive(Clone, Copy)]
pub struct Implementation {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The rule that must catch it; `None` for one that keeps its promises.
    pub caught_by: Option<&'static str>,
    /// What it can take.
    pub takes: Takes,
    /// Starts it.
    pub start: fn(NodeContext) -> Answering,
    /// The configurations that the suite is run on; none: as it is.
    pub variants: &'static [Variant],
}

impl Implementation {
    /// Starts it on a node called `name`, with a clock that is right and a disk and a processor that cost nothing,
    /// and serves it there.
    pub fn serve_alone(&self, node: &Node, name: &str, seed: u64) {
        start_alone(node, name, self.start, seed);
    }

    /// What `scenario` asks of it that it cannot take, if there is such a thing: then nothing would follow from a
    /// run.
    pub fn refuses(&self, scenario: &Scenario) -> Option<String> {
        let (name, takes) = (self.name, self.takes);
        if scenario.server.count > takes.servers_max {
            let most = takes.servers_max;
            let count = scenario.server.count;
            return Some(format!(
                "`{name}` runs on {most} server at most, not on {count}"
            ));
        }
        if scenario.workload.needs_sink() && !takes.subscribers {
            let workload = scenario.workload.kind.name;
            return Some(format!(
                "`{name}` has no subscriptions, which `{workload}` needs"
            ));
        }
        if let Some(why) = self.not_touched_by(scenario) {
            return Some(why);
        }
        let dies = |fault: &&Fault| {
            let word = fault.kind.word();
            let node = fault.kind.node().unwrap_or_default();
            matches!(word, Word::Kill | Word::Crash) && node.starts_with("server-")
        };
        let deadly = scenario.faults.iter().find(dies)?;
        (!takes.deaths).then(|| {
            format!(
                "`{name}` keeps everything in memory, so `{}` proves nothing",
                deadly.kind
            )
        })
    }
}

impl Implementation {
    /// What `scenario` does to disks or clocks that it does not use, if there is such a thing.
    fn not_touched_by(&self, scenario: &Scenario) -> Option<String> {
        let (name, takes) = (self.name, self.takes);
        let first = |words: &[Word]| {
            let mut faults = scenario.faults.iter();
            faults.find(|fault| words.contains(&fault.kind.word()))
        };
        if !takes.writes
            && let Some(fault) = first(&[Word::DiskFull, Word::SlowDisk, Word::ReadErrors])
        {
            return Some(format!(
                "`{name}` has nothing on a disk, so `{}` proves nothing",
                fault.kind
            ));
        }
        if takes.clock {
            return None;
        }
        let fault = first(&[Word::ClockJump])?;
        Some(format!(
            "`{name}` looks at no server's clock, so `{}` proves nothing",
            fault.kind
        ))
    }
}

/// What an implementation can take by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and any answers go together"
)]
pub struct Takes {
    /// Most servers that it runs on at once.
    pub servers_max: u32,
    /// Whether it keeps what it accepted when its process, or its machine, dies.
    pub deaths: bool,
    /// Whether it has subscriptions.
    pub subscribers: bool,
    /// Whether it writes to its disk.
    pub writes: bool,
    /// Whether it looks at its node's clock.
    pub clock: bool,
}

impl Takes {
    /// One server, which keeps everything in memory.
    pub const ONE_IN_MEMORY: Self = Self {
        servers_max: 1,
        deaths: false,
        subscribers: false,
        writes: false,
        clock: true,
    };
    /// One server with a disk.
    pub const ONE_ON_DISK: Self = Self {
        deaths: true,
        writes: true,
        ..Self::ONE_IN_MEMORY
    };
    /// Any number of servers before a store that none of them takes along, and whose clock they look at.
    pub const MANY_BEFORE_A_STORE: Self = Self {
        servers_max: 16,
        deaths: true,
        clock: false,
        ..Self::ONE_IN_MEMORY
    };
}

/// Starts something on a node of its own, with a clock that is right and a disk and a processor that
/// cost nothing.
pub(crate) fn start_alone(node: &Node, name: &str, start: fn(NodeContext) -> Answering, seed: u64) {
    start_on(Processor::free(), (node, name), start, seed);
}

/// The same on a processor that need not be free.
pub(crate) fn start_on(
    processor: Processor,
    (node, name): (&Node, &str),
    start: fn(NodeContext) -> Answering,
    seed: u64,
) {
    let settings = DiskSettings {
        write_us: (0, 0),
        sync_us: (0, 0),
    };
    let context = NodeContext {
        name: name.to_owned(),
        servers: vec![name.to_owned()],
        clock: NodeClock::new(ClockSettings::default()),
        environment: node.environment(),
        disk: Disk::new(settings, seed),
        processor: processor.clone(),
        beside: Beside::default(),
        seed,
    };
    serve(node, start(context), processor);
}

/// Serves any `tower` service, as axum's router is one, unchanged: what it answers is collected and sent.
///
/// The service must not touch tokio's time, tasks, sockets or files, nor an unbiased `select!`: what it
/// needs of those is in the [`NodeContext`].
pub fn tower<S, B>(service: S) -> Answering
where
    S: tower_service::Service<Request<Inbound>, Response = Response<B>>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Debug,
{
    Arc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            let ready = std::future::poll_fn(|context| service.poll_ready(context)).await;
            ready.expect("the service under test is ready");
            let response = service.call(request).await;
            let (parts, body) = response
                .expect("the service under test answers")
                .into_parts();
            let body = body
                .collect()
                .await
                .expect("the service under test sends its answer");
            Response::from_parts(parts, Full::new(body.to_bytes()))
        })
    })
}

/// Answers by what `recovery` comes to; requests that come earlier wait.
pub fn recovering(context: &NodeContext, recovery: BoxFuture<Answering>) -> Answering {
    let recovered = recovery.shared();
    // It goes on whether somebody waits for it or not.
    let beginning = recovered.clone();
    context.environment.spawn(Box::pin(async move {
        beginning.await;
    }));
    Arc::new(move |request| {
        let recovered = recovered.clone();
        Box::pin(async move { recovered.await(request).await })
    })
}

/// The reference, the others that keep their promises, then the specimens; those about scaling last.
pub fn implementations() -> impl Iterator<Item = Implementation> {
    let reference = Implementation {
        name: "reference",
        about: "the reference broker, unchanged",
        caught_by: None,
        takes: Takes {
            subscribers: true,
            ..Takes::ONE_IN_MEMORY
        },
        start: reference,
        variants: variant::REFERENCE,
    };
    [reference, durable::IMPLEMENTATION, specimens::TRANSACTIONAL]
        .into_iter()
        .chain(specimens::SPECIMENS.iter().copied())
        .chain([specimens::INDEXED])
        .chain(specimens::SCALING.iter().copied())
}

fn reference(context: NodeContext) -> Answering {
    let clock = Arc::new(context.clock);
    let service = Service::new(Limits::default(), context.seed, clock);
    let sending = send_all(
        service.clone(),
        Sockets::default(),
        Arc::clone(&context.environment),
    );
    context.environment.spawn(Box::pin(sending));
    charging(service, context.processor)
}

/// The reference's service, which spends on `processor` what its broker examines.
pub(crate) fn charging(service: Service, processor: Processor) -> Answering {
    let answering = answering(service.clone());
    // What the broker has done by itself since the request before is charged to the next one.
    let charged = Arc::new(AtomicU64::new(0));
    Arc::new(move |request| {
        let (answer, service) = (answering(request), service.clone());
        let (charged, processor) = (Arc::clone(&charged), processor.clone());
        Box::pin(async move {
            let answer = answer.await;
            let done = service.work_done().unwrap_or(0);
            let before = charged.fetch_max(done, Ordering::Relaxed);
            processor.spend(done.saturating_sub(before)).await;
            answer
        })
    })
}

/// The reference's service as a node serves it.
pub(crate) fn answering(service: Service) -> Answering {
    tower(service)
}
