//! Flavors: what can be asked about them, what is answered, and how they come and go. Zaqar v2,
//! Flavors. They belong to the service, as in Zaqar's Redis driver, and not to a project, as in
//! its Mongo driver: the pools that they name do so too.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::FLAVORS_MAX;
use super::output::Output;
use super::pools::{CatalogueListing, PoolName};
use super::queue::is_name;
use super::slab::Slot;
use super::{Broker, BrokerError};

/// The name of a flavor: 1 to 64 characters from `A-Z a-z 0-9 _ - .`, as of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlavorName(Arc<str>);

impl FlavorName {
    /// Reads a name; `None` if it is no name of a flavor.
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

impl std::borrow::Borrow<str> for FlavorName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A request about flavors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlavorInput {
    /// A page of flavors.
    List(CatalogueListing),
    /// Makes the flavor consist of these pools, and adds it if need be.
    Put(FlavorName, Vec<PoolName>),
    /// One flavor.
    Read(FlavorName),
    /// Makes a flavor that there is consist of these pools.
    Update(FlavorName, Vec<PoolName>),
    /// Removes a flavor. Its pools are of none then.
    Delete(FlavorName),
}

/// What came of a request about flavors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlavorOutput {
    /// Flavors in order of their names, and what was asked.
    Page(CatalogueListing, Vec<FlavorView>),
    /// The flavor is as it was asked to be.
    Put(FlavorName),
    /// A flavor, as it is now.
    One(FlavorView),
    /// The flavor does not exist, whether it did or not.
    Deleted,
}

/// A flavor as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlavorView {
    /// Its name.
    pub name: FlavorName,
    /// The names of its pools, in order.
    pub pools: Vec<PoolName>,
}

impl Broker {
    pub(super) fn handle_flavors(&mut self, input: FlavorInput) -> Result<Output, BrokerError> {
        let output = match input {
            FlavorInput::List(listing) => {
                let flavors = self.catalogue.flavors().range::<str, _>(listing.range());
                let flavors = flavors.take(listing.limit);
                let flavors = flavors.map(|name| self.flavor_view(name)).collect();
                FlavorOutput::Page(listing, flavors)
            }
            FlavorInput::Put(name, pools) => {
                let pools = self.pools_named(&pools)?;
                let flavors = self.catalogue.flavors();
                if flavors.len() >= FLAVORS_MAX && !flavors.contains(&name) {
                    return Err(BrokerError::CatalogueIsFull { max: FLAVORS_MAX });
                }
                self.catalogue.insert_flavor(name.clone());
                self.set_pools(&name, &pools);
                FlavorOutput::Put(name)
            }
            FlavorInput::Read(name) => {
                self.check_flavor(&name)?;
                FlavorOutput::One(self.flavor_view(&name))
            }
            FlavorInput::Update(name, pools) => {
                self.check_flavor(&name)?;
                let pools = self.pools_named(&pools)?;
                self.set_pools(&name, &pools);
                FlavorOutput::One(self.flavor_view(&name))
            }
            FlavorInput::Delete(name) => {
                // Pools may carry the name without such a flavor, and keep it then.
                if self.catalogue.has_flavor(&name) {
                    self.set_pools(&name, &[]);
                    self.catalogue.remove_flavor(&name);
                }
                FlavorOutput::Deleted
            }
        };
        Ok(Output::Flavors(output))
    }

    /// Makes exactly these pools carry the flavor. One that carried another leaves that one.
    fn set_pools(&mut self, name: &FlavorName, pools: &[Slot]) {
        let old: Vec<Slot> = self.catalogue.members_of(Some(name)).collect();
        for slot in old {
            self.catalogue.set_flavor(slot, None);
        }
        for &slot in pools {
            self.catalogue.set_flavor(slot, Some(name.clone()));
        }
    }

    fn pools_named(&self, names: &[PoolName]) -> Result<Vec<Slot>, BrokerError> {
        let slots = names.iter().map(|name| self.catalogue.find(name));
        let slots: Option<Vec<Slot>> = slots.collect();
        slots.ok_or(BrokerError::PoolIsUnknown)
    }

    fn check_flavor(&self, name: &FlavorName) -> Result<(), BrokerError> {
        let known = self.catalogue.has_flavor(name);
        known.then_some(()).ok_or(BrokerError::FlavorDoesNotExist)
    }

    fn flavor_view(&self, name: &FlavorName) -> FlavorView {
        let pools = self.catalogue.members_of(Some(name));
        FlavorView {
            name: name.clone(),
            pools: pools
                .map(|slot| self.catalogue.pool(slot).name.clone())
                .collect(),
        }
    }
}
