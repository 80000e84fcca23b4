//! What every experiment needs: the target, clients of it, and somewhere to write down what they did.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::sync::oneshot;

use super::bounds::Bounds;
use super::judge::Judge;
use super::options::Options;
use super::sample::Sample;
use crate::environment::{Instant, World};
use crate::history::{Answer, Header, Operation, Posted, QueueSettings, Recorder};
use crate::target::{Endpoint, Session};
use crate::workload::Process;

/// Counts what the implementation examined so far, where that can be seen.
pub type Examined = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The target, and how it is asked.
#[derive(Clone)]
pub struct Place {
    /// The world that the clients live in.
    pub world: World,
    /// Where the target is.
    pub endpoint: Endpoint,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// By whose tokens clients ask, if there is a login.
    pub session: Option<Arc<Session>>,
    /// Counts what the implementation examined so far, where that can be seen.
    pub examined: Option<Examined>,
    /// Whether time is virtual.
    pub is_virtual: bool,
    /// Stores for new pools; one with `{}` in it stands for as many as are needed, by number: what comes of it may be
    /// the number of a database. Those that a pool of the target has already are passed over.
    pub pool_uris: Vec<String>,
    /// Set as soon as the run should end: what was grown is removed then, and what was measured is judged.
    pub stop: Arc<AtomicBool>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Why a ladder ends before its top.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fell(pub(super) String);

impl Fell {
    fn stopped() -> Self {
        Self("the run was stopped".to_owned())
    }
}

/// The target, its clients, and the history of what they did.
pub(super) struct Rig {
    pub(super) place: Place,
    pub(super) options: Options,
    pub(super) judge: Judge,
    pub(super) recorder: Arc<Recorder>,
    pub(super) header: Header,
    unheard: Arc<Recorder>,
    processes: AtomicU64,
}

impl Rig {
    pub(super) fn new(
        place: Place,
        (options, bounds): (Options, Bounds),
        header: &Header,
    ) -> Arc<Self> {
        Arc::new(Self {
            place,
            judge: Judge {
                bounds,
                seed: options.seed,
            },
            options,
            recorder: Recorder::new(header.clone()),
            header: header.clone(),
            unheard: Recorder::new(header.clone()),
            processes: AtomicU64::new(0),
        })
    }

    /// A source of choices for what is called `what`.
    pub(super) fn random(&self, what: &str) -> ChaCha8Rng {
        self.judge.random(what)
    }

    /// A new client, as the tenant `project` of this run.
    pub(super) fn client(self: &Arc<Self>, project: &str) -> Client {
        self.client_into(project, &self.recorder)
    }

    /// A client whose operations are in no history: it reads what others have read.
    pub(super) fn unheard_client(self: &Arc<Self>, project: &str) -> Client {
        self.client_into(project, &self.unheard)
    }

    /// A client whose operations are in a history of their own.
    pub(super) fn client_into(self: &Arc<Self>, project: &str, recorder: &Arc<Recorder>) -> Client {
        let number = self.processes.fetch_add(1, Ordering::Relaxed) + 1;
        let Place {
            world,
            endpoint,
            patience,
            session,
            ..
        } = self.place.clone();
        let process = Process::new(world, (endpoint, patience), (Arc::clone(recorder), number));
        let process = process.logged_in(session);
        let process = process.in_realm(&self.options.realm).in_project(project);
        Client {
            rig: Arc::clone(self),
            process,
            serial: 0,
            timed: None,
            held: Duration::ZERO,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.place.world.now()
    }

    /// Whether the run should end.
    pub(super) fn is_stopped(&self) -> bool {
        self.place.stop.load(Ordering::Relaxed)
    }

    pub(super) async fn sleep(&self, span: Duration) {
        self.place.world.sleep(span).await;
    }

    /// Sleeps until `span` is over, or the run should end.
    pub(super) async fn sleep_unless_stopped(&self, span: Duration) {
        let until = self.now().plus(span);
        while !self.is_stopped() && self.now() < until {
            self.sleep(until.since(self.now()).min(LOOK)).await;
        }
    }

    /// Runs `tasks` beside each other; what they come to, in their order.
    pub(super) async fn all<T: Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let begun: Vec<oneshot::Receiver<T>> = tasks
            .into_iter()
            .map(|task| {
                let (done, result) = oneshot::channel();
                self.place.world.spawn(Box::pin(async move {
                    // Who does not wait any more does not want it.
                    drop(done.send(task.await));
                }));
                result
            })
            .collect();
        let mut results = Vec::new();
        for result in begun {
            // A task that panicked has no result; the panic was told.
            results.extend(result.await);
        }
        results
    }

    /// Does something for every number below `count`, by a few clients of the tenant `project` beside each other.
    pub(super) async fn side_by_side<F>(
        self: &Arc<Self>,
        project: &str,
        count: u64,
        act: impl Fn(Client, u64) -> F + Clone + Send + Sync + 'static,
    ) -> Result<(), Fell>
    where
        F: Future<Output = Result<Client, Fell>> + Send,
    {
        let hands = (0..HANDS).map(|hand| {
            let (mut client, act) = (self.client(project), act.clone());
            async move {
                for number in (hand..count).step_by(usize::try_from(HANDS).unwrap_or(1)) {
                    client = act(client, number).await?;
                }
                Ok(())
            }
        });
        self.all(hands).await.into_iter().collect()
    }

    /// Makes so many claims of a message each that nobody ends.
    pub(super) async fn hold(
        self: &Arc<Self>,
        project: &str,
        queue: &'static str,
        claims: u64,
    ) -> Result<(), Fell> {
        self.side_by_side(project, claims, move |mut client, _| async move {
            if client.rig.is_stopped() {
                return Err(Fell::stopped());
            }
            let claimed = client.claim(queue, 1).await;
            let holds = claimed.is_some_and(|(_, ids)| !ids.is_empty());
            let fell = || Fell("a claim was refused, or came back empty".to_owned());
            holds.then_some(client).ok_or_else(fell)
        })
        .await
    }
}

/// A client that can take its own time.
pub(super) struct Client {
    pub(super) rig: Arc<Rig>,
    process: Process,
    serial: u64,
    timed: Option<Timed>,
    held: Duration,
}

/// What a client measured, one operation after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Timed {
    pub(super) all: Vec<Took>,
}

/// One operation.
#[derive(Clone, Debug)]
pub(super) struct Took {
    pub(super) name: &'static str,
    pub(super) latency: Duration,
    /// Whether it was done.
    pub(super) done: bool,
    /// What was examined for it.
    pub(super) examined: u64,
    pub(super) ended_at: Instant,
}

/// Clients that grow something beside each other.
const HANDS: u64 = 4;

/// Times that something is tried before the target is held to have fallen over.
const TRIES: u32 = 3;

/// How often a long sleep looks whether the run should end.
const LOOK: Duration = Duration::from_millis(200);

/// How long a try waits for the next.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Messages in one post of many.
pub(super) const BATCH: u64 = 500;

impl Client {
    /// Measures from now on.
    pub(super) fn take_time(&mut self) {
        self.timed = Some(Timed::default());
    }

    /// Its hands.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// What was measured.
    pub(super) fn timed(&mut self) -> Timed {
        self.timed.take().unwrap_or_default()
    }

    /// How long it has held what it claimed, all in all: time that it did not wait for the target.
    pub(super) fn held(&self) -> Duration {
        self.held
    }

    /// Asks for `operation`; the answer, if it was done.
    pub(super) async fn ask(&mut self, name: &'static str, operation: Operation) -> Option<Answer> {
        let examined = self.rig.place.examined.clone();
        let before = examined.as_ref().map_or(0, |examined| examined());
        let begun = self.rig.now();
        let answer = self.process.perform(operation).await;
        let ended_at = self.rig.now();
        let looked_at = examined.map_or(0, |examined| examined().saturating_sub(before));
        if let Some(timed) = &mut self.timed {
            timed.all.push(Took {
                name,
                latency: ended_at.since(begun),
                done: answer.is_some(),
                examined: looked_at,
                ended_at,
            });
        }
        answer
    }

    /// Does `operation`, tried a few times if need be. It posts nothing: a message is posted once.
    pub(super) async fn insist(&mut self, operation: Operation) -> Result<Answer, Fell> {
        self.insist_on(|_| operation.clone()).await
    }

    /// Does what `make` makes anew for every try.
    async fn insist_on(
        &mut self,
        make: impl Fn(&mut Self) -> Operation + Send,
    ) -> Result<Answer, Fell> {
        let mut queue = String::new();
        for _ in 0..TRIES {
            if self.rig.is_stopped() {
                return Err(Fell::stopped());
            }
            let operation = make(self);
            operation.queue().clone_into(&mut queue);
            if let Some(answer) = self.process.perform(operation).await {
                return Ok(answer);
            }
            self.rig.sleep(BETWEEN_TRIES).await;
        }
        Err(Fell(format!("`{queue}` was refused {TRIES} times")))
    }

    /// Creates a queue.
    pub(super) async fn create(&mut self, queue: String) -> Result<(), Fell> {
        let settings = QueueSettings::default();
        self.insist(Operation::create_queue(queue, settings))
            .await
            .map(drop)
    }

    /// New messages.
    pub(super) fn messages(&mut self, count: u64, ttl_secs: u64) -> Vec<Posted> {
        let number = self.process.number();
        let mut message = || {
            self.serial += 1;
            Posted::new(format!("m{number}-{}", self.serial), ttl_secs)
        };
        (0..count).map(|_| message()).collect()
    }

    /// A walk of its own.
    pub(super) fn chain(&mut self) -> u64 {
        self.serial += 1;
        (self.process.number() << 32) | self.serial
    }

    /// Posts one message.
    pub(super) async fn post(&mut self, queue: &str, content: Option<&str>) -> bool {
        let ttl_secs = self.rig.options.message_ttl_secs;
        let mut messages = self.messages(1, ttl_secs);
        for message in &mut messages {
            message.body = content.map(str::to_owned);
        }
        let queue = queue.to_owned();
        let post = Operation::Post { queue, messages };
        self.ask("post", post).await.is_some()
    }

    /// Posts `count` messages in batches.
    pub(super) async fn fill(
        &mut self,
        queue: &str,
        count: u64,
        ttl_secs: u64,
    ) -> Result<(), Fell> {
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            // Others each time: nobody knows of those that were not answered whether they are there.
            self.insist_on(|client| {
                let (messages, queue) = (client.messages(batch, ttl_secs), queue.to_owned());
                Operation::Post { queue, messages }
            })
            .await?;
        }
        Ok(())
    }

    /// Claims up to `limit` messages: the claim and what it holds. `None` if it was refused; an empty name if
    /// there was nothing.
    pub(super) async fn claim(&mut self, queue: &str, limit: u64) -> Option<(String, Vec<String>)> {
        let claim = Operation::Claim {
            queue: queue.to_owned(),
            limit,
            ttl_secs: self.rig.options.claim_ttl_secs,
            grace_secs: self.rig.options.claim_ttl_secs,
        };
        let answer = self.ask("claim", claim).await?;
        let ids = answer.seen().iter().map(|seen| seen.id.clone()).collect();
        let Answer::Claim { claim, .. } = answer else {
            return None;
        };
        Some((claim.unwrap_or_default(), ids))
    }

    /// Claims up to `limit` messages, deletes them under the claim and ends it. Whether all of it was done.
    pub(super) async fn consume(&mut self, queue: &str, limit: u64, held: Duration) -> bool {
        let Some((claim, ids)) = self.claim(queue, limit).await else {
            return false;
        };
        if claim.is_empty() {
            return true;
        }
        if !held.is_zero() {
            let begun = self.rig.now();
            self.rig.sleep(held).await;
            self.held += self.rig.now().since(begun);
        }
        let mut done = true;
        for message in ids {
            let (queue, claim) = (queue.to_owned(), Some(claim.clone()));
            let delete = Operation::Delete {
                queue,
                message,
                claim,
            };
            done &= self.ask("delete", delete).await.is_some();
        }
        let queue = queue.to_owned();
        let release = Operation::Release { queue, claim };
        done & self.ask("release", release).await.is_some()
    }

    /// Reads a page.
    pub(super) async fn page(
        &mut self,
        queue: &str,
        (chain, marker): (u64, Option<String>),
        limit: u64,
    ) -> Option<Answer> {
        let list = Operation::List {
            queue: queue.to_owned(),
            chain,
            marker,
            limit,
            echo: true,
            include_claimed: false,
            include_delayed: false,
        };
        self.ask("list", list).await
    }

    /// Removes a queue and all that is in it, measured or not.
    pub(super) async fn remove(&mut self, queue: &str) {
        let queue = queue.to_owned();
        // What cannot be removed is left: nothing follows from it.
        self.process.perform(Operation::DeleteQueue { queue }).await;
    }
}

impl Timed {
    /// All latencies of the operations called `name`, or of all if it is `None`.
    pub(super) fn sample(&self, name: Option<&str>) -> Sample {
        let mut sample = Sample::default();
        for took in &self.all {
            if name.is_none_or(|name| name == took.name) {
                sample.add(took.latency, took.done);
            }
        }
        sample
    }
}
