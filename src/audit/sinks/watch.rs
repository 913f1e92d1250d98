//! What is known of one sink at a moment, for status and metrics.
//!
//! Promises: looking costs the sink nothing; what is told holds no secret.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::SinkError;
use crate::ledger::entry::sink::SinkState;

/// One sink, watched.
#[derive(Debug)]
pub struct SinkWatch {
    /// Its name.
    pub name: String,
    /// What it is, as the configuration spells it.
    pub kind: &'static str,
    /// Whether nothing is removed from the ledger before it has it.
    pub is_required: bool,
    known: Mutex<Known>,
}

/// What is known.
#[derive(Clone, Debug)]
struct Known {
    state: SinkState,
    acknowledged: Option<u64>,
    /// The same, where it was asked and did not fail since.
    confirmed: Option<u64>,
    /// The last entry that the cursor's file names, where this process wrote it.
    kept: Option<u64>,
    behind_since_ms: Option<i64>,
    failures: u64,
    error: Option<SinkError>,
    lost: u64,
}

/// One sink at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// Whether it takes entries.
    pub state: SinkState,
    /// The last entry that it has acknowledged; `None` where that was never known.
    pub acknowledged: Option<u64>,
    /// Durable entries that it has not acknowledged.
    pub lag_entries: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub lag_ms: u64,
    /// Failures in a row.
    pub failures: u64,
    /// The last of them.
    pub error: Option<SinkError>,
    /// Entries that it had acknowledged and did not have any more later; they were sent again.
    pub lost: u64,
}

impl SinkWatch {
    /// A sink of which nothing is known yet.
    #[must_use]
    pub fn new(name: String, kind: &'static str) -> Self {
        let known = Known {
            state: SinkState::Up,
            acknowledged: None,
            confirmed: None,
            kept: None,
            behind_since_ms: None,
            failures: 0,
            error: None,
            lost: 0,
        };
        Self { name, kind, is_required: true, known: Mutex::new(known) }
    }

    /// The same of a sink that may lack what is removed from the ledger.
    #[must_use]
    pub fn not_required(self) -> Self {
        Self { is_required: false, ..self }
    }

    /// How it stands, given the last durable entry and the time.
    #[must_use]
    pub fn status(&self, durable_seq: u64, now_ms: i64) -> SinkStatus {
        let known = self.known().clone();
        let lag_entries = durable_seq.saturating_sub(known.acknowledged.unwrap_or(0));
        let waited_ms = known.behind_since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        SinkStatus {
            name: self.name.clone(),
            kind: self.kind,
            state: known.state,
            acknowledged: known.acknowledged,
            lag_entries,
            lag_ms: if lag_entries == 0 { 0 } else { u64::try_from(waited_ms).unwrap_or(0) },
            failures: known.failures,
            error: known.error,
            lost: known.lost,
        }
    }

    /// Whether it takes entries.
    #[must_use]
    pub fn state(&self) -> SinkState {
        self.known().state
    }

    /// The last entry that it has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Option<u64> {
        self.known().acknowledged
    }

    /// Whether it has everything up to an entry for certain: it says so now, and a crash would not make it ask again for what was
    /// before. What a sink that fails now acknowledged once, it may have lost.
    #[must_use]
    pub fn has_for_certain(&self, seq: u64) -> bool {
        let known = self.known();
        known.confirmed.min(known.kept).is_some_and(|has| has >= seq)
    }

    /// Something durable waits since then, unless something older does.
    pub(super) fn waits(&self, since_ms: i64) {
        let mut known = self.known();
        known.behind_since_ms = Some(known.behind_since_ms.map_or(since_ms, |old| old.min(since_ms)));
    }

    /// It has everything up to an entry; what waits behind it does so since `behind_since_ms`.
    pub(super) fn has(&self, seq: u64, behind_since_ms: Option<i64>) {
        let mut known = self.known();
        known.acknowledged = Some(seq);
        known.confirmed = Some(seq);
        known.behind_since_ms = behind_since_ms;
    }

    /// The cursor's file names this entry.
    pub(super) fn keeps(&self, seq: u64) {
        self.known().kept = Some(seq);
    }

    /// So far it had come when that was last known.
    pub(super) fn knows(&self, seq: u64) {
        self.known().acknowledged = Some(seq);
    }

    /// It works: it took a batch, or has everything.
    pub(super) fn took(&self) {
        let mut known = self.known();
        known.state = SinkState::Up;
        known.failures = 0;
        known.error = None;
    }

    /// It failed; so many failures in a row make it down.
    pub(super) fn failed(&self, error: SinkError, down_after: u64) {
        let mut known = self.known();
        known.failures = known.failures.saturating_add(1);
        known.error = Some(error);
        known.confirmed = None;
        if known.failures >= down_after {
            known.state = SinkState::Down;
        }
    }

    /// It lost entries that it had acknowledged.
    pub(super) fn lost(&self, entries: u64) {
        let mut known = self.known();
        known.lost = known.lost.saturating_add(entries);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
