//! One queue in memory, in which every step looks up a bounded number of entries for each message that it
//! touches, and counts what it examines.
//!
//! Not here: dead letters. And a page walks past what it may not show: the caller's own messages, unless it
//! asks for the echo, and claimed ones if it asks for delayed ones alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::specimens::tables::{
    Attributes, Deleted, Granted, Lease, Listed, New, Page, Place, Row, SECOND, Stats,
};

/// A queue: its messages, and the indexes that lead to them. Instants are nanoseconds.
#[derive(Default)]
pub(super) struct Shelf {
    /// By which claims find it.
    number: u64,
    pub(super) attributes: Attributes,
    /// Entries examined since the beginning.
    pub(super) examined: u64,
    /// When the collector is to come by.
    pub(super) alarm: Option<u64>,
    /// Messages by rank, oldest first. Those that have expired are here until they are collected.
    pub(super) rows: BTreeMap<u64, Row>,
    /// Ranks of those that are neither held nor delayed.
    free: BTreeSet<u64>,
    /// Those that are delayed, by the end of their delay.
    delayed: BTreeSet<(u64, u64)>,
    /// All of them, by the end of their life.
    ends: BTreeSet<(u64, u64)>,
    claims: BTreeMap<String, Claim>,
    claim_ends: BTreeSet<(u64, String)>,
    /// How many messages are held.
    held: u64,
}

/// A claim that lives.
struct Claim {
    until: u64,
    ranks: BTreeSet<u64>,
}

/// Entries that a search looks at among so many.
pub(super) fn steps(count: usize) -> u64 {
    u64::from(usize::BITS - count.leading_zeros())
}

impl Shelf {
    /// An empty queue under this number.
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// By which claims find it.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Ends claims and delays that are over. Whoever looks at a shelf has to do so before.
    pub(super) fn settle(&mut self, now: u64) {
        while let Some((until, claim)) = self.claim_ends.first()
            && *until <= now
        {
            let claim = claim.clone();
            self.release(&claim);
        }
        while let Some(&(active_at, rank)) = self.delayed.first()
            && active_at <= now
        {
            self.search(self.delayed.len() + self.free.len());
            self.delayed.pop_first();
            self.free.insert(rank);
        }
    }

    /// Takes away at most `count` messages that have expired. How many those were.
    pub(super) fn collect(&mut self, now: u64, count: usize) -> usize {
        let mut collected = 0;
        while collected < count
            && let Some(&(expires_at, rank)) = self.ends.first()
            && expires_at <= now
        {
            self.take_away(rank);
            collected += 1;
        }
        collected
    }

    /// When something ends next.
    pub(super) fn next_end(&self) -> Option<u64> {
        let claim = self.claim_ends.first().map(|(until, _)| *until);
        let message = self.ends.first().map(|(expires_at, _)| *expires_at);
        claim.into_iter().chain(message).min()
    }

    pub(super) fn insert(&mut self, rank: u64, place: &Place, new: New, now: u64) -> String {
        let row = new.row(place, format!("m{rank}"), &self.attributes, now);
        self.search(self.rows.len() + self.ends.len() + self.free.len());
        self.ends.insert((row.expires_at, rank));
        if row.active_at <= now {
            self.free.insert(rank);
        } else {
            self.delayed.insert((row.active_at, rank));
        }
        let id = row.id.clone();
        self.rows.insert(rank, row);
        id
    }

    /// Ranks of messages that can be handed out, oldest first.
    pub(super) fn oldest_free(&mut self, limit: usize, now: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut examined = steps(self.free.len());
        for rank in &self.free {
            if found.len() == limit {
                break;
            }
            examined += 1 + steps(self.rows.len());
            if self.rows[rank].expires_at > now {
                found.push(*rank);
            }
        }
        self.examined += examined;
        found
    }

    /// A new claim takes `ranks`; there is none without messages. Its identifier leads to the queue.
    pub(super) fn grant(
        &mut self,
        serial: u64,
        ranks: Vec<u64>,
        lease: Lease,
        now: u64,
    ) -> Granted {
        let claim = format!("c{serial}-{}", self.number);
        let mut rows = Vec::new();
        for &rank in &ranks {
            self.search(self.free.len());
            self.free.remove(&rank);
            self.extend(rank, lease, now);
            if let Some(row) = self.rows.get_mut(&rank) {
                row.claim = Some(claim.clone());
                row.claims += 1;
                rows.push(row.clone());
            }
        }
        if !rows.is_empty() {
            self.held += count(rows.len());
            let (until, ranks) = (now + lease.ttl_secs * SECOND, ranks.into_iter().collect());
            self.search(self.claims.len() + self.claim_ends.len());
            self.claim_ends.insert((until, claim.clone()));
            self.claims.insert(claim.clone(), Claim { until, ranks });
        }
        Granted { claim, rows }
    }

    /// What the claim holds; `None` if there is no such claim.
    pub(super) fn claimed(&mut self, claim: &str) -> Option<Vec<Row>> {
        self.search(self.claims.len());
        let ranks = self.claims.get(claim)?.ranks.clone();
        let rows = ranks.into_iter().map(|rank| self.row(rank));
        Some(rows.collect::<Vec<_>>().into_iter().flatten().collect())
    }

    pub(super) fn renew(&mut self, claim: &str, lease: Lease, now: u64) -> bool {
        self.search(self.claims.len());
        let Some(held) = self.claims.get_mut(claim) else {
            return false;
        };
        let (before, ranks) = (held.until, held.ranks.clone());
        held.until = now + lease.ttl_secs * SECOND;
        self.claim_ends.remove(&(before, claim.to_owned()));
        self.claim_ends.insert((held.until, claim.to_owned()));
        self.search(2 * self.claim_ends.len());
        for rank in ranks {
            self.extend(rank, lease, now);
        }
        true
    }

    /// The claim ends, and what it held is free.
    pub(super) fn release(&mut self, claim: &str) {
        self.search(self.claims.len() + self.claim_ends.len());
        let Some(Claim { until, ranks }) = self.claims.remove(claim) else {
            return;
        };
        self.claim_ends.remove(&(until, claim.to_owned()));
        self.held -= count(ranks.len());
        for rank in ranks {
            self.search(self.rows.len() + self.free.len());
            if let Some(row) = self.rows.get_mut(&rank) {
                row.claim = None;
            }
            self.free.insert(rank);
        }
    }

    pub(super) fn delete(&mut self, id: &str, claim: Option<&str>, now: u64) -> Deleted {
        self.search(self.rows.len() + self.claims.len());
        let Some(row) = self.find(id, now) else {
            return Deleted::Gone;
        };
        match (row.claim.as_deref(), claim) {
            (Some(holder), Some(claim)) if holder == claim => {}
            (_, Some(claim)) if !self.claims.contains_key(claim) => return Deleted::NoSuchClaim,
            (None, Some(_)) => return Deleted::NoSuchClaim,
            (Some(_), _) => return Deleted::NotYours,
            (None, None) => {}
        }
        self.delete_all(&[id.to_owned()]);
        Deleted::Gone
    }

    /// Takes messages away, whoever holds them.
    pub(super) fn delete_all(&mut self, ids: &[String]) {
        for rank in ids.iter().filter_map(|id| rank(id)) {
            self.take_away(rank);
        }
    }

    pub(super) fn pop(&mut self, limit: usize, now: u64) -> Vec<Row> {
        let ranks = self.oldest_free(limit, now);
        let rows = ranks.into_iter().map(|rank| self.take_away(rank));
        rows.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    pub(super) fn get(&mut self, ids: &[String], now: u64) -> Vec<Row> {
        for _ in ids {
            self.search(self.rows.len());
        }
        let found = ids.iter().filter_map(|id| self.find(id, now));
        found.cloned().collect()
    }

    /// The page behind its marker, which is the rank of the last message seen.
    pub(super) fn list(&mut self, page: &Page, now: u64) -> Listed {
        self.walk(marker(page), page, now)
    }

    /// The same page, found by a walk that begins behind the rank `from`.
    pub(super) fn walk(&mut self, from: u64, page: &Page, now: u64) -> Listed {
        let after = marker(page);
        let behind = (Bound::Excluded(from), Bound::Unbounded);
        let free = (!page.claimed && !page.delayed).then(|| self.free.range(behind));
        let all = free.is_none().then(|| self.rows.range(behind));
        let all = all.into_iter().flatten().map(|(rank, _)| rank);
        let mut ranks = free.into_iter().flatten().chain(all);
        let (mut rows, mut next) = (Vec::new(), after);
        let mut examined = steps(self.rows.len());
        while rows.len() < page.limit
            && let Some(rank) = ranks.next()
        {
            let row = &self.rows[rank];
            examined += 1;
            let shown = *rank > after
                && now < row.expires_at
                && page.not_by.as_ref() != Some(&row.client)
                && (page.claimed || row.claim.is_none())
                && (page.delayed || row.active_at <= now);
            if shown {
                next = *rank;
                rows.push(row.clone());
            }
        }
        self.examined += examined;
        let next = next.to_string();
        Listed { rows, next }
    }

    pub(super) fn stats(&mut self, now: u64) -> Stats {
        // Nothing that is held has expired: a message outlives its claim.
        let expired = self.ends.range(..(now + 1, 0)).count();
        self.examined += count(expired) + steps(self.ends.len());
        (count(self.rows.len() - expired) - self.held, self.held)
    }

    pub(super) fn purge(&mut self) {
        self.search(self.rows.len());
        self.rows.clear();
        self.free.clear();
        self.delayed.clear();
        self.ends.clear();
        self.held = 0;
        for claim in self.claims.values_mut() {
            claim.ranks.clear();
        }
    }

    /// A message outlives the claim that holds it.
    fn extend(&mut self, rank: u64, lease: Lease, now: u64) {
        self.search(self.rows.len());
        let Some(row) = self.rows.get_mut(&rank) else {
            return;
        };
        if row.expires_at < now + lease.ttl_secs * SECOND {
            self.ends.remove(&(row.expires_at, rank));
            row.expires_at = now + (lease.ttl_secs + lease.grace_secs) * SECOND;
            self.ends.insert((row.expires_at, rank));
            self.search(2 * self.ends.len());
        }
    }

    fn find(&self, id: &str, now: u64) -> Option<&Row> {
        let row = self.rows.get(&rank(id)?)?;
        (now < row.expires_at).then_some(row)
    }

    fn row(&mut self, rank: u64) -> Option<Row> {
        self.search(self.rows.len());
        self.rows.get(&rank).cloned()
    }

    fn take_away(&mut self, rank: u64) -> Option<Row> {
        self.search(self.rows.len() + self.ends.len() + self.free.len());
        let row = self.rows.remove(&rank)?;
        self.ends.remove(&(row.expires_at, rank));
        self.free.remove(&rank);
        self.delayed.remove(&(row.active_at, rank));
        if let Some(claim) = &row.claim
            && let Some(claim) = self.claims.get_mut(claim)
        {
            claim.ranks.remove(&rank);
            self.held -= 1;
        }
        Some(row)
    }

    /// Counts a search among so many entries.
    fn search(&mut self, among: usize) {
        self.examined += steps(among);
    }
}

fn count(entries: usize) -> u64 {
    u64::try_from(entries).unwrap_or(u64::MAX)
}

/// Whether a message can be handed out.
pub(super) fn is_free(row: &Row, now: u64) -> bool {
    row.claim.is_none() && row.active_at <= now && now < row.expires_at
}

/// The rank of the message that has this identifier.
pub(super) fn rank(id: &str) -> Option<u64> {
    id.strip_prefix('m')?.parse().ok()
}

/// Behind which rank the page begins.
pub(super) fn marker(page: &Page) -> u64 {
    let marker = page.marker.as_ref();
    marker.and_then(|marker| marker.parse().ok()).unwrap_or(0)
}
