//! Pools: what can be asked about them, what is answered, and how they come and go. Zaqar v2,
//! Pools. Pools belong to the service and not to a project.

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::Pool;
use super::flavors::FlavorName;
use super::json_text::JsonText;
use super::limits::POOLS_MAX;
use super::output::Output;
use super::queue::{QueueName, is_name};
use super::slab::Slot;
use super::{Broker, BrokerError};

/// The name of a pool: 1 to 64 characters from `A-Z a-z 0-9 _ - .`, as of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PoolName(Arc<str>);

impl PoolName {
    /// Reads a name; `None` if it is no name of a pool.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(Arc::from(text)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for PoolName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A request about pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolInput {
    /// A page of pools.
    List(CatalogueListing),
    /// Adds a pool, or says anew what an old one is. Its queues stay in it.
    Put(PoolName, NewPool),
    /// One pool.
    Read {
        /// The pool.
        pool: PoolName,
        /// Whether to show its options.
        detailed: bool,
    },
    /// Changes a pool: all that is given, or nothing.
    Update(PoolName, PoolUpdate),
    /// Removes a pool that has no queues.
    Delete(PoolName),
    /// Moves queues of a pool without weight to others.
    Drain {
        /// The pool.
        pool: PoolName,
        /// How many queues, at most.
        limit: usize,
    },
    /// Creates a queue in this pool whatever its weight, to try out the pool. No request on the
    /// wire does this: a client cannot choose.
    Probe {
        /// The pool.
        pool: PoolName,
        /// The queue, which does not exist.
        queue: QueueName,
    },
}

/// What came of a request about pools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolOutput {
    /// Pools in order of their names, and what was asked.
    Page(CatalogueListing, Vec<PoolView>),
    /// The pool is as it was asked to be.
    Put(PoolName),
    /// A pool.
    One(PoolView),
    /// A pool, as it is now.
    Updated(PoolView),
    /// The pool does not exist, whether it did or not.
    Deleted,
    /// Queues were moved.
    Drained {
        /// How many.
        moved: usize,
        /// How many are still in the pool.
        left: usize,
    },
}

/// Which pools or flavors a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueListing {
    /// Only names greater than this one.
    pub marker: Option<String>,
    /// How many, at most.
    pub limit: usize,
    /// Whether to show the options of pools, and the capabilities of flavors.
    pub detailed: bool,
}

impl CatalogueListing {
    /// The names that it asks for, as a range.
    pub(super) fn range(&self) -> (Bound<&str>, Bound<&str>) {
        let marker = self.marker.as_deref();
        (
            marker.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        )
    }
}

/// What a pool is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPool {
    /// Where its store is said to be. Nobody connects to it: the store is memory of this process.
    pub uri: Arc<str>,
    /// How likely it is to get a queue, in proportion to the weights of others; 0: it gets none.
    pub weight: u32,
    /// The flavor that it is one of.
    pub flavor: Option<FlavorName>,
    /// A JSON object for its store, which has no options.
    pub options: JsonText,
}

/// What changes about a pool. `None`: this does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolUpdate {
    /// Where its store is said to be.
    pub uri: Option<Arc<str>>,
    /// How likely it is to get a queue.
    pub weight: Option<u32>,
    /// The flavor that it is one of; `Some(None)`: of none.
    pub flavor: Option<Option<FlavorName>>,
    /// A JSON object for its store.
    pub options: Option<JsonText>,
}

/// A pool as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolView {
    /// Its name.
    pub name: PoolName,
    /// Where its store is said to be.
    pub uri: Arc<str>,
    /// How likely it is to get a queue.
    pub weight: u32,
    /// The flavor that it is one of.
    pub flavor: Option<FlavorName>,
    /// Its options, if that was asked.
    pub options: Option<JsonText>,
}

impl PoolView {
    fn new(pool: &Pool, detailed: bool) -> Self {
        Self {
            name: pool.name.clone(),
            uri: Arc::clone(&pool.uri),
            weight: pool.weight,
            flavor: pool.flavor.clone(),
            options: detailed.then(|| pool.options.clone()),
        }
    }
}

impl Broker {
    /// The names of all pools, in order.
    #[must_use]
    pub fn pool_names(&self) -> Vec<PoolName> {
        self.catalogue.pools().keys().cloned().collect()
    }

    /// Whether there is a pool of this name.
    #[must_use]
    pub fn has_pool(&self, name: &PoolName) -> bool {
        self.catalogue.find(name).is_some()
    }

    pub(super) fn handle_pools(
        &mut self,
        caller: &super::Caller,
        input: PoolInput,
    ) -> Result<Output, BrokerError> {
        let output = match input {
            PoolInput::List(listing) => self.list_pools(listing),
            PoolInput::Put(name, new) => self.put_pool(name, new)?,
            PoolInput::Read { pool, detailed } => {
                let slot = self.known_pool(&pool)?;
                PoolOutput::One(PoolView::new(self.catalogue.pool(slot), detailed))
            }
            PoolInput::Update(name, update) => self.update_pool(&name, update)?,
            PoolInput::Delete(name) => self.delete_pool(&name)?,
            PoolInput::Drain { pool, limit } => self.drain_pool(&pool, limit)?,
            PoolInput::Probe { pool, queue } => {
                let slot = self.known_pool(&pool)?;
                return Ok(self.create_probe(&caller.project, queue, slot));
            }
        };
        Ok(Output::Pools(output))
    }

    fn list_pools(&self, listing: CatalogueListing) -> PoolOutput {
        let pools = self.catalogue.pools().range::<str, _>(listing.range());
        let pools = pools.take(listing.limit);
        let view = |slot: &Slot| PoolView::new(self.catalogue.pool(*slot), listing.detailed);
        let pools = pools.map(|(_, slot)| view(slot)).collect();
        PoolOutput::Page(listing, pools)
    }

    fn put_pool(&mut self, name: PoolName, new: NewPool) -> Result<PoolOutput, BrokerError> {
        let known = self.catalogue.find(&name);
        self.check_uri(&new.uri, known)?;
        if known.is_none() && self.catalogue.pools().len() >= POOLS_MAX {
            return Err(BrokerError::CatalogueIsFull { max: POOLS_MAX });
        }
        let slot = known.unwrap_or_else(|| {
            let (uri, options) = (Arc::clone(&new.uri), new.options.clone());
            self.catalogue.insert(name.clone(), uri, options)
        });
        let update = PoolUpdate {
            uri: Some(new.uri),
            weight: Some(new.weight),
            flavor: Some(new.flavor),
            options: Some(new.options),
        };
        self.change_pool(slot, update);
        Ok(PoolOutput::Put(name))
    }

    fn update_pool(
        &mut self,
        name: &PoolName,
        update: PoolUpdate,
    ) -> Result<PoolOutput, BrokerError> {
        let slot = self.known_pool(name)?;
        if let Some(uri) = &update.uri {
            self.check_uri(uri, Some(slot))?;
        }
        self.change_pool(slot, update);
        let view = PoolView::new(self.catalogue.pool(slot), false);
        Ok(PoolOutput::Updated(view))
    }

    /// Zaqar removes a pool with queues in it, and the queues are lost. Here this is refused, as
    /// is what would leave a flavor without pools.
    fn delete_pool(&mut self, name: &PoolName) -> Result<PoolOutput, BrokerError> {
        let Some(slot) = self.catalogue.find(name) else {
            return Ok(PoolOutput::Deleted);
        };
        let pool = self.catalogue.pool(slot);
        let queues = pool.queue_count();
        if queues > 0 {
            return Err(BrokerError::PoolHasQueues { queues });
        }
        let flavor = pool.flavor.as_ref();
        let flavor = flavor.filter(|flavor| self.catalogue.has_flavor(flavor));
        if flavor.is_some() && self.catalogue.members_of(flavor).nth(1).is_none() {
            return Err(BrokerError::PoolIsLastOfFlavor);
        }
        self.catalogue.remove(slot);
        Ok(PoolOutput::Deleted)
    }

    fn change_pool(&mut self, slot: Slot, update: PoolUpdate) {
        if let Some(uri) = update.uri {
            self.catalogue.set_uri(slot, uri);
        }
        if let Some(weight) = update.weight {
            self.catalogue.set_weight(slot, weight);
        }
        if let Some(flavor) = update.flavor {
            self.catalogue.set_flavor(slot, flavor);
        }
        if let Some(options) = update.options {
            self.catalogue.set_options(slot, options);
        }
    }

    /// No two pools are one store.
    fn check_uri(&self, uri: &str, own: Option<Slot>) -> Result<(), BrokerError> {
        match self.catalogue.find_uri(uri) {
            Some(taken) if own != Some(taken) => Err(BrokerError::UriIsTaken),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn known_pool(&self, name: &PoolName) -> Result<Slot, BrokerError> {
        let slot = self.catalogue.find(name);
        slot.ok_or(BrokerError::PoolDoesNotExist)
    }
}
