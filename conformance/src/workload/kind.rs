//! What a workload is: a few actions that its clients draw from, with a weight for each.

use std::future::Future;
use std::pin::Pin;

use super::{Actor, Settings};
use crate::history::Operation;

/// Something that a client does at a time: one operation, or a few that belong together.
pub type Turn<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// How an action is performed.
pub type Act = for<'a> fn(&'a mut Actor) -> Turn<'a>;

/// One kind of turn.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// What `mix` calls it.
    pub word: &'static str,
    /// How often it is drawn, in relation to the others, unless `mix` says otherwise.
    pub weight: u32,
    /// What is done.
    pub act: Act,
}

/// Where messages are: the tenant (empty if there is only one), and the queue.
pub type Place = (String, String);

/// A workload.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// What its clients do.
    pub actions: &'static [Action],
    /// Makes the default settings its own.
    pub tune: fn(&mut Settings),
    /// Where its messages are, in the order of the drain: a dead-letter queue after its source.
    pub places: fn(&Settings) -> Vec<Place>,
    /// What is done before the clients come.
    pub set_up: fn(&Settings) -> Vec<(String, Operation)>,
}

/// Every workload, in the order of listings.
pub const WORKLOADS: &[Kind] = &[
    super::work_queue::KIND,
    super::claimers::KIND,
    super::observers::KIND,
    super::pop_storm::KIND,
    super::dead_letters::KIND,
    super::delayed::KIND,
    super::batches::KIND,
    super::pub_sub::KIND,
    super::metadata::KIND,
    super::tenants::KIND,
];

/// `queue-0`, `queue-1`, … of the one tenant.
pub(super) fn plain_places(settings: &Settings) -> Vec<Place> {
    let name = |number| (String::new(), format!("queue-{number}"));
    (0..settings.queues).map(name).collect()
}

/// Queues come into being by their first message.
pub(super) fn no_set_up(_: &Settings) -> Vec<(String, Operation)> {
    Vec::new()
}
