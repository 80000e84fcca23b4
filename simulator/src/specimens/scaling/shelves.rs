//! All queues of a server, in memory: each has a lock of its own, which nobody holds while it waits.
//!
//! What a step examines is spent on the node's processor once it is done. A collector comes by now and then and
//! takes away what has expired, where there is something: a queue that is left alone costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nanshe_conformance::environment::Environment;

use super::shelf::{Shelf, steps};
use crate::implementation::NodeContext;
use crate::specimens::steps::Steps;
use crate::specimens::tables::{
    Attributes, Deleted, Granted, Lease, Listed, New, Page, Place, Row, Stats,
};
use crate::world::Processor;

/// How often the collector comes by where it is in time.
pub(super) const IN_TIME: Duration = Duration::from_millis(100);

/// Messages that the collector takes away before it lets others pass.
const COLLECTED_MAX: usize = 256;

/// For how long it lets others pass.
const PASS: Duration = Duration::from_millis(1);

/// The queues of a server. Clones are the same queues.
#[derive(Clone)]
pub(super) struct Shelves {
    catalogue: Arc<Mutex<Catalogue>>,
    /// The rank or the number that was given last.
    serial: Arc<AtomicU64>,
    environment: Arc<dyn Environment>,
    processor: Processor,
}

/// A queue as several share it.
type Shared = Arc<Mutex<Shelf>>;

/// Where the queues are.
#[derive(Default)]
struct Catalogue {
    numbers: BTreeMap<Place, u64>,
    shelves: BTreeMap<u64, Shared>,
    /// When the collector is to come by, and where.
    alarms: BTreeSet<(u64, u64)>,
}

impl Shelves {
    /// No queues yet, and a collector that comes by every `period`.
    pub(super) fn new(context: &NodeContext, period: Duration) -> Self {
        let shelves = Self {
            catalogue: Arc::default(),
            serial: Arc::default(),
            environment: Arc::clone(&context.environment),
            processor: context.processor.clone(),
        };
        let collector = shelves.clone();
        context.environment.spawn(Box::pin(async move {
            loop {
                collector.environment.sleep(period).await;
                while let Some(shelf) = collector.next_due() {
                    collector.collect(&shelf).await;
                }
            }
        }));
        shelves
    }

    /// One step on the queue at `place`, which comes into being by it.
    pub(super) async fn step<T: Send>(
        &self,
        place: &Place,
        step: impl FnOnce(&mut Shelf, u64) -> T + Send,
    ) -> T {
        let (shelf, _) = self.open(place);
        self.carry_out(&shelf, step).await
    }

    /// One step on the queue at `place`; if there is none, on an empty one that nobody sees.
    pub(super) async fn look<T: Send>(
        &self,
        place: &Place,
        step: impl FnOnce(&mut Shelf, u64) -> T + Send,
    ) -> T {
        let shelf = self.find(|catalogue| catalogue.numbers.get(place).copied());
        self.carry_out(&shelf.unwrap_or_default(), step).await
    }

    /// A new claim takes `ranks`, as part of a step.
    pub(super) fn grant(
        &self,
        shelf: &mut Shelf,
        ranks: Vec<u64>,
        lease: Lease,
        now: u64,
    ) -> Granted {
        shelf.grant(self.next(), ranks, lease, now)
    }

    /// A new claim takes the oldest messages that are free, as part of a step.
    pub(super) fn claim_oldest(&self, shelf: &mut Shelf, lease: Lease, now: u64) -> Granted {
        let ranks = shelf.oldest_free(lease.limit, now);
        self.grant(shelf, ranks, lease, now)
    }

    /// Now, in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        self.environment.now().as_nanos()
    }

    async fn carry_out<T: Send>(
        &self,
        shelf: &Shared,
        step: impl FnOnce(&mut Shelf, u64) -> T + Send,
    ) -> T {
        let found = steps(self.lock().numbers.len());
        let (done, examined) = {
            let mut shelf = shelf.lock().expect("no holder of this lock panics");
            let (now, before) = (self.now(), shelf.examined);
            shelf.settle(now);
            let done = step(&mut shelf, now);
            self.set_alarm(&mut shelf);
            (done, shelf.examined - before)
        };
        self.processor.spend(found + examined).await;
        done
    }

    /// A step on the queue of the claim; `None` if there is no such queue.
    async fn step_of_claim<T: Send>(
        &self,
        claim: &str,
        step: impl FnOnce(&mut Shelf, u64) -> T + Send,
    ) -> Option<T> {
        let (_, number) = claim.rsplit_once('-')?;
        let number = number.parse().ok()?;
        let shelf = self.find(|_| Some(number))?;
        Some(self.carry_out(&shelf, step).await)
    }

    fn set_alarm(&self, shelf: &mut Shelf) {
        // An alarm that has lost its cause is found out when it is due.
        if let Some(end) = shelf.next_end()
            && shelf.alarm.is_none_or(|alarm| end < alarm)
        {
            shelf.alarm = Some(end);
            self.lock().alarms.insert((end, shelf.number()));
        }
    }

    /// A queue whose alarm is due.
    fn next_due(&self) -> Option<Shared> {
        let now = self.now();
        let mut catalogue = self.lock();
        while let Some(&(at, number)) = catalogue.alarms.first()
            && at <= now
        {
            catalogue.alarms.pop_first();
            if let Some(shelf) = catalogue.shelves.get(&number) {
                return Some(Arc::clone(shelf));
            }
        }
        None
    }

    /// Takes away what has expired in a queue, and sets its alarm anew.
    async fn collect(&self, shelf: &Shared) {
        let collect = |shelf: &mut Shelf, now| {
            let collected = shelf.collect(now, COLLECTED_MAX);
            if collected < COLLECTED_MAX {
                shelf.alarm = None;
            }
            collected
        };
        while self.carry_out(shelf, collect).await == COLLECTED_MAX {
            self.environment.sleep(PASS).await;
        }
    }

    /// The queue at `place`, and whether it is new.
    fn open(&self, place: &Place) -> (Shared, bool) {
        let mut catalogue = self.lock();
        if let Some(number) = catalogue.numbers.get(place) {
            return (Arc::clone(&catalogue.shelves[number]), false);
        }
        let number = self.next();
        let shelf = Arc::new(Mutex::new(Shelf::new(number)));
        catalogue.numbers.insert(place.clone(), number);
        catalogue.shelves.insert(number, Arc::clone(&shelf));
        (shelf, true)
    }

    fn find(&self, number: impl FnOnce(&Catalogue) -> Option<u64>) -> Option<Shared> {
        let catalogue = self.lock();
        let number = number(&catalogue)?;
        catalogue.shelves.get(&number).map(Arc::clone)
    }

    /// A number that was not given before: greater than all that were.
    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, Catalogue> {
        self.catalogue
            .lock()
            .expect("no holder of this lock panics")
    }
}

impl Steps for Shelves {
    async fn create(&self, place: Place, attributes: Attributes) -> bool {
        let (shelf, is_new) = self.open(&place);
        let describe = |shelf: &mut Shelf, _| {
            if is_new {
                shelf.attributes = attributes;
            }
        };
        self.carry_out(&shelf, describe).await;
        is_new
    }

    async fn describe(&self, place: Place, attributes: Attributes) {
        self.step(&place, |shelf, _| shelf.attributes = attributes)
            .await;
    }

    async fn remove(&self, place: Place) {
        let mut catalogue = self.lock();
        if let Some(number) = catalogue.numbers.remove(&place) {
            catalogue.shelves.remove(&number);
        }
    }

    async fn purge(&self, place: Place) {
        self.look(&place, |shelf, _| shelf.purge()).await;
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        if !batch.iter().all(New::is_valid) {
            return None;
        }
        let insert = |shelf: &mut Shelf, now| {
            let insert = |new| shelf.insert(self.next(), &place, new, now);
            batch.into_iter().map(insert).collect()
        };
        Some(self.step(&place, insert).await)
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        let claim = |shelf: &mut Shelf, now| self.claim_oldest(shelf, lease, now);
        self.look(&place, claim).await
    }

    async fn claimed(&self, claim: String) -> Option<Vec<Row>> {
        let claimed = |shelf: &mut Shelf, _| shelf.claimed(&claim);
        self.step_of_claim(&claim, claimed).await.flatten()
    }

    async fn renew(&self, claim: String, lease: Lease) -> bool {
        let renew = |shelf: &mut Shelf, now| shelf.renew(&claim, lease, now);
        self.step_of_claim(&claim, renew).await.unwrap_or(false)
    }

    async fn release(&self, claim: String) {
        let release = |shelf: &mut Shelf, _| shelf.release(&claim);
        self.step_of_claim(&claim, release).await;
    }

    async fn delete(&self, place: Place, id: String, claim: Option<String>) -> Deleted {
        let delete = |shelf: &mut Shelf, now| shelf.delete(&id, claim.as_deref(), now);
        self.look(&place, delete).await
    }

    async fn delete_all(&self, place: Place, ids: Vec<String>) {
        self.look(&place, |shelf, _| shelf.delete_all(&ids)).await;
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<Row> {
        self.look(&place, |shelf, now| shelf.pop(limit, now)).await
    }

    async fn get(&self, place: Place, ids: Vec<String>) -> Vec<Row> {
        self.look(&place, |shelf, now| shelf.get(&ids, now)).await
    }

    async fn list(&self, place: Place, page: Page) -> Listed {
        self.look(&place, |shelf, now| shelf.list(&page, now)).await
    }

    async fn stats(&self, place: Place) -> Stats {
        self.look(&place, |shelf, now| shelf.stats(now)).await
    }
}
