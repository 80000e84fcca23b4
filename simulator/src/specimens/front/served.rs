//! A work queue behind a pointer. The API in front of it is compiled once, and not once for every specimen: that
//! took a third of the time that this package takes to build.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use super::WorkQueue;
use crate::specimens::steps::Steps;
use crate::specimens::tables::{
    Attributes, Deleted, Granted, Lease, Listed, New, Page, Place, Row, Stats,
};

/// What is being done.
pub(super) type Doing<'q, T> = Pin<Box<dyn Future<Output = T> + Send + 'q>>;

/// Everything that the API asks of a [`WorkQueue`] and its steps.
pub(super) trait Served: Send + Sync {
    fn place(&self, project: &str, queue: &str) -> Place;
    fn post(&self, place: Place, batch: Vec<New>) -> Doing<'_, Option<Vec<String>>>;
    fn try_claim(&self, place: Place, lease: Lease) -> Doing<'_, Option<Granted>>;
    fn claimed(&self, claim: String) -> Doing<'_, Option<Vec<Row>>>;
    fn remove(&self, place: Place) -> Doing<'_, ()>;
    fn renew(&self, claim: String, lease: Lease) -> Doing<'_, bool>;
    fn release(&self, claim: String) -> Doing<'_, ()>;
    fn delete(&self, place: Place, id: String, claim: Option<String>) -> Doing<'_, Deleted>;
    fn pop(&self, place: Place, limit: usize) -> Doing<'_, Vec<Row>>;
    fn get(&self, place: Place, ids: Vec<String>) -> Doing<'_, Vec<Row>>;
    fn list(&self, place: Place, page: Page) -> Doing<'_, Listed>;
    fn stats(&self, place: Place) -> Doing<'_, Stats>;
    fn delete_all(&self, place: Place, ids: Vec<String>) -> Doing<'_, ()>;
    fn purge(&self, place: Place) -> Doing<'_, ()>;
    fn create(&self, place: Place, attributes: Attributes) -> Doing<'_, bool>;
    fn describe(&self, place: Place, attributes: Attributes) -> Doing<'_, ()>;
}

/// A queue, and the steps that it takes.
pub(super) struct Pointed<Q, S>(Q, PhantomData<fn() -> S>);

impl<Q, S> Pointed<Q, S> {
    pub(super) fn to(queue: Q) -> Self {
        Self(queue, PhantomData)
    }
}

impl<S: Steps, Q: WorkQueue<S>> Served for Pointed<Q, S> {
    fn place(&self, project: &str, queue: &str) -> Place {
        self.0.place(project, queue)
    }

    fn post(&self, place: Place, batch: Vec<New>) -> Doing<'_, Option<Vec<String>>> {
        Box::pin(self.0.post(place, batch))
    }

    fn try_claim(&self, place: Place, lease: Lease) -> Doing<'_, Option<Granted>> {
        Box::pin(self.0.try_claim(place, lease))
    }

    fn claimed(&self, claim: String) -> Doing<'_, Option<Vec<Row>>> {
        Box::pin(self.0.claimed(claim))
    }

    fn remove(&self, place: Place) -> Doing<'_, ()> {
        Box::pin(self.0.remove(place))
    }

    fn renew(&self, claim: String, lease: Lease) -> Doing<'_, bool> {
        Box::pin(self.0.renew(claim, lease))
    }

    fn release(&self, claim: String) -> Doing<'_, ()> {
        Box::pin(self.0.release(claim))
    }

    fn delete(&self, place: Place, id: String, claim: Option<String>) -> Doing<'_, Deleted> {
        Box::pin(self.0.delete(place, id, claim))
    }

    fn pop(&self, place: Place, limit: usize) -> Doing<'_, Vec<Row>> {
        Box::pin(self.0.pop(place, limit))
    }

    fn get(&self, place: Place, ids: Vec<String>) -> Doing<'_, Vec<Row>> {
        Box::pin(self.0.get(place, ids))
    }

    fn list(&self, place: Place, page: Page) -> Doing<'_, Listed> {
        Box::pin(self.0.list(place, page))
    }

    fn stats(&self, place: Place) -> Doing<'_, Stats> {
        Box::pin(self.0.stats(place))
    }

    fn delete_all(&self, place: Place, ids: Vec<String>) -> Doing<'_, ()> {
        Box::pin(self.0.store().delete_all(place, ids))
    }

    fn purge(&self, place: Place) -> Doing<'_, ()> {
        Box::pin(self.0.store().purge(place))
    }

    fn create(&self, place: Place, attributes: Attributes) -> Doing<'_, bool> {
        Box::pin(self.0.store().create(place, attributes))
    }

    fn describe(&self, place: Place, attributes: Attributes) -> Doing<'_, ()> {
        Box::pin(self.0.store().describe(place, attributes))
    }
}
