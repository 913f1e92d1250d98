//! A hash table of numbers, for texts that lie elsewhere: four bytes a slot, nothing copied.
//!
//! Promises: hashed with a key of its own, so that chosen names do not make it slow. Never removes.

use std::hash::{BuildHasher, Hash, RandomState};

/// Numbers by what they stand for.
#[derive(Default)]
pub struct Table {
    slots: Vec<u32>,
    len: usize,
    hasher: RandomState,
}

impl Table {
    /// The hash of what a number stands for.
    pub fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    /// The number for which `is_it` holds, among those of that hash and a few others.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = place(hash, mask);
        loop {
            match *self.slots.get(at)? {
                FREE => return None,
                number if is_it(number) => return Some(number),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds a number that is not there; `hash_of` is asked again when the table grows.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(&RandomState, u32) -> u64) {
        if self.len * 4 >= self.slots.len() * 3 {
            let larger = vec![FREE; (self.slots.len() * 2).max(8)];
            for number in std::mem::replace(&mut self.slots, larger) {
                if number != FREE {
                    self.put(hash_of(&self.hasher, number), number);
                }
            }
        }
        self.put(hash, number);
        self.len += 1;
    }

    fn put(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len().saturating_sub(1);
        let mut at = place(hash, mask);
        while self.slots.get(at).is_some_and(|slot| *slot != FREE) {
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = number;
        }
    }
}

/// The mask is below 2^32, so nothing of it is lost on any machine.
fn place(hash: u64, mask: usize) -> usize {
    usize::try_from(hash & mask as u64).unwrap_or(0)
}

/// No number: entities and values are counted up to [`super::DirectoryLimits`], which are far below.
const FREE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_nothing_else() {
        let names: Vec<String> = (0..10_000).map(|number| format!("name-{number}")).collect();
        let mut table = Table::default();
        let name = |number: u32| names[number as usize].as_str();
        for number in 0..5_000 {
            let hash = table.hash(name(number));
            assert_eq!(table.find(hash, |other| name(other) == name(number)), None);
            table.insert(hash, number, |hasher, other| hasher.hash_one(name(other)));
        }
        for number in 0..10_000 {
            let found = table.find(table.hash(name(number)), |other| name(other) == name(number));
            assert_eq!(found, (number < 5_000).then_some(number));
        }
    }
}
