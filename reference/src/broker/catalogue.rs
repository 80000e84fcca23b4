//! The catalogue: which pools and flavors there are, the ways to find them, and which queues are
//! in which pool. Owns these indexes; must not know projects, names of queues or messages.
//!
//! A pool is a simulated store. All of them are memory of this one process, so a queue is in a
//! pool by being listed there, and moves by being listed elsewhere.
//!
//! A pool carries the name of at most one flavor, and a flavor consists of the pools that carry
//! its name. Zaqar v2 lets a pool carry a name that no flavor has (yet): then nothing is placed
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::flavors::FlavorName;
use super::json_text::JsonText;
use super::pools::PoolName;
use super::slab::{Slab, Slot};
use super::snapshot::pairs;

/// The stream of the seed's generator that places queues. Ids come from another one, so that they
/// are the same wherever a queue is placed and however often it moves.
const PLACEMENT_STREAM: u64 = 1;

/// A pool as stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) name: PoolName,
    pub(crate) uri: Arc<str>,
    pub(crate) weight: u32,
    /// The flavor whose name it carries, whether there is such a flavor or not.
    pub(crate) flavor: Option<FlavorName>,
    pub(crate) options: JsonText,
    /// The queues in it, by the flavor that they were created with.
    #[serde(with = "pairs")]
    queues: BTreeMap<Option<FlavorName>, BTreeSet<Slot>>,
    queue_count: usize,
}

impl Pool {
    pub(crate) const fn queue_count(&self) -> usize {
        self.queue_count
    }

    /// The first flavor after `after` that queues in it were created with; without `after`, the
    /// first of all.
    pub(crate) fn next_group(
        &self,
        after: Option<&Option<FlavorName>>,
    ) -> Option<Option<FlavorName>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        let mut groups = self.queues.range((start, Unbounded));
        groups.next().map(|(flavor, _)| flavor.clone())
    }

    /// A queue in it that was created with this flavor.
    pub(crate) fn first_of_group(&self, flavor: &Option<FlavorName>) -> Option<Slot> {
        self.queues.get(flavor)?.first().copied()
    }
}

/// Where a queue is, and with which flavor it was created, which is for life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) pool: Slot,
    pub(crate) flavor: Option<FlavorName>,
}

/// The pools that may take a queue, each with the sum of the weights up to its own.
pub(crate) struct Candidates(Vec<(u64, Slot)>);

#[derive(Serialize, Deserialize)]
pub(crate) struct Catalogue {
    generator: ChaCha8Rng,
    pools: Slab<Pool>,
    names: BTreeMap<PoolName, Slot>,
    uris: BTreeMap<Arc<str>, Slot>,
    /// The pools by the name of the flavor that they carry.
    #[serde(with = "pairs")]
    members: BTreeMap<Option<FlavorName>, BTreeMap<PoolName, Slot>>,
    flavors: BTreeSet<FlavorName>,
}

impl Catalogue {
    pub(crate) fn new(seed: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(PLACEMENT_STREAM);
        Self {
            generator,
            pools: Slab::new(),
            names: BTreeMap::new(),
            uris: BTreeMap::new(),
            members: BTreeMap::new(),
            flavors: BTreeSet::new(),
        }
    }

    /// Adds a pool without weight, flavor or queues. Neither the name nor the URI is taken.
    pub(crate) fn insert(&mut self, name: PoolName, uri: Arc<str>, options: JsonText) -> Slot {
        let slot = self.pools.insert_with(|_| Pool {
            name: name.clone(),
            uri: Arc::clone(&uri),
            weight: 0,
            flavor: None,
            options,
            queues: BTreeMap::new(),
            queue_count: 0,
        });
        let known = [
            self.names.insert(name.clone(), slot),
            self.uris.insert(uri, slot),
            self.members.entry(None).or_default().insert(name, slot),
        ];
        assert_eq!(known, [None; 3], "invariant: names and URIs are unique");
        slot
    }

    /// Takes a pool out that has no queues.
    pub(crate) fn remove(&mut self, slot: Slot) {
        self.set_flavor(slot, None);
        let pool = self.pools.remove(slot);
        assert_eq!(pool.queue_count, 0, "invariant: a pool with queues stays");
        let members = self.members.entry(None).or_default();
        let known = [
            self.names.remove(&pool.name),
            self.uris.remove(&pool.uri),
            members.remove(&pool.name),
        ];
        assert_eq!(known, [Some(slot); 3], "invariant: every index knows it");
    }

    /// Makes the pool carry this flavor, or none.
    pub(crate) fn set_flavor(&mut self, slot: Slot, flavor: Option<FlavorName>) {
        let pool = &mut self.pools[slot];
        let old = std::mem::replace(&mut pool.flavor, flavor.clone());
        let members = self.members.entry(old.clone()).or_default();
        members.remove(&pool.name);
        if members.is_empty() {
            self.members.remove(&old);
        }
        let members = self.members.entry(flavor).or_default();
        members.insert(pool.name.clone(), slot);
    }

    /// Gives the pool this URI, which no other one has.
    pub(crate) fn set_uri(&mut self, slot: Slot, uri: Arc<str>) {
        let old = std::mem::replace(&mut self.pools[slot].uri, Arc::clone(&uri));
        self.uris.remove(&old);
        let known = self.uris.insert(uri, slot);
        assert_eq!(known, None, "invariant: URIs are unique");
    }

    pub(crate) fn set_weight(&mut self, slot: Slot, weight: u32) {
        self.pools[slot].weight = weight;
    }

    pub(crate) fn set_options(&mut self, slot: Slot, options: JsonText) {
        self.pools[slot].options = options;
    }

    pub(crate) fn insert_flavor(&mut self, name: FlavorName) {
        self.flavors.insert(name);
    }

    pub(crate) fn remove_flavor(&mut self, name: &FlavorName) {
        self.flavors.remove(name);
    }

    /// Lists a queue where its seat is.
    pub(crate) fn seat(&mut self, queue: Slot, seat: &Seat) {
        let pool = &mut self.pools[seat.pool];
        let group = pool.queues.entry(seat.flavor.clone()).or_default();
        let new = group.insert(queue);
        assert!(new, "invariant: a queue is in a pool once");
        pool.queue_count += 1;
    }

    /// Takes a queue off the list of its pool.
    pub(crate) fn unseat(&mut self, queue: Slot, seat: &Seat) {
        let pool = &mut self.pools[seat.pool];
        let group = pool.queues.get_mut(&seat.flavor);
        let group = group.expect("invariant: a queue is listed where its seat is");
        let known = group.remove(&queue);
        assert!(known, "invariant: a queue is listed where its seat is");
        if group.is_empty() {
            pool.queues.remove(&seat.flavor);
        }
        pool.queue_count -= 1;
    }

    /// Zaqar v2, Placement: in proportion to the weights, so that weight 0 is never drawn.
    pub(crate) fn draw(&mut self, candidates: &Candidates) -> Option<Slot> {
        let (total, _) = *candidates.0.last()?;
        let drawn = self.draw_below(total);
        let at = candidates.0.partition_point(|(sum, _)| *sum <= drawn);
        Some(candidates.0[at].1)
    }

    /// Each number below `bound` is equally likely: those of the last, incomplete round of the
    /// generator's range are drawn again.
    fn draw_below(&mut self, bound: u64) -> u64 {
        let end = u64::MAX - u64::MAX % bound;
        loop {
            let number = self.generator.next_u64();
            if number < end {
                return number % bound;
            }
        }
    }

    /// The pools that may take a queue of this flavor, in order of their names. Invariant: the
    /// work is in proportion to the pools of the flavor, of which there are few: `POOLS_MAX`.
    pub(crate) fn candidates(&self, flavor: Option<&FlavorName>) -> Candidates {
        let mut sum = 0;
        let shares = self.members_of(flavor).filter_map(|slot| {
            let weight = self.pools[slot].weight;
            sum += u64::from(weight);
            (weight > 0).then_some((sum, slot))
        });
        Candidates(shares.collect())
    }

    /// The pools that carry this flavor, or none, in order of their names.
    pub(crate) fn members_of(&self, flavor: Option<&FlavorName>) -> impl Iterator<Item = Slot> {
        let members = self.members.get(&flavor.cloned());
        members.into_iter().flat_map(BTreeMap::values).copied()
    }

    pub(crate) fn pool(&self, slot: Slot) -> &Pool {
        &self.pools[slot]
    }

    pub(crate) fn find(&self, name: &PoolName) -> Option<Slot> {
        self.names.get(name).copied()
    }

    pub(crate) fn find_uri(&self, uri: &str) -> Option<Slot> {
        self.uris.get(uri).copied()
    }

    pub(crate) fn has_flavor(&self, name: &FlavorName) -> bool {
        self.flavors.contains(name)
    }

    pub(crate) const fn pools(&self) -> &BTreeMap<PoolName, Slot> {
        &self.names
    }

    pub(crate) const fn flavors(&self) -> &BTreeSet<FlavorName> {
        &self.flavors
    }

    /// Compares every index with the pools, and the lists of queues with the seats that they are
    /// to show. For tests.
    pub(crate) fn check(&self, seats: &[(Slot, &Seat)]) {
        let mut listed = BTreeMap::<Slot, BTreeMap<Option<FlavorName>, BTreeSet<Slot>>>::new();
        for (queue, seat) in seats {
            let groups = listed.entry(seat.pool).or_default();
            let group = groups.entry(seat.flavor.clone()).or_default();
            assert!(group.insert(*queue), "a queue has one seat");
        }
        let mut members = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (name, slot) in &self.names {
            let pool = &self.pools[*slot];
            assert_eq!(&pool.name, name, "a pool is found by its name");
            assert_eq!(self.find_uri(&pool.uri), Some(*slot), "and by its URI");
            let carriers = members.entry(pool.flavor.clone()).or_default();
            carriers.insert(name.clone(), *slot);
            let queues = listed.remove(slot).unwrap_or_default();
            let count = queues.values().map(BTreeSet::len).sum::<usize>();
            assert_eq!(pool.queues, queues, "a pool lists the queues in it");
            assert_eq!(pool.queue_count, count, "and counts them");
        }
        assert!(listed.is_empty(), "every seat is in a pool that there is");
        assert_eq!(self.names.len(), self.pools.len(), "every pool has a name");
        assert_eq!(self.uris.len(), self.pools.len(), "and one URI");
        members.entry(None).or_default();
        let mut known = self.members.clone();
        known.entry(None).or_default();
        assert_eq!(known, members, "pools are found by their flavor");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(weights: &[u32]) -> Catalogue {
        let mut catalogue = Catalogue::new(7);
        for (number, weight) in weights.iter().enumerate() {
            let name = PoolName::parse(&format!("p{number}")).unwrap();
            let options = JsonText::parse("{}").unwrap();
            let slot = catalogue.insert(name, format!("memory://{number}").into(), options);
            catalogue.set_weight(slot, *weight);
        }
        catalogue
    }

    /// How often each pool is drawn.
    fn draws(weights: &[u32], count: u32) -> Vec<f64> {
        let mut catalogue = catalogue(weights);
        let candidates = catalogue.candidates(None);
        let mut drawn = vec![0.0; weights.len()];
        for _ in 0..count {
            let slot = catalogue.draw(&candidates).unwrap();
            let name = catalogue.pool(slot).name.as_str().to_owned();
            drawn[name[1..].parse::<usize>().unwrap()] += 1.0;
        }
        drawn
    }

    /// Pearson's test: with 4 degrees of freedom, chance alone exceeds 18.47 once in 1,000 times.
    #[test]
    fn pools_are_drawn_in_proportion_to_their_weight() {
        let weights = [1, 2, 0, 5, 40, 52];
        let drawn = draws(&weights, 100_000);
        assert_eq!(drawn[2], 0.0, "weight 0 is never drawn");
        let expected = weights.map(|weight| f64::from(weight) * 1_000.0);
        let terms = drawn.iter().zip(expected).filter(|(_, e)| *e > 0.0);
        let chi_square: f64 = terms.map(|(n, e)| (n - e) * (n - e) / e).sum();
        assert!(chi_square < 18.47, "{chi_square}: {drawn:?}");
        // The same test does tell other weights: it is not blind.
        let other = [2, 2, 0, 5, 40, 51].map(|weight| f64::from(weight) * 1_000.0);
        let terms = drawn.iter().zip(other).filter(|(_, e)| *e > 0.0);
        assert!(terms.map(|(n, e)| (n - e) * (n - e) / e).sum::<f64>() > 18.47);
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let drawn = draws(&[u32::MAX, 0, u32::MAX, 1], 1_000);
        assert!(drawn[0] > 400.0 && drawn[2] > 400.0, "{drawn:?}");
        assert_eq!((drawn[1], drawn[3]), (0.0, 0.0));
    }

    #[test]
    fn nothing_is_drawn_where_nothing_has_weight() {
        let mut catalogue = catalogue(&[0, 0]);
        let candidates = catalogue.candidates(None);
        assert_eq!(catalogue.draw(&candidates), None);
        let flavor = FlavorName::parse("f");
        let candidates = catalogue.candidates(flavor.as_ref());
        assert_eq!(catalogue.draw(&candidates), None);
    }
}
