//! What a ledger's lines tell of its own life: what it could not record, what decided, and who signs for it.
//!
//! Promises: grows with the number of revisions, keys and removals, not of entries. Never judges any of it.

use std::collections::BTreeSet;

use super::removal::Removed;

/// What a ledger's lines tell of its own life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// How often it could not be written for a while.
    pub gaps: u64,
    /// How many entries were not recorded in that time.
    pub refused: u64,
    /// How many more were acknowledged once they were written, and were never synced.
    pub lost: u64,
    /// How many requests passed while nothing could be recorded, on routes that are marked so.
    pub passed: u64,
    /// The bundles and directories that decided, by hash.
    pub revisions: BTreeSet<String>,
    /// The public keys that each start said would sign checkpoints, with the number of its entry, ascending.
    pub keys: Vec<(u64, Vec<String>)>,
    /// The segments that were removed.
    pub removals: Vec<Removed>,
}

impl Life {
    /// A bundle or a directory decided.
    pub(super) fn serves(&mut self, hash: &str) {
        if !hash.is_empty() && !self.revisions.contains(hash) {
            self.revisions.insert(hash.to_owned());
        }
    }

    /// Goes on with what a later segment tells.
    pub(super) fn join(&mut self, later: Self) {
        self.gaps += later.gaps;
        self.refused += later.refused;
        self.lost += later.lost;
        self.passed += later.passed;
        self.revisions.extend(later.revisions);
        self.keys.extend(later.keys);
        self.removals.extend(later.removals);
    }
}
