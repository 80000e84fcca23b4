//! beanstalkd as a broker: a queue is a tube, a message is a job, a lease is a job's time to run.
//!
//! Its reservations belong to connections, so a claim here is a connection that reserved some jobs
//! (`claims`). What beanstalkd has no word for is kept in memory, and is lost with the gateway: which
//! claim is which connection, and how long messages live on that a claim made live longer. What is in a
//! queue, and who holds what, is known to beanstalkd alone.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use self::claims::Claims;
use self::connection::{Connection, Stats};
use self::keeper::Keeper;
use self::lifetimes::Lifetimes;
use crate::broker::{
    Broker, Claim, Deletion, Failed, Lease, Message, Outcome, Page, Place, Posted,
};

mod claims;
mod connection;
mod keeper;
mod lifetimes;
#[cfg(test)]
mod tests;

/// The time to run of every job: the shortest lease that the contract knows. beanstalkd is told at the
/// time of the post, when nobody knows how long a claim will be; longer ones touch their jobs.
const TIME_TO_RUN_SECS: u64 = 60;

/// A beanstalkd.
#[derive(Clone, Debug)]
pub struct Beanstalkd {
    address: Arc<str>,
    claims: Claims,
    lifetimes: Lifetimes,
    keeper: Arc<Keeper>,
    /// All posts go through one connection, one after the other, so that batches stay together.
    poster: Arc<Mutex<Option<Connection>>>,
    /// For questions about single jobs.
    asker: Arc<Mutex<Option<Connection>>>,
}

/// A job that beanstalkd knows, as a message.
struct Found {
    message: Message,
    is_reserved: bool,
}

impl Beanstalkd {
    /// The one at `address`, `HOST:PORT`.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            claims: Claims::default(),
            lifetimes: Lifetimes::default(),
            keeper: Arc::new(Keeper::new(address)),
            poster: Arc::default(),
            asker: Arc::default(),
        }
    }

    /// What beanstalkd says about a job of the tube; `None` if it is not there, or expired.
    async fn find(
        &self,
        connection: &mut Connection,
        tube: &str,
        id: u64,
    ) -> Outcome<Option<Found>> {
        let Some(stats) = connection.stats_job(id).await? else {
            return Ok(None);
        };
        if stats.tube != tube {
            return Ok(None);
        }
        let Some(data) = connection.peek(id).await? else {
            return Ok(None);
        };
        let message = self.message(id, &data, &stats)?;
        let is_reserved = stats.state == "reserved";
        Ok(message.map(|message| Found {
            message,
            is_reserved,
        }))
    }

    /// A job as a message; `None` if it is expired.
    fn message(&self, id: u64, data: &[u8], stats: &Stats) -> Outcome<Option<Message>> {
        let stored: Value = serde_json::from_slice(data)
            .map_err(|error| Failed::Broken(format!("job {id} is no JSON: {error}")))?;
        let ttl_secs = stored["ttl"].as_i64().unwrap_or_default();
        let Some(ttl_secs) = self.lifetimes.in_force(id, ttl_secs, stats.age_secs) else {
            return Ok(None);
        };
        Ok(Some(Message {
            id: id.to_string(),
            ttl_secs,
            age_secs: stats.age_secs,
            body: stored["body"].clone(),
            claim: self.claims.holder(id),
        }))
    }

    /// Reserves the oldest ready jobs. Expired ones are removed on the way.
    async fn reserve(
        &self,
        connection: &mut Connection,
        tube: &str,
        limit: i64,
    ) -> Outcome<Vec<(u64, Message)>> {
        connection.watch_only(tube).await?;
        let mut reserved = Vec::new();
        while i64::try_from(reserved.len()).is_ok_and(|count| count < limit) {
            let Some((id, data)) = connection.reserve().await? else {
                break;
            };
            let Some(stats) = connection.stats_job(id).await? else {
                continue;
            };
            if let Some(message) = self.message(id, &data, &stats)? {
                reserved.push((id, message));
            } else {
                connection.delete(id).await?;
                self.lifetimes.forget(id);
            }
        }
        // What somebody gave back between two of these commands came late, and belongs in front.
        reserved.sort_by_key(|(id, _)| *id);
        Ok(reserved)
    }

    async fn connect(&self) -> Outcome<Connection> {
        Ok(Connection::open(&self.address).await?)
    }

    /// A delete for whoever holds no claim.
    async fn delete_unclaimed(
        &self,
        connection: &mut Connection,
        tube: &str,
        id: u64,
    ) -> Outcome<Deletion> {
        // Whoever has reserved it in the meantime keeps it: beanstalkd decides.
        if connection.delete(id).await? {
            self.lifetimes.forget(id);
            return Ok(Deletion::Done);
        }
        let found = self.find(connection, tube, id).await?;
        Ok(found.map_or(Deletion::Done, |_| Deletion::Claimed))
    }
}

/// Takes the connection that is there, or opens one. What fails in between loses it, and the next one
/// who asks opens another: nobody reads the end of somebody else's answer.
async fn lend(idle: &mut Option<Connection>, address: &str) -> Outcome<Connection> {
    match idle.take() {
        Some(connection) => Ok(connection),
        None => Ok(Connection::open(address).await?),
    }
}

/// The tube of a queue. A project is any text, and a tube's name is not: so it is a digest.
fn tube(place: &Place) -> String {
    let digest = Sha256::digest(place.project.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("q{hex}.{}", place.queue)
}

/// The job of an identifier. Only the spelling that was given out names it.
fn job(id: &str) -> Option<u64> {
    id.parse().ok().filter(|job: &u64| job.to_string() == id)
}

impl Broker for Beanstalkd {
    async fn ping(&self) -> Outcome<()> {
        self.connect().await.map(drop)
    }

    async fn create_queue(&self, place: &Place) -> Outcome<bool> {
        self.keeper.keep(&tube(place)).await
    }

    /// beanstalkd has no command for it: its jobs are taken out one by one, those of claims first. What
    /// somebody posts or claims meanwhile may stay.
    async fn delete_queue(&self, place: &Place) -> Outcome<()> {
        for claim in self.claims.of_queue(place) {
            claim.delete_all(&self.lifetimes).await;
            self.claims.remove(&claim);
        }
        let tube = tube(place);
        let mut connection = self.connect().await?;
        connection.watch_only(&tube).await?;
        while let Some((id, _)) = connection.reserve().await? {
            connection.delete(id).await?;
            self.lifetimes.forget(id);
        }
        self.keeper.let_go(&tube).await
    }

    async fn post(&self, place: &Place, _client: &str, batch: &[Posted]) -> Outcome<Vec<String>> {
        let tube = tube(place);
        self.keeper.keep(&tube).await?;
        let mut idle = self.poster.lock().await;
        let mut connection = lend(&mut idle, &self.address).await?;
        connection.use_tube(&tube).await?;
        let mut ids = Vec::new();
        for posted in batch {
            let data = json!({ "ttl": posted.ttl_secs, "body": posted.body }).to_string();
            let id = connection.put(TIME_TO_RUN_SECS, data.as_bytes()).await?;
            ids.push(id.to_string());
        }
        *idle = Some(connection);
        Ok(ids)
    }

    async fn list(&self, _place: &Place, _page: &Page) -> Outcome<(Vec<Message>, String)> {
        Err(Failed::Unsupported("list messages"))
    }

    async fn get(&self, place: &Place, id: &str) -> Outcome<Option<Message>> {
        let Some(id) = job(id) else {
            return Ok(None);
        };
        let mut idle = self.asker.lock().await;
        let mut connection = lend(&mut idle, &self.address).await?;
        let found = self.find(&mut connection, &tube(place), id).await?;
        *idle = Some(connection);
        Ok(found.map(|found| found.message))
    }

    async fn delete(&self, place: &Place, id: &str, claim: Option<&str>) -> Outcome<Deletion> {
        let Some(id) = job(id) else {
            return Ok(Deletion::Done);
        };
        let tube = tube(place);
        let mut idle = self.asker.lock().await;
        let mut connection = lend(&mut idle, &self.address).await?;
        let found = self.find(&mut connection, &tube, id).await?;
        let deletion = match (found, claim) {
            (None, _) => Deletion::Done,
            (Some(_), None) => self.delete_unclaimed(&mut connection, &tube, id).await?,
            (Some(found), Some(named)) => match self.claims.live(place, named) {
                Some(claim) if claim.delete(id).await? => {
                    self.lifetimes.forget(id);
                    Deletion::Done
                }
                Some(claim) if found.is_reserved && !claim.names(id) => Deletion::Claimed,
                Some(_) | None => Deletion::NotHeld,
            },
        };
        *idle = Some(connection);
        Ok(deletion)
    }

    async fn claim(
        &self,
        place: &Place,
        limit: i64,
        lease: Lease,
    ) -> Outcome<Option<(String, Vec<Message>)>> {
        self.claims.check_room()?;
        let since = tokio::time::Instant::now();
        let mut connection = self.connect().await?;
        let reserved = self.reserve(&mut connection, &tube(place), limit).await?;
        if reserved.is_empty() {
            return Ok(None);
        }
        let (ids, mut messages): (Vec<u64>, Vec<Message>) = reserved.into_iter().unzip();
        for (&id, message) in ids.iter().zip(&mut messages) {
            message.ttl_secs = self.lifetimes.extend(id, message, lease);
        }
        let claim = self.claims.hold(place, connection, ids, (since, lease));
        for message in &mut messages {
            message.claim = Some(claim.clone());
        }
        Ok(Some((claim, messages)))
    }

    async fn read_claim(&self, place: &Place, claim: &str) -> Outcome<Option<Claim>> {
        let Some(claim) = self.claims.live(place, claim) else {
            return Ok(None);
        };
        let Some(ids) = claim.held().await else {
            // Its connection is gone, and all its reservations with it.
            self.claims.remove(&claim);
            return Ok(None);
        };
        let (age_secs, ttl_secs) = claim.age_and_ttl();
        let mut messages = Vec::new();
        for id in ids {
            messages.extend(self.get(place, &id.to_string()).await?);
        }
        Ok(Some(Claim {
            age_secs,
            ttl_secs,
            messages,
        }))
    }

    async fn renew(&self, place: &Place, claim: &str, lease: Lease) -> Outcome<bool> {
        let Some(claim) = self.claims.live(place, claim) else {
            return Ok(false);
        };
        let since = tokio::time::Instant::now();
        let Some(ids) = claim.touch_all().await else {
            self.claims.remove(&claim);
            return Ok(false);
        };
        claim.begin_anew(since, lease);
        for id in ids {
            if let Some(message) = self.get(place, &id.to_string()).await? {
                self.lifetimes.extend(id, &message, lease);
            }
        }
        Ok(true)
    }

    async fn release(&self, place: &Place, claim: &str) -> Outcome<()> {
        if let Some(claim) = self.claims.live(place, claim) {
            claim.release_all().await?;
            self.claims.remove(&claim);
        }
        Ok(())
    }

    async fn pop(&self, place: &Place, limit: i64) -> Outcome<Vec<Message>> {
        let mut connection = self.connect().await?;
        let reserved = self.reserve(&mut connection, &tube(place), limit).await?;
        let mut popped = Vec::new();
        for (id, message) in reserved {
            connection.delete(id).await?;
            self.lifetimes.forget(id);
            popped.push(message);
        }
        Ok(popped)
    }
}
