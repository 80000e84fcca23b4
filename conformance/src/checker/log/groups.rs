//! Lists of numbers, one for each of many keys.

/// The lists lie in one piece of memory, one after the other.
#[derive(Debug, Default)]
pub(in crate::checker) struct Groups {
    /// Where the list of each key begins; one more, for the end. Empty if all lists are.
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Groups {
    /// The lists of `keys` keys, from pairs of a key and an item; each list in the order of the pairs.
    pub(in crate::checker) fn of(keys: usize, pairs: &[(u32, u32)]) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        // Two places ahead: what was counted becomes where the next item goes, and at last where the
        // list ends.
        let mut starts = vec![0_u32; keys + 2];
        for &(key, _) in pairs {
            starts[key as usize + 2] += 1;
        }
        for key in 2..starts.len() {
            starts[key] += starts[key - 1];
        }
        let mut items = vec![0; pairs.len()];
        for &(key, item) in pairs {
            let next = &mut starts[key as usize + 1];
            items[*next as usize] = item;
            *next += 1;
        }
        starts.truncate(keys + 1);
        Self { starts, items }
    }

    /// The list of `key`.
    pub(in crate::checker) fn get(&self, key: u32) -> &[u32] {
        if self.starts.is_empty() {
            return &[];
        }
        let key = key as usize;
        let [from, until] = [key, key + 1].map(|key| self.starts[key] as usize);
        &self.items[from..until]
    }

    /// Where the list of `key` begins among the items of all.
    pub(in crate::checker) fn start(&self, key: u32) -> usize {
        if self.starts.is_empty() {
            return 0;
        }
        self.starts[key as usize] as usize
    }

    /// The items of all lists, one after the other.
    pub(in crate::checker) fn items(&self) -> &[u32] {
        &self.items
    }

    /// Sorts each list.
    pub(in crate::checker) fn sort_by_key<K: Ord>(&mut self, by: impl Fn(u32) -> K) {
        for key in 1..self.starts.len() {
            let [from, until] = [key - 1, key].map(|key| self.starts[key] as usize);
            let list = &mut self.items[from..until];
            if list.len() > 1 {
                list.sort_by_key(|&item| by(item));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_the_order_of_their_pairs() {
        let mut groups = Groups::of(4, &[(2, 9), (0, 7), (2, 3), (2, 5)]);
        let lists = |groups: &Groups| {
            (0..4)
                .map(|key| groups.get(key).to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(lists(&groups), [vec![7], vec![], vec![9, 3, 5], vec![]]);
        assert_eq!((groups.start(2), groups.items()), (1, &[7, 9, 3, 5][..]));
        groups.sort_by_key(|item| item);
        assert_eq!(groups.get(2), [3, 5, 9]);
        let mut empty = Groups::of(4, &[]);
        empty.sort_by_key(|item| item);
        assert_eq!((empty.get(3), empty.start(3)), (&[][..], 0));
    }
}
