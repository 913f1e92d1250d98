//! A fast hash for tables of what the CRM states: short texts and small numbers, millions of them.
//!
//! Keyed by the system's randomness, so that chosen values do not fall into one place; tables are bounded all the same.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};

/// A table with such a hash.
pub type Table<K, V> = HashMap<K, V, Keyed>;

/// The hash, with a key of its own for each table.
#[derive(Clone)]
pub struct Keyed(SeedableRandomState);

impl Default for Keyed {
    fn default() -> Self {
        Self(SeedableRandomState::with_seed(random(), &SHARED))
    }
}

impl BuildHasher for Keyed {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

static SHARED: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(random()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_a_key_of_its_own() {
        let (one, other) = (Keyed::default(), Keyed::default());
        assert_ne!(one.hash_one("owner"), other.hash_one("owner"));
        assert_eq!(one.hash_one("owner"), one.clone().hash_one("owner"));
    }
}
