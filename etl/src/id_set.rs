//! A set of ids that are hashes: eight bytes each, and a look-up that goes straight to the place.

/// Ids, fixed once made. Since ids are hashes they spread evenly, so the upper bits tell where to look.
#[derive(Default)]
pub struct IdSet {
    ids: Vec<i64>,
    starts: Vec<u32>,
    shift: u32,
}

impl IdSet {
    /// Takes the ids; an id may come more than once.
    pub fn new(mut ids: Vec<i64>) -> IdSet {
        ids.sort_unstable();
        ids.dedup();
        ids.shrink_to_fit();
        let bits = (ids.len() / 4).max(1).ilog2().min(28);
        let shift = 63 - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for slot in 0..1_i64 << bits {
            starts.push(ids.partition_point(|id| (id >> shift) < slot) as u32);
        }
        starts.push(ids.len() as u32);
        IdSet { ids, starts, shift }
    }

    /// True when the id is in the set.
    #[inline]
    pub fn contains(&self, id: i64) -> bool {
        if self.ids.is_empty() || id < 0 {
            return false;
        }
        let slot = (id >> self.shift) as usize;
        let (start, end) = (self.starts[slot] as usize, self.starts[slot + 1] as usize);
        self.ids[start..end].binary_search(&id).is_ok()
    }

    /// How many ids there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The ids, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.ids.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        for count in [0_i64, 1, 2, 3, 100, 10_000] {
            let id = |n: i64| model::omop::key::omop_key("s", &n.to_string(), "", "");
            let mut ids: Vec<_> = (0..count).map(id).collect();
            ids.extend((0..count).map(id));
            let set = IdSet::new(ids);
            assert_eq!(set.len(), count as usize);
            assert!((0..count).all(|n| set.contains(id(n))));
            assert!((count..count + 1000).all(|n| !set.contains(id(n))));
            assert!(!set.contains(-1) && !set.contains(0) && !set.contains(i64::MAX));
        }
    }
}
