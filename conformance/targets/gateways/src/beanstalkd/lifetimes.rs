//! How long messages live. beanstalkd's jobs live for ever: the lifetime stands in the job, and whoever
//! meets an expired one removes it. A job cannot be changed, so what a claim adds (6.2) is kept here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::broker::{Lease, Message};

/// Lifetimes that claims made longer; beyond that, the oldest job's is forgotten.
const EXTENDED_MAX: usize = 200_000;

/// Those that a claim made longer, by job.
#[derive(Clone, Debug, Default)]
pub(super) struct Lifetimes {
    extended: Arc<Mutex<BTreeMap<u64, Extended>>>,
}

#[derive(Clone, Copy, Debug)]
struct Extended {
    ttl_secs: i64,
    until: Instant,
}

impl Lifetimes {
    /// The ttl in force of a job with this one of its own, and this age; `None` if it is expired.
    pub(super) fn in_force(&self, id: u64, ttl_secs: i64, age_secs: i64) -> Option<i64> {
        match self.lock().get(&id) {
            Some(extended) if Instant::now() < extended.until => Some(extended.ttl_secs),
            Some(_) => None,
            None => (age_secs < ttl_secs).then_some(ttl_secs),
        }
    }

    /// A claim holds a message from now on: what would not outlive it lives on for its grace. The ttl
    /// that is in force then.
    pub(super) fn extend(&self, id: u64, message: &Message, lease: Lease) -> i64 {
        let now = Instant::now();
        let mut extended = self.lock();
        let end = extended.get(&id).map_or_else(
            || now + seconds(message.ttl_secs - message.age_secs),
            |extended| extended.until,
        );
        if end >= now + seconds(lease.ttl_secs) {
            return message.ttl_secs;
        }
        let ttl_secs = lease.ttl_secs + lease.grace_secs;
        let until = now + seconds(ttl_secs);
        extended.insert(id, Extended { ttl_secs, until });
        if extended.len() > EXTENDED_MAX {
            extended.pop_first();
        }
        ttl_secs
    }

    /// The job is gone.
    pub(super) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Extended>> {
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn seconds(secs: i64) -> Duration {
    Duration::from_secs(u64::try_from(secs).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn message(ttl_secs: i64, age_secs: i64) -> Message {
        Message {
            id: "1".to_owned(),
            ttl_secs,
            age_secs,
            body: Value::Null,
            claim: None,
        }
    }

    const LEASE: Lease = Lease {
        ttl_secs: 100,
        grace_secs: 60,
    };

    #[tokio::test]
    async fn message_that_a_claim_outlives_lives_for_its_grace_longer() {
        tokio::time::pause();
        let lifetimes = Lifetimes::default();
        assert_eq!(lifetimes.in_force(1, 60, 59), Some(60));
        assert_eq!(lifetimes.in_force(1, 60, 60), None);
        assert_eq!(lifetimes.extend(1, &message(60, 10), LEASE), 160);
        tokio::time::advance(seconds(159)).await;
        assert_eq!(lifetimes.in_force(1, 60, 169), Some(160));
        tokio::time::advance(seconds(1)).await;
        assert_eq!(lifetimes.in_force(1, 60, 170), None);
    }

    #[tokio::test]
    async fn message_that_outlives_the_claim_keeps_its_lifetime() {
        tokio::time::pause();
        let lifetimes = Lifetimes::default();
        assert_eq!(lifetimes.extend(1, &message(110, 10), LEASE), 110);
        assert_eq!(lifetimes.in_force(1, 110, 110), None);
    }
}
