//! Maps whose keys are hashes already, as OMOP ids and keys of names are: nothing is hashed again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by ids or keys that are hashes.
pub type ByHash<K, V> = HashMap<K, V, BuildHasherDefault<Taken>>;

/// Takes a key of 64 bits for its hash.
#[derive(Default)]
pub struct Taken(u64);

impl Hasher for Taken {
    fn write_i64(&mut self, key: i64) {
        self.write_u64(key as u64);
    }

    fn write_u64(&mut self, key: u64) {
        // A map looks at the lowest and the uppermost bits, and the uppermost of an id is always 0.
        self.0 = key.rotate_left(32);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use model::omop::key::omop_key;

    use super::*;

    #[test]
    fn every_id_finds_its_own_value() {
        let id = |n: u64| omop_key("s", &n.to_string(), "", "");
        let ids: ByHash<i64, u64> = (0..10_000).map(|n| (id(n), n)).collect();
        assert!((0..10_000).all(|n| ids.get(&id(n)) == Some(&n)) && !ids.contains_key(&id(10_000)));
        let names: ByHash<u64, u64> = (0..1000).map(|n| (n, n)).collect();
        assert!((0..1000).all(|n| names.get(&n) == Some(&n)), "also where a key is no hash");
    }
}
