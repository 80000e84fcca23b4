//! A lane: the messages of one backlog in one state, in order of rank.
//!
//! A search tree in which every branch knows of what lies below it: how many, whose, when the first
//! and the last of them expires, and when the first and the last is ready. So the next message that
//! somebody may see is found without a look at those whose time is over, or that are the reader's
//! own, however many lie between; and what is over need not be collected before anything else is
//! done. Where entries of both kinds lie mixed, a search passes over those that collecting is about
//! to take away, and over no others.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod node;
mod query;
mod summary;

use super::clients::ClientKey;
use super::message::{Message, Rank};
use super::slab::Slot;
use super::timestamp::Timestamp;

use node::Node;
pub(crate) use query::{Held, Over, Query, Ready, Wanted, Work};

/// A message, with all that a search looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) rank: Rank,
    pub(crate) expires_at: Timestamp,
    /// When its delay or its claim ends; long ago if it is active.
    pub(crate) ready_at: Timestamp,
    pub(crate) slot: Slot,
    pub(crate) client: ClientKey,
}

impl Entry {
    /// The entry of the message in `slot`.
    pub(crate) const fn of(slot: Slot, message: &Message) -> Self {
        Self {
            rank: message.rank,
            expires_at: message.expires_at,
            ready_at: message.state.ready_at(),
            slot,
            client: message.client,
        }
    }
}

pub(crate) struct Lane {
    root: Node,
    len: usize,
}

impl Lane {
    pub(crate) const fn new() -> Self {
        Self {
            root: Node::new(),
            len: 0,
        }
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.len += 1;
        self.root.grow(entry);
    }

    pub(crate) fn remove(&mut self, rank: Rank) -> Entry {
        let removed = self.root.remove(rank);
        self.root.shrink();
        self.len -= 1;
        removed.expect("invariant: a message lies in the lane of its state")
    }

    /// Puts the entry in the place of the one of its rank.
    pub(crate) fn replace(&mut self, entry: Entry) {
        let replaced = self.root.replace(entry);
        assert!(
            replaced,
            "invariant: a message lies in the lane of its state"
        );
    }

    /// Takes out the oldest members that the query admits, at most `count`.
    pub(crate) fn take(&mut self, query: &impl Query, count: usize) -> Vec<Entry> {
        let mut taken = Vec::new();
        if self.root.summary().is_some_and(|all| query.may_admit(&all)) {
            self.root.take(query, count, &mut taken);
            self.root.shrink();
            self.len -= taken.len();
        }
        taken
    }

    /// The first member after a position that the query admits.
    pub(crate) fn next(&self, position: Option<Rank>, query: &impl Query) -> Option<Entry> {
        let mut found = Vec::new();
        self.find(position, query, 1, &mut found);
        found.pop()
    }

    /// Adds the first members after a position that the query admits to `found`, at most `count`.
    pub(crate) fn find(
        &self,
        position: Option<Rank>,
        query: &impl Query,
        count: usize,
        found: &mut Vec<Entry>,
    ) {
        self.root.find(position, query, found.len() + count, found);
    }

    /// The last member that the query admits.
    pub(crate) fn last(&self, query: &impl Query) -> Option<Entry> {
        self.root.last(query)
    }

    /// How many members the query admits.
    pub(crate) fn count(&self, query: &impl Query) -> usize {
        self.root.count(query)
    }

    /// When the first of them expires.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.root.summary().map(|all| all.expires_min)
    }

    /// When the first of them is ready.
    pub(crate) fn next_ready(&self) -> Option<Timestamp> {
        self.root.summary().map(|all| all.ready_min)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Visits every member. For tests.
    pub(crate) fn each(&self, visit: &mut impl FnMut(&Entry)) {
        self.root.each(visit);
    }

    /// Compares what the branches know with a full scan.
    pub(crate) fn check(&self) {
        let (mut count, mut last) = (0, None);
        self.each(&mut |entry| {
            assert!(last < Some(entry.rank), "members are in order of rank");
            (count, last) = (count + 1, Some(entry.rank));
        });
        assert_eq!(count, self.len, "every member is counted");
        self.root.check();
    }
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_seq(Some(self.len))?;
        let mut written = Ok(());
        self.each(&mut |entry| {
            if written.is_ok() {
                written = entries.serialize_element(entry);
            }
        });
        written?;
        entries.end()
    }
}

/// The tree may have another shape than the one that was saved. Nothing that is asked depends on it.
impl<'de> Deserialize<'de> for Lane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut lane = Self::new();
        for entry in Vec::<Entry>::deserialize(deserializer)? {
            lane.insert(entry);
        }
        Ok(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Uuid;
    use crate::broker::clients::Clients;
    use crate::broker::message::ClientId;
    use proptest::prelude::*;

    /// What is done to a lane of few ranks, so that most ranks meet.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u64, u64, bool),
        Remove(u64),
        Retime(u64, u64),
        Take(u64, usize),
        Collect(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (rank, time) = (0..400u64, 0..20u64);
        prop_oneof![
            8 => (rank.clone(), time.clone(), time.clone(), any::<bool>())
                .prop_map(|(rank, expires, ready, own)| Step::Insert(rank, expires, ready, own)),
            3 => rank.clone().prop_map(Step::Remove),
            1 => (rank, time.clone()).prop_map(|(rank, expires)| Step::Retime(rank, expires)),
            1 => (time.clone(), 0..60usize).prop_map(|(now, count)| Step::Take(now, count)),
            1 => (time, 0..60usize).prop_map(|(now, count)| Step::Collect(now, count)),
        ]
    }

    fn clients() -> [ClientKey; 2] {
        let mut clients = Clients::new();
        [1, 2].map(|byte| clients.hold(&ClientId::Uuid(Uuid::from_bytes([byte; 16])), 1))
    }

    fn taken(list: &mut Vec<Entry>, query: &impl Query, count: usize) -> Vec<Entry> {
        let mut left = count;
        let taken = list.extract_if(.., |entry| {
            let takes = left > 0 && query.admits(entry);
            left -= usize::from(takes);
            takes
        });
        taken.collect()
    }

    /// Every question that a lane answers, answered from a list.
    fn compare(lane: &Lane, list: &[Entry], now: Timestamp, query: &impl Query) {
        let mut admitted = list.iter().filter(|entry| query.admits(entry)).copied();
        let position = Some(Rank(now.as_nanos() * 17));
        let after = |entry: &Entry| Some(entry.rank) > position;
        assert_eq!(lane.count(query), admitted.clone().count());
        assert_eq!(lane.last(query), admitted.clone().next_back());
        assert_eq!(lane.next(position, query), admitted.clone().find(after));
        for count in [0, 1, 5, 100] {
            let mut found = list[..list.len().min(1)].to_vec();
            lane.find(position, query, count, &mut found);
            let expected = admitted.clone().filter(after).take(count);
            assert!(found.iter().skip(list.len().min(1)).copied().eq(expected));
        }
        assert_eq!(lane.next(None, query), admitted.next());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_lane_answers_as_a_list_would(steps in prop::collection::vec(step(), 0..400)) {
            let (mut lane, mut list, work) = (Lane::new(), Vec::<Entry>::new(), Work::default());
            let [own, other] = clients();
            let at = Timestamp::from_nanos;
            for step in steps {
                let now = match step {
                    Step::Insert(rank, expires, ready, is_own) => {
                        let place = list.partition_point(|entry| entry.rank < Rank(rank));
                        if list.get(place).is_none_or(|entry| entry.rank != Rank(rank)) {
                            let client = if is_own { own } else { other };
                            let (expires_at, ready_at) = (at(expires), at(ready));
                            let slot = Slot::from_index(7);
                            let entry = Entry { rank: Rank(rank), expires_at, ready_at, slot, client };
                            list.insert(place, entry);
                            lane.insert(entry);
                        }
                        expires
                    }
                    Step::Remove(rank) => {
                        if let Ok(place) = list.binary_search_by_key(&Rank(rank), |entry| entry.rank) {
                            prop_assert_eq!(lane.remove(Rank(rank)), list.remove(place));
                        }
                        rank % 20
                    }
                    Step::Retime(rank, expires) => {
                        if let Ok(place) = list.binary_search_by_key(&Rank(rank), |entry| entry.rank) {
                            list[place].expires_at = at(expires);
                            lane.replace(list[place]);
                        }
                        expires
                    }
                    Step::Take(now, count) => {
                        let query = Wanted { now: at(now), ready: true, excluded: None, work: &work };
                        prop_assert_eq!(lane.take(&query, count), taken(&mut list, &query, count));
                        now
                    }
                    Step::Collect(now, count) => {
                        let over = Over { now: at(now), work: &work };
                        prop_assert_eq!(lane.take(&over, count), taken(&mut list, &over, count));
                        now
                    }
                };
                lane.check();
                let now = at(now);
                prop_assert_eq!(lane.len(), list.len());
                prop_assert_eq!(lane.next_expiry(), list.iter().map(|entry| entry.expires_at).min());
                prop_assert_eq!(lane.next_ready(), list.iter().map(|entry| entry.ready_at).min());
                for (ready, excluded) in [(true, None), (false, Some(own)), (true, Some(other))] {
                    compare(&lane, &list, now, &Wanted { now, ready, excluded, work: &work });
                }
                compare(&lane, &list, now, &Held { now, work: &work });
                compare(&lane, &list, now, &Ready { now, work: &work });
            }
        }
    }

    #[test]
    fn what_is_over_costs_a_search_nothing_however_much_it_is() {
        let [own, other] = clients();
        let mut lane = Lane::new();
        let soon = Timestamp::from_secs(1);
        let entry = |rank, expires_at, client| Entry {
            rank: Rank(rank),
            expires_at,
            ready_at: Timestamp::default(),
            slot: Slot::from_index(0),
            client,
        };
        for rank in 0..100_000 {
            lane.insert(entry(rank, soon, other));
        }
        for rank in 100_000..200_000 {
            lane.insert(entry(rank, Timestamp::from_secs(9), own));
        }
        lane.insert(entry(200_000, Timestamp::from_secs(9), other));
        let work = Work::default();
        let query = Wanted {
            now: soon,
            ready: true,
            excluded: Some(own),
            work: &work,
        };
        assert_eq!(
            lane.next(None, &query).map(|found| found.rank),
            Some(Rank(200_000))
        );
        assert!(work.done() < 300, "{} looked at", work.done());
    }

    #[test]
    fn a_lane_that_shrinks_keeps_no_empty_rooms() {
        let [client, _] = clients();
        let mut lane = Lane::new();
        for rank in 0..10_000 {
            lane.insert(Entry {
                rank: Rank(rank),
                expires_at: Timestamp::from_secs(1),
                ready_at: Timestamp::default(),
                slot: Slot::from_index(0),
                client,
            });
        }
        for rank in (0..10_000).filter(|rank| rank % 50 != 0) {
            lane.remove(Rank(rank));
        }
        lane.check();
        assert!(
            lane.root.rooms() < 40,
            "{} for 200 members",
            lane.root.rooms()
        );
    }
}
