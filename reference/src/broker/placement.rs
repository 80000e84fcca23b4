//! Placement: which pool a queue is created in, and the one way by which it leaves it. Zaqar v2,
//! Placement and G18: weights steer only the queues created from then on, and no queue is ever in
//! two pools.
//!
//! ```text
//!               put, or first post or subscription            deleted
//!  (no queue) ────────────────────────────────────► In a pool ────────► (no queue)
//!                                                    │     ▲
//!                                                    └─────┘ pool drained
//! ```
//!
//! Zaqar has no way to empty a pool without losing its queues. Here an operator sets the weight to
//! 0, drains the pool until nothing is left, and removes it. A drained queue goes where a new queue
//! of its flavor would go. It moves in one step, between two inputs, with all that is in it, so
//! nobody can tell.

use super::attributes::Metadata;
use super::catalogue::Seat;
use super::flavors::FlavorName;
use super::input::Project;
use super::limits::{PoolingRule, VirtualPoolRule};
use super::output::Output;
use super::pools::{PoolName, PoolOutput};
use super::queue::QueueName;
use super::slab::Slot;
use super::{Broker, BrokerError};

/// The member of the metadata that names the flavor of a queue.
const FLAVOR: &str = "_flavor";

impl Broker {
    /// The flavor that a queue with this metadata asks for. Without pools the member means
    /// nothing, and is not looked at.
    pub(super) fn requested_flavor(
        &self,
        metadata: &Metadata,
    ) -> Result<Option<FlavorName>, BrokerError> {
        let value = metadata.get(FLAVOR).filter(|value| !value.is_null());
        match (value, self.limits.pooling_rule) {
            (None, _) | (_, PoolingRule::OneStore) => Ok(None),
            (Some(value), PoolingRule::Pools) => {
                let name = value.as_string();
                let name = name.and_then(|name| FlavorName::parse(&name));
                let name = name.filter(|name| self.catalogue.has_flavor(name));
                name.map(Some).ok_or(BrokerError::FlavorIsUnknown)
            }
        }
    }

    /// A patch may name a flavor only if there is one; but a flavor that went away after the queue
    /// was created does not stand in the way of other patches.
    pub(super) fn check_flavor_change(
        &self,
        old: &Metadata,
        new: &Metadata,
    ) -> Result<(), BrokerError> {
        if old.get(FLAVOR) == new.get(FLAVOR) {
            return Ok(());
        }
        self.requested_flavor(new).map(drop)
    }

    /// Where a new queue is to be; `None`: in the one store, which is no pool.
    pub(super) fn draw_seat(
        &mut self,
        flavor: Option<FlavorName>,
    ) -> Result<Option<Seat>, BrokerError> {
        if self.limits.pooling_rule == PoolingRule::OneStore {
            return Ok(None);
        }
        let candidates = self.catalogue.candidates(flavor.as_ref());
        match (
            self.catalogue.draw(&candidates),
            self.limits.virtual_pool_rule,
        ) {
            (Some(pool), _) => Ok(Some(Seat { pool, flavor })),
            (None, VirtualPoolRule::Enabled) => Ok(None),
            (None, VirtualPoolRule::Disabled) => Err(BrokerError::NoPoolForQueue),
        }
    }

    pub(super) fn create_probe(
        &mut self,
        project: &Project,
        queue: QueueName,
        pool: Slot,
    ) -> Output {
        if self.find_queue(project, &queue).is_some() {
            return Output::QueueExists { queue };
        }
        let seat = Seat { pool, flavor: None };
        self.insert_queue(project, &queue, Some(seat));
        Output::QueueCreated { queue }
    }

    /// Moves at most `limit` queues, whatever is in them: the work does not depend on it. Queues
    /// whose flavor has no other pool stay.
    pub(super) fn drain_pool(
        &mut self,
        name: &PoolName,
        limit: usize,
    ) -> Result<PoolOutput, BrokerError> {
        let source = self.known_pool(name)?;
        if self.catalogue.pool(source).weight > 0 {
            return Err(BrokerError::PoolHasWeight);
        }
        // The candidates never include the source, for it has no weight.
        let (mut moved, mut last) = (0, None);
        while moved < limit
            && let Some(group) = self.catalogue.pool(source).next_group(last.as_ref())
        {
            moved += self.drain_group(source, &group, limit - moved);
            last = Some(group);
        }
        let left = self.catalogue.pool(source).queue_count();
        if moved == 0 && left > 0 {
            return Err(BrokerError::NoPoolForQueuesLeft { queues: left });
        }
        Ok(PoolOutput::Drained { moved, left })
    }

    /// Moves at most `limit` of the queues that were created with this flavor. If it is gone by
    /// now, they are queues without one, as its pools are pools without one.
    fn drain_group(&mut self, source: Slot, group: &Option<FlavorName>, limit: usize) -> usize {
        let flavor = group.as_ref();
        let flavor = flavor.filter(|flavor| self.catalogue.has_flavor(flavor));
        let candidates = self.catalogue.candidates(flavor);
        let mut moved = 0;
        while moved < limit
            && let Some(queue) = self.catalogue.pool(source).first_of_group(group)
            && let Some(pool) = self.catalogue.draw(&candidates)
        {
            let seat = &mut self.queues[queue].seat;
            let seat = seat.as_mut().expect("invariant: a listed queue has a seat");
            self.catalogue.unseat(queue, seat);
            seat.pool = pool;
            self.catalogue.seat(queue, seat);
            moved += 1;
        }
        moved
    }

    /// The pool that a queue is in, if it is in one. For tests: on the wire it does not show.
    #[doc(hidden)]
    #[must_use]
    pub fn pool_of(&self, project: &Project, queue: &QueueName) -> Option<PoolName> {
        let slot = self.find_queue(project, queue)?;
        let seat = self.queues[slot].seat.as_ref()?;
        Some(self.catalogue.pool(seat.pool).name.clone())
    }

    /// Compares the lists of queues in pools with the queues. For tests.
    pub(super) fn check_placement(&self) {
        let slots = self.projects.values().flat_map(|names| names.values());
        let seats = slots.filter_map(|slot| Some((*slot, self.queues[*slot].seat.as_ref()?)));
        let seats: Vec<_> = seats.collect();
        if self.limits.pooling_rule == PoolingRule::OneStore {
            assert!(seats.is_empty(), "without pools no queue is in one");
        } else if self.limits.virtual_pool_rule == VirtualPoolRule::Disabled {
            assert_eq!(seats.len(), self.queues.len(), "every queue is in a pool");
        }
        self.catalogue.check(&seats);
    }
}
