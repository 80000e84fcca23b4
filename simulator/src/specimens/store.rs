//! A simulated store: tables a round trip away.
//!
//! One [`Store::transact`] is one round trip and one atomic step. The steps on [`Tables`] are right; a
//! specimen goes wrong by doing in several what has to be done in one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nanshe_reference::service::Clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::implementation::NodeContext;
use crate::world::{self, NodeClock};

/// One way to the store: shortest and longest, in microseconds.
const ONE_WAY_MICROS: (u64, u64) = (200, 3_000);

/// Shortest message lifetime, in seconds (contract, section 2).
const TTL_SECS_MIN: u64 = 60;

const NANOS: u64 = 1_000_000_000;

/// A store, and the way to it.
#[derive(Clone)]
pub(super) struct Store {
    tables: Arc<Mutex<Tables>>,
    random: Arc<Mutex<ChaCha8Rng>>,
    clock: NodeClock,
}

impl Store {
    pub(super) fn new(context: &NodeContext) -> Self {
        Self {
            tables: Arc::default(),
            random: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(context.seed))),
            clock: context.clock,
        }
    }

    /// One round trip, in the middle of which `step` happens at once. It gets the tables and the time
    /// in nanoseconds.
    pub(super) async fn transact<T>(&self, step: impl FnOnce(&mut Tables, u64) -> T) -> T {
        world::sleep(self.one_way()).await;
        let done = {
            let mut tables = self.tables.lock().expect("no holder of this lock panics");
            step(&mut tables, self.clock.now().as_nanos())
        };
        world::sleep(self.one_way()).await;
        done
    }

    fn one_way(&self) -> Duration {
        let mut random = self.random.lock().expect("no holder of this lock panics");
        Duration::from_micros(random.random_range(ONE_WAY_MICROS.0..=ONE_WAY_MICROS.1))
    }
}

/// What is stored.
#[derive(Clone, Default)]
pub(super) struct Tables {
    /// Messages by rank, oldest first.
    pub(super) rows: BTreeMap<u64, Row>,
    leases: BTreeMap<String, u64>,
    serial: u64,
}

/// One message.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) queue: String,
    pub(super) id: String,
    pub(super) body: Value,
    pub(super) ttl_secs: u64,
    pub(super) expires_at: u64,
    /// The claim that took it last.
    pub(super) claim: Option<String>,
}

/// A message as it was sent.
pub(super) struct New {
    pub(super) body: Value,
    pub(super) ttl_secs: u64,
}

impl New {
    pub(super) fn is_valid(&self) -> bool {
        self.ttl_secs >= TTL_SECS_MIN
    }
}

/// What a claim asks for.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) limit: usize,
    pub(super) ttl_secs: u64,
    pub(super) grace_secs: u64,
}

/// What became of a delete.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    Gone,
    NotYours,
    NoSuchClaim,
}

impl Tables {
    pub(super) fn insert(&mut self, queue: &str, new: New, now: u64) -> String {
        self.serial += 1;
        let id = format!("m{}", self.serial);
        let expires_at = now + new.ttl_secs * NANOS;
        let New { body, ttl_secs } = new;
        let (queue, id_of_row) = (queue.to_owned(), id.clone());
        let row = Row {
            queue,
            id: id_of_row,
            body,
            ttl_secs,
            expires_at,
            claim: None,
        };
        self.rows.insert(self.serial, row);
        id
    }

    pub(super) fn is_live(&self, claim: &str, now: u64) -> bool {
        self.leases.get(claim).is_some_and(|until| now < *until)
    }

    fn is_held(&self, row: &Row, now: u64) -> bool {
        row.claim
            .as_ref()
            .is_some_and(|claim| self.is_live(claim, now))
    }

    /// Ranks of the queue's messages that nobody holds, oldest first.
    pub(super) fn active(&self, queue: &str, now: u64, limit: usize) -> Vec<u64> {
        let rows = self.rows.iter().filter(|(_, row)| {
            row.queue == queue && now < row.expires_at && !self.is_held(row, now)
        });
        rows.map(|(rank, _)| *rank).take(limit).collect()
    }

    /// A new claim, which holds nothing yet.
    pub(super) fn open_claim(&mut self, lease: Lease, now: u64) -> String {
        self.serial += 1;
        let claim = format!("c{}", self.serial);
        self.leases
            .insert(claim.clone(), now + lease.ttl_secs * NANOS);
        claim
    }

    /// `claim` takes the message at `rank`, and keeps it alive.
    pub(super) fn take(&mut self, rank: u64, claim: &str, lease: Lease, now: u64) -> Option<Row> {
        let row = self.rows.get_mut(&rank)?;
        row.claim = Some(claim.to_owned());
        if row.expires_at < now + lease.ttl_secs * NANOS {
            row.expires_at = now + (lease.ttl_secs + lease.grace_secs) * NANOS;
        }
        Some(row.clone())
    }

    /// A whole claim in one step.
    pub(super) fn claim(&mut self, queue: &str, lease: Lease, now: u64) -> Granted {
        let ranks = self.active(queue, now, lease.limit);
        let claim = self.open_claim(lease, now);
        let rows = ranks
            .into_iter()
            .filter_map(|rank| self.take(rank, &claim, lease, now));
        Granted {
            rows: rows.collect(),
            claim: claim.clone(),
        }
    }

    pub(super) fn renew(&mut self, claim: &str, lease: Lease, now: u64) -> bool {
        if !self.is_live(claim, now) {
            return false;
        }
        self.leases
            .insert(claim.to_owned(), now + lease.ttl_secs * NANOS);
        let held = |row: &Row| row.claim.as_deref() == Some(claim);
        let ranks: Vec<u64> = self
            .rows
            .iter()
            .filter(|(_, row)| held(row))
            .map(|(rank, _)| *rank)
            .collect();
        for rank in ranks {
            self.take(rank, claim, lease, now);
        }
        true
    }

    pub(super) fn release(&mut self, claim: &str) {
        self.leases.remove(claim);
        for row in self
            .rows
            .values_mut()
            .filter(|row| row.claim.as_deref() == Some(claim))
        {
            row.claim = None;
        }
    }

    pub(super) fn delete(&mut self, id: &str, claim: Option<&str>, now: u64) -> Deleted {
        let found = self
            .rows
            .iter()
            .find(|(_, row)| row.id == id && now < row.expires_at);
        let Some((&rank, row)) = found else {
            return Deleted::Gone;
        };
        let holder = row
            .claim
            .as_deref()
            .filter(|holder| self.is_live(holder, now));
        match (holder, claim) {
            (Some(holder), Some(claim)) if holder == claim => {}
            (_, Some(claim)) if !self.is_live(claim, now) => return Deleted::NoSuchClaim,
            (None, Some(_)) => return Deleted::NoSuchClaim,
            (Some(_), _) => return Deleted::NotYours,
            (None, None) => {}
        }
        self.rows.remove(&rank);
        Deleted::Gone
    }
}

/// What a claim got.
pub(super) struct Granted {
    pub(super) claim: String,
    pub(super) rows: Vec<Row>,
}
