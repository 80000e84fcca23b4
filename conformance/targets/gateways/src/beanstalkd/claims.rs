//! Claims: each is a connection that has reserved some jobs, with a name, and an end.
//!
//! beanstalkd ends the lease: a job that is not touched for its time to run is ready again. A claim
//! that is longer touches its jobs so that the last touch comes exactly one time to run before its end.
//!
//! ```text
//! claim of 200 s   0 ─touch 30 ─touch 60 ─touch 90 ─touch 120 ─touch 140 ──────── beanstalkd: 200
//! ```
//!
//! Invariant: what a claim may still do to a job is decided by beanstalkd on the claim's own connection.
//! A touch succeeds only if that connection has the job reserved; the registry here only finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::TIME_TO_RUN_SECS;
use super::connection::Connection;
use super::lifetimes::{Lifetimes, seconds};
use crate::broker::{Failed, Lease, Outcome, Place};

/// Live claims at once: each has a connection, until its last job is gone.
const CLAIMS_MAX: usize = 20_000;

/// Time between two touches of a claim, unless its end asks for one sooner.
const TOUCH_EVERY: Duration = Duration::from_secs(TIME_TO_RUN_SECS / 2);

/// The live claims.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    /// Sets the names of this process's claims apart from those of others.
    nonce: u64,
    registry: Arc<Mutex<Registry>>,
}

#[derive(Debug, Default)]
struct Registry {
    made: u64,
    by_name: BTreeMap<String, Arc<Held>>,
    holders: BTreeMap<u64, String>,
}

/// A live claim.
#[derive(Debug)]
pub(super) struct Held {
    name: String,
    place: Place,
    /// What it was given.
    ids: BTreeSet<u64>,
    term: Mutex<Term>,
    /// `None` once nothing is left of what it reserved.
    reserved: tokio::sync::Mutex<Option<Reserved>>,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    since: Instant,
    ttl_secs: i64,
}

#[derive(Debug)]
struct Reserved {
    connection: Connection,
    ids: BTreeSet<u64>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            nonce: RandomState::new().hash_one("claim"),
            registry: Arc::default(),
        }
    }
}

impl Claims {
    /// Whether one more can be made.
    pub(super) fn check_room(&self) -> Outcome<()> {
        if self.lock().by_name.len() < CLAIMS_MAX {
            Ok(())
        } else {
            Err(Failed::Broken("too many live claims".to_owned()))
        }
    }

    /// A claim of what `connection` has reserved since then; its name.
    pub(super) fn hold(
        &self,
        place: &Place,
        connection: Connection,
        ids: Vec<u64>,
        (since, lease): (Instant, Lease),
    ) -> String {
        let mut registry = self.lock();
        registry.made += 1;
        let name = format!("{:016x}-{}", self.nonce, registry.made);
        let ids: BTreeSet<u64> = ids.into_iter().collect();
        for &id in &ids {
            registry.holders.insert(id, name.clone());
        }
        let ttl_secs = lease.ttl_secs;
        let held = Arc::new(Held {
            name: name.clone(),
            place: place.clone(),
            ids: ids.clone(),
            term: Mutex::new(Term { since, ttl_secs }),
            reserved: tokio::sync::Mutex::new(Some(Reserved { connection, ids })),
        });
        registry.by_name.insert(name.clone(), Arc::clone(&held));
        drop(registry);
        tokio::spawn(accompany(self.clone(), held));
        name
    }

    /// The claim of that name, if it is one of the queue's, and not over.
    pub(super) fn live(&self, place: &Place, name: &str) -> Option<Arc<Held>> {
        let registry = self.lock();
        let held = registry.by_name.get(name)?;
        let is_live = held.place == *place && Instant::now() < held.ends_at();
        is_live.then(|| Arc::clone(held))
    }

    /// Those of a queue.
    pub(super) fn of_queue(&self, place: &Place) -> Vec<Arc<Held>> {
        let registry = self.lock();
        let all = registry.by_name.values();
        all.filter(|held| held.place == *place).cloned().collect()
    }

    /// Whether it is not over yet.
    fn has(&self, claim: &Held) -> bool {
        self.lock().by_name.contains_key(&claim.name)
    }

    /// The name of the live claim that was given a job last.
    pub(super) fn holder(&self, id: u64) -> Option<String> {
        let registry = self.lock();
        let name = registry.holders.get(&id)?;
        let held = registry.by_name.get(name)?;
        (Instant::now() < held.ends_at()).then(|| name.clone())
    }

    /// The claim is over. Its connection closes when the last who uses it is done, at the latest.
    pub(super) fn remove(&self, claim: &Held) {
        let mut registry = self.lock();
        registry.by_name.remove(&claim.name);
        for id in &claim.ids {
            if registry.holders.get(id) == Some(&claim.name) {
                registry.holders.remove(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Touches what a claim holds as long as its lease needs it, and removes it when that is over.
async fn accompany(claims: Claims, held: Arc<Held>) {
    while claims.has(&held) {
        let ends_at = held.ends_at();
        let left = ends_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        // Never longer at once: a renewal may have changed when it must touch next.
        let until_touch = left.saturating_sub(Duration::from_secs(TIME_TO_RUN_SECS));
        if until_touch.is_zero() {
            tokio::time::sleep(left.min(TOUCH_EVERY)).await;
            continue;
        }
        tokio::time::sleep(until_touch.min(TOUCH_EVERY)).await;
        // A renewal has touched already, and a claim whose connection is gone holds nothing.
        if held.ends_at() == ends_at && held.touch_all().await.is_none() {
            break;
        }
    }
    held.reserved.lock().await.take();
    claims.remove(&held);
}

impl Held {
    /// Whether it was given this job.
    pub(super) fn names(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn ends_at(&self) -> Instant {
        let term = self.term();
        term.since + seconds(term.ttl_secs)
    }

    /// Whole seconds since it was made or renewed, and its lease.
    pub(super) fn age_and_ttl(&self) -> (i64, i64) {
        let term = self.term();
        let age = Instant::now().saturating_duration_since(term.since);
        (
            i64::try_from(age.as_secs()).unwrap_or(i64::MAX),
            term.ttl_secs,
        )
    }

    /// Its lease begins anew.
    pub(super) fn begin_anew(&self, since: Instant, lease: Lease) {
        let ttl_secs = lease.ttl_secs;
        *self.term.lock().unwrap_or_else(PoisonError::into_inner) = Term { since, ttl_secs };
    }

    /// Removes a job, if this claim has it reserved. Whoever has touched it holds it for long enough to
    /// delete it: without that, a job whose lease has just ended would be deleted under nobody's claim.
    pub(super) async fn delete(&self, id: u64) -> io::Result<bool> {
        let mut reserved = self.reserved.lock().await;
        let Some(mut held) = reserved.take() else {
            return Ok(false);
        };
        // Not put back if anything fails: closed, it holds nothing any more.
        let deleted = held.ids.contains(&id)
            && held.connection.touch(id).await?
            && held.connection.delete(id).await?;
        if deleted {
            held.ids.remove(&id);
        }
        if !held.ids.is_empty() {
            *reserved = Some(held);
        }
        Ok(deleted)
    }

    /// Begins the time to run of all its jobs anew; those that it still has. `None` if its connection is
    /// gone and its reservations with it.
    pub(super) async fn touch_all(&self) -> Option<BTreeSet<u64>> {
        let mut reserved = self.reserved.lock().await;
        let Some(mut held) = reserved.take() else {
            return Some(BTreeSet::new());
        };
        let mut kept = BTreeSet::new();
        for &id in &held.ids {
            if held.connection.touch(id).await.ok()? {
                kept.insert(id);
            }
        }
        held.ids.clone_from(&kept);
        *reserved = Some(held);
        Some(kept)
    }

    /// What it still has; `None` if its connection is gone. A touch would tell too, and prolong it.
    pub(super) async fn held(&self) -> Option<BTreeSet<u64>> {
        let mut reserved = self.reserved.lock().await;
        let Some(mut held) = reserved.take() else {
            return Some(BTreeSet::new());
        };
        let mut kept = BTreeSet::new();
        for &id in &held.ids {
            let stats = held.connection.stats_job(id).await.ok()?;
            if stats.is_some_and(|stats| stats.state == "reserved") {
                kept.insert(id);
            }
        }
        *reserved = Some(held);
        Some(kept)
    }

    /// Gives everything back.
    pub(super) async fn release_all(&self) -> io::Result<()> {
        if let Some(mut held) = self.reserved.lock().await.take() {
            for &id in &held.ids {
                held.connection.release(id).await?;
            }
        }
        Ok(())
    }

    /// Removes everything that it holds. What fails is given back with its connection.
    pub(super) async fn delete_all(&self, lifetimes: &Lifetimes) {
        if let Some(mut held) = self.reserved.lock().await.take() {
            for &id in &held.ids {
                if held.connection.delete(id).await.is_err() {
                    return;
                }
                lifetimes.forget(id);
            }
        }
    }

    fn term(&self) -> Term {
        *self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
