//! What can be done to queues, messages and claims, each as one atomic step; a store does it, and a specimen
//! does some of it in its own way.

use std::future::Future;

use super::store::Store;
use super::tables::{
    Attributes, Deleted, Granted, Lease, Listed, New, Page, Place, Row, Stats, Tables,
};

/// Where queues are kept. Every operation is one atomic step, and right.
pub(super) trait Steps: Send + Sync + 'static {
    /// Whether the queue is new.
    fn create(&self, place: Place, attributes: Attributes) -> impl Future<Output = bool> + Send;

    fn describe(&self, place: Place, attributes: Attributes) -> impl Future<Output = ()> + Send;

    /// The queue goes, and what is in it.
    fn remove(&self, place: Place) -> impl Future<Output = ()> + Send;

    fn purge(&self, place: Place) -> impl Future<Output = ()> + Send;

    /// The identifiers, or `None` if a message of the batch is not valid.
    fn post(
        &self,
        place: Place,
        batch: Vec<New>,
    ) -> impl Future<Output = Option<Vec<String>>> + Send;

    fn claim(&self, place: Place, lease: Lease) -> impl Future<Output = Granted> + Send;

    fn claimed(&self, claim: String) -> impl Future<Output = Option<Vec<Row>>> + Send;

    fn renew(&self, claim: String, lease: Lease) -> impl Future<Output = bool> + Send;

    fn release(&self, claim: String) -> impl Future<Output = ()> + Send;

    fn delete(
        &self,
        place: Place,
        id: String,
        claim: Option<String>,
    ) -> impl Future<Output = Deleted> + Send;

    fn delete_all(&self, place: Place, ids: Vec<String>) -> impl Future<Output = ()> + Send;

    fn pop(&self, place: Place, limit: usize) -> impl Future<Output = Vec<Row>> + Send;

    fn get(&self, place: Place, ids: Vec<String>) -> impl Future<Output = Vec<Row>> + Send;

    fn list(&self, place: Place, page: Page) -> impl Future<Output = Listed> + Send;

    fn stats(&self, place: Place) -> impl Future<Output = Stats> + Send;
}

impl Steps for Store {
    async fn create(&self, place: Place, attributes: Attributes) -> bool {
        self.transact(move |tables, _| {
            let is_new = !tables.queues.contains_key(&place);
            tables.queues.entry(place).or_insert(attributes);
            is_new
        })
        .await
    }

    async fn describe(&self, place: Place, attributes: Attributes) {
        self.transact(move |tables, _| tables.queues.insert(place, attributes))
            .await;
    }

    async fn remove(&self, place: Place) {
        self.transact(|tables, _| {
            tables.purge(&place);
            tables.queues.remove(&place);
        })
        .await;
    }

    async fn purge(&self, place: Place) {
        self.transact(|tables, _| tables.purge(&place)).await;
    }

    async fn post(&self, place: Place, batch: Vec<New>) -> Option<Vec<String>> {
        self.transact(move |tables, now| {
            let valid = batch.iter().all(New::is_valid);
            let insert = |new| tables.insert(&place, new, now);
            valid.then(|| batch.into_iter().map(insert).collect())
        })
        .await
    }

    async fn claim(&self, place: Place, lease: Lease) -> Granted {
        self.transact(move |tables, now| tables.claim(&place, lease, now))
            .await
    }

    async fn claimed(&self, claim: String) -> Option<Vec<Row>> {
        self.transact(move |tables, now| tables.claimed(&claim, now))
            .await
    }

    async fn renew(&self, claim: String, lease: Lease) -> bool {
        self.transact(move |tables, now| tables.renew(&claim, lease, now))
            .await
    }

    async fn release(&self, claim: String) {
        self.transact(move |tables, _| tables.release(&claim)).await;
    }

    async fn delete(&self, place: Place, id: String, claim: Option<String>) -> Deleted {
        self.transact(move |tables, now| tables.delete(&place, &id, claim.as_deref(), now))
            .await
    }

    async fn delete_all(&self, place: Place, ids: Vec<String>) {
        self.transact(|tables: &mut Tables, _| {
            let is_named = |row: &Row| row.place == place && ids.contains(&row.id);
            tables.rows.retain(|_, row| !is_named(row));
        })
        .await;
    }

    async fn pop(&self, place: Place, limit: usize) -> Vec<Row> {
        self.transact(move |tables, now| tables.pop(&place, limit, now))
            .await
    }

    async fn get(&self, place: Place, ids: Vec<String>) -> Vec<Row> {
        self.transact(move |tables, now| tables.get(&place, &ids, now))
            .await
    }

    async fn list(&self, place: Place, page: Page) -> Listed {
        self.transact(move |tables, now| tables.list(&place, &page, now))
            .await
    }

    async fn stats(&self, place: Place) -> Stats {
        self.transact(move |tables, now| tables.stats(&place, now))
            .await
    }
}
