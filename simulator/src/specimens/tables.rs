//! What the simulated store keeps, and the steps on it. Every step is right and happens at once: a
//! specimen goes wrong by doing in several what has to be done in one, or by leaving one out.

use std::collections::BTreeMap;

use serde_json::Value;

/// Shortest message lifetime, in seconds (contract, section 2).
const TTL_SECS_MIN: u64 = 60;

/// How long a message lives if neither it nor its queue says so, in seconds.
const TTL_SECS: u64 = 3_600;

/// Nanoseconds in a second: instants are nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;

/// A queue of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) project: String,
    pub(super) queue: String,
}

/// What is stored.
#[derive(Clone, Default)]
pub(super) struct Tables {
    /// Messages by rank, oldest first.
    pub(super) rows: BTreeMap<u64, Row>,
    /// Claims, and when each ends.
    pub(super) leases: BTreeMap<String, u64>,
    /// What is known about queues that were created.
    pub(super) queues: BTreeMap<Place, Attributes>,
    pub(super) serial: u64,
}

/// One message.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) id: String,
    pub(super) body: Value,
    pub(super) ttl_secs: u64,
    pub(super) expires_at: u64,
    pub(super) active_at: u64,
    /// The claim that took it last.
    pub(super) claim: Option<String>,
    /// How often it was claimed.
    pub(super) claims: u64,
    /// Who posted it.
    pub(super) client: String,
}

/// A message as it was sent.
#[derive(Clone)]
pub(super) struct New {
    pub(super) body: Value,
    pub(super) ttl_secs: Option<u64>,
    pub(super) delay_secs: Option<u64>,
    /// Who posts it.
    pub(super) client: String,
}

impl New {
    pub(super) fn is_valid(&self) -> bool {
        self.ttl_secs.is_none_or(|secs| secs >= TTL_SECS_MIN)
    }

    /// The message as a queue keeps it that is told this about its messages.
    pub(super) fn row(self, place: &Place, id: String, attributes: &Attributes, now: u64) -> Row {
        let ttl_secs = self.ttl_secs.or(attributes.ttl_secs).unwrap_or(TTL_SECS);
        let delay_secs = self.delay_secs.or(attributes.delay_secs).unwrap_or(0);
        Row {
            place: place.clone(),
            id,
            body: self.body,
            ttl_secs,
            expires_at: now + ttl_secs * SECOND,
            active_at: now + delay_secs * SECOND,
            claim: None,
            claims: 0,
            client: self.client,
        }
    }
}

/// What a queue is told about its messages.
#[derive(Clone, Default)]
pub(super) struct Attributes {
    pub(super) ttl_secs: Option<u64>,
    pub(super) delay_secs: Option<u64>,
    pub(super) letters: Option<String>,
    pub(super) letters_ttl_secs: Option<u64>,
    pub(super) claims_max: Option<u64>,
}

impl Attributes {
    /// Where messages go that were claimed too often, and how often that is.
    pub(super) fn dead_letters(&self) -> Option<(&str, u64)> {
        self.letters.as_deref().zip(self.claims_max)
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

/// What a claim got.
pub(super) struct Granted {
    pub(super) claim: String,
    pub(super) rows: Vec<Row>,
}

/// What a page asks for.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) marker: Option<String>,
    pub(super) limit: usize,
    pub(super) claimed: bool,
    pub(super) delayed: bool,
    /// Whose own messages are left out; the tables show everybody everything.
    pub(super) not_by: Option<String>,
}

/// A page: its messages, and the marker of the next.
pub(super) struct Listed {
    pub(super) rows: Vec<Row>,
    pub(super) next: String,
}

/// How many messages are free, and how many are claimed.
pub(super) type Stats = (u64, u64);

impl Tables {
    pub(super) fn attributes(&self, place: &Place) -> Attributes {
        self.queues.get(place).cloned().unwrap_or_default()
    }

    /// A number that was not given before.
    pub(super) fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Stores a message at the end of its queue.
    pub(super) fn insert(&mut self, place: &Place, new: New, now: u64) -> String {
        let rank = self.next();
        self.insert_at((rank, format!("m{rank}")), place, new, now)
    }

    /// Stores a message under that rank and that identifier.
    pub(super) fn insert_at(
        &mut self,
        (rank, id): (u64, String),
        place: &Place,
        new: New,
        now: u64,
    ) -> String {
        let attributes = self.attributes(place);
        let row = new.row(place, id.clone(), &attributes, now);
        self.rows.insert(rank, row);
        id
    }

    pub(super) fn is_live(&self, claim: &str, now: u64) -> bool {
        self.leases.get(claim).is_some_and(|until| now < *until)
    }

    pub(super) fn is_held(&self, row: &Row, now: u64) -> bool {
        row.claim
            .as_ref()
            .is_some_and(|claim| self.is_live(claim, now))
    }

    /// Ranks of the queue's messages that live and that `is_wanted`, oldest first.
    pub(super) fn ranks(
        &self,
        place: &Place,
        now: u64,
        is_wanted: impl Fn(&Row) -> bool,
    ) -> Vec<u64> {
        let rows = self.rows.iter();
        let rows = rows.filter(|(_, row)| row.place == *place && now < row.expires_at);
        rows.filter(|(_, row)| is_wanted(row))
            .map(|(rank, _)| *rank)
            .collect()
    }

    /// Ranks of the queue's messages that nobody holds and that are not delayed, oldest first.
    pub(super) fn active(&self, place: &Place, now: u64, limit: usize) -> Vec<u64> {
        let is_active = |row: &Row| row.active_at <= now && !self.is_held(row, now);
        let mut ranks = self.ranks(place, now, is_active);
        ranks.truncate(limit);
        ranks
    }

    /// A new claim, which holds nothing yet.
    pub(super) fn open_claim(&mut self, lease: Lease, now: u64) -> String {
        let claim = format!("c{}", self.next());
        let until = now + lease.ttl_secs * SECOND;
        self.leases.insert(claim.clone(), until);
        claim
    }

    /// `claim` takes the message at `rank`, and keeps it alive.
    pub(super) fn take(&mut self, rank: u64, claim: &str, lease: Lease, now: u64) -> Option<Row> {
        let row = self.rows.get_mut(&rank)?;
        row.claim = Some(claim.to_owned());
        row.claims += 1;
        self.extend(rank, lease, now);
        self.rows.get(&rank).cloned()
    }

    /// A message outlives the claim that holds it.
    pub(super) fn extend(&mut self, rank: u64, lease: Lease, now: u64) {
        if let Some(row) = self.rows.get_mut(&rank)
            && row.expires_at < now + lease.ttl_secs * SECOND
        {
            row.expires_at = now + (lease.ttl_secs + lease.grace_secs) * SECOND;
        }
    }

    /// Of `ranks`, those that were not claimed too often; the others become dead letters.
    pub(super) fn divert(&mut self, place: &Place, ranks: Vec<u64>, now: u64) -> Vec<u64> {
        let attributes = self.attributes(place);
        let Some((letters, claims_max)) = attributes.dead_letters() else {
            return ranks;
        };
        let (dead, alive): (Vec<u64>, Vec<u64>) = ranks.into_iter().partition(|rank| {
            self.rows
                .get(rank)
                .is_some_and(|row| row.claims >= claims_max)
        });
        for rank in dead {
            if let Some(row) = self.rows.remove(&rank) {
                self.bury(row, letters, attributes.letters_ttl_secs, now);
            }
        }
        alive
    }

    /// A message becomes a dead letter in the queue `letters`.
    pub(super) fn bury(&mut self, mut row: Row, letters: &str, ttl_secs: Option<u64>, now: u64) {
        letters.clone_into(&mut row.place.queue);
        if let Some(secs) = ttl_secs {
            row.ttl_secs = secs;
            row.expires_at = now + secs * SECOND;
        }
        row.claim = None;
        let rank = self.next();
        self.rows.insert(rank, row);
    }

    /// A whole claim in one step.
    pub(super) fn claim(&mut self, place: &Place, lease: Lease, now: u64) -> Granted {
        let ranks = self.active(place, now, lease.limit);
        self.grant(place, ranks, lease, now)
    }

    /// A new claim takes those of `ranks` that were not claimed too often.
    pub(super) fn grant(
        &mut self,
        place: &Place,
        ranks: Vec<u64>,
        lease: Lease,
        now: u64,
    ) -> Granted {
        let ranks = self.divert(place, ranks, now);
        let claim = self.open_claim(lease, now);
        let take = |rank| self.take(rank, &claim, lease, now);
        let rows = ranks.into_iter().filter_map(take).collect();
        Granted { claim, rows }
    }

    /// Ranks of what the claim holds.
    pub(super) fn held_by(&self, claim: &str, now: u64) -> Vec<u64> {
        let rows = self.rows.iter();
        let rows = rows.filter(|(_, row)| row.claim.as_deref() == Some(claim));
        rows.filter(|(_, row)| now < row.expires_at)
            .map(|(rank, _)| *rank)
            .collect()
    }

    /// What the claim holds; `None` if there is no such claim.
    pub(super) fn claimed(&self, claim: &str, now: u64) -> Option<Vec<Row>> {
        let rows = || self.held_by(claim, now).into_iter();
        let rows = || rows().map(|rank| self.rows[&rank].clone()).collect();
        self.is_live(claim, now).then(rows)
    }

    pub(super) fn renew(&mut self, claim: &str, lease: Lease, now: u64) -> bool {
        if !self.is_live(claim, now) {
            return false;
        }
        let until = now + lease.ttl_secs * SECOND;
        self.leases.insert(claim.to_owned(), until);
        for rank in self.held_by(claim, now) {
            self.extend(rank, lease, now);
        }
        true
    }

    pub(super) fn release(&mut self, claim: &str) {
        self.leases.remove(claim);
        let rows = self.rows.values_mut();
        for row in rows.filter(|row| row.claim.as_deref() == Some(claim)) {
            row.claim = None;
        }
    }

    /// The rank of a message that lives.
    pub(super) fn find(&self, place: &Place, id: &str, now: u64) -> Option<u64> {
        let mut rows = self.rows.iter();
        let found =
            rows.find(|(_, row)| row.id == id && row.place == *place && now < row.expires_at);
        found.map(|(rank, _)| *rank)
    }

    /// Whether whoever names `claim`, or none, may delete the message at `rank`.
    pub(super) fn may_delete(&self, rank: u64, claim: Option<&str>, now: u64) -> Deleted {
        let holder = self.rows.get(&rank).and_then(|row| row.claim.as_deref());
        let holder = holder.filter(|holder| self.is_live(holder, now));
        match (holder, claim) {
            (Some(holder), Some(claim)) if holder == claim => Deleted::Gone,
            (_, Some(claim)) if !self.is_live(claim, now) => Deleted::NoSuchClaim,
            (None, Some(_)) => Deleted::NoSuchClaim,
            (Some(_), _) => Deleted::NotYours,
            (None, None) => Deleted::Gone,
        }
    }

    pub(super) fn delete(
        &mut self,
        place: &Place,
        id: &str,
        claim: Option<&str>,
        now: u64,
    ) -> Deleted {
        let Some(rank) = self.find(place, id, now) else {
            return Deleted::Gone;
        };
        let answer = self.may_delete(rank, claim, now);
        if answer == Deleted::Gone {
            self.rows.remove(&rank);
        }
        answer
    }

    pub(super) fn pop(&mut self, place: &Place, limit: usize, now: u64) -> Vec<Row> {
        let ranks = self.active(place, now, limit).into_iter();
        ranks.filter_map(|rank| self.rows.remove(&rank)).collect()
    }

    pub(super) fn get(&self, place: &Place, ids: &[String], now: u64) -> Vec<Row> {
        let found = ids.iter().filter_map(|id| self.find(place, id, now));
        found.map(|rank| self.rows[&rank].clone()).collect()
    }

    /// What a page may show, with its rank.
    pub(super) fn listable(&self, place: &Place, page: &Page, now: u64) -> Vec<(u64, Row)> {
        let is_wanted = |row: &Row| {
            (page.claimed || !self.is_held(row, now)) && (page.delayed || row.active_at <= now)
        };
        let ranks = self.ranks(place, now, is_wanted).into_iter();
        ranks.map(|rank| (rank, self.rows[&rank].clone())).collect()
    }

    /// The page behind its marker, which is the rank of the last message seen.
    pub(super) fn list(&self, place: &Place, page: &Page, now: u64) -> Listed {
        let marker = page.marker.as_ref().and_then(|marker| marker.parse().ok());
        let after: u64 = marker.unwrap_or(0);
        let all = self.listable(place, page, now).into_iter();
        let shown = all.filter(|(rank, _)| *rank > after).take(page.limit);
        let shown: Vec<(u64, Row)> = shown.collect();
        let next = shown.last().map_or(after, |(rank, _)| *rank).to_string();
        Listed {
            rows: shown.into_iter().map(|(_, row)| row).collect(),
            next,
        }
    }

    pub(super) fn stats(&self, place: &Place, now: u64) -> Stats {
        let count = |held| {
            let ranks = self.ranks(place, now, |row| self.is_held(row, now) == held);
            u64::try_from(ranks.len()).unwrap_or(u64::MAX)
        };
        (count(false), count(true))
    }

    pub(super) fn purge(&mut self, place: &Place) {
        self.rows.retain(|_, row| row.place != *place);
    }
}
