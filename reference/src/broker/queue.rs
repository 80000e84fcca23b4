//! Queues: their names, what is kept of one, and everything done to a queue as a whole.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attributes::{Attributes, Metadata, is_always_shown};
use super::backlog::Backlog;
use super::catalogue::Seat;
use super::input::{Caller, Change, Project, PurgeScope, QueueListing};
use super::limits::QUEUE_NAME_CHARS_MAX;
use super::output::{Output, QueueView, Stats, StatsMessage};
use super::slab::Slot;
use super::timestamp::Timestamp;
use super::{Broker, BrokerError, Retired};

/// The name of a queue: 1 to 64 characters from `A-Z a-z 0-9 _ - .`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// Reads a name; `None` if it is no queue name.
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

/// Whether a queue may be called this; and a pool or a flavor, since Zaqar does not say.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=QUEUE_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Tells a queue from a later one in the same slot. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueSerial(pub(crate) u64);

/// A queue as stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) serial: QueueSerial,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) attributes: Attributes,
    pub(crate) backlog: Backlog,
    pub(crate) claim_ends: BTreeSet<(Timestamp, Slot)>,
    /// The alarm set for this queue, so that it can be found and moved. Never after what is due
    /// next; it may be before that, if what it was set for did not happen.
    pub(crate) alarm: Option<Timestamp>,
    /// The pool it is in; `None`: in the one store, which is no pool.
    pub(crate) seat: Option<Seat>,
}

impl Queue {
    /// When the next thing happens in this queue by itself.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let claim = self.claim_ends.first().map(|(at, _)| *at);
        claim.into_iter().chain(self.backlog.next_due()).min()
    }
}

impl Broker {
    /// Invariant: without filters, the work is in proportion to the page. With filters it is in
    /// proportion to the project's queues after the marker, for there is no index on metadata.
    pub(super) fn list_queues(&self, caller: &Caller, listing: QueueListing) -> Output {
        let Some(names) = self.projects.get(&caller.project) else {
            let count = listing.with_count.then_some(0);
            return Output::QueuePage {
                listing,
                queues: Vec::new(),
                count,
            };
        };
        let after = match &listing.marker {
            Some(marker) => Bound::Excluded(marker.as_str()),
            None => Bound::Unbounded,
        };
        let queues = names
            .range::<str, _>((after, Bound::Unbounded))
            .filter(|(name, slot)| {
                listing
                    .name
                    .as_ref()
                    .is_none_or(|part| name.as_str().contains(part.as_str()))
                    && matches_filters(&self.queues[**slot].metadata, &listing.filters)
            })
            .take(listing.limit)
            .map(|(name, slot)| QueueView {
                name: name.clone(),
                metadata: listing
                    .detailed
                    .then(|| Arc::clone(&self.queues[*slot].metadata)),
            })
            .collect();
        let count = listing.with_count.then_some(names.len());
        Output::QueuePage {
            listing,
            queues,
            count,
        }
    }

    pub(super) fn create_queue(
        &mut self,
        caller: &Caller,
        queue: QueueName,
        metadata: Metadata,
    ) -> Result<Output, BrokerError> {
        let attributes = Attributes::read(&metadata, &self.limits)?;
        let flavor = self.requested_flavor(&metadata)?;
        if self.find_queue(&caller.project, &queue).is_some() {
            return Ok(Output::QueueExists { queue });
        }
        let seat = self.draw_seat(flavor)?;
        let slot = self.insert_queue(&caller.project, &queue, seat);
        let created = &mut self.queues[slot];
        created.metadata = Arc::new(metadata);
        created.attributes = attributes;
        Ok(Output::QueueCreated { queue })
    }

    pub(super) fn read_queue(&self, caller: &Caller, queue: &QueueName) -> Output {
        let slot = self.find_queue(&caller.project, queue);
        let metadata = slot
            .map(|slot| Arc::clone(&self.queues[slot].metadata))
            .unwrap_or_default();
        Output::QueueMetadata { metadata }
    }

    pub(super) fn patch_queue(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        changes: Vec<Change>,
    ) -> Result<Output, BrokerError> {
        let slot = self
            .find_queue(&caller.project, queue)
            .ok_or(BrokerError::QueueDoesNotExist)?;
        let mut metadata = Metadata::clone(&self.queues[slot].metadata);
        for change in changes {
            apply(&mut metadata, change)?;
        }
        // Zaqar only bounds each patch; but then many of them grow the metadata without end.
        let bytes_max = self.limits.queue_metadata_bytes_max;
        if bytes_of(&metadata) > bytes_max {
            return Err(BrokerError::MetadataIsTooLarge { bytes_max });
        }
        let attributes = Attributes::read(&metadata, &self.limits)?;
        self.check_flavor_change(&self.queues[slot].metadata, &metadata)?;
        let metadata = Arc::new(metadata);
        let patched = &mut self.queues[slot];
        patched.metadata = Arc::clone(&metadata);
        patched.attributes = attributes;
        Ok(Output::QueueMetadata { metadata })
    }

    /// The queue is gone at once, whatever it holds; its memory is given back little by little. Its
    /// subscriptions stay, for the queue of the same name that a post may create.
    pub(super) fn delete_queue(&mut self, caller: &Caller, queue: &QueueName) -> Output {
        let Some(slot) = self.find_queue(&caller.project, queue) else {
            return Output::QueueDeleted;
        };
        let names = self
            .projects
            .get_mut(&caller.project)
            .expect("invariant: the queue has a project");
        names.remove(queue);
        if names.is_empty() {
            self.projects.remove(&caller.project);
        }
        let deleted = self.queues.remove(slot);
        if let Some(alarm) = deleted.alarm {
            self.alarms.remove(&(alarm, slot));
        }
        if let Some(seat) = &deleted.seat {
            self.catalogue.unseat(slot, seat);
        }
        self.retired.push_back(Retired::Backlog {
            backlog: deleted.backlog,
            claim_ends: deleted.claim_ends,
        });
        Output::QueueDeleted
    }

    pub(super) fn queue_stats(&mut self, caller: &Caller, queue: QueueName) -> Output {
        let Some(slot) = self.touched_queue(&caller.project, &queue) else {
            return Output::QueueStats {
                queue,
                exists: false,
                stats: Stats {
                    claimed: 0,
                    free: 0,
                    ends: None,
                },
            };
        };
        let backlog = &self.queues[slot].backlog;
        let view = |slot: Slot| {
            let message = &self.messages[slot];
            let age_secs = self.now.whole_secs_since(message.posted_at);
            StatsMessage {
                id: message.id,
                posted_at: message.posted_at,
                age_secs,
            }
        };
        let look = self.look();
        let (claimed, free) = backlog.counts(look);
        let ends = backlog.oldest(look).zip(backlog.newest(look));
        let stats = Stats {
            claimed,
            free,
            ends: ends.map(|(oldest, newest)| (view(oldest), view(newest))),
        };
        Output::QueueStats {
            queue,
            exists: true,
            stats,
        }
    }

    /// What is purged is gone at once, however much; its memory is given back little by little.
    /// Claims stay, empty, until they end.
    pub(super) fn purge_queue(
        &mut self,
        caller: &Caller,
        queue: &QueueName,
        scope: PurgeScope,
    ) -> Output {
        let (messages, subscriptions) = match scope {
            PurgeScope::Nothing => (false, false),
            PurgeScope::Messages => (true, false),
            PurgeScope::Subscriptions => (false, true),
            PurgeScope::Everything => (true, true),
        };
        if subscriptions {
            self.purge_subscriptions(&caller.project, queue);
        }
        if messages && let Some(slot) = self.touched_queue(&caller.project, queue) {
            let empty = Backlog::new(self.draw_backlog_id());
            let backlog = std::mem::replace(&mut self.queues[slot].backlog, empty);
            self.retired.push_back(Retired::Backlog {
                backlog,
                claim_ends: BTreeSet::new(),
            });
        }
        Output::QueuePurged
    }

    pub(super) fn find_queue(&self, project: &Project, queue: &QueueName) -> Option<Slot> {
        self.projects.get(project)?.get(queue).copied()
    }

    /// The queue of this name. A new one asks for no flavor.
    ///
    /// # Errors
    /// If there is no such queue, and no pool takes it. Nothing has changed then.
    pub(super) fn find_or_create_queue(
        &mut self,
        project: &Project,
        queue: &QueueName,
    ) -> Result<Slot, BrokerError> {
        if let Some(slot) = self.find_queue(project, queue) {
            return Ok(slot);
        }
        let seat = self.draw_seat(None)?;
        Ok(self.insert_queue(project, queue, seat))
    }

    /// Creates a queue that does not exist.
    pub(super) fn insert_queue(
        &mut self,
        project: &Project,
        queue: &QueueName,
        seat: Option<Seat>,
    ) -> Slot {
        let backlog = Backlog::new(self.draw_backlog_id());
        self.next_queue_serial += 1;
        let serial = QueueSerial(self.next_queue_serial);
        let slot = self.queues.insert_with(|_| Queue {
            serial,
            metadata: Arc::default(),
            attributes: Attributes::default(),
            backlog,
            claim_ends: BTreeSet::new(),
            alarm: None,
            seat,
        });
        if let Some(seat) = &self.queues[slot].seat {
            self.catalogue.seat(slot, seat);
        }
        self.projects
            .entry(project.clone())
            .or_default()
            .insert(queue.clone(), slot);
        slot
    }
}

impl std::borrow::Borrow<str> for QueueName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn matches_filters(metadata: &Metadata, filters: &[(String, String)]) -> bool {
    filters.iter().all(|(member, expected)| {
        let Some(value) = metadata.get(member) else {
            return false;
        };
        match expected.parse::<i64>() {
            Ok(number) => value.as_integer() == Some(number),
            Err(_) => value.as_string().as_ref() == Some(expected),
        }
    })
}

/// How long the shortest document with these members is; not counting escapes in their names.
fn bytes_of(metadata: &Metadata) -> usize {
    let members = metadata
        .iter()
        .map(|(name, value)| name.len() + value.as_str().len() + 4);
    members.sum::<usize>() + 1
}

fn apply(metadata: &mut Metadata, change: Change) -> Result<(), BrokerError> {
    match change {
        Change::Add { member, value } => {
            metadata.insert(member, value);
        }
        Change::Replace { member, value } => {
            if !metadata.contains_key(&member) && !is_always_shown(&member) {
                return Err(BrokerError::MetadataMemberDoesNotExist { member });
            }
            metadata.insert(member, value);
        }
        Change::Remove { member } => {
            if metadata.remove(&member).is_none() && !is_always_shown(&member) {
                return Err(BrokerError::MetadataMemberDoesNotExist { member });
            }
        }
    }
    Ok(())
}
