//! The age of the directory: how long ago its source last said who is who.
//!
//! The measure is when the file was last written. What writes it must write or touch it at each run, also if nothing changed; else
//! nobody could tell a quiet week from an export that died. Promises: a time that lies ahead counts as now, so a wrong clock
//! of whoever wrote the file makes nothing young.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// When the directory that serves was written, and how old it may be.
pub struct DirectoryAge {
    max_ms: Option<i64>,
    written_ms: AtomicI64,
}

impl DirectoryAge {
    /// A directory that was written then; without a limit it never is too old.
    pub fn new(max_ms: Option<u64>, written_ms: i64, now_ms: i64) -> Self {
        let max_ms = max_ms.map(|max_ms| i64::try_from(max_ms).unwrap_or(i64::MAX));
        Self { max_ms, written_ms: AtomicI64::new(written_ms.min(now_ms)) }
    }

    /// The file that serves was written, or touched, then.
    pub fn note(&self, written_ms: i64, now_ms: i64) {
        self.written_ms.store(written_ms.min(now_ms), Ordering::Relaxed);
    }

    /// How old it is, in milliseconds.
    pub fn age_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.written_ms.load(Ordering::Relaxed)).max(0)
    }

    /// Whether it may decide.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        self.max_ms.is_none_or(|max_ms| self.age_ms(now_ms) <= max_ms)
    }

    /// Refuses what an old directory would decide.
    pub fn require_fresh(&self, now_ms: i64) -> Result<(), Problem> {
        match self.is_fresh(now_ms) {
            true => Ok(()),
            false => Err(Reason::DirectoryStale.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_too_old_one_millisecond_after_its_limit() {
        let age = DirectoryAge::new(Some(1_000), 5_000, 5_500);
        assert!(age.is_fresh(6_000));
        assert!(!age.is_fresh(6_001));
        age.note(6_000, 6_500);
        assert!(age.is_fresh(7_000));
        assert!(!age.is_fresh(7_001));
        assert!(DirectoryAge::new(None, 0, 0).is_fresh(i64::MAX));
    }

    #[test]
    fn a_time_that_lies_ahead_counts_as_now() {
        let age = DirectoryAge::new(Some(1_000), 9_000_000, 5_000);
        assert!(age.is_fresh(6_000) && !age.is_fresh(6_001));
        age.note(i64::MAX, 7_000);
        assert!(age.is_fresh(8_000) && !age.is_fresh(8_001));
    }
}
